// SPDX-License-Identifier: Apache-2.0
#include "probe/ask_once.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>

#include "probe/clock.h"
#include "probe/descriptor.h"
#include "probe/dig_probe.h"
#include "probe/dns_probe.h"
#include "probe/through.h"
#include "probe/through_probe.h"

namespace dnsdirector::probe {

namespace {

/// An epoll instance, and what a probe needs besides.
Result<std::unique_ptr<Environment>> make_environment(const Descriptor& epoll) {
    if (!epoll.open()) return fail_errno("cannot create an epoll instance for the probe", errno);
    return std::make_unique<Environment>(epoll.get());
}

Probe::Progress on_event(Probe& probe, Environment& environment, const epoll_event& event) {
    const Token::Kind kind = Token::unpack(event.data.u64).kind;
    if (kind == Token::Kind::packets || kind == Token::Kind::ways)
        if (const auto through = environment.through.lock())
            static_cast<void>(through->on_event(kind, now()));
    return probe.on_event(now());
}

Outcome run_round(Probe& probe, Environment& environment) {
    Probe::Progress progress = probe.start(now());
    while (!progress) {
        const Nanoseconds left = probe.wake() - now();
        const auto wait = std::chrono::ceil<Milliseconds>(std::max(left, Nanoseconds{0}));
        epoll_event event{};
        const int events =
            ::epoll_wait(environment.epoll, &event, 1, static_cast<int>(wait.count()));
        if (events > 0) progress = on_event(probe, environment, event);
        if (!progress && probe.wake() <= now()) progress = probe.on_timeout(now());
    }
    return std::move(*progress);
}

Report report_of(Outcome outcome) {
    return {{outcome.failure, std::move(outcome.reason), outcome.rtt, now(), wall_now(),
             std::move(outcome.reply)},
            outcome.rcode};
}

}  // namespace

Result<Report> ask_once(const Endpoint& target, const core::DnsCheck& check,
                        const core::CheckTiming& timing) {
    const Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
    const auto environment = make_environment(epoll);
    if (!environment) return tl::unexpected(environment.error());
    Result<std::unique_ptr<Probe>> probe =
        (check.via.service_ip ? ThroughProbe::make : DnsProbe::make)(**environment, 0, target,
                                                                     check, timing);
    if (!probe) return tl::unexpected(probe.error());
    return report_of(run_round(**probe, **environment));
}

Result<DigReport> dig_once(const Endpoint& target, const core::DigCheck& check,
                           const core::CheckTiming& timing) {
    const Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
    const auto environment = make_environment(epoll);
    if (!environment) return tl::unexpected(environment.error());
    const auto probe = DigProbe::make(**environment, 0, target, check, timing);
    if (!probe) return tl::unexpected(probe.error());
    Report report = report_of(run_round(**probe, **environment));
    return DigReport{std::move(report), (*probe)->exit_status()};
}

}  // namespace dnsdirector::probe
