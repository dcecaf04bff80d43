// SPDX-License-Identifier: Apache-2.0
#include "unit/probe/far_side.h"

#include "unit/probe/checks.h"
#include "unit/support/wait.h"

namespace dnsdirector::probe::test {
namespace {

using support::ip;
using support::sysctl;

void furnish_far_side() {
    sysctl("net/ipv4/ip_forward", "1");
    // No limit for ICMP errors, neither for one destination nor for all.
    sysctl("net/ipv4/icmp_ratemask", "0");
    sysctl("net/ipv6/icmp/ratemask", "0");
    sysctl("net/ipv6/conf/all/forwarding", "1");
    for (const char* address : {"192.0.2.254/24", "192.0.2.11/24", "192.0.2.12/24"})
        ip(std::string("addr add ") + address + " dev k1");
    for (const char* address : {"2001:db8::11/64", "2001:db8::12/64", "2001:db8::fe/64"})
        ip(std::string("addr add ") + address + " dev k1 nodad");
    ip("link set lo up");
    ip("link set k1 up");
    for (const char* route :
         {"unreachable 198.51.100.0/25", "prohibit 203.0.113.0/24", "blackhole 198.51.100.128/25"})
        ip(std::string("route add ") + route);
    for (const char* route :
         {"unreachable 2001:db8:1::/48", "prohibit 2001:db8:2::/48", "blackhole 2001:db8:3::/48"})
        ip(std::string("-6 route add ") + route);
}

}  // namespace

void connect_far_side(const support::NetworkNamespace& far) {
    ip("link set lo up");
    ip("link add k0 type veth peer name k1 netns " + far.path());
    ip("addr add 192.0.2.1/24 dev k0");
    ip("addr add 2001:db8::1/64 dev k0 nodad");
    ip("link set k0 up");
    {
        const support::NetworkNamespace::Visit visit{far};
        furnish_far_side();
    }
    for (const char* family : {"ipv4", "ipv6"})
        sysctl(std::string("net/") + family + "/neigh/k0/retrans_time_ms", "250");
    ip("route add default via 192.0.2.254");
    ip("-6 route add default via 2001:db8::fe");
}

bool far_side_answers(Recorder& recorder) {
    for (const char* server : {"192.0.2.11", "2001:db8::11"}) {
        const Endpoint target{*IpAddress::parse(server), 0};
        const core::Check check = check_of(target, core::PingCheck{}, Milliseconds{500});
        if (!support::eventually([&] { return recorder.ask(check).passed(); })) return false;
    }
    return true;
}

}  // namespace dnsdirector::probe::test
