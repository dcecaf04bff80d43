// SPDX-License-Identifier: Apache-2.0
#include "netlink/host_routes.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <cerrno>
#include <utility>

#include "netlink/messages.h"
#include "netlink/refusals.h"
#include "netlink/transport.h"

namespace dnsdirector::netlink {
namespace {

void put(nl_msg* message, int type, const void* data, std::size_t length) {
    if (nla_put(message, type, static_cast<int>(length), data) < 0) throw std::bad_alloc{};
}

class KernelHostRoutes final : public HostRoutes {
public:
    KernelHostRoutes(Transport transport, std::uint8_t protocol)
        : transport_(std::move(transport)), protocol_(protocol) {}

    Result<std::vector<HostRoute>> list() override;
    Result<bool> add(const HostRoute& route) override;
    Result<bool> remove(const HostRoute& route) override;
    Result<void> bring_up(int interface) override;

private:
    Message message_of(int type, int flags, const HostRoute& route) const;

    Transport transport_;
    std::uint8_t protocol_;
};

Result<std::vector<HostRoute>> KernelHostRoutes::list() {
    rtmsg fixed{};
    fixed.rtm_table = RT_TABLE_MAIN;
    fixed.rtm_protocol = protocol_;
    const Message message = new_message(RTM_GETROUTE, 0, fixed);
    std::vector<HostRoute> routes;
    // Kernels filter by protocol only for those who ask strictly; so it is looked at here.
    const auto done = transport_.dump(
        message.get(), [&] { routes.clear(); },
        [&](const nlmsghdr& header) {
            const auto parsed = parse_host_route(header);
            if (parsed && parsed->protocol == protocol_ && parsed->main_table)
                routes.push_back(parsed->route);
        });
    if (!done) return tl::unexpected{done.error().as_error("cannot list the routes")};
    return routes;
}

Message KernelHostRoutes::message_of(int type, int flags, const HostRoute& route) const {
    rtmsg fixed{};
    fixed.rtm_family = family_of(route.address);
    fixed.rtm_dst_len = static_cast<unsigned char>(route.address.host_prefix_length());
    fixed.rtm_table = RT_TABLE_MAIN;
    fixed.rtm_protocol = protocol_;
    fixed.rtm_scope = route.address.is_v4() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    fixed.rtm_type = route.interface == 0 ? RTN_BLACKHOLE : RTN_UNICAST;
    Message message = new_message(type, flags, fixed);
    put(message.get(), RTA_DST, route.address.bytes().data(), route.address.size());
    if (route.interface != 0) put(message.get(), RTA_OIF, &route.interface, sizeof route.interface);
    put(message.get(), RTA_PRIORITY, &route.metric, sizeof route.metric);
    return message;
}

Result<bool> KernelHostRoutes::add(const HostRoute& route) {
    // Two routes that differ in the metric alone stand side by side.
    const Message message = message_of(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route);
    const auto done = transport_.request(message.get());
    if (done) return true;
    if (done.error().error == EEXIST) return false;
    return tl::unexpected{cannot_change_route("add", route.address, route.interface, done.error())};
}

Result<bool> KernelHostRoutes::remove(const HostRoute& route) {
    const Message message = message_of(RTM_DELROUTE, 0, route);
    const auto done = transport_.request(message.get());
    if (done) return true;
    if (done.error().error == ESRCH || done.error().error == ENODEV) return false;
    return tl::unexpected{
        cannot_change_route("remove", route.address, route.interface, done.error())};
}

Result<void> KernelHostRoutes::bring_up(int interface) {
    // First without an address, which it would get by coming up.
    ifinfomsg fixed{};
    fixed.ifi_index = interface;
    Message quiet = new_message(RTM_SETLINK, 0, fixed);
    nlattr* families = nla_nest_start(quiet.get(), IFLA_AF_SPEC);
    nlattr* ipv6 = nla_nest_start(quiet.get(), AF_INET6);
    const std::uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
    put(quiet.get(), IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof mode);
    nla_nest_end(quiet.get(), ipv6);
    nla_nest_end(quiet.get(), families);
    (void)transport_.request(quiet.get());  // a kernel without IPv6 refuses, and makes none

    fixed.ifi_flags = IFF_UP;
    fixed.ifi_change = IFF_UP;
    const Message up = new_message(RTM_SETLINK, 0, fixed);
    if (const auto done = transport_.request(up.get()); !done)
        return tl::unexpected{
            done.error().as_error(fmt::format("cannot set interface number {} up", interface))};
    return {};
}

}  // namespace

Result<std::unique_ptr<HostRoutes>> HostRoutes::open(std::uint8_t protocol) {
    auto transport = Transport::open({});
    if (!transport) return tl::unexpected{transport.error()};
    return std::make_unique<KernelHostRoutes>(std::move(*transport), protocol);
}

}  // namespace dnsdirector::netlink
