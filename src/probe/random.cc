// SPDX-License-Identifier: Apache-2.0
#include "probe/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdlib>

namespace dnsdirector::probe {
namespace {

/// getrandom(2) fails only where the kernel lacks it or denies it, and IDs that
/// can be guessed are worse than no director.
void fill_random(void* data, std::size_t size) {
    auto* bytes = static_cast<std::uint8_t*>(data);
    while (size > 0) {
        const ssize_t got = ::getrandom(bytes, size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) std::abort();
        bytes += got;
        size -= static_cast<std::size_t>(got);
    }
}

}  // namespace

std::uint16_t IdSource::next() {
    if (used_ == pool_.size()) {
        fill_random(pool_.data(), sizeof pool_);
        used_ = 0;
    }
    return pool_[used_++];
}

Spread::Spread(std::uint64_t seed) : state_(seed) {
    if (seed == 0) fill_random(&state_, sizeof state_);
}

double Spread::next() {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9U;
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EBU;
    mixed ^= mixed >> 31;
    return static_cast<double>(mixed >> 11) * 0x1.0p-53;
}

}  // namespace dnsdirector::probe
