// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/to_all.h"

#include <algorithm>

namespace dnsdirector::dataplane::proxy {
namespace {

bool begins_with(const IpAddress& address, const core::Prefix& prefix) {
    if (address.family() != prefix.address.family()) return false;
    const unsigned whole = prefix.length / 8;
    const auto& a = address.bytes();
    const auto& b = prefix.address.bytes();
    if (!std::equal(a.begin(), a.begin() + whole, b.begin())) return false;
    const unsigned rest = prefix.length % 8;
    return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

}  // namespace

ToAllWishes to_all_of(const core::Configuration& configuration) {
    ToAllWishes wishes;
    for (const core::Service& service : configuration.services) {
        if (!service.to_all.any()) continue;
        ToAllWish& wish = wishes[service.key];
        wish.what = service.to_all;
        for (const core::RealServer& server : service.real_servers)
            wish.servers.push_back(server.endpoint);
        std::sort(wish.servers.begin(), wish.servers.end());
    }
    return wishes;
}

std::set<core::ServiceKey> differing(const ToAllWishes& before, const ToAllWishes& after) {
    std::set<core::ServiceKey> keys;
    const auto compare = [&](const ToAllWishes& these, const ToAllWishes& others) {
        for (const auto& [key, wish] : these)
            if (const auto other = others.find(key); other == others.end() || other->second != wish)
                keys.insert(key);
    };
    compare(before, after);
    compare(after, before);
    return keys;
}

bool ToAll::takes(std::uint8_t opcode) const {
    return (what.notify && opcode == static_cast<std::uint8_t>(Opcode::notify)) ||
           (what.update && opcode == static_cast<std::uint8_t>(Opcode::update));
}

bool ToAll::allows(const IpAddress& client) const {
    return what.from.empty() ||
           std::any_of(what.from.begin(), what.from.end(),
                       [&](const core::Prefix& network) { return begins_with(client, network); });
}

bool ToAll::counts(const Endpoint& server) const {
    const auto at = std::lower_bound(members.begin(), members.end(), server,
                                     [](const Member& member, const Endpoint& wanted) {
                                         return member.target.upstream->endpoint < wanted;
                                     });
    return at != members.end() && at->target.upstream->endpoint == server && at->counts;
}

void judge_members(std::vector<ToAll::Member>& members, const core::ServiceForwarding& forwarding) {
    bool any = false;
    for (ToAll::Member& member : members) {
        const auto& all = forwarding.destinations;
        const auto at = std::lower_bound(all.begin(), all.end(), member.target.upstream->endpoint,
                                         [](const core::Destination& each, const Endpoint& wanted) {
                                             return each.server < wanted;
                                         });
        member.counts =
            at != all.end() && at->server == member.target.upstream->endpoint && at->weight != 0;
        any = any || member.counts;
    }
    if (any) return;
    for (ToAll::Member& member : members)
        member.counts = true;
}

}  // namespace dnsdirector::dataplane::proxy
