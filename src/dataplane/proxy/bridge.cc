// SPDX-License-Identifier: Apache-2.0
//
// The plane's part in a re-execution: parks the workers, and lets children go on in their place.
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
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

[[noreturn]] void become_bridge(Worker& worker, int pipe) {
    for (const int number : {SIGHUP, SIGUSR2, SIGPIPE})
        (void)std::signal(number, SIG_IGN);
    for (const int number : {SIGTERM, SIGINT})
        (void)std::signal(number, SIG_DFL);
    (void)prctl(PR_SET_NAME, "dns-bridge");
    std::vector<int> kept = worker.descriptors();
    kept.insert(kept.end(), {pipe, STDERR_FILENO});
    keep_only(std::move(kept));
    worker.run_as_bridge(pipe);
    _exit(0);
}

}  // namespace

/// Grandchildren, so that they are nobody's business but their own.
bool Plane::fork_bridges(int pipe) {
    const pid_t child = fork();
    if (child < 0) return false;
    if (child == 0) {
        for (const auto& worker : workers_)
            if (fork() == 0) become_bridge(*worker, pipe);
        _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return true;
}

/// What a successor goes on with before it has read its configuration; without the sockets.
Handover Plane::as_served() const {
    Handover handover;
    handover.forwarding = forwarding_;
    handover.proxy_protocol = proxy_protocol_;
    handover.transparent = transparent_;
    handover.client_subnets = client_subnets_;
    handover.to_all = to_all_;
    return handover;
}

std::optional<KeptOverExec> Plane::prepare_handover() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
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
    if (fork_bridges(ends[0]))
        bridge_ = ends[1];
    else
        ::close(ends[1]);
    ::close(ends[0]);
    KeptOverExec kept{.variable = handover_variable, .descriptor = file, .others = {}};
    kept.others = handover.sockets;
    kept.others.insert(kept.others.end(), handover.lent.begin(), handover.lent.end());
    if (bridge_ >= 0) kept.others.push_back(bridge_);
    return kept;
}

void Plane::resume() {
    if (!std::exchange(parked_, false)) return;
    end_bridge();
    for (const auto& worker : workers_)
        worker->unpark();
}

void Plane::end_bridge() {
    if (bridge_ >= 0) ::close(std::exchange(bridge_, -1));
}

}  // namespace dnsdirector::dataplane::proxy
