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
    server.readable = true;
    if (call.arguments.has_number)
        server.fwmark = static_cast<std::uint32_t>(call.arguments.number);
    else if (call.arguments.addresses.empty())
        server.group = {call.arguments.text, call.arguments.argument_at};
    else
        server.endpoint = {call.arguments.addresses.front().value, call.arguments.port};
}

void open_group(const Call& call) {
    GroupDraft& group = call.current.drafts.groups.emplace_back();
    group.position = call.arguments.position;
    group.name = call.arguments.text;
}

void finish_group(const Call& call, bool faulty) {
    GroupDraft& group = call.current.drafts.groups.back();
    group.faulty = faulty;
    if (group.entries.empty() && !faulty)
        call.diagnostics.error(group.position,
                               "virtual_server_group {} has no address; write lines such as "
                               "`192.0.2.53 53` into it",
                               group.name);
}

void add_group_entry(const Call& call) {
    call.current.drafts.groups.back().entries.push_back({.range = call.arguments.range,
                                                         .port = call.arguments.port,
                                                         .position = call.arguments.position});
}

void add_group_mark(const Call& call) {
    GroupDraft::Entry entry{.fwmark = static_cast<std::uint32_t>(call.arguments.number),
                            .position = call.arguments.position};
    if (!call.arguments.choices.empty())
        entry.family = static_cast<Family>(call.arguments.choices.front());
    call.current.drafts.groups.back().entries.push_back(entry);
}

void set_scheduler(const Call& call) {
    using core::Scheduler;
    // In the order of the choices; those behind have no counterpart.
    static constexpr Scheduler schedulers[] = {
        Scheduler::wrr,   Scheduler::rr,      Scheduler::mh,   Scheduler::sh,
        Scheduler::wlc,   Scheduler::lc,      Scheduler::sed,  Scheduler::nq,
        Scheduler::least, Scheduler::latency, Scheduler::qname};
    const std::size_t choice = call.arguments.choices.front();
    if (choice >= std::size(schedulers)) {
        call.diagnostics.error(call.arguments.argument_at,
                               "{} {} is not supported: write wrr, rr, mh or sh, or under "
                               "dataplane ipvs also wlc, lc, sed or nq, or under dataplane proxy "
                               "also wlc, lc, least, latency or qname",
                               call.keyword.name, choices_of(call.keyword)[choice]);
        return;
    }
    draft(call).scheduler = {schedulers[choice], call.arguments.argument_at};
}

void set_method(const Call& call) {
    note_encapsulation(call);
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
    constexpr std::uint32_t bare = 360;  // IP_VS_SVC_PERSISTENT_TIMEOUT there
    const auto timeout =
        call.arguments.has_number ? static_cast<std::uint32_t>(call.arguments.number) : bare;
    if (timeout == 0)
        call.diagnostics.warning(call.arguments.position,
                                 "persistence_timeout 0 is off, as without this line; remove it");
    draft(call).persistence.timeout = {timeout, call.arguments.position};
}

void set_family(const Call& call) {
    draft(call).family = {static_cast<Family>(call.arguments.choices.front()),
                          call.arguments.position};
}

/// The flags belong to the scheduler of their name.
void set_sh_port(const Call& call) {
    draft(call).sh_port = call.arguments.position;
}

void set_mh_port(const Call& call) {
    draft(call).mh_port = call.arguments.position;
}

void set_sorry_server(const Call& call) {
    draft(call).sorry_server = {{call.arguments.addresses.front().value, call.arguments.port},
                                call.arguments.argument_at};
}

void set_sorry_method(const Call& call) {
    note_encapsulation(call);
    draft(call).sorry_method = {static_cast<core::ForwardingMethod>(call.arguments.choices.front()),
                                call.arguments.argument_at};
}

/// What is so anyway: read and content with it.
void as_it_is(const Call& /*call*/) {}

