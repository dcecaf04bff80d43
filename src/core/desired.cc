// SPDX-License-Identifier: Apache-2.0
#include "core/desired.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace dnsdirector::core {
namespace {

/// Where a server ends up.
enum class Place : std::uint8_t {
    out,        ///< not forwarded to
    idle,       ///< listed with weight 0: its TCP flows go on
    working,    ///< gets its share
    limited,    ///< down, held by max_out
    last_hope,  ///< down, held because nobody is up
};

/// One server while the decision is made; in the order of the file.
struct Draft {
    Health health = Health::up;
    bool well = true;       ///< up, or unknown and in until tested
    bool by_answer = true;  ///< down, and by wrong answers only
    bool drained = false;
    Place place = Place::out;
    TimePoint since;
    WallTime wall_since;
    std::uint32_t seen = 0;  ///< position in the memory
    std::string unreachable;
};

struct Deciding {
    const DecisionInput& input;
    const Service& service;
    std::vector<std::uint32_t> order;  ///< positions of servers, sorted by endpoint
    std::vector<Draft> drafts;
    ServiceMemory memory;

    [[nodiscard]] const RealServer& server(std::size_t at) const {
        return service.real_servers[at];
    }
    [[nodiscard]] bool eligible(std::size_t at) const {  ///< for work, were it well
        return server(at).weight != 0 && !drafts[at].drained;
    }
};

// ---- health of a server: all its checks ---------------------------------------

void take_in(Draft& draft, const CheckState& check, bool first) {
    const auto later = [&] {
        if (!first && check.since <= draft.since) return;
        draft.since = check.since;
        draft.wall_since = check.wall_since;
    };
    switch (check.health) {
        case Health::up:
            if (draft.health == Health::up) later();
            break;
        case Health::unknown:
            if (draft.health == Health::up) {
                draft.health = Health::unknown;
                first = true;
            }
            if (draft.health == Health::unknown) later();
            draft.well = draft.well && check.untested == Untested::in;
            break;
        case Health::down:
            // The first check to go down is when the server went down.
            if (draft.health != Health::down || check.since < draft.since) {
                draft.since = check.since;
                draft.wall_since = check.wall_since;
            }
            draft.health = Health::down;
            draft.well = false;
            draft.by_answer = draft.by_answer && check.down_kind == Failure::answer;
            break;
    }
}

Draft examine(const DecisionInput& input, const RealServer& server) {
    Draft draft;
    draft.since = input.now;
    draft.wall_since = input.wall_now;
    bool first = true;
    for (const CheckIndex check : server.checks) {
        take_in(draft, input.check_state(check), first);
        first = false;
    }
    draft.by_answer = draft.by_answer && draft.health == Health::down;
    return draft;
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

// ---- memory -----------------------------------------------------------------

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

void follow_health(ServiceMemory::Seen& seen, const Draft& draft) {
    if (seen.health == draft.health) return;
    if (seen.health != Health::unknown && draft.health != Health::unknown) ++seen.transitions;
    seen.health = draft.health;
    seen.since = draft.since;
    seen.wall_since = draft.wall_since;
}

/// What was seen of each server until now, sorted; the new ones are seen first
/// with the health they have.
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
            after.push_back({endpoint, draft.health, draft.since, draft.wall_since, 0, false, {}});
        }
    }
}

// ---- who works ----------------------------------------------------------------

