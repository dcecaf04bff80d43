// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/suspicions.h"

#include <algorithm>

namespace dnsdirector::dataplane::proxy {
namespace {

constexpr Nanoseconds first_length = Seconds{5};
constexpr Nanoseconds most_length = Seconds{60};
constexpr Nanoseconds soon = Seconds{60};  // after the last one's end

}  // namespace

bool Suspicions::add(const Endpoint& server, Charge charge, TimePoint now) {
    Entry& entry = entries_[server];
    if (entry.out) return false;
    const bool follows = entry.length.count() != 0 && now - entry.until < soon;
    entry.length = follows ? std::min(2 * entry.length, most_length) : first_length;
    entry.charge = charge;
    entry.out = true;
    entry.until = now + entry.length;
    ++added_;
    return true;
}

bool Suspicions::holds(const Endpoint& server) const {
    const auto found = entries_.find(server);
    return found != entries_.end() && found->second.out;
}

std::string Suspicions::reason(const Endpoint& server) const {
    const auto found = entries_.find(server);
    if (found == entries_.end() || !found->second.out) return "";
    switch (found->second.charge) {
        case Charge::refuses: return "refuses clients' queries";
        case Charge::silent: return "silent to clients' queries that others answer";
        case Charge::servfails: return "SERVFAIL to clients' queries that others answer";
        case Charge::none: break;
    }
    return "";
}

std::optional<TimePoint> Suspicions::next_end() const {
    std::optional<TimePoint> next;
    for (const auto& [server, entry] : entries_)
        if (entry.out && (!next || entry.until < *next)) next = entry.until;
    return next;
}

std::vector<Endpoint> Suspicions::end(TimePoint now) {
    std::vector<Endpoint> ended;
    for (auto& [server, entry] : entries_)
        if (entry.out && entry.until <= now) {
            entry.out = false;
            ended.push_back(server);
        }
    std::erase_if(entries_, [&](const auto& each) {
        return !each.second.out && now - each.second.until > soon;
    });
    return ended;
}

}  // namespace dnsdirector::dataplane::proxy