constexpr Keyword flag(std::string_view name, std::string_view help, Handler handle) {
    return {.in = Block::virtual_server, .name = name, .help = help, .handle = handle};
}

constexpr Keyword ignored(std::string_view name, std::string_view why) {
    return {.in = Block::virtual_server,
            .name = name,
            .kind = Kind::anything,
            .help = "Accepted, so that the file loads",
            .status = Status::ignored,
            .instead = why};
}

const Keyword keywords[] = {
    {.in = Block::top,
     .name = "virtual_server",
     .kind = Kind::service,
     .help = "One service: an address, a port, and in the block a protocol; with `group` one for "
             "each address of a virtual_server_group. Under dataplane ipvs also all ports of an "
             "address, or the packets with a firewall mark",
     .repeats = true,
     .opens = Block::virtual_server,
     .handle = open_virtual_server,
     .finish = [](const Call& c, bool faulty) { draft(c).faulty = faulty; }},
    {.in = Block::top,
     .name = "virtual_server_group",
     .kind = Kind::name,
     .help = "Addresses and ports for a `virtual_server group NAME`",
     .repeats = true,
     .opens = Block::virtual_server_group,
     .handle = open_group,
     .finish = finish_group},
    {.in = Block::virtual_server_group,
     .name = "ADDRESS",
     .kind = Kind::group_entry,
     .help = "An address; several in a row as 192.0.2.1-10, 192.0.2.1-192.0.2.10 or 192.0.2.0/28 "
             "(all of its addresses), and a port (under dataplane ipvs without one: all ports)",
     .repeats = true,
     .handle = add_group_entry,
     .any_word = true},
    {.in = Block::virtual_server_group,
     .name = "fwmark",
     .kind = Kind::mark,
     .help = "Packets with a firewall mark, of a family; under dataplane ipvs",
     .standard = "the servers' family",
     .repeats = true,
     .handle = add_group_mark},
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
             "has to be replaced there; the ipvs plane also wlc, lc, sed and nq; the proxy plane "
             "wlc, lc, least, latency and qname",
     .standard = "wlc",
     .choices = "wrr rr mh sh wlc lc sed nq least latency qname dh lblc lblcr fo ovf twos",
     .handle = set_scheduler},
    {.in = Block::virtual_server,
     .name = "lvs_sched",
     .kind = Kind::one_of,
     .help = "Another name of lb_algo",
     .choices = "wrr rr mh sh wlc lc sed nq least latency qname dh lblc lblcr fo ovf twos",
     .handle = set_scheduler,
     .alias_of = "lb_algo"},
    {.in = Block::virtual_server,
     .name = "lb_kind",
     .kind = Kind::method,
     .help = "How packets reach the server; the xdp plane has DR and TUN (IPIP), so that the "
             "default has to be replaced there; the ipvs plane has all three",
     .standard = "NAT",
     .choices = "DR TUN NAT",
     .handle = set_method},
    {.in = Block::virtual_server,
     .name = "lvs_method",
     .kind = Kind::method,
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
    delay_before_retry_keyword(Block::virtual_server),
    warmup_keyword(Block::virtual_server),
    alpha_keyword(Block::virtual_server),
    flag("inhibit_on_failure",
         "A failed server stays listed with weight 0 instead of being removed",
         [](const Call& c) { draft(c).inhibit_on_failure = true; }),
    flag("omega", "A clean stop runs notify_down and quorum_down",
         [](const Call& c) { draft(c).omega = true; }),
    {.in = Block::virtual_server,
     .name = "quorum_up",
     .kind = Kind::command,
     .help = "Run when the quorum is met",
     .handle = [](const Call& c) { draft(c).quorum_up = command_of(c); }},
    {.in = Block::virtual_server,
     .name = "quorum_down",
     .kind = Kind::command,
     .help = "Run when the quorum is lost",
     .handle = [](const Call& c) { draft(c).quorum_down = command_of(c); }},
    {.in = Block::virtual_server,
     .name = "sorry_server",
     .kind = Kind::address_port,
     .help = "The server that is used instead of all others while the quorum is not met",
     .handle = set_sorry_server},
    flag("sorry_server_inhibit",
         "The other servers stay listed with weight 0 while the sorry server is used",
         [](const Call& c) { draft(c).sorry_inhibit_at = c.arguments.position; }),
    {.in = Block::virtual_server,
     .name = "sorry_server_lvs_method",
     .kind = Kind::method,
     .help = "How packets reach the sorry server, where it is not by lb_kind",
     .standard = "the lb_kind",
     .choices = "DR TUN NAT",
     .handle = set_sorry_method},
    flag("ops",
         "UDP is spread packet by packet, as it is anyway, but under dataplane ipvs with "
         "persistence_timeout or lb_kind NAT",
         [](const Call& c) { draft(c).ops_at = c.arguments.position; }),
    flag("sh-port", "lb_algo sh hashes the client's port, too", set_sh_port),
    flag("sh-fallback",
         "The flows of a server without work go to the others, as they do anyway, but under "
         "dataplane ipvs",
         [](const Call& c) { draft(c).sh_fallback = true; }),
    flag("mh-port", "lb_algo mh hashes the client's port, too", set_mh_port),
    flag("mh-fallback",
         "The flows of a server without work go to the others, as they do anyway, but under "
         "dataplane ipvs",
         [](const Call& c) { draft(c).mh_fallback = true; }),
    flag("ha_suspend",
         "Accepted, and without effect: keepalived's checks rest while the service IP is not on "
         "this machine, these run all the time, whoever holds it",
         as_it_is),
    {.in = Block::virtual_server,
     .name = "virtualhost",
     .kind = Kind::text,
     .help = "The Host header of HTTP_GET checks that name none",
     .handle = [](const Call& c) { draft(c).virtual_host = c.arguments.text; }},
    {.in = Block::virtual_server,
     .name = "persistence_timeout",
     .kind = Kind::maybe_number,
     .help = "Seconds that a client stays with its server, under dataplane ipvs; alone 360, 0 is "
             "off. Elsewhere a warning without effect: each query and each connection gets a "
             "server of its own",
     .standard = "off",
     .minimum = 0,
     .maximum = 2678400,
     .handle = set_persistence},
    {.in = Block::virtual_server,
     .name = "persistence_granularity",
     .kind = Kind::text,
     .help = "Clients that count as one for persistence: a netmask for IPv4, a prefix length for "
             "IPv6",
     .standard = "each address by itself",
     .handle =
         [](const Call& c) {
             draft(c).persistence.granularity = {{c.arguments.text, c.arguments.argument_at}};
         }},
    {.in = Block::virtual_server,
     .name = "persistence_engine",
     .kind = Kind::anything,
     .help = "Known from keepalived; refused",
     .status = Status::refused,
     .instead = "it is about SIP; lb_algo sh keeps a client with one server"},
    {.in = Block::virtual_server,
     .name = "ip_family",
     .kind = Kind::one_of,
     .help = "The family of a service by firewall mark; of others the address says it",
     .standard = "the servers'",
     .choices = "inet inet6",
     .handle = set_family},
    ignored("smtp_alert", "no mail is sent; the log and status tell what happens"),
    ignored("snmp_name", "there is no SNMP"),
    flag("flag-1", "Of lb_algo sh and mh the fallback, under dataplane ipvs",
         [](const Call& c) { draft(c).flag_1_at = c.arguments.position; }),
    flag("flag-2", "Of lb_algo sh and mh the client's port in the hash, under dataplane ipvs",
         [](const Call& c) { draft(c).flag_2_at = c.arguments.position; }),
    ignored("flag-3", "the scheduler's own default holds"),
    ignored("hashed", "services are always found by a hash"),
};

}  // namespace

std::span<const Keyword> virtual_server_keywords() {
    return keywords;
}

}  // namespace dnsdirector::config
