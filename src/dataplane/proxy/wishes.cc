// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/wishes.h"

#include <algorithm>

namespace dnsdirector::dataplane::proxy {

Wishes wishes_of(const core::Configuration& configuration) {
    Wishes wishes;
    for (const core::Service& service : configuration.services) {
        if (service.client_subnet.any()) wishes.client_subnets[service.key] = service.client_subnet;
        if (service.to_all.any()) wishes.to_all[service.key].what = service.to_all;
        const auto to_all = wishes.to_all.find(service.key);
        for (const core::RealServer& server : service.real_servers) {
            if (server.proxy_protocol) wishes.proxy_protocol.insert(server.endpoint);
            if (server.transparent) wishes.transparent.insert(server.endpoint);
            if (to_all != wishes.to_all.end()) to_all->second.servers.push_back(server.endpoint);
        }
    }
    for (auto& [key, wish] : wishes.to_all)
        std::sort(wish.servers.begin(), wish.servers.end());
    return wishes;
}

std::set<core::ServiceKey> differing(const Wishes& before, const Wishes& after) {
    std::set<core::ServiceKey> keys;
    const auto compare = [&](const auto& these, const auto& others) {
        for (const auto& [key, wish] : these)
            if (const auto other = others.find(key);
                other == others.end() || !(other->second == wish))
                keys.insert(key);
    };
    compare(before.client_subnets, after.client_subnets);
    compare(after.client_subnets, before.client_subnets);
    compare(before.to_all, after.to_all);
    compare(after.to_all, before.to_all);
    return keys;
}

}  // namespace dnsdirector::dataplane::proxy
