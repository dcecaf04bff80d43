// SPDX-License-Identifier: Apache-2.0
//
// The compatible form: `virtual_server`. Names and defaults are keepalived's
// (its keepalived.conf(5), section "Virtual server(s)").
#include <algorithm>
#include <chrono>
#include <iterator>

#include "config/keywords.h"
#include "config/keywords_timing.h"

namespace dnsdirector::config {
namespace {

VirtualServerDraft& draft(const Call& call) {
    return call.current.virtual_server();
}

void open_virtual_server(const Call& call) {
    VirtualServerDraft& server = call.current.drafts.virtual_servers.emplace_back();
    server.position = call.arguments.position;
    if (!call.arguments.valid) return;
    server.endpoint = {call.arguments.addresses.front().value, call.arguments.port};
}

void set_scheduler(const Call& call) {
    using core::Scheduler;
    // In the order of the choices; those behind have no counterpart.
    static constexpr Scheduler schedulers[] = {Scheduler::wrr, Scheduler::rr,  Scheduler::mh,
                                               Scheduler::sh,  Scheduler::wlc, Scheduler::lc,
                                               Scheduler::sed, Scheduler::nq};
    const std::size_t choice = call.arguments.choices.front();
    if (choice >= std::size(schedulers)) {
        call.diagnostics.error(call.arguments.argument_at,
                               "{} {} is not supported: write wrr, rr, mh or sh", call.keyword.name,
                               choices_of(call.keyword)[choice]);
        return;
    }
    draft(call).scheduler = {schedulers[choice], call.arguments.argument_at};
}

void set_method(const Call& call) {
    // The choices are in the order of core::ForwardingMethod.
    draft(call).method = {static_cast<core::ForwardingMethod>(call.arguments.choices.front()),
                          call.arguments.argument_at};
}

void set_protocol(const Call& call) {
    const std::size_t choice = call.arguments.choices.front();
    if (choice > 1)
        call.diagnostics.error(call.arguments.argument_at,
                               "protocol SCTP is not supported: DNS uses UDP and TCP");
    else
        draft(call).protocol = static_cast<Protocol>(choice);
}

void set_persistence(const Call& call) {
    if (call.arguments.number == 0) return;  // off, as it is here anyway
    call.diagnostics.error(
        call.arguments.position,
        "persistence_timeout is not supported on the xdp plane, which chooses a "
        "server for each query; it needs the ipvs plane, which is not in this "
        "version; remove it, or write lb_algo sh to keep a client's flow with one "
        "server");
}

constexpr Keyword ignored(std::string_view name, std::string_view why) {
    return {.in = Block::virtual_server,
            .name = name,
            .kind = Kind::anything,
            .help = "Accepted, so that the file loads",
            .status = Status::ignored,
            .instead = why};
}

constexpr Keyword unsupported(std::string_view name, std::string_view instead,
                              Kind kind = Kind::anything) {
    return {.in = Block::virtual_server,
            .name = name,
            .kind = kind,
            .help = "Known from keepalived; not in this version",
            .status = Status::unsupported,
            .instead = instead};
}

constexpr std::string_view without_fallback =
    "remove it: flows of a failed server go to the others anyway";
constexpr std::string_view without_quorum_script =
    "remove it: no script is run; `dnsdirector status` says whether the quorum is met";

const Keyword keywords[] = {
    {.in = Block::top,
     .name = "virtual_server",
     .kind = Kind::address_port,
     .help = "One service: an address, a port, and in the block a protocol",
     .repeats = true,
     .opens = Block::virtual_server,
     .handle = open_virtual_server,
     .finish = [](const Call& c, bool faulty) { draft(c).faulty = faulty; }},
    {.in = Block::top,
     .name = "virtual_server_group",
     .kind = Kind::anything,
     .help = "Known from keepalived; not in this version",
     .status = Status::unsupported,
     .instead = "write a virtual_server for each address, or a dns_cluster with all of them",
     .opens = Block::skipped},
    {.in = Block::virtual_server,
     .name = "protocol",
     .kind = Kind::one_of,
     .help = "The service's protocol",
     .standard = "UDP",
     .choices = "UDP TCP SCTP",
     .handle = set_protocol},
    {.in = Block::virtual_server,
     .name = "lb_algo",
     .kind = Kind::one_of,
     .help = "How a server is chosen; the xdp plane has wrr, rr, mh and sh, so that the default "
             "has to be replaced there",
     .standard = "wlc",
     .choices = "wrr rr mh sh wlc lc sed nq dh lblc lblcr fo ovf twos",
     .handle = set_scheduler},
    {.in = Block::virtual_server,
     .name = "lvs_sched",
     .kind = Kind::one_of,
     .help = "Another name of lb_algo",
     .choices = "wrr rr mh sh wlc lc sed nq dh lblc lblcr fo ovf twos",
     .handle = set_scheduler,
     .alias_of = "lb_algo"},
    {.in = Block::virtual_server,
     .name = "lb_kind",
     .kind = Kind::one_of,
     .help = "How packets reach the server; the xdp plane has DR, so that the default has to be "
             "replaced there",
     .standard = "NAT",
     .choices = "DR TUN NAT",
     .handle = set_method},
    {.in = Block::virtual_server,
     .name = "lvs_method",
     .kind = Kind::one_of,
     .help = "Another name of lb_kind",
     .choices = "DR TUN NAT",
     .handle = set_method,
     .alias_of = "lb_kind"},
    {.in = Block::virtual_server,
     .name = "weight",
     .kind = Kind::number,
     .help = "The weight of servers that have none of their own",
     .standard = "1",
     .minimum = 0,
     .maximum = core::max_weight,
     .handle =
         [](const Call& c) { draft(c).weight = static_cast<core::Weight>(c.arguments.number); }},
    {.in = Block::virtual_server,
     .name = "quorum",
     .kind = Kind::number,
     .help = "The least sum of weights of servers that are up; below it `status` says that the "
             "quorum is not met; forwarding goes on to whoever is left",
     .standard = "1",
     .minimum = 1,
     .maximum = 4294967295,
     .handle =
         [](const Call& c) { draft(c).quorum = {c.arguments.number, c.arguments.argument_at}; }},
    {.in = Block::virtual_server,
     .name = "hysteresis",
     .kind = Kind::number,
     .help = "The quorum is met from quorum + hysteresis on and lost below quorum − hysteresis",
     .standard = "0",
     .minimum = 0,
     .maximum = 4294967295,
     .handle =
         [](const Call& c) {
             draft(c).hysteresis = {c.arguments.number, c.arguments.argument_at};
         }},
    delay_loop_keyword(Block::virtual_server),
    connect_timeout_keyword(Block::virtual_server),
    retry_keyword(Block::virtual_server),
    warmup_keyword(Block::virtual_server),
    {.in = Block::virtual_server,
     .name = "persistence_timeout",
     .kind = Kind::number,
     .help = "0, which is off; anything else needs the ipvs plane",
     .standard = "off",
     .minimum = 0,
     .maximum = 2678400,
     .handle = set_persistence},
    ignored("ops", "UDP is spread packet by packet anyway"),
    ignored("ip_family", "the address says it"),
    ignored("smtp_alert", "no mail is sent; the log and status tell what happens"),
    ignored("virtualhost", "it belongs to HTTP checks"),
    ignored("snmp_name", "there is no SNMP"),
    ignored("flag-1", "the scheduler's own default holds"),
    ignored("flag-2", "the scheduler's own default holds"),
    ignored("flag-3", "the scheduler's own default holds"),
    ignored("hashed", "services are always found by a hash"),
    unsupported("persistence_granularity", "remove it together with persistence_timeout"),
    {.in = Block::virtual_server,
     .name = "persistence_engine",
     .kind = Kind::anything,
     .help = "Known from keepalived; refused",
     .status = Status::refused,
     .instead = "it is about SIP; lb_algo sh keeps a flow with one server"},
    unsupported("sh-port", "flows are hashed with their ports"),
    unsupported("sh-fallback", without_fallback),
    unsupported("mh-port", "flows are hashed with their ports"),
    unsupported("mh-fallback", without_fallback),
    unsupported("delay_before_retry", "a retry waits for delay_loop"),
    unsupported("alpha", without_alpha),
    unsupported("omega", "remove it: no notify script runs at a stop, as none runs at all"),
    unsupported("inhibit_on_failure", without_inhibit),
    unsupported("quorum_up", without_quorum_script, Kind::script),
    unsupported("quorum_down", without_quorum_script, Kind::script),
    unsupported("sorry_server",
                "remove it; a dns_cluster goes on with its last servers when all are down "
                "(on_all_down hold)"),
    unsupported("sorry_server_inhibit", "remove it together with sorry_server"),
    unsupported("sorry_server_lvs_method", "remove it together with sorry_server"),
    unsupported("ha_suspend", "remove it: checks run whoever holds the service IP"),
};

}  // namespace

std::span<const Keyword> virtual_server_keywords() {
    return keywords;
}

}  // namespace dnsdirector::config
