// SPDX-License-Identifier: Apache-2.0
//
// `bgp`: how the service IPs are announced, and to whom. What must fit together is judged in
// build_bgp.cc, when all services are known.
#include <chrono>

#include "config/bgp_values.h"
#include "config/keywords.h"

namespace dnsdirector::config {
namespace {

using namespace std::chrono_literals;
using core::RouteState;

constexpr std::int64_t ns(Nanoseconds duration) {
    return duration.count();
}
constexpr std::int64_t largest_as = 4294967294;
constexpr std::int64_t largest_u32 = 4294967295;

BgpDraft& bgp(const Call& call) {
    return call.current.drafts.bgp;
}
BgpNeighborDraft& draft(const Call& call) {
    return bgp(call).neighbors.back();
}
core::BgpNeighbor& neighbor(const Call& call) {
    return draft(call).neighbor;
}
BgpAnnounceDraft& announce(const Call& call) {
    return bgp(call).announcements.back();
}

void open_bgp(const Call& call) {
    bgp(call).present = true;
    bgp(call).position = call.arguments.position;
}

void open_neighbor(const Call& call) {
    BgpNeighborDraft& added = bgp(call).neighbors.emplace_back();
    added.position = call.arguments.argument_at;
    added.faulty = true;  // until its body is read
    if (call.arguments.valid) added.neighbor.address = call.arguments.addresses.front().value;
}

void open_announce(const Call& call) {
    BgpAnnounceDraft& added = bgp(call).announcements.emplace_back();
    added.position = call.arguments.position;
    added.faulty = !call.arguments.valid;
    added.service_ips = call.arguments.addresses;
}

Placed<core::AsNumber> as_number(const Call& call) {
    const auto as = static_cast<core::AsNumber>(call.arguments.number);
    if (const auto wrong = reserved_as(as); !wrong.empty())
        call.diagnostics.error(call.arguments.argument_at,
                               "{}: {} {}; write the number of your AS, or one for private use, "
                               "64512 to 65534",
                               call.keyword.name, as, wrong);
    return {as, call.arguments.argument_at};
}

void set_remote_as(const Call& call) {
    const auto as = as_number(call);
    neighbor(call).remote_as = as.value;
    draft(call).remote_as_at = as.position;
}

/// A text of the block, read by `parse`.
template <typename Parse>
void set_text(const Call& call, std::string& into, Parse parse) {
    auto text = parse(call.arguments.text);
    if (text)
        into = std::move(*text);
    else
        call.diagnostics.error(call.arguments.argument_at, "{}: {}", call.keyword.name,
                               text.error().message);
}

/// The times of BGP are whole seconds (RFC 4271, section 4.2).
Nanoseconds seconds(const Call& call) {
    const Nanoseconds time = call.arguments.duration;
    if (time % 1s != 0ns)
        call.diagnostics.error(call.arguments.argument_at,
                               "{}: {} is no whole number of seconds, which BGP counts in; `bfd` "
                               "is faster than that",
                               call.keyword.name, to_text(time));
    return time;
}

void set_source(const Call& call) {
    neighbor(call).source = call.arguments.addresses.front().value;
    draft(call).source_at = call.arguments.argument_at;
}

void set_bfd(const Call& call) {
    neighbor(call).bfd =
        core::Bfd{call.arguments.duration, static_cast<std::uint32_t>(call.arguments.number)};
    draft(call).bfd_at = call.arguments.position;
}

void set_needs(const Call& call) {
    auto& needs = announce(call).policy.needs;
    needs = {};
    for (const std::size_t choice : call.arguments.choices)
        needs[choice] = true;
}

template <RouteState state>
void set_med(const Call& call) {
    announce(call).med[index(state)] = {static_cast<std::uint32_t>(call.arguments.number),
                                        call.arguments.argument_at};
}

template <RouteState state>
void add_communities(const Call& call) {
    announce(call).communities[index(state)].add(call.arguments.communities);
}

const Keyword keywords[] = {
    {.in = Block::top,
     .name = "bgp",
     .help = "How the service IPs are announced, and to whom",
     .opens = Block::bgp,
     .handle = open_bgp,
     .finish = [](const Call& c, bool faulty) { bgp(c).faulty = faulty; }},
    {.in = Block::bgp,
     .name = "daemon",
     .kind = Kind::daemon,
     .help = "Who speaks BGP: a BIRD of the director's own, with its whole configuration; or a "
             "BIRD or FRR that runs already, into whose configuration a part is put",
     .standard = "bird",
     .handle =
         [](const Call& c) {
             bgp(c).daemon = static_cast<core::RoutingDaemon>(c.arguments.number);
         }},
    {.in = Block::bgp,
     .name = "local_as",
     .kind = Kind::number,
     .help = "The number of our AS",
     .minimum = 1,
     .maximum = largest_as,
     .required = true,
     .handle = [](const Call& c) { bgp(c).local_as = as_number(c); }},
    {.in = Block::bgp,
     .name = "router_id",
     .kind = Kind::address,
     .help = "This director's BGP identifier, written as an IPv4 address that no other router "
             "of the AS has",
     .required = true,
     .handle = [](const Call& c) { bgp(c).router_id = c.arguments.addresses.front(); }},
    {.in = Block::bgp,
     .name = "graceful_shutdown",
     .kind = Kind::flag,
     .help = "While a service IP is drained it has the community graceful-shutdown (RFC 8326), "
             "beside its draining_med",
     .standard = "on",
     .handle = [](const Call& c) { bgp(c).graceful_shutdown = c.arguments.flag; }},
    {.in = Block::bgp,
     .name = "ip_forwarding",
     .kind = Kind::flag,
     .help = "What an existing FRR is told of IP forwarding, which it turns on when it reads its "
             "configuration anew and nothing is said",
     .standard = "on with a service by lb_kind NAT, else off",
     .handle =
         [](const Call& c) { bgp(c).ip_forwarding = {c.arguments.flag, c.arguments.position}; }},
    {.in = Block::bgp,
     .name = "draining_time",
     .kind = Kind::duration,
     .help = "How long a service IP is draining, before it is withdrawn, at a clean stop and by "
             "`drain --all`: what the routers take to move the traffic",
     .standard = "1s",
     .minimum = 0,
     .maximum = ns(24h),
     .handle = [](const Call& c) { bgp(c).draining_time = c.arguments.duration; }},
    {.in = Block::bgp,
     .name = "neighbor",
     .kind = Kind::address,
     .help = "A router that is told",
     .repeats = true,
     .required = true,
     .opens = Block::bgp_neighbor,
     .handle = open_neighbor,
     .finish = [](const Call& c, bool faulty) { draft(c).faulty = faulty; }},
    {.in = Block::bgp,
     .name = "announce",
     .kind = Kind::addresses,
     .help = "Service IPs that are announced, each as a prefix of its whole length, and how; "
             "those that no line names are not",
     .repeats = true,
     .required = true,
     .opens = Block::bgp_announce,
     .block_optional = true,
     .handle = open_announce,
     .finish = [](const Call& c, bool faulty) { announce(c).faulty = faulty; }},

    {.in = Block::bgp_neighbor,
     .name = "remote_as",
     .kind = Kind::number,
     .help = "The number of its AS; ours, too, makes it iBGP",
     .minimum = 1,
     .maximum = largest_as,
     .required = true,
     .handle = set_remote_as},
    {.in = Block::bgp_neighbor,
     .name = "description",
     .kind = Kind::text,
     .help = "What people call it; in quotes where it has blanks",
     .handle = [](const Call& c) { set_text(c, neighbor(c).description, parse_description); }},
    {.in = Block::bgp_neighbor,
     .name = "password",
     .kind = Kind::text,
     .help = "Signs each TCP segment with MD5 (RFC 2385); both ends have the same, of at most 80 "
             "characters. It may stand in a file that only root reads, by `include`",
     .handle = [](const Call& c) { set_text(c, neighbor(c).password, parse_bgp_password); }},
    {.in = Block::bgp_neighbor,
     .name = "multihop",
     .kind = Kind::number,
     .help = "How many hops it is away; 1 is on a link of this machine",
     .standard = "1",
     .minimum = 1,
     .maximum = 254,
     .handle =
         [](const Call& c) {
             neighbor(c).multihop = static_cast<std::uint32_t>(c.arguments.number);
         }},
    {.in = Block::bgp_neighbor,
     .name = "ttl_security",
     .kind = Kind::flag,
     .help = "Drops what comes from farther away than multihop says (GTSM, RFC 5082); the other "
             "end must have it, too",
     .standard = "off",
     .handle = [](const Call& c) { neighbor(c).ttl_security = c.arguments.flag; }},
    {.in = Block::bgp_neighbor,
     .name = "source",
     .kind = Kind::address,
     .help = "Our end of the session",
     .standard = "the address towards it",
     .handle = set_source},
    {.in = Block::bgp_neighbor,
     .name = "hold_time",
     .kind = Kind::duration,
     .help = "It, or we, count as gone after that much silence; the smaller of both ends' holds",
     .standard = "9s",
     .minimum = ns(3s),
     .maximum = ns(65535s),
     .handle = [](const Call& c) { neighbor(c).hold_time = seconds(c); }},
    {.in = Block::bgp_neighbor,
     .name = "keepalive",
     .kind = Kind::duration,
     .help = "From one sign of life to the next; at most half of hold_time, of which FRR takes a "
             "third at most",
     .standard = "the hold_time / 3",
     .minimum = ns(1s),
     .maximum = ns(65534s),
     .handle =
         [](const Call& c) {
             draft(c).keepalive = Placed<Nanoseconds>{seconds(c), c.arguments.argument_at};
         }},
    {.in = Block::bgp_neighbor,
     .name = "connect_retry",
     .kind = Kind::duration,
     .help = "From one try to connect to the next",
     .standard = "5s",
     .minimum = ns(1s),
     .maximum = ns(65535s),
     .handle = [](const Call& c) { neighbor(c).connect_retry = seconds(c); }},
    {.in = Block::bgp_neighbor,
     .name = "bfd",
     .kind = Kind::bfd,
     .help = "Bidirectional forwarding detection (RFC 5880): the session ends when so many "
             "intervals (10ms to 1m; 2 to 255, 3 unless named) have passed in silence",
     .handle = set_bfd},
    {.in = Block::bgp_neighbor,
     .name = "graceful_restart",
     .kind = Kind::flag,
     .help = "It keeps our routes while the routing daemon restarts (RFC 4724); also when the "
             "daemon is dead, so that other directors take over later",
     .standard = "off",
     .handle = [](const Call& c) { neighbor(c).graceful_restart = c.arguments.flag; }},
    {.in = Block::bgp_neighbor,
     .name = "soft_reconfiguration",
     .kind = Kind::flag,
     .help = "What it sends is kept, so that it can be looked at, though it is not used; `off` "
             "saves that memory where it sends a whole table",
     .standard = "on",
     .handle = [](const Call& c) { neighbor(c).soft_reconfiguration = c.arguments.flag; }},
    {.in = Block::bgp_neighbor,
     .name = "accept_default",
     .kind = Kind::flag,
     .help = "Takes a default route from it; nothing else is ever accepted",
     .standard = "off",
     .handle = [](const Call& c) { neighbor(c).accept_default = c.arguments.flag; }},
    {.in = Block::bgp_neighbor,
     .name = "next_hop",
     .kind = Kind::addresses,
     .help = "The next hop that it is told, one of each family at most; with one of the other "
             "family than its own address it is told of those service IPs, too",
     .standard = "our end of the session",
     .handle = [](const Call& c) { draft(c).next_hops = c.arguments.addresses; }},

    {.in = Block::bgp_announce,
     .name = "needs",
     .kind = Kind::some_of,
     .help = "Of which protocols the services must have their quorum, so that it is announced",
     .standard = "udp tcp",
     .choices = "udp tcp",
     .handle = set_needs},
    {.in = Block::bgp_announce,
     .name = "low_water",
     .kind = Kind::percent,
     .help = "It is degraded when less of a needed service's weight is up",
     .standard = "0%",
     .handle =
         [](const Call& c) {
             announce(c).policy.low_water = static_cast<std::uint32_t>(c.arguments.number);
         }},
    {.in = Block::bgp_announce,
     .name = "high_water",
     .kind = Kind::percent,
     .help = "… until so much is up again",
     .standard = "the low_water",
     .handle =
         [](const Call& c) {
             announce(c).high_water = {static_cast<std::uint32_t>(c.arguments.number),
                                       c.arguments.argument_at};
         }},
    {.in = Block::bgp_announce,
     .name = "min_interval",
     .kind = Kind::duration,
     .help = "A better state comes so long after the last change at the earliest; a worse one "
             "comes at once",
     .standard = "5s",
     .minimum = 0,
     .maximum = ns(24h),
     .handle = [](const Call& c) { announce(c).policy.min_interval = c.arguments.duration; }},
    {.in = Block::bgp_announce,
     .name = "med",
     .kind = Kind::number,
     .help = "The MED, of which routers prefer the lowest: 0 at the preferred site, 1 at the "
             "other, or the same at both to share the load",
     .standard = "0",
     .minimum = 0,
     .maximum = largest_u32,
     .handle = set_med<RouteState::announced>},
    {.in = Block::bgp_announce,
     .name = "degraded_med",
     .kind = Kind::number,
     .help = "The MED while too few servers are well",
     .standard = "med + 1000",
     .minimum = 0,
     .maximum = largest_u32,
     .handle = set_med<RouteState::degraded>},
    {.in = Block::bgp_announce,
     .name = "draining_med",
     .kind = Kind::number,
     .help = "The MED before the announcement is taken back on purpose",
     .standard = "4294967294",
     .minimum = 0,
     .maximum = largest_u32,
     .handle = set_med<RouteState::draining>},
    {.in = Block::bgp_announce,
     .name = "local_preference",
     .kind = Kind::number,
     .help = "What neighbours of our own AS look at before the MED; the highest is preferred",
     .standard = "100",
     .minimum = 0,
     .maximum = largest_u32,
     .handle =
         [](const Call& c) {
             announce(c).local_preference = {static_cast<std::uint32_t>(c.arguments.number),
                                             c.arguments.position};
         }},
    {.in = Block::bgp_announce,
     .name = "community",
     .kind = Kind::communities,
     .help = "Communities in every state: `5430:100`, large ones as `5430:1:100`, no-export, "
             "no-advertise, no-export-subconfed, no-peer, graceful-shutdown",
     .repeats = true,
     .handle = add_communities<RouteState::announced>},
    {.in = Block::bgp_announce,
     .name = "degraded_community",
     .kind = Kind::communities,
     .help = "… and while too few servers are well",
     .repeats = true,
     .handle = add_communities<RouteState::degraded>},
    {.in = Block::bgp_announce,
     .name = "draining_community",
     .kind = Kind::communities,
     .help = "… and while it is drained",
     .repeats = true,
     .handle = add_communities<RouteState::draining>},
};

}  // namespace

std::span<const Keyword> bgp_keywords() {
    return keywords;
}

}  // namespace dnsdirector::config
