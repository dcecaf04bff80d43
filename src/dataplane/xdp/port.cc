// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/port.h"

#include <algorithm>
#include <utility>

namespace dnsdirector::dataplane::xdp {

std::uint32_t count(const Tags& tags) {
    return static_cast<std::uint32_t>(
        std::count_if(tags.begin(), tags.end(), [](const Tag& tag) { return tag.protocol != 0; }));
}

Result<Port> port_below(const Links& links, int interface) {
    Port port{interface, {}};
    std::string names;
    for (std::size_t tags = 0;;) {
        const auto found = links.find(port.index);
        if (found == links.end())
            return fail("there is no interface below {} in this network namespace", names);
        const netlink::Link& link = found->second;
        names = link.name;
        if (link.kind != "vlan") return port;
        if (tags++ == port.tags.size())
            return fail("{} is the third VLAN device on top of each other; the program takes two",
                        links.at(interface).name);
        // From the top down: each one below stands before the ones above it.
        port.tags[1] = port.tags[0];
        port.tags[0] = {link.vlan_protocol, link.vlan_id};
        port.index = link.lower;
    }
}

std::string unfit(const Links& links, const netlink::Link& link) {
    const auto name_of = [&](int index) {
        const auto found = links.find(index);
        return found != links.end() ? found->second.name : std::string{"?"};
    };
    if (link.kind == "vlan") {
        const auto port = port_below(links, link.index);
        return port ? fmt::format("{} is a VLAN device: the program works on {} below it",
                                  link.name, name_of(port->index))
                    : port.error().message;
    }
    if (link.loopback || link.mac == netlink::Mac{})
        return fmt::format(
            "{}{} has no MAC addresses, and the XDP plane forwards Ethernet frames: name the "
            "interface that clients' frames arrive on (ip -br link), or choose dataplane ipvs",
            link.name, link.kind.empty() ? "" : " (" + link.kind + ")");
    if (link.kind == "ipvlan" || link.kind == "ipvtap")
        return fmt::format(
            "{} is an ipvlan device, which is given only packets for its own addresses: name the "
            "interface below it, or make it a macvlan",
            link.name);
    if (link.port_kind == "bond" || link.port_kind == "team" || link.port_kind == "bridge")
        return fmt::format("{0} is a port of the {1} {2}, which has the addresses: name {2}",
                           link.name, link.port_kind, name_of(link.master));
    return "";
}

}  // namespace dnsdirector::dataplane::xdp
