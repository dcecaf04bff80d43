// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/to_all.h"

#include <algorithm>

namespace dnsdirector::dataplane::proxy {

bool ToAll::takes(std::uint8_t opcode) const {
    return (what.notify && opcode == static_cast<std::uint8_t>(Opcode::notify)) ||
           (what.update && opcode == static_cast<std::uint8_t>(Opcode::update));
}

bool ToAll::allows(const IpAddress& client) const {
    return what.from.empty() ||
           std::any_of(what.from.begin(), what.from.end(),
                       [&](const core::Prefix& network) { return network.contains(client); });
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
