// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "fuzz/fake_network.h"

namespace dnsdirector::fuzz {

/// Bytes that say what happens; zeros when they are at their end.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : at_(data), end_(data + size) {}
    [[nodiscard]] bool empty() const { return at_ == end_; }
    std::uint8_t byte() { return empty() ? 0 : *at_++; }
    std::uint16_t word() {
        const std::uint8_t high = byte();
        return static_cast<std::uint16_t>(high << 8 | byte());
    }
    /// A length in two bytes, and so many, as far as there are.
    Octets bytes() {
        const auto size = std::min<std::size_t>(word(), static_cast<std::size_t>(end_ - at_));
        const Octets taken(at_, at_ + size);
        at_ += size;
        return taken;
    }

private:
    const std::uint8_t* at_;
    const std::uint8_t* end_;
};

}  // namespace dnsdirector::fuzz
