// SPDX-License-Identifier: Apache-2.0
#include "probe/prober.h"

#include <sys/epoll.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>

#include "probe/scheduler.h"

namespace dnsdirector::probe {
namespace {

/// Files the rest of the director may need.
constexpr rlim_t reserved_files = 512;
/// A socket kept for each of 32,768 checks, and as many again while all are renewed.
constexpr rlim_t wished_files = 65536 + reserved_files;

/// Raises the limit of open files as far as it is useful and allowed; what is
/// left for sockets. Above the hard limit only a privileged process gets.
std::size_t make_room_for_sockets() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return reserved_files;
    const rlimit high{std::max(limit.rlim_cur, wished_files),
                      std::max(limit.rlim_max, wished_files)};
    const rlimit allowed{std::max(limit.rlim_cur, std::min(limit.rlim_max, wished_files)),
                         limit.rlim_max};
    if (limit.rlim_cur < wished_files && ::setrlimit(RLIMIT_NOFILE, &high) != 0)
        ::setrlimit(RLIMIT_NOFILE, &allowed);
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur > 2 * reserved_files ? limit.rlim_cur - reserved_files
                                               : limit.rlim_cur / 2;
}

}  // namespace

Result<std::unique_ptr<Prober>> Prober::create(ProberSettings settings) {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll.open()) return fail_errno("cannot create an epoll instance for the checks", errno);
    return std::make_unique<Scheduler>(std::move(settings), std::move(epoll),
                                       make_room_for_sockets(), files);
}

}  // namespace dnsdirector::probe
