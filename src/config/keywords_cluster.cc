// SPDX-License-Identifier: Apache-2.0
//
// The native form: `dns_cluster` and its `real_server`.
#include <algorithm>
#include <chrono>

#include "config/keywords.h"

namespace dnsdirector::config {
namespace {

using namespace std::chrono_literals;

void open_cluster(const Call& call) {
    ClusterDraft& cluster = call.current.drafts.clusters.emplace_back();
    cluster.position = call.arguments.position;
    cluster.scheduler.position = cluster.method.position = cluster.quorum.position =
        cluster.position;
    cluster.name = call.arguments.text;
}

void add_service_ips(const Call& call) {
    auto& service_ips = call.current.cluster().service_ips;
    for (const Placed<IpAddress>& address : call.arguments.addresses) {
        const auto same =
            std::find_if(service_ips.begin(), service_ips.end(),
                         [&](const auto& other) { return other.value == address.value; });
        if (same != service_ips.end())
            call.diagnostics.error(
                address.position, "service_ip: {} is given a second time; the first is at {}",
                address.value.to_string(), call.diagnostics.where(same->position));
        else
            service_ips.push_back(address);
    }
}

void set_protocols(const Call& call) {
    PerProtocol<bool>& protocols = call.current.cluster().protocols;
    protocols = {};
    for (const std::size_t choice : call.arguments.choices)
        protocols[choice] = true;  // the choices are in the order of Protocol
}

void set_scheduler(const Call& call) {
    // The choices are in the order of core::Scheduler.
    call.current.cluster().scheduler = {
        static_cast<core::Scheduler>(call.arguments.choices.front()), call.arguments.argument_at};
}

void set_method(const Call& call) {
    // The choices are in the order of core::ForwardingMethod.
    call.current.cluster().method = {
        static_cast<core::ForwardingMethod>(call.arguments.choices.front()),
        call.arguments.argument_at};
}

void open_server(const Call& call) {
    ServerDraft& server = call.current.cluster().servers.emplace_back();
    server.position = call.arguments.argument_at;
    server.name = call.arguments.text;
}

void add_server_addresses(const Call& call) {
    for (const Placed<IpAddress>& address : call.arguments.addresses) {
        auto& place = call.current.server().address[index(address.value.family())];
        if (place)
            call.diagnostics.error(address.position,
                                   "address: a server has one {} address, and {} is given already; "
                                   "write another real_server for {}",
                                   to_string(address.value.family()), place->value.to_string(),
                                   address.value.to_string());
        else
            place = address;
    }
}

void add_sorry_servers(const Call& call) {
    for (const Placed<IpAddress>& address : call.arguments.addresses) {
        auto& place = call.current.cluster().sorry_server[index(address.value.family())];
        if (place)
            call.diagnostics.error(
                address.position, "sorry_server: one {} address is enough, and {} is given already",
                to_string(address.value.family()), place->value.to_string());
        else
            place = address;
    }
}

void set_persistence(const Call& call) {
    const auto seconds = std::chrono::ceil<Seconds>(call.arguments.duration);
    call.current.cluster().persistence.timeout = {static_cast<std::uint32_t>(seconds.count()),
                                                  call.arguments.position};
}

Placed<std::uint32_t> number_at(const Call& call) {
    return {static_cast<std::uint32_t>(call.arguments.number), call.arguments.position};
}

const Keyword keywords[] = {
    {.in = Block::top,
     .name = "dns_cluster",
     .kind = Kind::name,
     .help = "Servers that answer the same questions, and the service IPs that they serve",
     .repeats = true,
     .opens = Block::dns_cluster,
     .handle = open_cluster,
     .finish = [](const Call& c, bool faulty) { c.current.cluster().faulty = faulty; }},
    {.in = Block::dns_cluster,
     .name = "service_ip",
     .kind = Kind::addresses,
     .help = "The addresses that clients ask; IPv4 and IPv6 as you like",
     .repeats = true,
     .required = true,
     .handle = add_service_ips},
    {.in = Block::dns_cluster,
     .name = "port",
     .kind = Kind::number,
     .help = "The services' port, and the servers'",
     .standard = "53",
     .minimum = 1,
     .maximum = 65535,
     .handle =
         [](const Call& c) {
             c.current.cluster().port = static_cast<std::uint16_t>(c.arguments.number);
         }},
    {.in = Block::dns_cluster,
     .name = "protocol",
     .kind = Kind::some_of,
     .help = "The protocols served; each service IP makes one service for each",
     .standard = "udp tcp",
     .choices = "udp tcp",
     .handle = set_protocols},
    {.in = Block::dns_cluster,
     .name = "lb_algo",
     .kind = Kind::one_of,
     .help = "How a server is chosen. On the xdp plane wrr and rr choose for each UDP packet and "
             "by Maglev hashing for TCP; mh and sh always hash the flow; wlc, lc, sed and nq are "
             "those of the ipvs plane. The proxy plane chooses for each query, over TCP too: wrr, "
             "rr, mh, sh, wlc and lc (by queries that wait for an answer), least (as wlc), latency "
             "(of two servers the one that answers sooner) and qname (each name to one server, as "
             "long as that is not overloaded)",
     .standard = "wrr",
     .choices = "wrr rr mh sh wlc lc sed nq least latency qname",
     .handle = set_scheduler},
    {.in = Block::dns_cluster,
     .name = "lb_kind",
     .kind = Kind::one_of,
     .help = "How packets reach the server: DR (direct routing, in one network, the server holds "
             "the service IP too), or TUN (in an IP tunnel, behind routers); the ipvs plane has "
             "NAT, too",
     .standard = "DR",
     .choices = "DR TUN NAT",
     .handle = set_method},
    {.in = Block::dns_cluster,
     .name = "quorum",
     .kind = Kind::number,
     .help = "The least sum of weights of servers that are up; below it `status` says that the "
             "quorum is not met; forwarding goes on to whoever is left",
     .standard = "1",
     .minimum = 1,
     .maximum = 4294967295,
     .handle =
         [](const Call& c) {
             c.current.cluster().quorum = {c.arguments.number, c.arguments.argument_at};
         }},
    {.in = Block::dns_cluster,
     .name = "hysteresis",
     .kind = Kind::number,
     .help = "The quorum is met from quorum + hysteresis on and lost below quorum − hysteresis",
     .standard = "0",
     .minimum = 0,
     .maximum = 4294967295,
     .handle =
         [](const Call& c) {
             c.current.cluster().hysteresis = {c.arguments.number, c.arguments.argument_at};
         }},
    {.in = Block::dns_cluster,
     .name = "quorum_up",
     .kind = Kind::command,
     .help = "Run when the quorum of a service is met",
     .handle = [](const Call& c) { c.current.cluster().quorum_up = command_of(c); }},
    {.in = Block::dns_cluster,
     .name = "quorum_down",
     .kind = Kind::command,
     .help = "Run when the quorum of a service is lost",
     .handle = [](const Call& c) { c.current.cluster().quorum_down = command_of(c); }},
    {.in = Block::dns_cluster,
     .name = "notify_up",
     .kind = Kind::command,
     .help = "Run when a server has come up; `{address}`, `{port}` and `{name}` stand for its own",
     .handle = [](const Call& c) { c.current.cluster().notify_up = command_of(c); }},
    {.in = Block::dns_cluster,
     .name = "notify_down",
     .kind = Kind::command,
     .help = "Run when a server has gone down; likewise",
     .handle = [](const Call& c) { c.current.cluster().notify_down = command_of(c); }},
    {.in = Block::dns_cluster,
     .name = "proxy_protocol",
     .kind = Kind::flag,
     .help =
         "Under dataplane proxy: the servers get each client's address in a header of the PROXY "
         "protocol, version 2, which they have to be told to expect, from the director's address "
         "alone; they refuse queries without it",
     .standard = "off",
     .handle =
         [](const Call& c) {
             c.current.cluster().proxy_protocol = {c.arguments.flag, c.arguments.position};
         }},
    {.in = Block::dns_cluster,
     .name = "client_subnet",
     .kind = Kind::lengths,
     .help = "Under dataplane proxy: so many bits of an IPv4 and of an IPv6 client's address are "
             "told to the servers by EDNS client subnet (RFC 7871), in queries that have none; 24 "
             "56 is the most that it recommends, 0 tells nothing of that family's clients",
     .standard = "0 0",
     .handle =
         [](const Call& c) {
             const auto& [ipv4, ipv6] = c.arguments.prefix_lengths;
             c.current.cluster().client_subnet = {core::ClientSubnet{ipv4, ipv6},
                                                  c.arguments.position};
         }},
    {.in = Block::dns_cluster,
     .name = "transparent",
     .kind = Kind::flag,
     .help = "Under dataplane proxy: the servers are asked from each client's own address, and the "
             "network has to lead their replies back to the director; needs CAP_NET_ADMIN",
     .standard = "off",
     .handle =
         [](const Call& c) {
             c.current.cluster().transparent = {c.arguments.flag, c.arguments.position};
         }},
    {.in = Block::dns_cluster,
     .name = "to_all",
     .kind = Kind::some_of,
     .help = "Under dataplane proxy: messages that go to every server of the cluster, in service "
             "or not, in the place of one: NOTIFY (RFC 1996), and UPDATE (RFC 2136) where each "
             "server keeps a copy of its own",
     .choices = "notify update",
     .handle =
         [](const Call& c) {
             core::ToAll& to_all = c.current.cluster().to_all;
             c.current.cluster().to_all_at = c.arguments.position;
             for (const std::size_t choice : c.arguments.choices)
                 (choice == 0 ? to_all.notify : to_all.update) = true;
         }},
    {.in = Block::dns_cluster,
     .name = "to_all_answers",
     .kind = Kind::requirement,
     .help = "Servers in service that must have answered such a message with NOERROR before its "
             "sender gets an answer; all, where there are not as many",
     .standard = "all",
     .handle =
         [](const Call& c) {
             c.current.cluster().to_all_answers_at = c.arguments.argument_at;
             c.current.cluster().to_all.answers = static_cast<std::uint32_t>(c.arguments.number);
         }},
    {.in = Block::dns_cluster,
     .name = "to_all_from",
     .kind = Kind::networks,
     .help = "Whose such messages are taken; others get REFUSED. To the servers they all come "
             "from the director",
     .standard = "all",
     .repeats = true,
     .handle =
         [](const Call& c) {
             c.current.cluster().to_all_from_at = c.arguments.position;
             add_networks(c, c.current.cluster().to_all.from);
         }},
    {.in = Block::dns_cluster,
     .name = "omega",
     .kind = Kind::flag,
     .help = "A clean stop runs notify_down and quorum_down",
     .standard = "off",
     .handle = [](const Call& c) { c.current.cluster().omega = c.arguments.flag; }},
    {.in = Block::dns_cluster,
     .name = "sorry_server",
     .kind = Kind::addresses,
     .help = "The server that is used instead of all others while the quorum is not met, one for "
             "each family at most",
     .repeats = true,
     .handle = add_sorry_servers},
    {.in = Block::dns_cluster,
     .name = "sorry_server_port",
     .kind = Kind::number,
     .help = "Its port",
     .standard = "the cluster's",
     .minimum = 1,
     .maximum = 65535,
     .handle =
         [](const Call& c) {
             c.current.cluster().sorry_port = {static_cast<std::uint16_t>(c.arguments.number),
                                               c.arguments.argument_at};
         }},
    {.in = Block::dns_cluster,
     .name = "sorry_server_inhibit",
     .help = "The other servers stay listed with weight 0 while the sorry server is used",
     .handle = [](const Call& c) { c.current.cluster().sorry_inhibit_at = c.arguments.position; }},
    {.in = Block::dns_cluster,
     .name = "inhibit_on_failure",
     .kind = Kind::flag,
     .help = "A failed server stays listed with weight 0 instead of being removed",
     .standard = "off",
     .handle = [](const Call& c) { c.current.cluster().inhibit_on_failure = c.arguments.flag; }},
    {.in = Block::dns_cluster,
     .name = "hash_port",
     .kind = Kind::flag,
     .help = "Whether the hash of mh and sh takes the client's port in, so that each flow is "
             "placed by itself, or its address alone, so that a client stays with one server",
     .standard = "the scheduler's: mh on, sh off",
     .handle = [](const Call& c) { c.current.cluster().hash_port = c.arguments.flag; }},
    {.in = Block::dns_cluster,
     .name = "ops",
     .kind = Kind::flag,
     .help = "Under dataplane ipvs: whether UDP is spread packet by packet",
     .standard = "on, but off with persistence_timeout, lb_kind NAT, or lb_algo wlc, lc, sed, nq",
     .handle =
         [](const Call& c) {
             c.current.cluster().one_packet = {c.arguments.flag, c.arguments.position};
         }},
    {.in = Block::dns_cluster,
     .name = "persistence_timeout",
     .kind = Kind::duration,
     .help = "Under dataplane ipvs: how long a client stays with its server, in whole seconds",
     .standard = "0s",
     .minimum = 0,
     .maximum = Nanoseconds{744h}.count(),
     .handle = set_persistence},
    {.in = Block::dns_cluster,
     .name = "persistence_granularity",
     .kind = Kind::text,
     .help = "Clients that count as one for persistence: a netmask for IPv4, a prefix length for "
             "IPv6; one line for each",
     .standard = "each address by itself",
     .repeats = true,
     .handle =
         [](const Call& c) {
             c.current.cluster().persistence.granularity.push_back(
                 {c.arguments.text, c.arguments.argument_at});
         }},
    {.in = Block::dns_cluster,
     .name = "on_all_down",
     .kind = Kind::one_of,
     .help = "When every server is down: `hold` goes on with the last ones, `empty` sends to none",
     .standard = "hold",
     .choices = "hold empty",
     .handle =
         [](const Call& c) {
             c.current.cluster().on_all_down =
                 static_cast<core::OnAllDown>(c.arguments.choices.front());
         }},
    {.in = Block::dns_cluster,
     .name = "max_out",
     .kind = Kind::percent,
     .help = "The most of the weight that failing answers may take out; silence and refusal are "
             "not limited",
     .standard = "100%",
     .handle =
         [](const Call& c) {
             c.current.cluster().max_out_percent = static_cast<std::uint32_t>(c.arguments.number);
         }},
    {.in = Block::dns_cluster,
     .name = "slow_start",
     .kind = Kind::duration,
     .help =
         "How long the weight of a server that comes back takes to rise, since its cache is cold",
     .standard = "0s",
     .minimum = 0,
     .maximum = Nanoseconds{24h}.count(),
     .handle = [](const Call& c) { c.current.cluster().slow_start = c.arguments.duration; }},
    {.in = Block::dns_cluster,
     .name = "require",
     .kind = Kind::one_of,
     .help = "`all`: a server must pass over every transport of its checks, whatever the service's "
             "protocol; without it UDP services follow UDP results and TCP services TCP results",
     .choices = "all",
     .handle = [](const Call& c) { c.current.cluster().require_all = true; }},
    {.in = Block::dns_cluster,
     .name = "real_server",
     .kind = Kind::name,
     .help = "A server, by the name that commands use",
     .repeats = true,
     .required = true,
     .opens = Block::server,
     .handle = open_server,
     .finish = [](const Call& c, bool faulty) { c.current.server().faulty = faulty; }},
    {.in = Block::server,
     .name = "address",
     .kind = Kind::addresses,
     .help = "Its addresses, one of each family at most",
     .repeats = true,
     .required = true,
     .handle = add_server_addresses},
    {.in = Block::server,
     .name = "weight",
     .kind = Kind::number,
     .help = "Its share relative to the others; 0: checked, no new work",
     .standard = "1",
     .minimum = 0,
     .maximum = core::max_weight,
     .handle =
         [](const Call& c) {
             c.current.server().weight = static_cast<core::Weight>(c.arguments.number);
         }},
    {.in = Block::server,
     .name = "inhibit_on_failure",
     .kind = Kind::flag,
     .help = "When it has failed it stays listed with weight 0 instead of being removed",
     .standard = "the cluster's",
     .handle = [](const Call& c) { c.current.server().inhibit_on_failure = c.arguments.flag; }},
    {.in = Block::server,
     .name = "uthreshold",
     .kind = Kind::number,
     .help = "Connections from which on it gets no more, under dataplane ipvs; 0: no limit",
     .standard = "0",
     .minimum = 0,
     .maximum = UINT32_MAX,
     .handle = [](const Call& c) { c.current.server().thresholds.upper = number_at(c); }},
    {.in = Block::server,
     .name = "lthreshold",
     .kind = Kind::number,
     .help = "Connections below which it gets some again, under dataplane ipvs; 0: three quarters "
             "of uthreshold",
     .standard = "0",
     .minimum = 0,
     .maximum = UINT32_MAX,
     .handle = [](const Call& c) { c.current.server().thresholds.lower = number_at(c); }},
    {.in = Block::server,
     .name = "proxy_protocol",
     .kind = Kind::flag,
     .help = "Whether it takes the PROXY protocol, version 2, and so learns clients' addresses",
     .standard = "the cluster's",
     .handle =
         [](const Call& c) {
             c.current.server().proxy_protocol = {c.arguments.flag, c.arguments.position};
         }},
    {.in = Block::server,
     .name = "transparent",
     .kind = Kind::flag,
     .help = "Whether it is asked from clients' own addresses",
     .standard = "the cluster's",
     .handle =
         [](const Call& c) {
             c.current.server().transparent = {c.arguments.flag, c.arguments.position};
         }},
    {.in = Block::server,
     .name = "notify_up",
     .kind = Kind::command,
     .help = "Run when it has come up",
     .standard = "the cluster's",
     .handle = [](const Call& c) { c.current.server().notify_up = command_of(c); }},
    {.in = Block::server,
     .name = "notify_down",
     .kind = Kind::command,
     .help = "Run when it has gone down",
     .standard = "the cluster's",
     .handle = [](const Call& c) { c.current.server().notify_down = command_of(c); }},
    {.in = Block::server,
     .name = "port",
     .kind = Kind::number,
     .help = "Its port where it differs from the cluster's, which lb_kind DR and TUN do not allow",
     .standard = "the cluster's",
     .minimum = 1,
     .maximum = 65535,
     .handle =
         [](const Call& c) {
             c.current.server().port = {static_cast<std::uint16_t>(c.arguments.number),
                                        c.arguments.argument_at};
         }},
};

}  // namespace

std::span<const Keyword> cluster_keywords() {
    return keywords;
}

}  // namespace dnsdirector::config
