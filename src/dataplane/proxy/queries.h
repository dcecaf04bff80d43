// SPDX-License-Identifier: Apache-2.0
//
// What happens to a query, whatever carries it: which server it goes to, when it goes to a
// second one, and what the client gets in the end.
#pragma once

#include "dataplane/proxy/handover.h"
#include "dataplane/proxy/pending.h"

namespace dnsdirector::dataplane::proxy {

class FanOuts;

/// UDP or TCP.
class Transport {
public:
    virtual ~Transport() = default;
    /// Sends the query to attempts[which].upstream, with an ID of its own in attempts[which].id.
    /// False: there was no way to; nothing is awaited then.
    virtual bool send(Pending& pending, std::size_t which) = 0;
    /// The same, which was sent and is awaited, once more, with the same ID (UDP).
    virtual void send_again(Pending& pending, std::size_t which) = 0;
    /// The answer that waited is not awaited any more.
    virtual void forget(Pending& pending, std::size_t which) = 0;
    /// A whole message with the client's ID. `lasts`: it stays where it is until the transport's
    /// present batch is sent.
    virtual void deliver(Pending& pending, const std::uint8_t* message, std::size_t size,
                         bool lasts) = 0;
    /// The client gets no answer.
    virtual void given_up(Pending& pending) = 0;
};

class Queries {
public:
    Queries(Context& context, std::uint32_t places);
    ~Queries();
    Queries(const Queries&) = delete;
    Queries& operator=(const Queries&) = delete;
    void set_transports(Transport& udp, Transport& tcp) {
        udp_ = &udp;
        tcp_ = &tcp;
    }

    /// A message of a client: counted, read, and handed to a server. Null where it is done with;
    /// what `refusal` holds then (its size, 0 for nothing) is the answer. A message that is too
    /// long to be kept (Pending::kept_bytes) stays where it is until it is sent.
    struct Refusal {
        std::array<std::uint8_t, header_size + largest_question> bytes;
        std::size_t size = 0;
        bool answered = false;  ///< by deliver() already, or later
    };
    struct From {
        Front& front;
        const SocketAddress& client;
        bool tcp = false;
        std::uint32_t connection = 0;
        std::uint32_t generation = 0;
        const Brought* brought = nullptr;  ///< by a balancer in front of us; null: by the client
    };
    Pending* begin(const From& from, std::uint8_t* message, std::size_t size, Refusal& refusal);

    enum class Answer : std::uint8_t {
        delivered,  ///< to the client
        kept,       ///< it is not the answer yet, or nobody's any more
        wrong,      ///< not to this question: the right one may still come
    };
    /// A server's message with the ID of this attempt.
    Answer on_answer(Pending& pending, std::size_t which, std::uint8_t* message, std::size_t size);
    /// ICMP said that nobody is there, or the connection went. `blames`: the server is to be
    /// held to it.
    void on_refused(Pending& pending, std::size_t which, bool blames = true);
    /// Nobody waits for the answer any more.
    void abandon(Pending& pending);
    /// Time has passed.
    void on_time();
    /// The fronts have another table.
    void on_table();

    [[nodiscard]] PendingPool& pool() { return pool_; }
    /// Whose clients have no answer yet.
    [[nodiscard]] std::uint32_t waiting() const { return pool_.taken() - answered_; }
    /// As waiting(), over UDP.
    [[nodiscard]] bool any_over_udp() const;
    /// Those over UDP that a successor may ask once more, the oldest first, as clients sent them.
    void add_unanswered(std::vector<LeftQuery>& to);
    /// Until on_time() has something to do, in milliseconds; -1: nothing waits.
    [[nodiscard]] int patience() const;

private:
    friend class FanOuts;
    [[nodiscard]] Transport& transport(const Pending& pending) const {
        return pending.tcp ? *tcp_ : *udp_;
    }
    void fill(Pending& pending, const From& from, const Query& query, std::uint8_t* message,
              std::size_t size);
    Pending& place(const From& from, const Query& query, std::uint8_t* message, std::size_t size);
    bool attempt(Pending& pending, const Target& target);
    /// For the first time, or again while its answer is awaited; counted. False: there was no way
    /// to.
    bool send(Pending& pending, std::size_t which);
    bool try_again(Pending& pending, Charge how);
    [[nodiscard]] bool may_spend(Front& front);
    void close(Pending& pending, std::size_t which);
    void charge(Upstream& upstream, Charge how, bool beaten);
    void on_silence(Pending& pending);
    void give_servfail(Pending& pending);
    void finish(Pending& pending);
    void release(Pending& pending);
    void arm(Pending& pending, std::size_t which);

    Context& context_;
    PendingPool pool_;
    std::unique_ptr<FanOuts> fan_outs_;
    std::uint32_t answered_ = 0;  ///< of those in the pool
    Transport* udp_ = nullptr;
    Transport* tcp_ = nullptr;
};

}  // namespace dnsdirector::dataplane::proxy
