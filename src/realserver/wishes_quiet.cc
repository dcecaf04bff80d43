// SPDX-License-Identifier: Apache-2.0
//
// That nobody hears of the service IPs from this machine by ARP.
//
// IPv6 needs no setting: the kernel answers neighbour solicitations for addresses of the
// interface that they came in on alone, and takes no other interface's address for the source of
// its own (ndisc_recv_ns(), ndisc_solicit() of net/ipv6/ndisc.c); and where the service IPs are,
// nobody asks (has_no_neighbours()).
#include <algorithm>
#include <array>
#include <string_view>

#include "realserver/wishes.h"

namespace dnsdirector::realserver {
namespace {

struct Quiet {
    const char* name;
    const char* value;
    /// Of the effective value, the larger of `all` and the interface's own.
    bool (*will_do)(long value);
};

constexpr Quiet quiet_settings[] = {
    // 1: answers for addresses of the interface that was asked on; 2: those in the asker's
    // network; 8: none. 3 answers for all of a wider scope than host, as an address that
    // somebody else put there may have; 4 to 7 mean nothing (arp_ignore() of net/ipv4/arp.c).
    {"arp_ignore", "1", [](long value) { return value == 1 || value == 2 || value == 8; }},
    // 2: asks with an address of the interface, not the source of the packet that waits. 1 would
    // take a service IP that lies in the interface's network; what is above 2 counts as 0
    // (arp_solicit()).
    {"arp_announce", "2", [](long value) { return value == 2; }},
};

constexpr std::array<std::string_view, 8> kinds_without_arp = {
    "ipip", "ip6tnl", "sit", "gre", "ip6gre", "vti", "wireguard", "xfrm"};

/// Where ARP requests come in as of this device. Those of a bridge's or bond's ports are the
/// bridge's and the bond's.
bool is_asked(const netlink::Link& link, const Actual& untouched) {
    return !has_no_neighbours(link, untouched) &&
           std::ranges::find(kinds_without_arp, link.kind) == kinds_without_arp.end() &&
           link.port_kind != "bridge" && link.port_kind != "bond" && link.port_kind != "team";
}

}  // namespace

void wish_quiet(const Order& order, const Actual& untouched, Wishes& wishes) {
    if (std::ranges::none_of(order.machine.service_ips, &IpAddress::is_v4)) return;
    for (const Quiet& quiet : quiet_settings) {
        // In `all`, although each interface has its own. A device that is made later (a VLAN)
        // begins with `all`, and must not answer until somebody has looked at it. And an
        // interface's own value, once written, does not follow `default` any more
        // (devinet_copy_dflt_conf() of net/ipv4/devinet.c), which nobody could take back.
        const std::string path = path_of("ipv4", "all", quiet.name);
        const long all = untouched.number(path).value_or(0);
        const long own_wish = quiet.value[0] - '0';
        bool all_needed = all != 0 && !quiet.will_do(all);
        std::vector<std::string> own_needed;
        bool anybody_asks = false;
        for (const netlink::Link& link : untouched.links) {
            if (!is_asked(link, untouched)) continue;
            anybody_asks = true;
            const std::string own_path = path_of("ipv4", link.name, quiet.name);
            const auto own = untouched.number(own_path);
            if (!own) continue;  // has no IPv4
            if (!quiet.will_do(std::max(all, *own))) all_needed = true;
            // What is no use even beside our `all`.
            if (!quiet.will_do(std::max(own_wish, *own))) own_needed.push_back(own_path);
        }
        for (const std::string& each : own_needed)
            wishes.settings.emplace_back(each, quiet.value);
        if (all_needed || !anybody_asks)
            if (!quiet.will_do(all)) wishes.settings.emplace_back(path, quiet.value);
    }
}

}  // namespace dnsdirector::realserver
