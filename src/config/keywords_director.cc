// SPDX-License-Identifier: Apache-2.0
//
// The blocks of the director itself: `director` and `http`.
#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "config/address_range.h"
#include "config/keywords.h"

namespace dnsdirector::config {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t ns(Nanoseconds duration) {
    return duration.count();
}

core::DirectorSettings& settings(const Call& call) {
    return call.current.drafts.director.settings;
}

void open_director(const Call& call) {
    DirectorDraft& director = call.current.drafts.director;
    director.present = true;
    director.position = call.arguments.position;
}

void set_dataplane(const Call& call) {
    using core::DataPlaneKind;
    static constexpr DataPlaneKind kinds[] = {DataPlaneKind::xdp, DataPlaneKind::ipvs,
                                              DataPlaneKind::proxy, DataPlaneKind::none};
    settings(call).dataplane = kinds[call.arguments.choices.front()];
}

void add_interfaces(const Call& call) {
    auto& interfaces = settings(call).interfaces;
    for (const std::string& name : call.arguments.texts) {
        if (std::find(interfaces.begin(), interfaces.end(), name) != interfaces.end())
            call.diagnostics.error(call.arguments.argument_at, "interface: `{}` is named twice",
                                   name);
        else
            interfaces.push_back(name);
    }
}

void set_xdp_mode(const Call& call) {
    static constexpr core::XdpMode modes[] = {core::XdpMode::automatic, core::XdpMode::native,
                                              core::XdpMode::generic};
    settings(call).xdp_mode = modes[call.arguments.choices.front()];
}

void add_other_directors(const Call& call) {
    auto& directors = settings(call).other_directors;
    for (const auto& address : call.arguments.addresses)
        if (std::find(directors.begin(), directors.end(), address.value) != directors.end())
            call.diagnostics.error(address.position, "other_directors: {} is named twice",
                                   address.value.to_string());
        else
            directors.push_back(address.value);
}

void add_tunnel_source(const Call& call) {
    const std::string& text = call.arguments.text;
    const auto network = parse_network(text);
    if (!network || text.find('/') == std::string::npos) {
        call.diagnostics.error(
            call.arguments.argument_at, "tunnel_source: {}; write a network, as in 198.51.100.0/24",
            network ? fmt::format("`{}` has no length", text) : network.error().message);
        return;
    }
    auto& sources = settings(call).tunnel_sources;
    if (std::any_of(sources.begin(), sources.end(), [&](const core::Prefix& each) {
            return each.address.family() == network->address.family();
        }))
        call.diagnostics.error(call.arguments.argument_at,
                               "tunnel_source: {} is the second {} network; one of each family is "
                               "all there may be",
                               text, to_string(network->address.family()));
    else
        sources.push_back(*network);
}

void set_script_user(const Call& call) {
    warn_of_group(call);
    settings(call).script_user = call.arguments.text;
    call.current.drafts.director.script_user_at = call.arguments.position;
}

void set_http_listen(const Call& call) {
    settings(call).http_listen =
        Endpoint{call.arguments.addresses.front().value, call.arguments.port};
}

const Keyword keywords[] = {
    {.in = Block::top,
     .name = "director",
     .help = "Choices of the whole director",
     .opens = Block::director,
     .handle = open_director,
     .finish = [](const Call& c, bool faulty) { c.current.drafts.director.faulty = faulty; }},
    {.in = Block::director,
     .name = "dataplane",
     .kind = Kind::one_of,
     .help =
         "What forwards the packets: our program in the driver (`xdp`), the kernel's IPVS, which "
         "needs the module ip_vs, or this program itself, which needs nothing (`proxy`); "
         "`none` only checks",
     .standard = "xdp",
     .choices = "xdp ipvs proxy none",
     .handle = set_dataplane},
    {.in = Block::director,
     .name = "interface",
     .kind = Kind::interfaces,
     .help = "Where clients' packets arrive; without it, every interface that has a route to a "
             "real server",
     .standard = "automatic",
     .repeats = true,
     .handle = add_interfaces},
    {.in = Block::director,
     .name = "xdp_mode",
     .kind = Kind::one_of,
     .help = "`native` runs in the driver, `generic` on any interface and slower, `auto` takes "
             "what works",
     .standard = "auto",
     .choices = "auto native generic",
     .handle = set_xdp_mode},
    {.in = Block::director,
     .name = "other_directors",
     .kind = Kind::addresses,
     .help = "Directors on the same networks that are not real servers here: on the xdp plane what "
             "they forward is not forwarded again, so that no wiring makes a packet circle. The "
             "director's own addresses may be among them",
     .repeats = true,
     .handle = add_other_directors},
    {.in = Block::director,
     .name = "tunnel_source",
     .kind = Kind::text,
     .help =
         "A network, as in `198.51.100.0/24`, whose addresses the xdp plane's tunnels (`lb_kind "
         "TUN`) start at, another one for each flow, so that a server's card spreads them over "
         "its queues; it must be routed to the director. One of each family",
     .standard = "the address that the route to the server has",
     .repeats = true,
     .handle = add_tunnel_source},
    {.in = Block::director,
     .name = "service_interface",
     .kind = Kind::interface,
     .help = "The interface that holds the service IPs",
     .standard = "lo",
     .handle = [](const Call& c) { settings(c).service_interface = c.arguments.texts.front(); }},
    {.in = Block::director,
     .name = "presence",
     .kind = Kind::one_of,
     .help = "Whether the director holds the service IPs always, while it runs; or VRRP moves them "
             "between two machines, by the files in the run directory's `announce`",
     .standard = "always",
     .choices = "always when_active",
     .handle =
         [](const Call& c) {
             settings(c).presence = static_cast<core::PresenceMode>(c.arguments.choices.front());
         }},
    {.in = Block::director,
     .name = "script_user",
     .kind = Kind::user,
     .help = "The user that runs scripts; without it keepalived_script where there is such a user, "
             "else the director's own",
     .handle = set_script_user},
    {.in = Block::director,
     .name = "drain_time",
     .kind = Kind::duration,
     .help = "How long forwarding lingers at a clean stop",
     .standard = "0s",
     .minimum = 0,
     .maximum = ns(24h),
     .handle = [](const Call& c) { settings(c).drain_time = c.arguments.duration; }},
    {.in = Block::director,
     .name = "hooks",
     .kind = Kind::flag,
     .help = "Whether notify_up, notify_down, quorum_up and quorum_down run their commands; `off` "
             "only logs them, for a trial beside the director that is in charge",
     .standard = "on",
     .handle = [](const Call& c) { settings(c).hooks = c.arguments.flag; }},
    {.in = Block::director,
     .name = "misc_native",
     .kind = Kind::flag,
     .help = "Whether a MISC_CHECK that is a plain dig line, or our probe with the classic nine "
             "words, is asked without running the program; the verdict is the same",
     .standard = "on",
     .handle = [](const Call& c) { c.current.drafts.director.misc_native = c.arguments.flag; }},
    {.in = Block::director,
     .name = "max_services",
     .kind = Kind::number,
     .help = "Room in the kernel's table of services; a service is one address, port and protocol; "
             "the xdp plane takes at most 32767",
     .standard = "4096",
     .minimum = 1,
     .maximum = 65536,
     .handle =
         [](const Call& c) {
             settings(c).limits.services = static_cast<std::uint32_t>(c.arguments.number);
         }},
    {.in = Block::director,
     .name = "max_real_servers",
     .kind = Kind::number,
     .help = "Room for real servers, each counted once for every service that it is in; the xdp "
             "plane takes at most 524288, and 32768 in one service",
     .standard = "65536",
     .minimum = 1,
     .maximum = 1 << 20,
     .handle =
         [](const Call& c) {
             settings(c).limits.real_servers = static_cast<std::uint32_t>(c.arguments.number);
         }},
    {.in = Block::director,
     .name = "max_slots",
     .kind = Kind::number,
     .help = "Room for the slots of all services' scheduling tables together",
     .standard = "4194304",
     .minimum = 1024,
     .maximum = 1 << 26,
     .handle =
         [](const Call& c) {
             settings(c).limits.slots = static_cast<std::uint32_t>(c.arguments.number);
         }},
    {.in = Block::director,
     .name = "max_flows",
     .kind = Kind::number,
     .help = "Room for TCP flows that are remembered so that they stay with their server when "
             "tables change, 20 bytes each; 0 remembers none: each change moves some",
     .standard = "262144",
     .minimum = 0,
     .maximum = 1 << 26,
     .handle =
         [](const Call& c) {
             settings(c).limits.flows = static_cast<std::uint32_t>(c.arguments.number);
         }},
    {.in = Block::top,
     .name = "http",
     .help = "The HTTP server for /metrics and /healthz, which is off without this block",
     .opens = Block::http},
    {.in = Block::http,
     .name = "listen",
     .kind = Kind::endpoint,
     .help = "Where it listens, IPv6 in brackets",
     .required = true,
     .handle = set_http_listen},
};

}  // namespace

std::span<const Keyword> director_keywords() {
    return keywords;
}

}  // namespace dnsdirector::config
