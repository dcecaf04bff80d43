// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

namespace dnsdirector::probe {

/// Query IDs: the kernel's random numbers, fetched many at a time, since an ID
/// that can be foretold can be spoofed (RFC 5452).
class IdSource {
public:
    [[nodiscard]] std::uint16_t next();

private:
    std::array<std::uint16_t, 1024> pool_{};
    std::size_t used_ = 1024;
};

/// Phases and jitter, which need to be spread and not secret: splitmix64
/// (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
class Spread {
public:
    /// 0: from the kernel.
    explicit Spread(std::uint64_t seed);
    /// Uniform in [0, 1).
    [[nodiscard]] double next();

private:
    std::uint64_t state_;
};

}  // namespace dnsdirector::probe
