// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/time.h"

namespace dnsdirector::probe {

/// A hashed timing wheel (Varghese and Lauck, 1987, scheme 6): arming and
/// disarming cost the same for ten timers and for ten thousand, and allocate
/// nothing. One tick is a millisecond; a timer fires at the first tick at or
/// after its time, never before. Timers farther away than a turn of the wheel
/// stay in their slot and are looked at once a turn.
class TimerWheel {
public:
    struct Node {
        explicit Node(std::uint64_t owner = 0) : token(owner) {}
        Node(const Node&) = delete;
        Node& operator=(const Node&) = delete;
        ~Node() { unlink(); }

        [[nodiscard]] bool armed() const { return next != nullptr; }
        void unlink();

        std::uint64_t token;  ///< what the owner of the wheel knows it by
        std::int64_t tick = 0;
        Node* previous = nullptr;
        Node* next = nullptr;
    };

    explicit TimerWheel(TimePoint start);

    /// Arms or moves a timer. A time that has passed fires with the next pop().
    void arm(Node& node, TimePoint due);
    static void disarm(Node& node) { node.unlink(); }

    /// One timer whose time has come, disarmed; nullptr when there is none.
    Node* pop(TimePoint now);

    /// When pop() will next have something. May be early by whole turns of the
    /// wheel for timers that lie far ahead, never late.
    [[nodiscard]] std::optional<TimePoint> next() const;

    static constexpr Nanoseconds tick_length = Milliseconds{1};
    static constexpr std::size_t slots = 8192;

private:
    static constexpr std::size_t words = slots / 64;

    [[nodiscard]] std::int64_t tick_at_or_after(TimePoint time) const;
    /// Distance from `tick` (exclusive) to the next slot in use, 1 to `slots`.
    [[nodiscard]] std::optional<std::int64_t> distance_to_next(std::int64_t tick) const;
    void collect(std::int64_t slot_tick, std::int64_t now_tick);
    static void append(Node& head, Node& node);

    TimePoint start_;
    std::int64_t current_ = 0;  ///< all slots up to this tick are collected
    std::array<Node, slots> heads_;
    std::array<std::uint64_t, words> used_{};
    Node expired_;
};

}  // namespace dnsdirector::probe
