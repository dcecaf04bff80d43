// SPDX-License-Identifier: Apache-2.0
//
// Whatever the bgp block says: nothing but its service IPs is ever told, and nothing accepted but
// a default route that was asked for. tests/lab/test_bgp_config.py loads such configurations into
// the daemons themselves.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <regex>
#include <set>

#include "announce/bgp_check.h"
#include "announce/bgp_groups.h"
#include "announce/bird_config.h"
#include "announce/frr_config.h"

namespace dnsdirector::announce {
namespace {

template <typename T>
T any_of(T least, T most) {
    return *rc::gen::inRange<T>(least, most);
}
bool any_bool() {
    return *rc::gen::arbitrary<bool>();
}

IpAddress any_address(Family family, std::string_view v4, std::string_view v6) {
    const unsigned host = any_of(1U, 250U);
    return *IpAddress::parse(family == Family::ipv4 ? fmt::format("{}.{}", v4, host)
                                                    : fmt::format("{}::{:x}", v6, host));
}

core::Communities any_communities() {
    core::Communities out;
    for (unsigned left = any_of(0U, 3U); left > 0; --left)
        out.add({{{any_of<std::uint16_t>(0, 65535), any_of<std::uint16_t>(0, 65535)}}, {}});
    for (unsigned left = any_of(0U, 3U); left > 0; --left)
        out.add({{}, {{any_of(0U, 9U), *rc::gen::arbitrary<std::uint32_t>(), any_of(0U, 9U)}}});
    return out;
}

core::BgpNeighbor any_neighbor() {
    core::BgpNeighbor neighbor;
    const Family family = any_bool() ? Family::ipv4 : Family::ipv6;
    neighbor.address = any_address(family, "198.51.100", "2001:db8:2");
    neighbor.remote_as = any_of(64512U, 64515U);
    if (any_bool()) neighbor.description = "core / of \"nobody\"";
    if (any_bool()) neighbor.password = "pass/word!#";
    neighbor.multihop = any_of(1U, 5U);
    neighbor.ttl_security = any_bool();
    if (any_bool()) neighbor.source = any_address(family, "203.0.113", "2001:db8:3");
    if (any_bool()) neighbor.bfd = core::Bfd{Milliseconds{any_of(10, 1000)}, any_of(2U, 10U)};
    neighbor.graceful_restart = any_bool();
    neighbor.accept_default = any_bool();
    neighbor.soft_reconfiguration = any_bool();
    for (const Family each : families)
        if (any_bool())
            neighbor.next_hop[static_cast<std::size_t>(each)] =
                any_address(each, "203.0.113", "2001:db8:3");
    return neighbor;
}

core::Bgp any_bgp() {
    core::Bgp bgp;
    bgp.local_as = any_of(64512U, 64515U);
    bgp.router_id = any_address(Family::ipv4, "203.0.113", "");
    bgp.ip_forwarding = any_bool();
    std::set<IpAddress> known;
    for (unsigned left = any_of(1U, 5U); left > 0; --left)
        if (core::BgpNeighbor each = any_neighbor(); known.insert(each.address).second)
            bgp.neighbors.push_back(each);
    for (unsigned left = any_of(1U, 12U); left > 0; --left) {
        core::BgpAnnouncement each;
        each.service_ip =
            any_address(any_bool() ? Family::ipv4 : Family::ipv6, "192.0.2", "2001:db8");
        if (!known.insert(each.service_ip).second) continue;
        each.local_preference = any_of(100U, 102U);
        for (core::RouteAttributes& state : each.states) {
            state.med = any_of(0U, 3U);
            if (any_of(0, 4) == 0) state.communities = any_communities();
        }
        bgp.announcements.push_back(each);
    }
    return bgp;
}

/// What the first group of `pattern` finds.
std::multiset<std::string> found(const std::string& text, const std::string& pattern) {
    const std::regex expression(pattern);
    std::multiset<std::string> all;
    for (std::sregex_iterator at(text.begin(), text.end(), expression), end; at != end; ++at)
        all.insert((*at)[1]);
    return all;
}

std::string prefix_of(const IpAddress& address) {
    return fmt::format("{}/{}", address.to_string(), address.host_prefix_length());
}

std::set<std::string> service_prefixes(const core::Bgp& bgp, Family family) {
    std::set<std::string> all;
    for (const core::BgpAnnouncement& each : bgp.announcements)
        if (each.service_ip.family() == family) all.insert(prefix_of(each.service_ip));
    return all;
}

/// The body of a filter or protocol of BIRD.
std::string body_of(const std::string& text, const std::string& head) {
    const auto at = text.find("\n" + head + " {\n");
    RC_ASSERT(at != std::string::npos);
    return text.substr(at, text.find("\n}\n", at) - at);
}

RC_GTEST_PROP(BgpProperties, BirdTellsServiceIpsAndTakesNothing, ()) {
    core::Bgp bgp = any_bgp();
    if (any_bool()) bgp.daemon = core::RoutingDaemon::existing_bird;
    const std::string text = bird_config(bgp);
    for (const Family family : families) {
        const auto wanted = service_prefixes(bgp, family);
        if (wanted.empty()) continue;
        const std::string anything = "([0-9a-f.:]+/[0-9]+)";
        for (const char* what : {"learn", "tell"}) {
            const std::string filter = body_of(text, "filter " + bird_filter(what, family));
            const auto prefixes = found(filter, anything);
            // Each just once, and no other; whatever passes by all of them is refused.
            RC_ASSERT(std::multiset<std::string>(wanted.begin(), wanted.end()) == prefixes);
            RC_ASSERT(filter.ends_with("reject;"));
            RC_ASSERT(filter.find("if krt_source != 153 then reject;") != std::string::npos);
        }
    }
    for (const core::BgpNeighbor& each : bgp.neighbors) {
        const std::string protocol = body_of(text, "protocol bgp " + bird_protocol(each));
        std::size_t channels = 0;
        for (const Family family : families)
            channels += each.carries(family) ? 1 : 0;
        const auto imports = found(protocol, "\n        (import (?:none|filter [a-z0-9_]+));");
        RC_ASSERT(imports.size() == channels);
        for (const std::string& import : imports)
            RC_ASSERT((each.accept_default
                           ? import.starts_with("import filter dnsdirector_default_")
                           : import == "import none"));
        const auto exports = found(protocol, "\n        (export [a-z0-9_ ]+);");
        RC_ASSERT(exports.size() == channels);
        for (const std::string& one : exports)
            RC_ASSERT(one == "export none" || one.starts_with("export filter dnsdirector_tell_"));
    }
}

RC_GTEST_PROP(BgpProperties, FrrTellsServiceIpsAndTakesNothing, ()) {
    const core::Bgp bgp = any_bgp();
    const std::string text = frr_config(bgp);
    for (const Family family : families) {
        const std::string ip = family == Family::ipv4 ? "\nip" : "\nipv6";
        const std::string word(word_of(family));
        const auto wanted = service_prefixes(bgp, family);
        const std::string permits = ip + " prefix-list dnsdirector-" + word;
        const auto all = found(text, permits + " seq [0-9]+ permit (.*)");
        RC_ASSERT(std::multiset<std::string>(wanted.begin(), wanted.end()) == all);
        const auto groups = found(text, permits + "-[0-9]+ seq [0-9]+ permit (.*)");
        RC_ASSERT(all == groups);
    }
    for (const core::BgpNeighbor& each : bgp.neighbors) {
        const std::string name = "  neighbor " + each.address.to_string() + ' ';
        std::multiset<std::string> in;
        std::multiset<std::string> out;
        for (const Family family : families) {
            if (!each.carries(family)) continue;
            const std::string word(word_of(family));
            in.insert((each.accept_default ? "default-" : "nothing-") + word);
            out.insert(word);
        }
        RC_ASSERT(found(text, name + "prefix-list dnsdirector-(.*) in\n") == in);
        RC_ASSERT(found(text, name + "prefix-list dnsdirector-(.*) out\n") == out);
        RC_ASSERT(found(text, name + "(route-map .* out)\n").size() == out.size());
    }
}

/// The text with its comments and defaults, as FRR shows it.
std::string shown(const std::vector<FrrStatement>& statements, const std::string& margin = "") {
    std::string text;
    for (const FrrStatement& each : statements) {
        if (!each.silent) text += margin + each.text + "\n";
        text += shown(each.inner, margin + " ");
        if (!each.end.empty()) text += margin + std::string(each.end) + "\n";
    }
    return text;
}

RC_GTEST_PROP(BgpProperties, FrrDiffersInEveryLineThatIsMissingOrOneTooMany, ()) {
    const core::Bgp bgp = any_bgp();
    const std::string running = shown(frr_statements(bgp));
    RC_ASSERT(frr_differences(bgp, running).empty());
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < running.size();) {
        const auto end = running.find('\n', at);
        lines.push_back(running.substr(at, end - at + 1));
        at = end + 1;
    }
    const auto gone = any_of<std::size_t>(0, lines.size());
    std::string without;
    for (std::size_t i = 0; i < lines.size(); ++i)
        if (i != gone) without += lines[i];
    const bool closes = lines[gone].find("exit") != std::string::npos;
    RC_ASSERT(closes == frr_differences(bgp, without).empty());

    const std::string name = bgp.neighbors.front().address.to_string();
    RC_ASSERT(
        !frr_differences(bgp, running + "ip prefix-list dnsdirector-x seq 1 permit any\n").empty());
    RC_ASSERT(
        !frr_differences(bgp, fmt::format("{}router bgp {}\n neighbor {} route-map other in\n",
                                          running, bgp.local_as, name))
             .empty());
    // Of others' business nothing is said.
    RC_ASSERT(frr_differences(bgp, running + "ip prefix-list other seq 1 permit any\nrouter ospf\n "
                                             "ospf router-id 192.0.2.1\n")
                  .empty());
}

}  // namespace
}  // namespace dnsdirector::announce
