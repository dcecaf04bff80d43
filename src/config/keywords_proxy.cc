// SPDX-License-Identifier: Apache-2.0
//
// The block `proxy`: choices of the proxy plane.
#include <chrono>

#include "config/keywords.h"

namespace dnsdirector::config {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t in_ns(Nanoseconds duration) {
    return duration.count();
}

core::ProxySettings& proxy(const Call& call) {
    return call.current.drafts.director.settings.proxy;
}

template <std::uint32_t core::ProxySettings::* Member>
void set_number(const Call& call) {
    proxy(call).*Member = static_cast<std::uint32_t>(call.arguments.number);
}

template <Nanoseconds core::ProxySettings::* Member>
void set_duration(const Call& call) {
    proxy(call).*Member = call.arguments.duration;
}

using core::ProxySettings;

const Keyword keywords[] = {
    {.in = Block::top,
     .name = "proxy",
     .help = "Choices of the proxy plane",
     .opens = Block::proxy,
     .handle = [](const Call& c) { c.current.drafts.director.proxy_at = c.arguments.position; }},
    {.in = Block::proxy,
     .name = "workers",
     .kind = Kind::number,
     .help = "Threads that hand queries on, each with sockets of its own",
     .standard = "one a core",
     .minimum = 1,
     .maximum = 256,
     .handle = set_number<&ProxySettings::workers>},
    {.in = Block::proxy,
     .name = "upstream_sockets",
     .kind = Kind::number,
     .help = "UDP sockets that each worker asks the servers from, of each family; each has a "
             "random port, which with the random ID is what a forger would have to guess",
     .standard = "4",
     .minimum = 1,
     .maximum = 64,
     .handle = set_number<&ProxySettings::upstream_sockets>},
    {.in = Block::proxy,
     .name = "retry_after",
     .kind = Kind::duration,
     .help = "A server's silence after which a query goes to another one as well, once",
     .standard = "the time that a server's answers teach, 50ms to 1s",
     .minimum = in_ns(1ms),
     .maximum = in_ns(1min),
     .handle = set_duration<&ProxySettings::retry_after>},
    {.in = Block::proxy,
     .name = "retry_budget",
     .kind = Kind::percent,
     .help = "The most second tries, as a share of a service's queries; a few each second are "
             "always allowed, and 0% allows none",
     .standard = "20%",
     .minimum = 0,
     .maximum = 100,
     .handle = set_number<&ProxySettings::retry_percent>},
    {.in = Block::proxy,
     .name = "query_timeout",
     .kind = Kind::duration,
     .help = "How long an answer is waited for",
     .standard = "10s",
     .minimum = in_ns(100ms),
     .maximum = in_ns(1min),
     .handle = set_duration<&ProxySettings::query_timeout>},
    {.in = Block::proxy,
     .name = "tcp_clients",
     .kind = Kind::number,
     .help = "The most TCP connections of clients at a time; beyond it the one that has been idle "
             "longest goes, or the new one where none is idle",
     .standard = "4096",
     .minimum = 1,
     .maximum = 1 << 20,
     .handle = set_number<&ProxySettings::tcp_clients>},
    {.in = Block::proxy,
     .name = "tcp_per_address",
     .kind = Kind::number,
     .help = "The most of them from one address; 0: no limit",
     .standard = "64",
     .minimum = 0,
     .maximum = 1 << 20,
     .handle = set_number<&ProxySettings::tcp_per_address>},
    {.in = Block::proxy,
     .name = "tcp_in_flight",
     .kind = Kind::number,
     .help = "Queries of one connection that may wait for answers; the next are read when one is "
             "answered",
     .standard = "64",
     .minimum = 1,
     .maximum = 4096,
     .handle = set_number<&ProxySettings::tcp_in_flight>},
    {.in = Block::proxy,
     .name = "tcp_bytes",
     .kind = Kind::number,
     .help = "Bytes that one connection may bring; then it is closed, its queries answered. 0: no "
             "limit",
     .standard = "0",
     .minimum = 0,
     .maximum = 1LL << 40,
     .handle = [](const Call& c) { proxy(c).tcp_bytes = c.arguments.number; }},
    {.in = Block::proxy,
     .name = "tcp_idle",
     .kind = Kind::duration,
     .help = "How long a connection may be without a whole query, or a peer without reading; then "
             "it is closed",
     .standard = "10s",
     .minimum = in_ns(100ms),
     .maximum = in_ns(1h),
     .handle = set_duration<&ProxySettings::tcp_idle>},
    {.in = Block::proxy,
     .name = "tcp_to_server",
     .kind = Kind::number,
     .help = "The most TCP connections of one worker to one server; zone transfers have their own",
     .standard = "4",
     .minimum = 1,
     .maximum = 1024,
     .handle = set_number<&ProxySettings::tcp_to_server>},
    {.in = Block::proxy,
     .name = "proxy_protocol_from",
     .kind = Kind::networks,
     .help = "Balancers in front, whose datagrams and TCP connections have to begin with a PROXY "
             "header, version 2: the client in it is the client for schedulers, limits and "
             "servers. From nobody else is one believed",
     .standard = "nobody",
     .repeats = true,
     .handle = [](const Call& c) { add_networks(c, proxy(c).proxy_protocol_from); }},
};

}  // namespace

std::span<const Keyword> proxy_keywords() {
    return keywords;
}

}  // namespace dnsdirector::config
