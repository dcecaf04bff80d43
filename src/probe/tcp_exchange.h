// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "probe/socket.h"

namespace dnsdirector::probe {

/// Replies to other questions that a round over TCP bears: whoever sends more
/// would keep the event loop from everybody else.
inline constexpr std::uint32_t most_ignored_over_tcp = 100;

/// One question and its answer over a TCP connection of its own (RFC 1035,
/// 4.2.2; RFC 7766). Driven by trying: advance() does what can be done now.
class TcpExchange {
public:
    enum class State : std::uint8_t {
        pending,  ///< more events are needed
        reply,    ///< `reply()` holds a message
        closed,   ///< the server ended the connection before its answer was whole
        failed,   ///< `outcome()` says how
    };

    TcpExchange(Environment& environment, std::uint64_t token)
        : environment_(environment), token_(token), socket_(environment.sockets) {}
    virtual ~TcpExchange() = default;
    TcpExchange(const TcpExchange&) = delete;
    TcpExchange& operator=(const TcpExchange&) = delete;

    /// Connects; `framed` (the query with its length) must live until the end.
    State begin(const Path& path, std::span<const std::uint8_t> framed);
    State advance();
    /// Forgets the reply that advance() gave, to wait for another.
    void drop_reply();
    virtual void end() { socket_.close(); }
    [[nodiscard]] bool active() const { return socket_.is_open(); }
    /// Connected, and not yet far enough to have asked (TLS).
    [[nodiscard]] virtual bool in_handshake() const { return false; }
    /// Connected, and the whole query handed to the kernel.
    [[nodiscard]] bool sent() const { return unsent_.empty(); }

    /// Valid until the next call into any probe of the environment.
    [[nodiscard]] std::span<const std::uint8_t> reply() const { return reply_; }
    [[nodiscard]] const Outcome& outcome() const { return outcome_; }

protected:
    // What TLS does otherwise. As send(2) and recv(2) in their results.
    virtual bool prepare() { return true; }  ///< false with errno
    virtual ssize_t write(std::span<const std::uint8_t> bytes);
    virtual ssize_t read(std::span<std::uint8_t> into);
    [[nodiscard]] virtual Outcome outcome_of_error(int error) const;

private:
    State send_rest();
    State receive();
    [[nodiscard]] std::span<const std::uint8_t> waiting() const {
        return std::span(partial_).subspan(dropped_);
    }
    State fail_with(Outcome outcome);

    Environment& environment_;
    std::uint64_t token_;
    Socket socket_;
    std::span<const std::uint8_t> unsent_;
    std::vector<std::uint8_t> partial_;  ///< of an answer that comes in pieces
    std::size_t dropped_ = 0;            ///< bytes of partial_ that nobody wants any more
    std::span<const std::uint8_t> reply_;
    bool reply_in_buffer_ = false;  ///< not in partial_
    Outcome outcome_;
};

}  // namespace dnsdirector::probe
