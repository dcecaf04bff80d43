// SPDX-License-Identifier: Apache-2.0
#include "probe/socket.h"

#include <fmt/core.h>
#include <sys/epoll.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "core/health.h"

namespace dnsdirector::probe {
namespace {

using core::Failure;

struct Meaning {
    int error;
    std::optional<Stage> stage;  ///< nothing: any
    Failure failure;
    const char* reason;
};
/// The first line that fits counts. Over UDP the kernel reports only "hard" ICMP
/// errors (RFC 1122, 4.1.3.3; its icmp_err_convert): port or protocol
/// unreachable, and filtered. Over TCP an unreachable host or network may be a
/// router's word or our own in vain asking for a link-layer address.
constexpr Meaning meanings[] = {
    {ECONNREFUSED, {}, Failure::refused, "connection refused"},
    {ECONNRESET, {}, Failure::refused, "connection reset"},
    {EPIPE, {}, Failure::refused, "connection reset"},
    {ENOPROTOOPT, {}, Failure::refused, "protocol unreachable"},
    {EHOSTUNREACH, Stage::udp, Failure::refused, "filtered on the way"},
    {ENETUNREACH, Stage::udp, Failure::refused, "filtered on the way"},
    {EHOSTUNREACH, Stage::tcp, Failure::silence, "host unreachable"},
    {ENETUNREACH, Stage::tcp, Failure::silence, "network unreachable"},
    {ETIMEDOUT, {}, Failure::silence, "timeout"},
    {EHOSTUNREACH, {}, Failure::local, "cannot send: no route to the server"},
    {ENETUNREACH, {}, Failure::local, "cannot send: no route to the server"},
    {EPERM, {}, Failure::local, "cannot send: a packet filter of this machine forbids it"},
    {EACCES,
     {},
     Failure::local,
     "cannot send: a route or packet filter of this machine forbids it"},
};

Outcome local(std::string reason) {
    return {Failure::local, std::move(reason), {}};
}

std::string text_of(int error) {
    return std::generic_category().message(error);
}

Outcome no_descriptor(int error, const SocketBudget& budget) {
    if (error == EMFILE || error == ENFILE)
        return local(
            fmt::format("no file descriptor left for probes ({} sockets open); "
                        "raise LimitNOFILE",
                        budget.open));
    return local("cannot open a socket: " + text_of(error));
}

Outcome no_bind(int error, const std::string& source) {
    if (error == EADDRNOTAVAIL)
        return local("cannot send from " + source + ": not an address of this machine");
    return local("cannot send from " + source + ": " + text_of(error));
}

}  // namespace

SocketAddress::SocketAddress(const Endpoint& endpoint) {
    if (endpoint.address.is_v4()) {
        any_.v4.sin_family = AF_INET;
        any_.v4.sin_port = htons(endpoint.port);
        std::memcpy(&any_.v4.sin_addr, endpoint.address.bytes().data(), 4);
        size_ = sizeof any_.v4;
    } else {
        any_.v6.sin6_family = AF_INET6;
        any_.v6.sin6_port = htons(endpoint.port);
        std::memcpy(&any_.v6.sin6_addr, endpoint.address.bytes().data(), 16);
        size_ = sizeof any_.v6;
    }
}

Path make_path(const Endpoint& target, const std::optional<IpAddress>& source) {
    Path path{SocketAddress(target), std::nullopt, {}};
    if (source) {
        path.source = SocketAddress(Endpoint{*source, 0});
        path.source_text = source->to_string();
    }
    return path;
}

std::optional<Outcome> Socket::open(Protocol protocol, const Path& path) {
    const int kind = protocol == Protocol::udp ? SOCK_DGRAM : SOCK_STREAM;
    close();
    descriptor_ =
        Descriptor(::socket(path.target.family(), kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!descriptor_.open()) return no_descriptor(errno, budget_);
    ++budget_.open;

    if (path.source) {
        // TCP's port is then chosen with the target known: one port serves many targets.
        const int on = 1;
        if (protocol == Protocol::tcp)
            ::setsockopt(get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (::bind(get(), path.source->get(), path.source->size()) != 0) {
            const int error = errno;
            close();
            return no_bind(error, path.source_text);
        }
    }
    if (::connect(get(), path.target.get(), path.target.size()) != 0 && errno != EINPROGRESS) {
        const int error = errno;
        close();
        return outcome_of(error, Stage::own);
    }
    return std::nullopt;
}

void Socket::close() {
    if (!descriptor_.open()) return;
    descriptor_.close();
    --budget_.open;
}

std::optional<Outcome> Socket::watch(int epoll, std::uint64_t token, std::uint32_t events) const {
    epoll_event event{};
    event.events = events | EPOLLET;
    event.data.u64 = token;
    if (::epoll_ctl(epoll, EPOLL_CTL_ADD, get(), &event) == 0) return std::nullopt;
    return local("cannot watch a socket: " + text_of(errno));
}

Outcome outcome_of(int error, Stage stage) {
    for (const Meaning& meaning : meanings)
        if (meaning.error == error && meaning.stage.value_or(stage) == stage)
            return {meaning.failure, meaning.reason, {}, {}};
    return local("cannot send: " + text_of(error));
}

}  // namespace dnsdirector::probe
