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
    {EADDRNOTAVAIL, {}, Failure::local, "cannot send: no source address or port is free"},
    {ENODEV, {}, Failure::local, "cannot send: the interface is gone"},
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
    if (error == EADDRINUSE)
        return local("cannot send from " + source + ": another program has that port");
    if (error == EACCES)
        return local("cannot send from " + source + ": ports below 1024 need CAP_NET_BIND_SERVICE");
    return local("cannot send from " + source + ": " + text_of(error));
}

Outcome no_interface(int error, const std::string& interface) {
    if (error == ENODEV) return local("cannot send through " + interface + ": no such interface");
    if (error == EPERM)
        return local("cannot send through " + interface + ": that needs CAP_NET_RAW");
    return local("cannot send through " + interface + ": " + text_of(error));
}

Outcome no_mark(int error, std::uint32_t mark) {
    return local(fmt::format("cannot set the firewall mark {}: {}", mark,
                             error == EPERM ? "that needs CAP_NET_ADMIN" : text_of(error)));
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

Result<Path> make_path(const Endpoint& target, const core::Via& via) {
    if (via.source && via.source->family() != target.address.family())
        return fail("cannot send from {} to {}: not of one address family", via.source->to_string(),
                    target.address.to_string());
    Path path{SocketAddress(target), std::nullopt,  {},
              via.source_port != 0,  via.interface, via.mark};
    if (!via.source && via.source_port == 0) return path;
    const IpAddress any =
        target.address.is_v4() ? IpAddress::from_v4({0, 0, 0, 0}) : IpAddress::from_v6({});
    const Endpoint source{via.source.value_or(any), via.source_port};
    path.source = SocketAddress(source);
    path.source_text = !via.source            ? fmt::format("port {}", via.source_port)
                       : via.source_port == 0 ? via.source->to_string()
                                              : source.to_string();
    return path;
}

std::optional<Outcome> Socket::prepare(int kind, const Path& path) const {
    const auto set = [this](int level, int option, const auto& value) {
        return ::setsockopt(get(), level, option, &value, sizeof value) == 0;
    };
    constexpr int on = 1;
    if (!path.interface.empty() &&
        ::setsockopt(get(), SOL_SOCKET, SO_BINDTODEVICE, path.interface.c_str(),
                     static_cast<socklen_t>(path.interface.size())) != 0)
        return no_interface(errno, path.interface);
    if (path.mark != 0 && !set(SOL_SOCKET, SO_MARK, path.mark)) return no_mark(errno, path.mark);
    if (path.fixed_port) {
        // Checks of several targets share the port. A connection that ends leaves
        // no TIME_WAIT, which would keep the port from the next round.
        set(SOL_SOCKET, SO_REUSEADDR, on);
        if (kind == SOCK_STREAM) set(SOL_SOCKET, SO_LINGER, linger{.l_onoff = 1, .l_linger = 0});
    } else if (path.source && kind == SOCK_STREAM) {
        // The port is then chosen with the target known: one port serves many targets.
        set(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, on);
    }
    if (path.source && ::bind(get(), path.source->get(), path.source->size()) != 0)
        return no_bind(errno, path.source_text);
    return std::nullopt;
}

std::optional<Outcome> Socket::open(Protocol protocol, const Path& path) {
    return open(protocol == Protocol::udp ? SOCK_DGRAM : SOCK_STREAM, 0, path);
}

std::optional<Outcome> Socket::open(int kind, int protocol, const Path& path) {
    close();
    descriptor_ =
        Descriptor(::socket(path.target.family(), kind | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    if (!descriptor_.open()) return no_descriptor(errno, budget_);
    ++budget_.open;
    if (std::optional<Outcome> failed = prepare(kind, path)) {
        close();
        return failed;
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