bool reachable(Deciding& deciding, std::size_t at) {
    Draft& draft = deciding.drafts[at];
    if (draft.unreachable.empty())
        draft.unreachable = deciding.input.unreachable_reason(deciding.server(at).endpoint);
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
        total += deciding.server(i).weight;
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
        const std::uint64_t with = out + deciding.server(at).weight;
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

void place(Deciding& deciding) {
    place_the_well(deciding);
    hold_by_max_out(deciding);
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

// ---- slow start ---------------------------------------------------------------

/// Steps happen at multiples of this since the clock's epoch, not since each
/// server's return: thousands of servers that return one after another make
/// one new table a step together.
Nanoseconds grid(const Service& service) {
    return std::max(service.slow_start / slow_start_steps, Nanoseconds{1});
}

/// 1 to slow_start_steps.
std::uint32_t step_of(const DecisionInput& input, TimePoint returned_at) {
    const Nanoseconds cell = grid(input.service);
    const auto steps = input.now.time_since_epoch() / cell - returned_at.time_since_epoch() / cell;
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(steps, 1, slow_start_steps));
}

void follow_slow_start(const DecisionInput& input, const Draft& draft, ServiceMemory::Seen& seen) {
    if (draft.place == Place::working) {
        if (seen.cold) seen.returned_at = input.now;
        seen.cold = false;
        if (seen.returned_at && (input.service.slow_start <= Nanoseconds{0} ||
                                 step_of(input, *seen.returned_at) == slow_start_steps))
            seen.returned_at.reset();
        return;
    }
    // Who is held by max_out has never stopped working.
    if (draft.place != Place::limited && (draft.health == Health::down || seen.returned_at))
        seen.cold = true;
    seen.returned_at.reset();
}

// ---- words --------------------------------------------------------------------

void append(std::string& reason, std::string_view words) {
    if (words.empty()) return;
    if (!reason.empty()) reason += "; ";
    reason += words;
}

std::string why_down(const DecisionInput& input, const RealServer& server) {
    std::string reason;
    for (const CheckIndex index : server.checks) {
        const CheckState& check = input.check_state(index);
        if (check.health != Health::down) continue;
        const std::string_view words =
            check.down_reason.empty() ? to_string(check.down_kind) : check.down_reason;
        if (reason.find(words) == std::string::npos) append(reason, words);
    }
    return reason;
}

std::string why_unknown(const DecisionInput& input, const RealServer& server) {
    for (const CheckIndex index : server.checks) {
        const CheckState& check = input.check_state(index);
        if (check.health != Health::unknown || !check.any_verdict) continue;
        return check.last.passed() ? "not passed often enough yet" : check.last.reason;
    }
    return "not tested yet";
}

std::string reason_of(const Deciding& deciding, std::size_t at) {
    const Draft& draft = deciding.drafts[at];
    std::string reason;
    if (draft.drained) reason = "drained by the operator";
    if (draft.health == Health::down) append(reason, why_down(deciding.input, deciding.server(at)));
    if (draft.health == Health::unknown)
        append(reason, why_unknown(deciding.input, deciding.server(at)));
    append(reason, draft.unreachable);
    if (draft.place == Place::limited)
        append(reason, fmt::format("held by max_out {}%", deciding.service.max_out_percent));
    if (draft.place == Place::last_hope) append(reason, "held: no server is up");
    if (deciding.server(at).weight == 0) append(reason, "weight 0: no new work");
    return reason;
}

ServerState state_of(const Draft& draft) {
    if (draft.drained) return ServerState::drained;
    if (draft.health == Health::unknown) return ServerState::unknown;
    return draft.health == Health::up && draft.unreachable.empty() ? ServerState::up
                                                                   : ServerState::down;
}

// ---- the result -----------------------------------------------------------------

ServerDecision describe_server(const Deciding& deciding, std::size_t at) {
    const Draft& draft = deciding.drafts[at];
    const ServiceMemory::Seen& seen = deciding.memory.servers[draft.seen];
    const Weight weight = deciding.server(at).weight;
    ServerDecision decision;
    decision.state = state_of(draft);
    decision.health = draft.health;
    decision.drained = draft.drained;
    decision.held = draft.place == Place::limited || draft.place == Place::last_hope;
    decision.reachable = draft.unreachable.empty();
    decision.configured_weight = weight;
    decision.since = seen.since;
    decision.wall_since = seen.wall_since;
    decision.transitions = seen.transitions;
    if (decision.held || draft.place == Place::working) decision.effective_weight = weight;
    if (decision.state != ServerState::up || weight == 0) decision.reason = reason_of(deciding, at);
    if (seen.returned_at) {
        const std::uint32_t step = step_of(deciding.input, *seen.returned_at);
        decision.effective_weight = (weight * step + slow_start_steps - 1) / slow_start_steps;
        append(decision.reason, fmt::format("slow start, step {} of {}", step, slow_start_steps));
    }
    return decision;
}

std::vector<Destination> destinations_of(const Deciding& deciding) {
    const std::vector<ServiceMemory::Seen>& seen = deciding.memory.servers;
    const bool anyone_starts =
        std::any_of(seen.begin(), seen.end(),
                    [](const ServiceMemory::Seen& one) { return one.returned_at.has_value(); });
    std::vector<Destination> destinations;
    destinations.reserve(deciding.order.size());
    for (std::size_t i = 0; i < deciding.order.size(); ++i) {
        const std::uint32_t at = deciding.order[i];
        const Draft& draft = deciding.drafts[at];
        if (draft.place == Place::out) continue;
        std::uint32_t weight = draft.place == Place::idle ? 0 : deciding.server(at).weight;
        if (anyone_starts)
            weight *= seen[i].returned_at ? step_of(deciding.input, *seen[i].returned_at)
                                          : slow_start_steps;
        destinations.push_back({deciding.server(at).endpoint, weight});
    }
    return destinations;
}

QuorumDecision quorum_of(const Deciding& deciding) {
    const Quorum& wanted = deciding.service.quorum;
    QuorumDecision quorum;
    quorum.required = wanted.required;
    for (std::size_t i = 0; i < deciding.drafts.size(); ++i) {
        if (deciding.drafts[i].place != Place::working) continue;
        quorum.up += deciding.server(i).weight;
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

std::optional<TimePoint> next_step(const Deciding& deciding) {
    for (const ServiceMemory::Seen& seen : deciding.memory.servers) {
        if (!seen.returned_at) continue;
        const Nanoseconds cell = grid(deciding.service);
        return TimePoint{(deciding.input.now.time_since_epoch() / cell + 1) * cell};
    }
    return std::nullopt;
}

}  // namespace

std::string_view to_string(ServerState state) {
    switch (state) {
        case ServerState::up: return "up";
        case ServerState::down: return "down";
        case ServerState::drained: return "drained";
        case ServerState::unknown: return "unknown";
    }
    return "";
}

ServiceDecision decide(const DecisionInput& input) {
    const Service& service = input.service;
    Deciding deciding{input, service, sorted_by_endpoint(service.real_servers), {}, {}};
    deciding.drafts.reserve(service.real_servers.size());
    for (const RealServer& server : service.real_servers)
        deciding.drafts.push_back(examine(input, server));
    mark_drained(deciding);
    remember(deciding);
    place(deciding);
    for (const Draft& draft : deciding.drafts)
        follow_slow_start(input, draft, deciding.memory.servers[draft.seen]);

    ServiceDecision decision;
    decision.forwarding = {service.key, service.scheduler, service.method,
                           destinations_of(deciding)};
    decision.servers.reserve(deciding.drafts.size());
    for (std::size_t i = 0; i < deciding.drafts.size(); ++i)
        decision.servers.push_back(describe_server(deciding, i));
    decision.quorum = quorum_of(deciding);
    deciding.memory.quorum_met = decision.quorum.met;
    decision.next_change = next_step(deciding);
    decision.memory = std::move(deciding.memory);
    return decision;
}

}  // namespace dnsdirector::core
