// SPDX-License-Identifier: Apache-2.0
#include "netlink/tunnels.h"

// Before linux/if_tunnel.h, which has the same names and then leaves them to this one.
#include <net/if.h>

#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/ip6_tunnel.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "netlink/transport.h"

namespace dnsdirector::netlink {
namespace {

struct Kind {
    const char* name;            ///< IFLA_INFO_KIND
    const char* module;          ///< of the kernel
    std::uint8_t inner;          ///< IP protocol of what is inside
    std::uint32_t tunnel_flags;  ///< IFLA_IPTUN_FLAGS
};
// By Family. The option that limits the depth of tunnels (RFC 2473, 4.1.1) would take 8 bytes of
// the MTU, and nothing is sent by these devices.
constexpr Kind kinds[] = {
    {"ipip", "ipip", IPPROTO_IPIP, 0},
    {"ip6tnl", "ip6_tunnel", IPPROTO_IPV6, IP6_TNL_F_IGN_ENCAP_LIMIT},
};
const Kind& kind_of(Family family) {
    return kinds[family == Family::ipv4 ? 0 : 1];
}

void put_bytes(nl_msg* message, int type, const void* data, std::size_t length) {
    if (nla_put(message, type, static_cast<int>(length), data) < 0) throw std::bad_alloc{};
}
void put_text(nl_msg* message, int type, const std::string& text) {
    put_bytes(message, type, text.c_str(), text.size() + 1);
}

std::string_view text_of(const nlattr* attribute) {
    if (attribute == nullptr) return {};
    const auto* begin = static_cast<const char*>(nla_data(attribute));
    return {begin, strnlen(begin, static_cast<std::size_t>(nla_len(attribute)))};
}

const nlattr* within(const nlattr* parent, int type) {
    return parent == nullptr
               ? nullptr
               : nla_find(static_cast<nlattr*>(nla_data(parent)), nla_len(parent), type);
}

/// Absent where it is no address of that family; the unspecified one where there is none.
std::optional<IpAddress> end_of(Family family, const nlattr* attribute) {
    std::array<std::uint8_t, 16> bytes{};
    const std::size_t size = family == Family::ipv4 ? 4 : bytes.size();
    if (attribute != nullptr) {
        if (nla_len(attribute) != static_cast<int>(size)) return std::nullopt;
        std::memcpy(bytes.data(), nla_data(attribute), size);
    }
    if (family == Family::ipv6) return IpAddress::from_v6(bytes);
    return IpAddress::from_v4({bytes[0], bytes[1], bytes[2], bytes[3]});
}

Message named(int type, int flags, const std::string& name) {
    Message message = new_message(type, flags, ifinfomsg{});
    put_text(message.get(), IFLA_IFNAME, name);
    return message;
}

class KernelTunnelDevices final : public TunnelDevices {
public:
    explicit KernelTunnelDevices(Transport transport) : transport_(std::move(transport)) {}

