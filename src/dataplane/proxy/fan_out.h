// SPDX-License-Identifier: Apache-2.0
//
// A client's message that goes to every server of a service (to_all.h): a NOTIFY (RFC 1996),
// whose receivers each have to learn of the change, or an UPDATE (RFC 2136) where each keeps
// a copy of its own. For each server a copy waits in the pool of queries, as any query does, and
// so its answer is matched, timed out and waited for in a stop; here is what they have in common.
//
// The client gets an answer when as many servers in service as wanted said NOERROR: the first
// of these answers; or as soon as they cannot any more: the one that tells most. A NOTIFY is sent
// again, a few times, to who is silent or refuses (RFC 1996, section 3.6: it does no harm); an
// UPDATE goes to each server once.
#pragma once

#include <memory>
#include <vector>

#include "dataplane/proxy/queries.h"
#include "dataplane/proxy/to_all.h"

namespace dnsdirector::dataplane::proxy {

class FanOuts {
public:
    /// At most so many copies wait at a time.
    FanOuts(Context& context, Queries& queries, std::uint32_t most_copies);

    /// A message that the service's ToAll takes. What `refusal` holds then is the answer; none:
    /// there will be one, or there is none by intent.
    void begin(const Queries::From& from, const Query& query, std::uint8_t* message,
               std::size_t size, Queries::Refusal& refusal);

    // What became of a copy.
    void on_answer(Pending& copy, const std::uint8_t* message, std::size_t size);
    void on_refused(Pending& copy);
    void on_timer(Pending& copy);
    /// Its time is over, or its place is taken.
    void give_up(Pending& copy);

    /// There is a new table: of a NOTIFY, who is out of service now does not count any more.
    void on_table();

private:
    struct FanOut {
        std::uint32_t index = 0;
        bool used = false;
        bool starting = false;
        bool answered = false;  ///< the client is, …
        bool failed = false;    ///< … with `no`
        Pending client;         ///< as it would wait for one server; not in the pool
        std::vector<std::uint8_t> message;
        std::vector<std::uint8_t> yes;  ///< the first NOERROR
        std::vector<std::uint8_t> no;   ///< the most telling of the others
        std::uint8_t telling = 0;       ///< how much that one tells
        std::vector<PendingIndex> copies;
        std::uint32_t wished = 0;    ///< answers; 0: of all who count
        std::uint32_t open = 0;      ///< copies that wait
        std::uint32_t hopeful = 0;   ///< of these, who count
        std::uint32_t counting = 0;  ///< who count, answered or not
        std::uint32_t agreed = 0;    ///< of these, NOERROR
    };

    [[nodiscard]] FanOut& of(const Pending& copy) { return *fan_outs_[copy.fan_out]; }
    [[nodiscard]] FanOut* running(const Queries::From& from, const std::uint8_t* message,
                                  std::size_t size);
    [[nodiscard]] FanOut* take(std::size_t copies);
    void make_copy(FanOut& all, const Queries::From& from, const Query& query,
                   const ToAll::Member& member);
    bool send(Pending& copy);
    void arm(Pending& copy);
    void end(Pending& copy);
    void settle(FanOut& all);
    void answer(FanOut& all);
    void release(FanOut& all);

    Context& context_;
    Queries& queries_;
    std::uint32_t most_copies_;
    std::uint32_t copies_ = 0;
    std::vector<std::unique_ptr<FanOut>> fan_outs_;
    std::vector<std::uint32_t> free_;
};

}  // namespace dnsdirector::dataplane::proxy
