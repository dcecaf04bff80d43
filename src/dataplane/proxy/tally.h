// SPDX-License-Identifier: Apache-2.0
//
// Counters that one worker writes and the director's thread reads: no two threads write the
// same, so that a plain store suffices and no cache line is fought over.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace dnsdirector::dataplane::proxy {

/// Written by one thread only.
class Counter {
public:
    void add(std::uint64_t more) {
        value_.store(value_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

struct alignas(64) CountPart {
    Counter packets;  ///< queries
    Counter bytes;    ///< of DNS messages
};

/// Of a service, or of a server in a service; one part for each worker.
struct Tally {
    explicit Tally(std::size_t workers) : parts(workers) {}
    std::vector<CountPart> parts;

    [[nodiscard]] CountPart& of(std::size_t worker) { return parts[worker]; }
};

/// Why a message was not handed on.
enum class Drop : std::uint8_t {
    not_a_query,   ///< no header, or a response
    malformed,     ///< answered with FORMERR
    no_server,     ///< answered with SERVFAIL
    overload,      ///< its place was taken by a newer query
    unanswered,    ///< no server answered in time
    send_failed,   ///< the kernel would not send it
    late_answer,   ///< of a server whose query another one had answered
    stray_answer,  ///< nobody waits for it: wrong port, ID or sender
    wrong_answer,  ///< not to the question
    tcp_limit,     ///< a connection too many
    client_gone,   ///< an answer to a connection that is closed
    proxy_header,  ///< from a balancer in front of us, without a PROXY header or with a bad one
    not_allowed,   ///< of a client that may not send to all servers: answered with REFUSED
    to_all_limit,  ///< for all servers, and too many copies wait
};
inline constexpr std::array<std::string_view, 14> drop_names = {
    "not-a-query", "malformed",    "no-server",    "overload",     "unanswered",
    "send-failed", "late-answer",  "stray-answer", "wrong-answer", "tcp-limit",
    "client-gone", "proxy-header", "not-allowed",  "to-all-limit"};

/// What else happened.
enum class Event : std::uint8_t {
    retry_refused,      ///< asked another server, since the first refused (ICMP, reset)
    retry_silent,       ///< since it was silent
    retry_servfail,     ///< since it answered SERVFAIL
    budget_spent,       ///< would have asked another server
    rescued,            ///< another server's answer was the client's
    servfail_sent,      ///< answered SERVFAIL in the place of servers that did not answer
    tcp_accepted,       ///< connections of clients
    tcp_connected,      ///< connections to servers
    tcp_reused,         ///< queries that found one to be used
    to_all,             ///< NOTIFY and UPDATE that went to every server
    to_all_again,       ///< a NOTIFY to one of them, again
    to_all_unanswered,  ///< one of them did not answer
    to_all_failed,      ///< the client could not be answered NOERROR
    to_all_repeated,    ///< the client asked again meanwhile
};
inline constexpr std::array<std::string_view, 14> event_names = {
    "retry-refused", "retry-silent",      "retry-servfail", "retry-budget-spent", "rescued",
    "servfail-sent", "tcp-accepted",      "tcp-connected",  "tcp-reused",         "to-all",
    "to-all-again",  "to-all-unanswered", "to-all-failed",  "to-all-repeated"};

/// Of one worker.
struct alignas(64) Happenings {
    std::array<Counter, drop_names.size()> drops;
    std::array<Counter, event_names.size()> events;

    void drop(Drop reason, std::uint64_t more = 1) {
        drops[static_cast<std::size_t>(reason)].add(more);
    }
    void note(Event event, std::uint64_t more = 1) {
        events[static_cast<std::size_t>(event)].add(more);
    }
};

}  // namespace dnsdirector::dataplane::proxy
