// SPDX-License-Identifier: Apache-2.0
#include "control/rates.h"

namespace dnsdirector::control {
namespace {

template <typename Map, typename Key>
dataplane::Count count_of(const Map& map, const Key& key) {
    const auto found = map.find(key);
    return found == map.end() ? dataplane::Count{} : found->second;
}

double rate(const dataplane::Count& now, const dataplane::Count& then, double seconds) {
    if (seconds <= 0 || now.packets < then.packets) return 0;
    return static_cast<double>(now.packets - then.packets) / seconds;
}

}  // namespace

void Rates::sample(dataplane::Counters counters, TimePoint now) {
    older_ = std::move(newer_);
    newer_ = Sample{std::move(counters), now};
}

void Rates::fill(Snapshot& snapshot, const dataplane::Counters& counters, TimePoint now) const {
    const std::optional<Sample>& base = older_ ? older_ : newer_;
    const double seconds = base ? std::chrono::duration<double>(now - base->at).count() : 0;
    static const dataplane::Counters none;
    const dataplane::Counters& then = base ? base->counters : none;

    snapshot.drops = counters.drops;
    snapshot.foreign = counters.foreign;
    snapshot.flows = counters.flows;
    snapshot.events = counters.events;
    for (ServiceSnapshot& service : snapshot.services) {
        service.count = count_of(counters.services, service.key);
        service.packets_per_second =
            rate(service.count, count_of(then.services, service.key), seconds);
        const auto fill_one = [&](auto& server) {
            const auto key = std::make_pair(service.key, server.endpoint);
            server.count = count_of(counters.servers, key);
            server.packets_per_second = rate(server.count, count_of(then.servers, key), seconds);
        };
        for (ServerSnapshot& server : service.servers) {
            fill_one(server);
            const auto found = counters.connections.find({service.key, server.endpoint});
            if (found != counters.connections.end()) server.connections = found->second;
        }
        if (service.sorry) fill_one(*service.sorry);
    }
}

}  // namespace dnsdirector::control
