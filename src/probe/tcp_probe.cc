// SPDX-License-Identifier: Apache-2.0
#include "probe/tcp_probe.h"

#include <sys/epoll.h>

#include <cerrno>

namespace dnsdirector::probe {

Result<std::unique_ptr<Probe>> TcpProbe::make(Environment& environment, std::uint64_t token,
                                              const Endpoint& target, const core::TcpCheck& check,
                                              const core::CheckTiming& timing) {
    Result<Path> path = make_path(target, check.via);
    if (!path) return tl::unexpected(path.error());
    return std::unique_ptr<Probe>(new TcpProbe(environment, token, std::move(*path), timing));
}

TcpProbe::TcpProbe(Environment& environment, std::uint64_t token, Path path,
                   const core::CheckTiming& timing)
    : RetryingProbe(environment, token, timing),
      path_(std::move(path)),
      socket_(environment.sockets) {}

Probe::Progress TcpProbe::begin_try(TimePoint /*now*/) {
    if (Progress failed = socket_.open(Protocol::tcp, path_)) return finish(std::move(*failed));
    // On a short path the connection stands already: that saves a round through epoll.
    if (Progress known = look()) return known;
    if (Progress failed = socket_.watch(environment_.epoll, token_, EPOLLOUT))
        return finish(std::move(*failed));
    return std::nullopt;
}

Probe::Progress TcpProbe::look() {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return finish(outcome_of(error, Stage::tcp));
    sockaddr_in6 peer{};
    socklen_t peer_size = sizeof peer;
    // ENOTCONN until the handshake is done.
    if (::getpeername(socket_.get(), reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0)
        return std::nullopt;
    return pass();
}

}  // namespace dnsdirector::probe
