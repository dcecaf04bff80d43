// SPDX-License-Identifier: Apache-2.0
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <cerrno>

#include "netlink/messages.h"
#include "netlink/netlink.h"
#include "netlink/refusals.h"
#include "netlink/transport.h"

namespace dnsdirector::netlink {
namespace {

void put(nl_msg* message, int type, const void* data, std::size_t length) {
    if (nla_put(message, type, static_cast<int>(length), data) < 0) throw std::bad_alloc{};
}
void put(nl_msg* message, int type, std::uint32_t value) {
    put(message, type, &value, sizeof value);
}
void put(nl_msg* message, int type, const IpAddress& address) {
    put(message, type, address.bytes().data(), address.size());
}

class KernelSocket final : public Socket {
public:
    explicit KernelSocket(Transport transport) : transport_(std::move(transport)) {}

    Result<std::vector<Link>> links() override {
        return list<Link>("list the interfaces", link_request({}), parse_link);
    }
    Result<std::optional<Link>> link(const std::string& name) override {
        if (name.empty() || name.size() >= IFNAMSIZ) return std::nullopt;  // no such name can be
        Message message = link_request({});
        put(message.get(), IFLA_IFNAME, name.c_str(), name.size() + 1);
        return one_link(message.get(), name);
    }
    Result<std::optional<Link>> link(int index) override {
        if (index <= 0) return std::nullopt;
        ifinfomsg fixed{};
        fixed.ifi_index = index;
        return one_link(link_request(fixed).get(), "number " + std::to_string(index));
    }

    Result<Route> route_to(const IpAddress& destination) override;

    Result<std::vector<Neighbour>> neighbours() override {
        return list<Neighbour>("list the neighbours", new_message(RTM_GETNEIGH, 0, ndmsg{}),
                               parse_neighbour);
    }
    Result<void> resolve(int interface, const IpAddress& address) override;
    Result<void> release(int interface, const IpAddress& address) override;
    [[nodiscard]] bool keeps_resolved() const override { return managed_.value_or(true); }

