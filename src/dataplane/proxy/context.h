// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/random.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>

#include "base/time.h"
#include "core/proxy.h"
#include "dataplane/proxy/table.h"

namespace dnsdirector::dataplane::proxy {

/// Unpredictable numbers from the kernel, a page at a time: IDs must not be guessed (RFC 5452).
class Random {
public:
    std::uint16_t next16() { return next<std::uint16_t>(); }
    std::uint32_t next32() { return next<std::uint32_t>(); }

private:
    template <typename T>
    T next() {
        if (at_ + sizeof(T) > bytes_.size()) refill();
        T value;
        std::memcpy(&value, bytes_.data() + at_, sizeof value);
        at_ += sizeof value;
        return value;
    }
    void refill() {
        std::size_t filled = 0;
        while (filled < bytes_.size()) {
            const ssize_t got = getrandom(bytes_.data() + filled, bytes_.size() - filled, 0);
            if (got > 0) filled += static_cast<std::size_t>(got);
        }
        at_ = 0;
    }

    std::array<std::uint8_t, 4096> bytes_{};
    std::size_t at_ = sizeof bytes_;
};

/// A service as one worker serves it. It outlives the service for as long as queries that came
/// by it may wait.
struct Front {
    std::shared_ptr<const Service> service;
    int socket = -1;
    std::uint32_t cursor = 0;
    int accepts = 1;  ///< TCP: connections that were taken at once, …
    TimePoint accepted_at;
    // Of second tries: what may still be spent.
    double tokens = 0;
    TimePoint tokens_at;
};

/// What the parts of one worker share.
struct Context {
    std::size_t worker = 0;
    core::ProxySettings settings;
    Happenings* happenings = nullptr;
    Random random;
    TimePoint now;  ///< of this turn of the loop
    /// The director's thread is to look at Upstream::charge.
    std::function<void()> raise_charge;

    void drop(Drop reason, std::uint64_t more = 1) { happenings->drop(reason, more); }
    void note(Event event, std::uint64_t more = 1) { happenings->note(event, more); }
};

}  // namespace dnsdirector::dataplane::proxy
