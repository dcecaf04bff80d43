// SPDX-License-Identifier: Apache-2.0
//
// Servers that are out because of what became of queries. The word of a check is waited for: a
// suspicion ends by itself, after a time in which checks have judged; then they alone say
// whether the server is in. It never puts a server back that they want out.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/time.h"
#include "dataplane/proxy/upstream.h"

namespace dnsdirector::dataplane::proxy {

class Suspicions {
public:
    /// Takes a server out: for five seconds, and twice as long each time that it soon follows,
    /// to a minute. False when it is out already.
    bool add(const Endpoint& server, Charge charge, TimePoint now);
    [[nodiscard]] bool holds(const Endpoint& server) const;
    /// "" of a server that nothing is held against.
    [[nodiscard]] std::string reason(const Endpoint& server) const;
    [[nodiscard]] std::optional<TimePoint> next_end() const;
    /// Those that end now.
    std::vector<Endpoint> end(TimePoint now);
    [[nodiscard]] std::uint64_t added() const { return added_; }

private:
    struct Entry {
        Charge charge = Charge::none;
        bool out = false;
        TimePoint until;
        Nanoseconds length{0};
    };
    std::map<Endpoint, Entry> entries_;
    std::uint64_t added_ = 0;
};

}  // namespace dnsdirector::dataplane::proxy
