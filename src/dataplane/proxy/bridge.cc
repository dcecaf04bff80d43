// SPDX-License-Identifier: Apache-2.0
//
// The plane's part in a re-execution: parks the workers, and lets children go on in their place.
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "dataplane/proxy/handover.h"
#include "dataplane/proxy/plane.h"

namespace dnsdirector::dataplane::proxy {
namespace {

// A machine on which a process does not get to run for so long has other troubles.
constexpr Nanoseconds fork_patience = Seconds{5};

/// Closes all but these: among the others is the lock of the run directory, which the successor
/// will want.
void keep_only(std::vector<int> kept) {
    std::sort(kept.begin(), kept.end());
    unsigned from = 0;
    for (const int descriptor : kept) {
        const auto number = static_cast<unsigned>(descriptor);
        if (number > from) (void)close_range(from, number - 1, 0);
        from = number + 1;
    }
    (void)close_range(from, ~0U, 0);
}

[[noreturn]] void become_bridge(Worker& worker, int end) {
    for (const int number : {SIGHUP, SIGUSR2, SIGPIPE})
        (void)std::signal(number, SIG_IGN);
    for (const int number : {SIGTERM, SIGINT})
        (void)std::signal(number, SIG_DFL);
    (void)prctl(PR_SET_NAME, "dns-bridge");
    std::vector<int> kept = worker.descriptors();
    kept.insert(kept.end(), {end, STDERR_FILENO});
    keep_only(std::move(kept));
    worker.run_as_bridge(end);
    _exit(0);
}

}  // namespace

/// Grandchildren, so that they are nobody's business but their own. Returns when each has let go
/// what is not its own: a lock that one of them still had would end the successor.
void Plane::fork_bridges(int end) {
    int held[2];
    if (pipe2(held, O_CLOEXEC) != 0) return;
    const pid_t child = fork();
    if (child == 0) {
        for (const auto& worker : workers_)
            if (fork() == 0) become_bridge(*worker, end);
        _exit(0);
    }
    ::close(held[1]);
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    pollfd polled{held[0], POLLIN, 0};
    (void)poll(&polled, 1, static_cast<int>(fork_patience / Milliseconds{1}));
    ::close(held[0]);
}

/// What a successor goes on with before it has read its configuration; without the sockets.
Handover Plane::as_served() const {
    Handover handover;
    handover.forwarding = forwarding_;
    handover.wishes = wishes_;
    return handover;
}

std::optional<KeptOverExec> Plane::prepare_handover() {
    // The successor shuts its end for writing; when the bridges have left the sockets it reads
    // that there is nobody any more.
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return std::nullopt;
    Handover handover = as_served();
    handover.bridge = ends[1];
    for (const auto& [key, held] : held_)
        for (const int socket : held.listener->own())
            handover.sockets.push_back(socket);
    for (const auto& [key, sockets] : lent_)
        handover.lent.insert(handover.lent.end(), sockets.begin(), sockets.end());
    const int file = write_handover(handover);
    if (file < 0) {
        ::close(ends[0]);
        ::close(ends[1]);
        return std::nullopt;
    }
    for (const auto& worker : workers_)
        worker->park();
    parked_ = true;
    // Where there can be no children what comes waits in the sockets.
    fork_bridges(ends[0]);
    bridge_ = ends[1];
    ::close(ends[0]);
    KeptOverExec kept{.variable = handover_variable, .descriptor = file, .others = {}};
    kept.others = handover.sockets;
    kept.others.insert(kept.others.end(), handover.lent.begin(), handover.lent.end());
    kept.others.push_back(bridge_);
    return kept;
}

void Plane::resume() {
    if (!std::exchange(parked_, false)) return;
    end_bridge();
    for (const auto& worker : workers_)
        worker->unpark();
}

void Plane::end_bridge() {
    if (bridge_ < 0) return;
    if (ended_bridge_ >= 0) ::close(ended_bridge_);
    ended_bridge_ = std::exchange(bridge_, -1);
    if (shutdown(ended_bridge_, SHUT_WR) == 0) return;
    ::close(std::exchange(ended_bridge_, -1));  // an earlier version's pipe
}

/// A bridge ends with us where systemd stops the unit, and the queries that it took with it.
void Plane::wait_for_bridges(Nanoseconds patience) const {
    pollfd polled{ended_bridge_, POLLIN, 0};
    if (ended_bridge_ >= 0) (void)poll(&polled, 1, static_cast<int>(patience / Milliseconds{1}));
}

}  // namespace dnsdirector::dataplane::proxy
