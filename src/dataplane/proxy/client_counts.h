// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "base/address.h"

namespace dnsdirector::dataplane::proxy {

/// How many connections clients have, over all workers. Asked when one comes or goes, not for
/// its queries: so a lock will do.
class ClientCounts {
public:
    ClientCounts(std::uint32_t most, std::uint32_t most_each)
        : most_(most), most_each_(most_each) {}

    enum class Verdict : std::uint8_t { welcome, full, too_many_of_one };
    Verdict enter(const IpAddress& client) {
        const std::lock_guard lock(mutex_);
        std::uint32_t& own = of_[client];
        if (most_each_ != 0 && own >= most_each_) return Verdict::too_many_of_one;
        if (total_ >= most_) {
            if (own == 0) of_.erase(client);
            return Verdict::full;
        }
        ++own;
        ++total_;
        return Verdict::welcome;
    }
    /// One whose client only its PROXY header will name: it counts for all together.
    Verdict enter_unnamed() {
        const std::lock_guard lock(mutex_);
        if (total_ >= most_) return Verdict::full;
        ++total_;
        return Verdict::welcome;
    }
    /// … which it did. One that is not welcome counts on as unnamed.
    Verdict name(const IpAddress& client) {
        const std::lock_guard lock(mutex_);
        std::uint32_t& own = of_[client];
        if (most_each_ != 0 && own >= most_each_) return Verdict::too_many_of_one;
        ++own;
        return Verdict::welcome;
    }
    void leave_unnamed() {
        const std::lock_guard lock(mutex_);
        --total_;
    }
    void leave(const IpAddress& client) {
        const std::lock_guard lock(mutex_);
        const auto found = of_.find(client);
        if (found == of_.end()) return;
        --total_;
        if (--found->second == 0) of_.erase(found);
    }
    [[nodiscard]] std::uint32_t total() const {
        const std::lock_guard lock(mutex_);
        return total_;
    }

private:
    mutable std::mutex mutex_;
    std::uint32_t most_;
    std::uint32_t most_each_;
    std::uint32_t total_ = 0;
    std::unordered_map<IpAddress, std::uint32_t> of_;
};

}  // namespace dnsdirector::dataplane::proxy
