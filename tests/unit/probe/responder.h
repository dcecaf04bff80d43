// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <netinet/in.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "base/address.h"

namespace dnsdirector::probe::test {

using Bytes = std::vector<std::uint8_t>;

using Replies = std::vector<Bytes>;

/// What a server does with a query: the messages that it sends back.
using Answer = std::function<Replies(const Bytes& query)>;

/// The query turned into a reply with this status and no records.
Bytes reply_to(const Bytes& query, std::uint8_t rcode = 0);

/// Answers: the reply alone; and the reply with TC set, without records.
Replies right(const Bytes& query);
Replies truncated(const Bytes& query);

/// A server on a loopback address in a thread of its own, over UDP and TCP on one port.
class Responder {
public:
    enum class Tcp { answers, closes, resets, in_pieces };

    explicit Responder(Answer udp, Answer tcp = {}, Tcp how = Tcp::answers,
                       const char* address = "127.0.0.1");
    ~Responder();
    Responder(const Responder&) = delete;
    Responder& operator=(const Responder&) = delete;

    [[nodiscard]] Endpoint endpoint() const { return endpoint_; }
    [[nodiscard]] int udp_queries() const { return udp_queries_; }
    [[nodiscard]] int tcp_queries() const { return tcp_queries_; }

private:
    void serve();
    void serve_udp();
    void serve_tcp();

    Answer udp_answer_, tcp_answer_;
    Tcp how_;
    int udp_ = -1, tcp_ = -1, stop_ = -1;
    Endpoint endpoint_;
    std::atomic<int> udp_queries_{0}, tcp_queries_{0};
    std::thread thread_;
};

/// A port on which nobody listens.
Endpoint closed_port(const char* address = "127.0.0.1");

}  // namespace dnsdirector::probe::test
