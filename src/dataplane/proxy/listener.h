// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "core/model.h"

namespace dnsdirector::dataplane::proxy {

/// Where one service is asked: a socket for each worker (or several, sockets_for_worker()) on the
/// same address and port (SO_REUSEPORT), among which the kernel spreads clients. Bound to the
/// service IP, so that replies leave from it; whether the machine has that address may come later
/// (IP_FREEBIND).
class Listener {
public:
    /// With sockets that are there: a predecessor's, of which none is closed, since its part of
    /// the clients' queries waits in each, or (the first so many) copies of what a socket unit of
    /// systemd's lent. Opens what is missing; where that is not allowed workers share. Errors:
    /// there are none, and no right to the port, or somebody else's program has it.
    static Result<std::shared_ptr<Listener>> adopt(const core::ServiceKey& key,
                                                   std::vector<int> sockets, std::size_t workers,
                                                   std::size_t lent = 0);
    Listener(const core::ServiceKey& key, std::vector<int> sockets, std::size_t workers,
             std::size_t lent)
        : key_(key), sockets_(std::move(sockets)), workers_(workers), lent_(lent) {}
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    [[nodiscard]] const core::ServiceKey& key() const { return key_; }
    /// By which a worker answers; all have the same address.
    [[nodiscard]] int socket(std::size_t worker) const {
        return sockets_[worker % sockets_.size()];
    }
    /// Those that it reads.
    [[nodiscard]] std::vector<int> sockets_of(std::size_t worker) const;
    [[nodiscard]] const std::vector<int>& sockets() const { return sockets_; }
    /// Without those that were lent.
    [[nodiscard]] std::span<const int> own() const { return std::span(sockets_).subspan(lent_); }
    /// TCP: no connection is taken any more, but by what was lent.
    void close_door();

private:
    core::ServiceKey key_;
    std::vector<int> sockets_;
    std::size_t workers_;
    std::size_t lent_;
};

/// Makes a socket that systemd opened, or kept, what one of ours is. What had to be said before
/// bind() is the socket unit's to say.
void make_ours(int socket);

/// How many UDP sockets a worker has at a service, so that together they hold what comes while it
/// does not read: one where the system gives as large a buffer as was asked for, more where
/// net.core.rmem_max stands in the way. `granted`: of one socket, as SO_RCVBUF says.
[[nodiscard]] std::size_t sockets_for_worker(int granted);

/// A non-blocking UDP socket with the buffers and options of this plane; -1 with errno.
[[nodiscard]] int open_udp(Family family);
[[nodiscard]] int open_tcp(Family family);

}  // namespace dnsdirector::dataplane::proxy
