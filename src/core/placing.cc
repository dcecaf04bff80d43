// SPDX-License-Identifier: Apache-2.0
//
// decide(): who works, the quorum, and the sorry server.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/deciding.h"

namespace dnsdirector::core {
namespace {

/// An untested server that waits outside is nothing to tell of yet.
Told to_tell(const Draft& draft, Told before) {
    if (draft.well) return Told::up;
    return draft.health == Health::down || before == Told::up ? Told::down : before;
}

void follow_health(ServiceMemory::Seen& seen, const Draft& draft) {
    seen.told = to_tell(draft, seen.told);
    if (seen.health == draft.health) return;
    if (seen.health != Health::unknown && draft.health != Health::unknown) ++seen.transitions;
    seen.health = draft.health;
    seen.since = draft.since;
    seen.wall_since = draft.wall_since;
}

bool reachable(Deciding& deciding, std::size_t at) {
    Draft& draft = deciding.drafts[at];
    if (draft.unreachable.empty())
        draft.unreachable = deciding.input.unreachable_reason(
            deciding.server(at).endpoint,
            deciding.server(at).method.value_or(deciding.service.method));
    return draft.unreachable.empty();
}

void place_the_well(Deciding& deciding) {
    for (std::size_t i = 0; i < deciding.drafts.size(); ++i) {
        Draft& draft = deciding.drafts[i];
        if (!draft.well || !reachable(deciding, i)) continue;
        draft.place = deciding.eligible(i) ? Place::working : Place::idle;
    }
}

void hold_by_max_out(Deciding& deciding) {
    const std::uint64_t percent = deciding.service.max_out_percent;
    if (percent >= 100) return;
    std::uint64_t total = 0;
    std::vector<std::uint32_t> failing;
    for (std::uint32_t i = 0; i < deciding.drafts.size(); ++i) {
        if (!deciding.eligible(i)) continue;
        total += deciding.drafts[i].weight;
        if (deciding.drafts[i].by_answer && reachable(deciding, i)) failing.push_back(i);
    }
    const auto down_since = [&](std::uint32_t at) {
        return deciding.memory.servers[deciding.drafts[at].seen].since;
    };
    std::stable_sort(failing.begin(), failing.end(), [&](std::uint32_t left, std::uint32_t right) {
        return down_since(left) < down_since(right);
    });
    std::uint64_t out = 0;
    for (const std::uint32_t at : failing) {
        const std::uint64_t with = out + deciding.drafts[at].weight;
        if (with * 100 <= total * percent)
            out = with;
        else
            deciding.drafts[at].place = Place::limited;
    }
}

bool works(const Draft& draft) {
    return draft.place == Place::working || draft.place == Place::limited;
}

void hold_the_last_set(Deciding& deciding) {
    const std::vector<Endpoint>& last = deciding.memory.last_set;
    for (std::size_t i = 0; i < deciding.drafts.size(); ++i) {
        if (!deciding.eligible(i)) continue;
        if (!std::binary_search(last.begin(), last.end(), deciding.server(i).endpoint)) continue;
        if (reachable(deciding, i)) deciding.drafts[i].place = Place::last_hope;
    }
}

/// Who works; or, with nobody left, who did.
void remember_the_set(Deciding& deciding) {
    std::vector<Endpoint> set;
    for (const std::uint32_t at : deciding.order)
        if (works(deciding.drafts[at])) set.push_back(deciding.server(at).endpoint);
    if (!set.empty()) {
        deciding.memory.last_set = std::move(set);
        return;
    }
    deciding.memory.last_set = deciding.input.memory.last_set;
    if (deciding.service.on_all_down == OnAllDown::hold) hold_the_last_set(deciding);
}

/// Listed with weight 0 instead of going.
void inhibit(Deciding& deciding) {
    for (std::size_t i = 0; i < deciding.drafts.size(); ++i) {
        Draft& draft = deciding.drafts[i];
        if (draft.place == Place::out && !draft.well && deciding.server(i).inhibit_on_failure &&
            reachable(deciding, i))
            draft.place = Place::idle;
    }
}

}  // namespace

std::vector<std::uint32_t> sorted_by_endpoint(const std::vector<RealServer>& servers) {
    std::vector<std::uint32_t> order(servers.size());
    std::iota(order.begin(), order.end(), 0U);
    const auto before = [&](std::uint32_t left, std::uint32_t right) {
        return servers[left].endpoint < servers[right].endpoint;
    };
    // Most files list their servers in order.
    if (!std::is_sorted(order.begin(), order.end(), before))
        std::sort(order.begin(), order.end(), before);
    return order;
}

void mark_drained(Deciding& deciding) {
    const std::set<DrainKey>& drained = deciding.input.overrides.drained;
    if (drained.empty()) return;
    DrainKey key{deciding.service.cluster, {}, deciding.service.key.protocol};
    for (std::size_t i = 0; i < deciding.drafts.size(); ++i) {
        key.server = deciding.server(i).endpoint;
        deciding.drafts[i].drained = drained.contains(key);
    }
}

void remember(Deciding& deciding) {
    const std::vector<ServiceMemory::Seen>& before = deciding.input.memory.servers;
    std::vector<ServiceMemory::Seen>& after = deciding.memory.servers;
    after.reserve(deciding.order.size());
    auto old = before.begin();
    for (const std::uint32_t at : deciding.order) {
        const Endpoint& endpoint = deciding.server(at).endpoint;
        Draft& draft = deciding.drafts[at];
        while (old != before.end() && old->server < endpoint)
            ++old;
        draft.seen = static_cast<std::uint32_t>(after.size());
        if (old != before.end() && old->server == endpoint) {
            after.push_back(*old);
            follow_health(after.back(), draft);
        } else {
            after.push_back({endpoint,
                             draft.health,
                             draft.since,
                             draft.wall_since,
                             0,
                             false,
                             {},
                             to_tell(draft, Told::nothing)});
        }
    }
}

void place(Deciding& deciding) {
    place_the_well(deciding);
    hold_by_max_out(deciding);
    remember_the_set(deciding);
    inhibit(deciding);
}

QuorumDecision quorum_of(const Deciding& deciding) {
    const Quorum& wanted = deciding.service.quorum;
    QuorumDecision quorum;
    quorum.required = wanted.required;
    quorum.hysteresis = wanted.hysteresis;
    for (std::size_t i = 0; i < deciding.drafts.size(); ++i) {
        if (deciding.drafts[i].place != Place::working) continue;
        quorum.up += deciding.drafts[i].weight;
        ++quorum.servers_up;
    }
    // keepalived's rule: met from required + hysteresis, lost below required -
    // hysteresis, and always with nobody up.
    const std::uint64_t enough =
        !deciding.input.memory.quorum_met
            ? wanted.required + wanted.hysteresis
            : wanted.required - std::min(wanted.required, wanted.hysteresis);
    quorum.met = quorum.up != 0 && quorum.up >= enough;
    return quorum;
}

SorryDecision turn_to_sorry_server(Deciding& deciding, const QuorumDecision& quorum) {
    SorryDecision decision;
    if (quorum.met) return decision;
    const SorryServer& sorry = *deciding.service.sorry_server;
    const std::string unreachable = deciding.input.unreachable_reason(
        sorry.endpoint, sorry.method.value_or(deciding.service.method));
    decision.reachable = unreachable.empty();
    decision.in_use = decision.reachable;
    decision.reason = decision.in_use ? "quorum not met, " + shortfall(quorum) : unreachable;
    if (!decision.in_use) return decision;
    for (std::size_t i = 0; i < deciding.drafts.size(); ++i) {
        Draft& draft = deciding.drafts[i];
        if (draft.place == Place::out || draft.place == Place::idle) continue;
        draft.displaced = true;
        draft.place = deciding.server(i).inhibit_on_failure ? Place::idle : Place::out;
    }
    return decision;
}

}  // namespace dnsdirector::core