    Result<std::vector<InterfaceAddress>> addresses() override {
        return list<InterfaceAddress>("list the addresses",
                                      new_message(RTM_GETADDR, 0, ifaddrmsg{}), parse_address);
    }
    Result<bool> add_address(int interface, const IpAddress& address) override;
    Result<bool> remove_address(int interface, const IpAddress& address) override;

private:
    static Message link_request(const ifinfomsg& fixed) {
        Message message = new_message(RTM_GETLINK, 0, fixed);
        // Statistics of every family and queue are most of such a message.
        put(message.get(), IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        return message;
    }

    template <typename Value>
    Result<std::vector<Value>> list(const char* what, const Message& message,
                                    std::optional<Value> (*parse)(const nlmsghdr&)) {
        std::vector<Value> values;
        const auto done = transport_.dump(
            message.get(), [&] { values.clear(); },
            [&](const nlmsghdr& header) {
                if (auto value = parse(header)) values.push_back(std::move(*value));
            });
        if (!done) return tl::unexpected{done.error().as_error(fmt::format("cannot {}", what))};
        return values;
    }

    Result<std::optional<Link>> one_link(nl_msg* message, const std::string& who) {
        std::optional<Link> found;
        const auto done = transport_.request(
            message, [&](const nlmsghdr& header) { found = parse_link(header); });
        if (!done && done.error().error == ENODEV) return std::nullopt;
        if (!done)
            return tl::unexpected{
                done.error().as_error(fmt::format("cannot read interface {}", who))};
        return found;
    }

    /// Nothing when there is no such entry.
    tl::expected<std::optional<NeighbourCare>, Refusal> care_of(int interface,
                                                                const IpAddress& address);
    tl::expected<void, Refusal> put_neighbour(int interface, const IpAddress& address, int flags,
                                              std::uint32_t extended_flags);

    Transport transport_;
    /// Whether the kernel knows NTF_EXT_MANAGED; not known before the first resolve().
    std::optional<bool> managed_;
};

Result<Route> KernelSocket::route_to(const IpAddress& destination) {
    rtmsg fixed{};
    fixed.rtm_family = family_of(destination);
    fixed.rtm_dst_len = static_cast<unsigned char>(destination.host_prefix_length());
    Message message = new_message(RTM_GETROUTE, 0, fixed);
    put(message.get(), RTA_DST, destination);
    std::optional<Route> route;
    const auto done = transport_.request(
        message.get(), [&](const nlmsghdr& header) { route = parse_route(header); });
    if (!done) return tl::unexpected{no_route(destination, done.error())};
    if (!route)
        return fail("no route to {}: the kernel gave an empty answer", destination.to_string());
    return *route;
}

tl::expected<std::optional<NeighbourCare>, Refusal> KernelSocket::care_of(
    int interface, const IpAddress& address) {
    ndmsg fixed{};
    fixed.ndm_family = family_of(address);
    fixed.ndm_ifindex = interface;
    Message message = new_message(RTM_GETNEIGH, 0, fixed);
    put(message.get(), NDA_DST, address);
    std::optional<NeighbourCare> care;
    const auto done = transport_.request(
        message.get(), [&](const nlmsghdr& header) { care = parse_neighbour_care(header); });
    if (!done && done.error().error == ENOENT) return std::nullopt;
    if (!done) return tl::unexpected{done.error()};
    return care;
}

tl::expected<void, Refusal> KernelSocket::put_neighbour(int interface, const IpAddress& address,
                                                        int flags, std::uint32_t extended_flags) {
    ndmsg fixed{};
    fixed.ndm_family = family_of(address);
    fixed.ndm_ifindex = interface;
    // NTF_USE in every case: it starts the resolution, and it makes the kernel
    // leave the entry's state alone. Kernels before 5.16 silently ignore
    // NDA_FLAGS_EXT and would otherwise take the state 0 here for an order.
    fixed.ndm_flags = NTF_USE;
    Message message = new_message(RTM_NEWNEIGH, flags, fixed);
    put(message.get(), NDA_DST, address);
    if (extended_flags != 0) put(message.get(), NDA_FLAGS_EXT, extended_flags);
    return transport_.request(message.get());
}

Result<void> KernelSocket::resolve(int interface, const IpAddress& address) {
    const auto refused = [&](const Refusal& refusal) {
        return tl::unexpected{cannot_resolve(interface, address, refusal)};
    };
    // Taking care of a permanent entry would make the kernel forget that it is
    // permanent (__neigh_update() of net/core/neighbour.c), and an entry that
    // another control plane maintains is that one's business.
    const auto care = care_of(interface, address);
    if (!care) return refused(care.error());
    if (*care && (*care)->of_others) return {};

    const auto done = put_neighbour(interface, address, NLM_F_CREATE | NLM_F_REPLACE,
                                    managed_.value_or(true) ? NTF_EXT_MANAGED : 0);
    if (!done) return refused(done.error());
    if (!managed_) {
        const auto now = care_of(interface, address);
        if (now && *now) managed_ = (*now)->managed;
    }
    return {};
}

Result<void> KernelSocket::release(int interface, const IpAddress& address) {
    const auto care = care_of(interface, address);
    const auto gone = [](int error) { return error == ENOENT || error == ENODEV; };
    if (care && (!*care || !(*care)->managed || (*care)->of_others)) return {};
    if (!care) {
        if (gone(care.error().error)) return {};
        return tl::unexpected{cannot_resolve(interface, address, care.error())};
    }
    const auto done = put_neighbour(interface, address, NLM_F_REPLACE, 0);
    if (!done && !gone(done.error().error))
        return tl::unexpected{cannot_resolve(interface, address, done.error())};
    return {};
}

Message address_message(int type, int flags, int interface, const IpAddress& address) {
    ifaddrmsg fixed{};
    fixed.ifa_family = family_of(address);
    fixed.ifa_prefixlen = static_cast<unsigned char>(address.host_prefix_length());
    fixed.ifa_scope = RT_SCOPE_UNIVERSE;
    fixed.ifa_index = static_cast<unsigned>(interface);
    Message message = new_message(type, flags, fixed);
    put(message.get(), IFA_LOCAL, address);
    put(message.get(), IFA_ADDRESS, address);
    return message;
}

Result<bool> KernelSocket::add_address(int interface, const IpAddress& address) {
    Message message = address_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, interface, address);
    // No duplicate address detection: on purpose the real servers hold it too.
    const std::uint32_t flags = IFA_F_NOPREFIXROUTE | (address.is_v6() ? IFA_F_NODAD : 0);
    put(message.get(), IFA_FLAGS, flags);
    if (address.is_v6()) {
        // Deprecated: never chosen as the source of the director's own
        // connections (RFC 6724, rule 3), on whatever interface it is.
        ifa_cacheinfo lifetimes{};
        lifetimes.ifa_prefered = 0;
        lifetimes.ifa_valid = UINT32_MAX;
        put(message.get(), IFA_CACHEINFO, &lifetimes, sizeof lifetimes);
    }
    const auto done = transport_.request(message.get());
    if (done) return true;
    if (done.error().error == EEXIST) return false;
    return tl::unexpected{cannot_change_address("add", interface, address, done.error())};
}

Result<bool> KernelSocket::remove_address(int interface, const IpAddress& address) {
    const Message message = address_message(RTM_DELADDR, 0, interface, address);
    const auto done = transport_.request(message.get());
    if (done) return true;
    if (done.error().error == EADDRNOTAVAIL || done.error().error == ENODEV) return false;
    return tl::unexpected{cannot_change_address("remove", interface, address, done.error())};
}

}  // namespace

Result<std::unique_ptr<Socket>> Socket::open() {
    auto transport = Transport::open({});
    if (!transport) return tl::unexpected{transport.error()};
    return std::make_unique<KernelSocket>(std::move(*transport));
}

}  // namespace dnsdirector::netlink
