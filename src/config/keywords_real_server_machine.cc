// SPDX-License-Identifier: Apache-2.0
//
// `realserver`: what makes this machine a real server. What must fit together is judged in
// build_real_server_machine.cc.
#include <algorithm>

#include "config/keywords.h"
#include "config/keywords_check.h"

namespace dnsdirector::config {
namespace {

RealServerMachineDraft& machine(const Call& call) {
    return call.current.drafts.real_server_machine;
}
ProcessDraft& process(const Call& call) {
    return machine(call).processes.back();
}

void open_machine(const Call& call) {
    machine(call).present = true;
    machine(call).position = call.arguments.position;
}

/// Appends addresses that are not there yet, and says so of those that are.
void add_unique(const Call& call, std::vector<Placed<IpAddress>>& list) {
    for (const Placed<IpAddress>& address : call.arguments.addresses) {
        const auto same = std::find_if(list.begin(), list.end(), [&](const auto& other) {
            return other.value == address.value;
        });
        if (same == list.end())
            list.push_back(address);
        else
            call.diagnostics.error(address.position,
                                   "{}: {} is given a second time; the first is at {}",
                                   call.keyword.name, address.value.to_string(),
                                   call.diagnostics.where(same->position));
    }
}

void set_machine_protocols(const Call& call) {
    machine(call).machine.protocols = {};
    for (const std::size_t choice : call.arguments.choices)
        machine(call).machine.protocols[choice] = true;  // in the order of Protocol
}

void set_large_query(const Call& call) {
    core::DnsCheck query;
    query.name = call.arguments.question.name;
    query.type = call.arguments.question.type;
    query.klass = call.arguments.question.klass;
    query.edns = core::Edns{4096, true};
    machine(call).machine.large_query = query;
}

void open_process(const Call& call) {
    ProcessDraft& added = machine(call).processes.emplace_back();
    added.position = call.arguments.argument_at;
    added.process.name = call.arguments.text;
    added.faulty = true;  // until its body is read
}

void set_input(const Call& call) {
    process(call).process.input = call.arguments.texts.front();
    process(call).input_at = call.arguments.argument_at;
}

void add_listen(const Call& call) {
    auto& listen = process(call).listen;
    listen.insert(listen.end(), call.arguments.endpoints.begin(), call.arguments.endpoints.end());
}

const Keyword keywords[] = {
    {.in = Block::top,
     .name = "realserver",
     .help = "What makes this machine a real server, for `dnsdirector realserver`; the director "
             "itself passes over it",
     .opens = Block::realserver,
     .handle = open_machine,
     .finish = [](const Call& c, bool faulty) { machine(c).faulty = faulty; }},
    {.in = Block::realserver,
     .name = "service_ip",
     .kind = Kind::addresses,
     .help = "The addresses that clients ask, which this machine holds and answers nobody's ARP "
             "or neighbour solicitation for",
     .standard = "the service IPs of the file",
     .repeats = true,
     .handle = [](const Call& c) { add_unique(c, machine(c).service_ips); }},
    {.in = Block::realserver,
     .name = "port",
     .kind = Kind::number,
     .help = "The port that clients ask",
     .standard = "53",
     .minimum = 1,
     .maximum = 65535,
     .handle =
         [](const Call& c) {
             machine(c).machine.port = static_cast<std::uint16_t>(c.arguments.number);
         }},
    {.in = Block::realserver,
     .name = "protocol",
     .kind = Kind::some_of,
     .help = "The protocols that clients ask by",
     .standard = "udp tcp",
     .choices = "udp tcp",
     .handle = set_machine_protocols},
    {.in = Block::realserver,
     .name = "interface",
     .kind = Kind::interface,
     .help = "Holds the service IPs; it must be one that no packet for them comes in on",
     .standard = "lo",
     .handle = [](const Call& c) { machine(c).machine.interface = c.arguments.texts.front(); }},
    {.in = Block::realserver,
     .name = "process",
     .kind = Kind::name,
     .help = "One of several DNS processes of this machine, told apart by the interface that a "
             "packet came in on. Without any the DNS server listens on the service IPs",
     .repeats = true,
     .opens = Block::process,
     .handle = open_process,
     .finish = [](const Call& c, bool faulty) { process(c).faulty = faulty; }},
    {.in = Block::realserver,
     .name = "tunnel",
     .kind = Kind::addresses,
     .help = "Addresses of this machine at which the director's tunnels end (lb_kind TUN): IPv4 "
             "in IPv4, IPv6 in IPv6",
     .repeats = true,
     .handle = [](const Call& c) { add_unique(c, machine(c).tunnel_ends); }},
    {.in = Block::realserver,
     .name = "tunnel_from",
     .kind = Kind::networks,
     .help = "Outer source addresses that a tunnel takes packets from: the directors' own, or "
             "their tunnel_source",
     .standard = "all",
     .repeats = true,
     .handle =
         [](const Call& c) {
             machine(c).tunnel_from_at = c.arguments.position;
             add_networks(c, machine(c).machine.tunnel_from);
         }},
    {.in = Block::realserver,
     .name = "large_query",
     .kind = Kind::question,
     .help = "A question whose answer has more than 1,232 bytes; `realserver check` asks it with "
             "EDNS and DO, to see that large answers leave this machine whole",
     .standard = "none: large answers are not looked at",
     .handle = set_large_query},
    {.in = Block::realserver,
     .name = "withdraw_on_failure",
     .kind = Kind::flag,
     .help = "`realserver run` withdraws a service IP from this machine while no DNS process that "
             "serves it passes its checks",
     .standard = "off",
     .handle = [](const Call& c) { machine(c).machine.withdraw_on_failure = c.arguments.flag; }},
    {.in = Block::realserver,
     .name = "check",
     .kind = Kind::optional_name,
     .help = "What the DNS processes must pass, asked where they listen; of several all must "
             "pass. `check NAME` uses one declared at top level",
     .repeats = true,
     .opens = Block::check,
     .block_optional = true,
     .handle = [](const Call& c) { start_or_use_check(c, machine(c).checks); },
     .finish = finish_used_check},

    {.in = Block::process,
     .name = "input",
     .kind = Kind::interface,
     .help = "The interface that its packets come in on: a VLAN, a macvlan, or a whole one",
     .required = true,
     .handle = set_input},
    {.in = Block::process,
     .name = "listen",
     .kind = Kind::listen,
     .help = "Where it listens, one of each family at most: addresses of this machine, which are "
             "no service IPs",
     .repeats = true,
     .required = true,
     .handle = add_listen},
    {.in = Block::process,
     .name = "from",
     .kind = Kind::networks,
     .help = "Networks of clients that are served; packets of others stay as they are, and find "
             "nobody who listens",
     .standard = "all",
     .repeats = true,
     .handle = [](const Call& c) { add_networks(c, process(c).process.from); }},
};

}  // namespace

std::span<const Keyword> real_server_machine_keywords() {
    return keywords;
}

}  // namespace dnsdirector::config
