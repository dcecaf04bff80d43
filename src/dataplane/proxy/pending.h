// SPDX-License-Identifier: Apache-2.0
//
// Queries that wait for an answer: a fixed number of places, taken and given back without
// allocating. When all are taken the oldest goes, which is the least likely to be answered.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/proxy/client_subnet.h"
#include "dataplane/proxy/context.h"

namespace dnsdirector::dataplane::proxy {

using PendingIndex = std::uint32_t;
inline constexpr PendingIndex no_pending = UINT32_MAX;
inline constexpr std::uint32_t no_fan_out = UINT32_MAX;

/// Of a query that a balancer in front of us brought: the balancer, to which the answer goes, and
/// whom the client asked there.
struct Brought {
    SocketAddress by;
    SocketAddress asked;
};

/// A query as it was sent to one server.
struct Attempt {
    Upstream* upstream = nullptr;
    Tally* tally = nullptr;
    TimePoint sent;
    std::uint16_t channel = 0;  ///< UDP: socket; TCP: connection
    std::uint16_t id = 0;
    bool open = false;    ///< its answer is awaited
    bool resent = false;  ///< TCP: the connection had been closed before the query came
};

struct Pending {
    static constexpr std::size_t kept_bytes = 512;

    Front* front = nullptr;
    bool tcp = false;
    bool answered = false;       ///< only late answers are waited for
    bool may_try_again = false;  ///< and is kept whole
    bool servfail_seen = false;
    bool brought = false;          ///< `how` says by whom
    Added added = Added::nothing;  ///< to the client's query; its answer loses that again
    std::uint8_t opcode = 0;
    std::uint8_t tries = 0;
    Charge failure = Charge::none;  ///< of the first try
    std::uint16_t type = 0;
    std::uint16_t client_id = 0;
    std::uint16_t question_size = 0;
    std::uint32_t size = 0;
    SocketAddress client;
    std::uint32_t client_connection = 0;  ///< TCP
    std::uint32_t client_generation = 0;
    TimePoint started;
    TimePoint due;  ///< of the timer
    std::array<Attempt, 2> attempts;
    // One of the copies of a message that goes to every server (fan_out.h); only the first
    // attempt is used, and it is answered to no client.
    std::uint32_t fan_out = no_fan_out;
    std::uint32_t copy_number = 0;
    bool counts = false;     ///< its answer does
    bool repeats = false;    ///< it may be sent again, and to the same server
    std::uint8_t sends = 0;  ///< so far
    /// The query, or of one that is longer its beginning. `whole` is where it stands until it
    /// is sent.
    std::uint8_t* whole = nullptr;
    std::array<std::uint8_t, kept_bytes + most_added> bytes;
    Brought how;

    [[nodiscard]] bool is_copy() const { return fan_out != no_fan_out; }
    [[nodiscard]] Bytes question() const { return {bytes.data() + header_size, question_size}; }
    /// Over UDP: whom the answer goes to.
    [[nodiscard]] const SocketAddress& peer() const { return brought ? how.by : client; }
    /// Whether this try leaves from the client's own address. (A balancer may bring a client of
    /// another family than the server's.)
    [[nodiscard]] bool leaves_as_client(const Upstream& upstream) const {
        return upstream.transparent && client.is_v4() == upstream.address.is_v4() &&
               !client.is_link_local();
    }
    /// Whom the client asked, as it saw it.
    [[nodiscard]] SocketAddress asked() const {
        return brought ? how.asked : SocketAddress(front->service->forwarding.key.endpoint());
    }

private:
    friend class PendingPool;
    PendingIndex older = no_pending;
    PendingIndex newer = no_pending;
    PendingIndex wheel_before = no_pending;
    PendingIndex wheel_after = no_pending;
    std::uint32_t bucket = UINT32_MAX;
};

class PendingPool {
public:
    explicit PendingPool(std::uint32_t places);

    /// no_pending when all are taken.
    PendingIndex take(TimePoint now);
    void give_back(PendingIndex index);
    [[nodiscard]] PendingIndex oldest() const { return oldest_; }
    [[nodiscard]] PendingIndex after(PendingIndex index) const { return places_[index].newer; }
    [[nodiscard]] Pending& at(PendingIndex index) { return places_[index]; }
    [[nodiscard]] const Pending& at(PendingIndex index) const { return places_[index]; }
    [[nodiscard]] PendingIndex index_of(const Pending& pending) const {
        return static_cast<PendingIndex>(&pending - places_);
    }
    [[nodiscard]] std::uint32_t taken() const { return taken_; }

    /// Timers, to a millisecond.
    void set_timer(PendingIndex index, TimePoint due, TimePoint now);
    void stop_timer(PendingIndex index);
    /// One whose time has come, its timer stopped; no_pending when there is none.
    PendingIndex next_due(TimePoint now);
    /// Milliseconds until a timer may be due; -1 when there is none.
    [[nodiscard]] int until_next(TimePoint now) const;

private:
    static constexpr std::uint32_t buckets = 4096;
    [[nodiscard]] static std::int64_t tick_of(TimePoint time) {
        return time.time_since_epoch().count() / 1'000'000;
    }
    void put_into_bucket(PendingIndex index, std::int64_t tick);

    struct Release {
        void operator()(Pending* memory) const { ::operator delete(memory); }
    };
    /// Pages that no query ever needs are never touched: a place is made when it is first taken.
    std::unique_ptr<Pending, Release> memory_;
    Pending* places_;
    PendingIndex fresh_ = 0;  ///< from it on none has been made
    PendingIndex most_;
    std::vector<PendingIndex> free_;
    PendingIndex oldest_ = no_pending;
    PendingIndex newest_ = no_pending;
    std::uint32_t taken_ = 0;
    std::array<PendingIndex, buckets> wheel_;
    std::array<std::uint64_t, buckets / 64> filled_{};
    std::int64_t hand_ = 0;  ///< all buckets of ticks before it are empty
    std::uint32_t timers_ = 0;
};

}  // namespace dnsdirector::dataplane::proxy
