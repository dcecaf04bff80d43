// SPDX-License-Identifier: Apache-2.0
//
// The client's side of TCP (RFC 9293) in user space: a handshake, one small message sent, what
// comes back put in order, and an end. For checks through the service IP, whose packets no
// socket of the kernel can send. No input and no output here: segments go in, and what is to
// be sent is taken out.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/time.h"
#include "probe/frame.h"

namespace dnsdirector::probe {

class TcpClient {
public:
    enum class State : std::uint8_t {
        idle,
        connecting,  ///< SYN sent
        established,
        finishing,  ///< our FIN is sent, the server's has not come
        finished,   ///< both FINs; answers those that come again
        broken,     ///< refused, reset or given up; answers what comes with a reset
    };
    /// Why it is broken.
    enum class Fault : std::uint8_t { none, refused, reset, given_up };
    struct Segment {
        TcpFields fields;
        std::span<const std::uint8_t> payload;  ///< of what begin() was given
    };

    /// Acknowledgements of what begin() sends lie within so many sequence numbers from the
    /// first one on, so that the rest of a number's bits can say whose it is.
    static constexpr std::uint32_t numbers = 1024;
    static constexpr std::size_t longest_message = numbers - 4;

    /// Connects, and sends `message` with the end of the handshake; it must live until the end.
    void begin(std::uint32_t first_number, std::span<const std::uint8_t> message,
               std::uint16_t max_segment, TimePoint now);
    void take(const TcpFields& fields, std::span<const std::uint8_t> payload, TimePoint now);
    void on_timer(TimePoint now);
    /// Nothing more is wanted: ends the connection in order.
    void finish();
    /// Ends it by a reset, where the server has one.
    void abort();

    /// What came and was not dropped, in order.
    [[nodiscard]] std::span<const std::uint8_t> received() const {
        return std::span(received_).subspan(dropped_);
    }
    void drop(std::size_t size);

    /// What must be sent now. Call it after looking at received(): a FIN then goes with the
    /// acknowledgement.
    [[nodiscard]] std::vector<Segment> take_output();
    /// When on_timer() is due.
    [[nodiscard]] std::optional<TimePoint> timer() const { return timer_; }
    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] Fault fault() const { return fault_; }
    /// The server has sent everything, and it has all come.
    [[nodiscard]] bool server_is_done() const { return server_done_; }
    /// What the server's next byte has.
    [[nodiscard]] std::uint32_t awaited_number() const { return awaited_; }

private:
    /// A server's whole message of 64 KiB and as much that came too early.
    static constexpr std::size_t room = 131072;
    static constexpr Nanoseconds first_wait = Milliseconds{200};

    [[nodiscard]] std::uint16_t window() const;
    [[nodiscard]] std::uint32_t end_number() const;
    void take_handshake(const TcpFields& fields, TimePoint now);
    void clear_earlier(const TcpFields& fields);
    void take_reset(const TcpFields& fields);
    void take_acknowledgement(const TcpFields& fields, TimePoint now);
    void take_payload(std::uint32_t sequence, std::span<const std::uint8_t> payload, bool fin);
    void append(std::span<const std::uint8_t> payload);
    void join_early();
    void send(std::uint8_t flags, std::uint32_t sequence,
              std::span<const std::uint8_t> payload = {});
    void send_message(std::size_t from);
    void break_off(Fault fault);

    State state_ = State::idle;
    Fault fault_ = Fault::none;
    std::uint32_t first_ = 0;         ///< of the SYN
    std::uint32_t acknowledged_ = 0;  ///< our numbers before this one have arrived
    std::uint32_t awaited_ = 0;
    std::span<const std::uint8_t> message_;
    std::uint16_t max_segment_ = 0, server_max_segment_ = 0;
    bool acknowledge_ = false;
    bool server_done_ = false;
    bool cleared_earlier_ = false;
    std::optional<std::uint32_t> fin_at_;  ///< the server's, before which something is missing
    std::vector<std::uint8_t> received_;
    std::size_t dropped_ = 0;
    /// What came too early, by its distance from the server's first number.
    std::map<std::uint32_t, std::vector<std::uint8_t>> early_;
    std::size_t early_size_ = 0;
    std::uint32_t server_first_ = 0;
    std::optional<TimePoint> timer_;
    Nanoseconds wait_{0};
    std::vector<Segment> output_;
};

}  // namespace dnsdirector::probe
