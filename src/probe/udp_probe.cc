// SPDX-License-Identifier: Apache-2.0
#include "probe/udp_probe.h"

#include <fmt/core.h>
#include <sys/epoll.h>

#include <cerrno>

#include "probe/icmp_error.h"

namespace dnsdirector::probe {
namespace {

core::CheckTiming timing_of(const core::UdpCheck& check, core::CheckTiming timing) {
    if (!check.require_reply) timing.tries = 1;
    return timing;
}

}  // namespace

Result<std::unique_ptr<Probe>> UdpProbe::make(Environment& environment, std::uint64_t token,
                                              const Endpoint& target, const core::UdpCheck& check,
                                              const core::CheckTiming& timing) {
    Result<Path> path = make_path(target, check.via);
    if (!path) return tl::unexpected(path.error());
    return std::unique_ptr<Probe>(
        new UdpProbe(environment, token, std::move(*path), check, timing));
}

UdpProbe::UdpProbe(Environment& environment, std::uint64_t token, Path path,
                   const core::UdpCheck& check, const core::CheckTiming& timing)
    : RetryingProbe(environment, token, timing_of(check, timing)),
      check_(check),
      path_(std::move(path)),
      socket_(environment.sockets) {}

Probe::Progress UdpProbe::begin_try(TimePoint /*now*/) {
    if (!socket_.is_open()) {
        if (Progress failed = socket_.open(Protocol::udp, path_)) return finish(std::move(*failed));
        report_icmp_errors(socket_.get(), path_.target.family());
        if (Progress failed = socket_.watch(environment_.epoll, token_, EPOLLIN))
            return finish(std::move(*failed));
    }
    if (::send(socket_.get(), check_.payload.data(), check_.payload.size(), MSG_NOSIGNAL) < 0)
        return finish(outcome_of(errno, Stage::own));
    return std::nullopt;
}

Probe::Progress UdpProbe::look() {
    auto& buffer = environment_.buffer;
    while (true) {
        const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return std::nullopt;
        if (got < 0) {
            std::optional<Outcome> outcome = outcome_of_icmp(socket_.get(), errno);
            if (outcome) return finish(std::move(*outcome));
            continue;
        }
        const auto size = static_cast<std::size_t>(got);
        if (check_.require_reply &&
            (size < check_.min_reply_length || size > check_.max_reply_length))
            return finish({core::Failure::answer,
                           fmt::format("reply of {} bytes, expected {} to {}", size,
                                       check_.min_reply_length, check_.max_reply_length),
                           since_try()});
        return pass();
    }
}

Outcome UdpProbe::unanswered() const {
    if (check_.require_reply) return RetryingProbe::unanswered();
    return {};
}

}  // namespace dnsdirector::probe
