// SPDX-License-Identifier: Apache-2.0
#include "probe/ask_once.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>

#include "probe/clock.h"
#include "probe/descriptor.h"
#include "probe/dns_probe.h"

namespace dnsdirector::probe {

Result<Report> ask_once(const Endpoint& target, const core::DnsCheck& check,
                        const core::CheckTiming& timing) {
    const Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll.open()) return fail_errno("cannot create an epoll instance for the probe", errno);
    const auto environment = std::make_unique<Environment>(epoll.get());
    Result<std::unique_ptr<Probe>> probe = DnsProbe::make(*environment, 0, target, check, timing);
    if (!probe) return tl::unexpected(probe.error());

    Probe::Progress progress = (*probe)->start(now());
    while (!progress) {
        const Nanoseconds left = (*probe)->wake() - now();
        const auto wait = std::chrono::ceil<Milliseconds>(std::max(left, Nanoseconds{0}));
        epoll_event event{};
        const int events = ::epoll_wait(epoll.get(), &event, 1, static_cast<int>(wait.count()));
        if (events > 0) progress = (*probe)->on_event(now());
        if (!progress && (*probe)->wake() <= now()) progress = (*probe)->on_timeout(now());
    }
    return Report{{progress->failure, std::move(progress->reason), progress->rtt, now(), wall_now(),
                   std::move(progress->reply)},
                  progress->rcode};
}

}  // namespace dnsdirector::probe
