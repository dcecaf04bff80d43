// SPDX-License-Identifier: Apache-2.0
#include "probe/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace dnsdirector::probe {

void TimerWheel::Node::unlink() {
    if (next == nullptr) return;
    previous->next = next;
    next->previous = previous;
    previous = next = nullptr;
}

TimerWheel::TimerWheel(TimePoint start) : start_(start) {
    for (Node& head : heads_)
        head.previous = head.next = &head;
    expired_.previous = expired_.next = &expired_;
}

void TimerWheel::append(Node& head, Node& node) {
    node.previous = head.previous;
    node.next = &head;
    head.previous->next = &node;
    head.previous = &node;
}

std::int64_t TimerWheel::tick_at_or_after(TimePoint time) const {
    return (time - start_ + tick_length - Nanoseconds{1}) / tick_length;
}

void TimerWheel::arm(Node& node, TimePoint due) {
    node.unlink();
    node.tick = tick_at_or_after(due);
    if (node.tick <= current_) {
        append(expired_, node);
        return;
    }
    const std::size_t slot = static_cast<std::size_t>(node.tick) % slots;
    append(heads_[slot], node);
    used_[slot / 64] |= std::uint64_t{1} << slot % 64;
}

std::optional<std::int64_t> TimerWheel::distance_to_next(std::int64_t tick) const {
    const std::size_t first = static_cast<std::size_t>(tick + 1) % slots;
    for (std::size_t step = 0; step <= words; ++step) {
        const std::size_t word = (first / 64 + step) % words;
        std::uint64_t bits = used_[word];
        // The first word is looked at twice: behind `first`, and at last before it.
        const std::uint64_t behind = ~std::uint64_t{0} << first % 64;
        if (step == 0) bits &= behind;
        if (step == words) bits &= ~behind;
        if (bits == 0) continue;
        const std::size_t slot = word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
        return static_cast<std::int64_t>((slot + slots - first) % slots) + 1;
    }
    return std::nullopt;
}

void TimerWheel::collect(std::int64_t slot_tick, std::int64_t now_tick) {
    const std::size_t slot = static_cast<std::size_t>(slot_tick) % slots;
    Node& head = heads_[slot];
    for (Node* node = head.next; node != &head;) {
        Node* following = node->next;
        if (node->tick <= now_tick) {
            node->unlink();
            append(expired_, *node);
        }
        node = following;
    }
    if (head.next == &head) used_[slot / 64] &= ~(std::uint64_t{1} << slot % 64);
}

TimerWheel::Node* TimerWheel::pop(TimePoint now) {
    const std::int64_t now_tick = (now - start_) / tick_length;
    // After a long sleep of the machine one turn sees every slot.
    const std::int64_t last = std::min(now_tick, current_ + static_cast<std::int64_t>(slots));
    for (std::int64_t tick = current_; tick < last;) {
        const std::optional<std::int64_t> distance = distance_to_next(tick);
        if (!distance || tick + *distance > last) break;
        tick += *distance;
        collect(tick, now_tick);
    }
    current_ = std::max(current_, now_tick);
    if (expired_.next == &expired_) return nullptr;
    Node* node = expired_.next;
    node->unlink();
    return node;
}

std::optional<TimePoint> TimerWheel::next() const {
    if (expired_.next != &expired_) return start_ + current_ * tick_length;
    const std::optional<std::int64_t> distance = distance_to_next(current_);
    if (!distance) return std::nullopt;
    return start_ + (current_ + *distance) * tick_length;
}

}  // namespace dnsdirector::probe
