// SPDX-License-Identifier: Apache-2.0
#include "netlink/devices.h"

#include <linux/ethtool.h>
#include <linux/genetlink.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "netlink/ipvs_messages.h"
#include "netlink/transport.h"

namespace dnsdirector::netlink {
namespace {

// include/uapi/linux/netdev.h, which distributions of older kernels do not have.
constexpr const char* netdev_family = "netdev";
constexpr std::uint8_t netdev_cmd_dev_get = 1;
constexpr int netdev_attribute_ifindex = 1;
constexpr int netdev_attribute_xdp_features = 3;

template <std::size_t count>
bool parse(const nlmsghdr& header, int fixed, nlattr* (&attributes)[count]) {
    return nlmsg_parse(const_cast<nlmsghdr*>(&header), fixed, attributes,
                       static_cast<int>(count) - 1, nullptr) == 0;
}

class Ethtool {
public:
    explicit Ethtool(const std::string& interface)
        : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        std::strncpy(call_.ifr_name, interface.c_str(), IFNAMSIZ - 1);
    }
    ~Ethtool() {
        if (socket_ >= 0) close(socket_);
    }
    Ethtool(const Ethtool&) = delete;
    Ethtool& operator=(const Ethtool&) = delete;

    template <typename Request>
    bool ask(Request& request) {
        call_.ifr_data = reinterpret_cast<char*>(&request);
        return socket_ >= 0 && ioctl(socket_, SIOCETHTOOL, &call_) == 0;
    }
    std::optional<std::uint32_t> value(std::uint32_t command) {
        ethtool_value request{command, 0};
        if (!ask(request)) return std::nullopt;
        return request.data;
    }

private:
    int socket_;
    ifreq call_{};
};

void take_table(const nlmsghdr& header, NeighbourTables& tables) {
    nlattr* attributes[NDTA_MAX + 1] = {};
    if (header.nlmsg_type != RTM_NEWNEIGHTBL || !parse(header, sizeof(ndtmsg), attributes)) return;
    // The same message type tells the parameters of each interface, without these.
    if (attributes[NDTA_NAME] == nullptr || attributes[NDTA_THRESH3] == nullptr ||
        attributes[NDTA_CONFIG] == nullptr)
        return;
    ndt_config config{};
    if (nla_len(attributes[NDTA_CONFIG]) < static_cast<int>(sizeof config)) return;
    std::memcpy(&config, nla_data(attributes[NDTA_CONFIG]), sizeof config);
    const std::string name = nla_get_string(attributes[NDTA_NAME]);
    const NeighbourTable table{config.ndtc_entries, nla_get_u32(attributes[NDTA_THRESH3])};
    if (name == "arp_cache") tables.arp = table;
    if (name == "ndisc_cache") tables.nd = table;
}

}  // namespace

Result<std::optional<std::map<int, std::uint64_t>>> xdp_features() {
    auto transport = Transport::open({.groups = {}, .protocol = NETLINK_GENERIC});
    if (!transport) return tl::unexpected{transport.error()};
    std::optional<int> family;
    const Message question = family_request(netdev_family);
    const auto asked = transport->request(
        question.get(), [&](const nlmsghdr& header) { family = parse_family(header); });
    if (!asked && asked.error().error != ENOENT)
        return tl::unexpected{asked.error().as_error("cannot ask the kernel for its devices")};
    if (!family) return std::nullopt;

    std::map<int, std::uint64_t> features;
    const Message request =
        new_message(*family, 0, genlmsghdr{.cmd = netdev_cmd_dev_get, .version = 1});
    const auto done = transport->dump(
        request.get(), [&] { features.clear(); },
        [&](const nlmsghdr& header) {
            nlattr* attributes[netdev_attribute_xdp_features + 1] = {};
            if (header.nlmsg_type != *family || !parse(header, sizeof(genlmsghdr), attributes))
                return;
            const nlattr* index = attributes[netdev_attribute_ifindex];
            const nlattr* bits = attributes[netdev_attribute_xdp_features];
            if (index != nullptr && bits != nullptr)
                features[static_cast<int>(nla_get_u32(index))] = nla_get_u64(bits);
        });
    if (!done)
        return tl::unexpected{done.error().as_error("cannot list the XDP features of devices")};
    return features;
}

Result<NeighbourTables> neighbour_tables() {
    auto transport = Transport::open({});
    if (!transport) return tl::unexpected{transport.error()};
    NeighbourTables tables;
    const Message request = new_message(RTM_GETNEIGHTBL, 0, ndtmsg{});
    const auto done = transport->dump(
        request.get(), [&] { tables = {}; },
        [&](const nlmsghdr& header) { take_table(header, tables); });
    if (!done)
        return tl::unexpected{
            done.error().as_error("cannot read the sizes of the neighbour tables")};
    return tables;
}

DeviceSettings device_settings(const std::string& interface) {
    DeviceSettings settings;
    Ethtool ethtool{interface};
    ethtool_drvinfo driver{.cmd = ETHTOOL_GDRVINFO};
    if (ethtool.ask(driver))
        settings.driver.assign(driver.driver, strnlen(driver.driver, sizeof driver.driver));
    if (const auto gro = ethtool.value(ETHTOOL_GGRO)) settings.gro = *gro != 0;
    if (const auto flags = ethtool.value(ETHTOOL_GFLAGS)) {
        settings.lro = (*flags & ETH_FLAG_LRO) != 0;
        settings.rx_vlan = (*flags & ETH_FLAG_RXVLAN) != 0;
    }
    ethtool_channels channels{.cmd = ETHTOOL_GCHANNELS};
    if (ethtool.ask(channels))
        settings.channels =
            DeviceSettings::Channels{channels.combined_count + channels.rx_count,
                                     channels.combined_count + channels.tx_count,
                                     std::max(channels.max_combined, channels.max_rx),
                                     std::max(channels.max_combined, channels.max_tx)};
    return settings;
}

}  // namespace dnsdirector::netlink
