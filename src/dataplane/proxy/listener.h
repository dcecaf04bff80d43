// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "core/model.h"

namespace dnsdirector::dataplane::proxy {

/// Where one service is asked: a socket for each worker on the same address and port
/// (SO_REUSEPORT), among which the kernel spreads clients. Bound to the service IP, so that
/// replies leave from it; whether the machine has that address may come later (IP_FREEBIND).
class Listener {
public:
    /// Errors: no right to the port, or somebody else's program has it.
    static Result<std::shared_ptr<Listener>> open(const core::ServiceKey& key, std::size_t workers);
    /// With a predecessor's sockets; opens what is missing, closes what is too much.
    static Result<std::shared_ptr<Listener>> adopt(const core::ServiceKey& key,
                                                   std::vector<int> sockets, std::size_t workers);
    Listener(const core::ServiceKey& key, std::vector<int> sockets)
        : key_(key), sockets_(std::move(sockets)) {}
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    [[nodiscard]] const core::ServiceKey& key() const { return key_; }
    [[nodiscard]] int socket(std::size_t worker) const { return sockets_[worker]; }
    [[nodiscard]] const std::vector<int>& sockets() const { return sockets_; }
    /// TCP: no connection is taken any more.
    void close_door();

private:
    core::ServiceKey key_;
    std::vector<int> sockets_;
};

/// A non-blocking UDP socket with the buffers and options of this plane; -1 with errno.
[[nodiscard]] int open_udp(Family family);
[[nodiscard]] int open_tcp(Family family);

}  // namespace dnsdirector::dataplane::proxy
