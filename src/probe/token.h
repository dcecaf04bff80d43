// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace dnsdirector::probe {

/// What an event or a timer belongs to. The generation tells an event that was
/// already fetched when its check was removed from one of the place's new owner.
struct Token {
    enum class Kind : std::uint8_t {
        check,
        script_run,
        scripts_launched,
        files_read,
        packets,
        ways
    };
    Kind kind = Kind::check;
    std::uint32_t generation = 0;  ///< 28 bits
    std::uint32_t index = 0;

    [[nodiscard]] std::uint64_t pack() const {
        return static_cast<std::uint64_t>(kind) << 60 |
               static_cast<std::uint64_t>(generation & mask) << 32 | index;
    }
    [[nodiscard]] static Token unpack(std::uint64_t bits) {
        return {static_cast<Kind>(bits >> 60), static_cast<std::uint32_t>(bits >> 32) & mask,
                static_cast<std::uint32_t>(bits)};
    }

    [[nodiscard]] static std::uint32_t next_generation(std::uint32_t generation) {
        return (generation + 1) & mask;
    }

private:
    static constexpr std::uint32_t mask = (1U << 28) - 1;
};

}  // namespace dnsdirector::probe
