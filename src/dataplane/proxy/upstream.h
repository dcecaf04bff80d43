// SPDX-License-Identifier: Apache-2.0
//
// A real server as the workers know it: how long it takes to answer, how many of its answers
// are awaited, and what speaks against it. Services share it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/time.h"
#include "core/model.h"
#include "dataplane/proxy/socket_address.h"

namespace dnsdirector::dataplane::proxy {

/// What a server's answers to queries (not to checks) say against it.
enum class Charge : std::uint8_t { none, refuses, silent, servfails };

/// How one worker finds a server. Only that worker touches it.
class alignas(64) UpstreamPart {
public:
    std::uint32_t outstanding = 0;

    /// An answer came after `rtt`; `good`: not SERVFAIL.
    void answered(Nanoseconds rtt, TimePoint now, bool good);
    /// After so much silence another server is asked (RFC 6298's SRTT + 4 RTTVAR, bounded).
    [[nodiscard]] Nanoseconds patience() const;
    /// Smoothed; 0 before the first answer.
    [[nodiscard]] Nanoseconds smoothed() const { return srtt_; }
    /// Rises at once with an answer that took long, falls slowly (as in Finagle's balancer).
    [[nodiscard]] double peak(TimePoint now) const;

    /// It failed a query; `beaten`: which another server then answered well. Returns the charge
    /// when it is time to bring it.
    Charge failed(Charge how, bool beaten, TimePoint now);
    [[nodiscard]] bool doubtful() const { return failures_ != 0; }

private:
    Nanoseconds srtt_{0};
    Nanoseconds rttvar_{0};
    double peak_ = 0;  ///< nanoseconds
    TimePoint peak_at_;
    TimePoint last_answer_;
    std::uint32_t failures_ = 0;  ///< in a row, of the kind below
    Charge kind_ = Charge::none;
};

struct Upstream : std::enable_shared_from_this<Upstream> {
    Upstream(const Endpoint& server, Protocol over, bool proxy_header, std::size_t workers,
             bool as_client = false)
        : endpoint(server),
          protocol(over),
          address(server),
          proxy_protocol(proxy_header),
          transparent(as_client),
          parts(workers) {}

    const Endpoint endpoint;
    const Protocol protocol;
    const SocketAddress address;
    const bool proxy_protocol;
    const bool transparent;  ///< it is asked from the client's own address
    std::vector<UpstreamPart> parts;
    /// Set by a worker, taken by the director's thread.
    std::atomic<Charge> charge{Charge::none};
};

}  // namespace dnsdirector::dataplane::proxy