    Result<std::vector<TunnelDevice>> list() override;
    Result<void> add(const TunnelDevice& device) override;
    Result<void> mend(const TunnelDevice& device) override;
    Result<bool> remove(const std::string& name) override;

private:
    Transport transport_;
};

Result<std::vector<TunnelDevice>> KernelTunnelDevices::list() {
    const Message message = new_message(RTM_GETLINK, 0, ifinfomsg{});
    std::vector<TunnelDevice> devices;
    const auto done = transport_.dump(
        message.get(), [&] { devices.clear(); },
        [&](const nlmsghdr& header) {
            if (auto device = parse_tunnel(header)) devices.push_back(std::move(*device));
        });
    if (!done) return tl::unexpected{done.error().as_error("cannot list the tunnel devices")};
    return devices;
}

Error cannot_add(const TunnelDevice& device, const Refusal& refusal) {
    const Kind& kind = kind_of(device.local.family());
    const std::string text = fmt::format("cannot make the tunnel device {} ({}, local {})",
                                         device.name, kind.name, device.local.to_string());
    switch (refusal.error) {
        case EOPNOTSUPP:
            return {
                fmt::format("{}: this kernel has no such devices; `modprobe {}` loads what "
                            "makes them, and a kernel without that module can't be sent "
                            "tunnels (lb_kind DR needs none)",
                            text, kind.module)};
        case EEXIST:
            return {
                fmt::format("{}: there is a device of that name, or one that has that end "
                            "already; `ip -d tunnel show` and `ip -d -6 tunnel show` list them",
                            text)};
        case EPERM: return {text + ": this takes CAP_NET_ADMIN; run it as root"};
        default: return refusal.as_error(text);
    }
}

Result<void> KernelTunnelDevices::add(const TunnelDevice& device) {
    const Kind& kind = kind_of(device.local.family());
    Message message = named(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, device.name);
    put_bytes(message.get(), IFLA_MTU, &device.mtu, sizeof device.mtu);
    nlattr* info = nla_nest_start(message.get(), IFLA_LINKINFO);
    put_text(message.get(), IFLA_INFO_KIND, kind.name);
    nlattr* data = nla_nest_start(message.get(), IFLA_INFO_DATA);
    put_bytes(message.get(), IFLA_IPTUN_LOCAL, device.local.bytes().data(), device.local.size());
    put_bytes(message.get(), IFLA_IPTUN_PROTO, &kind.inner, sizeof kind.inner);
    if (kind.tunnel_flags != 0)
        put_bytes(message.get(), IFLA_IPTUN_FLAGS, &kind.tunnel_flags, sizeof kind.tunnel_flags);
    nla_nest_end(message.get(), data);
    nla_nest_end(message.get(), info);
    if (const auto done = transport_.request(message.get()); !done)
        return tl::unexpected{cannot_add(device, done.error())};

    // Before it comes up, by which it would get an address.
    Message quiet = named(RTM_SETLINK, 0, device.name);
    nlattr* families = nla_nest_start(quiet.get(), IFLA_AF_SPEC);
    nlattr* ipv6 = nla_nest_start(quiet.get(), AF_INET6);
    const std::uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
    put_bytes(quiet.get(), IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof mode);
    nla_nest_end(quiet.get(), ipv6);
    nla_nest_end(quiet.get(), families);
    (void)transport_.request(quiet.get());  // a kernel without IPv6 refuses, and makes none
    return mend(device);
}

Result<void> KernelTunnelDevices::mend(const TunnelDevice& device) {
    ifinfomsg fixed{};
    fixed.ifi_flags = device.up ? IFF_UP : 0;
    fixed.ifi_change = IFF_UP;
    Message message = new_message(RTM_SETLINK, 0, fixed);
    put_text(message.get(), IFLA_IFNAME, device.name);
    put_bytes(message.get(), IFLA_MTU, &device.mtu, sizeof device.mtu);
    if (const auto done = transport_.request(message.get()); !done)
        return tl::unexpected{done.error().as_error(fmt::format(
            "cannot set the tunnel device {} up with an MTU of {}", device.name, device.mtu))};
    return {};
}

Result<bool> KernelTunnelDevices::remove(const std::string& name) {
    const auto done = transport_.request(named(RTM_DELLINK, 0, name).get());
    if (done) return true;
    if (done.error().error == ENODEV) return false;
    return tl::unexpected{
        done.error().as_error(fmt::format("cannot remove the tunnel device {}", name))};
}

}  // namespace

const char* tunnel_module(Family family) {
    return kind_of(family).module;
}

std::optional<TunnelDevice> parse_tunnel(const nlmsghdr& header) {
    constexpr auto fixed_size = static_cast<int>(sizeof(ifinfomsg));
    if (header.nlmsg_type != RTM_NEWLINK ||
        header.nlmsg_len < static_cast<std::uint32_t>(nlmsg_size(fixed_size)))
        return std::nullopt;
    auto* message = const_cast<nlmsghdr*>(&header);
    const auto& fixed = *static_cast<const ifinfomsg*>(nlmsg_data(message));
    const nlattr* info = nlmsg_find_attr(message, fixed_size, IFLA_LINKINFO);
    const nlattr* data = within(info, IFLA_INFO_DATA);
    const std::string_view kind = text_of(within(info, IFLA_INFO_KIND));
    if (fixed.ifi_family != AF_UNSPEC || data == nullptr) return std::nullopt;
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        if (kind != kind_of(family).name) continue;
        const auto local = end_of(family, within(data, IFLA_IPTUN_LOCAL));
        const auto remote = end_of(family, within(data, IFLA_IPTUN_REMOTE));
        if (!local || local->is_unspecified() || !remote || !remote->is_unspecified()) break;
        // 0: whatever is inside.
        const nlattr* inner = within(data, IFLA_IPTUN_PROTO);
        if (inner != nullptr && nla_get_u8(inner) != 0 &&
            nla_get_u8(inner) != kind_of(family).inner)
            break;
        const nlattr* mtu = nlmsg_find_attr(message, fixed_size, IFLA_MTU);
        return TunnelDevice{std::string(text_of(nlmsg_find_attr(message, fixed_size, IFLA_IFNAME))),
                            *local, mtu == nullptr ? 0 : nla_get_u32(mtu),
                            (fixed.ifi_flags & IFF_UP) != 0};
    }
    return std::nullopt;
}

Result<std::unique_ptr<TunnelDevices>> TunnelDevices::open() {
    auto transport = Transport::open({});
    if (!transport) return tl::unexpected{transport.error()};
    return std::make_unique<KernelTunnelDevices>(std::move(*transport));
}

}  // namespace dnsdirector::netlink
