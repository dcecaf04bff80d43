// SPDX-License-Identifier: Apache-2.0
//
// What holds of every decision, whatever has happened before: a service goes
// through random histories, and each decision is compared with a plain
// restatement of the rules of interface.md.
#include "unit/core/desired_fixture.h"

namespace dnsdirector::core {
namespace {

bool coin() {
    return *rc::gen::arbitrary<bool>();
}
unsigned below(unsigned end) {
    return *rc::gen::resize(100, rc::gen::inRange(0U, std::max(end, 1U)));
}

Cluster any_cluster() {
    std::vector<Weight> weights(1 + below(7));
    for (Weight& weight : weights)
        weight = *generate::one_of<Weight>({0, 1, 1, 2, 5});
    Cluster cluster(weights);
    for (unsigned i = 0; i < weights.size(); ++i) {
        // Some have none, some share one with a neighbour.
        const unsigned kind = below(5);
        if (kind == 0) cluster.service.real_servers[i].checks.clear();
        if (kind == 1) cluster.service.real_servers[i].checks.push_back(below(i + 1));
    }
    cluster.service.max_out_percent = *generate::one_of<std::uint32_t>({0, 25, 50, 99, 100});
    cluster.service.on_all_down = coin() ? OnAllDown::hold : OnAllDown::empty;
    cluster.service.slow_start = coin() ? Nanoseconds{Seconds{60}} : Nanoseconds{0};
    cluster.service.quorum = {1 + below(5), below(2)};
    for (RealServer& one : cluster.service.real_servers)
        one.inhibit_on_failure = below(4) == 0;
    return cluster;
}

/// Something happens to one server.
void event(Cluster& cluster) {
    const unsigned number = below(static_cast<unsigned>(cluster.checks.size()));
    cluster.now += Milliseconds{below(10'000)};
    switch (below(9)) {
        case 0:
        case 1: cluster.up(number); break;
        case 2: cluster.down(number); break;
        case 3:
        case 4: cluster.servfail(number); break;
        case 5: cluster.unknown(number, coin() ? Untested::in : Untested::out); break;
        case 6: coin() ? cluster.drain(number) : cluster.undrain(number); break;
        case 7:
            if (coin())
                cluster.unreachable[server(number)] = "no route";
            else
                cluster.unreachable.erase(server(number));
            break;
        default: break;  // time passes
    }
}

/// The rules, plainly, of server `i`.
struct Rules {
    const Cluster& cluster;

    [[nodiscard]] const RealServer& at(std::size_t i) const {
        return cluster.service.real_servers[i];
    }
    [[nodiscard]] bool well(std::size_t i) const {
        return std::all_of(at(i).checks.begin(), at(i).checks.end(), [&](CheckIndex check) {
            const CheckState& state = cluster.checks[check];
            return state.health == Health::up ||
                   (state.health == Health::unknown && state.untested == Untested::in);
        });
    }
    [[nodiscard]] bool down_by_answers(std::size_t i) const {
        bool any = false;
        for (const CheckIndex check : at(i).checks) {
            const CheckState& state = cluster.checks[check];
            if (state.health != Health::down) continue;
            if (state.down_kind != Failure::answer) return false;
            any = true;
        }
        return any;
    }
    [[nodiscard]] bool drained(std::size_t i) const {
        return cluster.overrides.drained.contains({"resolvers", at(i).endpoint, Protocol::udp});
    }
    [[nodiscard]] bool eligible(std::size_t i) const { return at(i).weight != 0 && !drained(i); }
    [[nodiscard]] bool reachable(std::size_t i) const {
        return !cluster.unreachable.contains(at(i).endpoint);
    }
    [[nodiscard]] std::uint32_t work(std::size_t i) const {
        return weight_of(cluster.decision.forwarding, at(i).endpoint).value_or(0);
    }
    [[nodiscard]] std::size_t size() const { return cluster.service.real_servers.size(); }
};

/// Runs `holds(cluster)` after each decision of a random history.
template <typename Holds>
void expect_of_every_decision(const std::string& description, Holds holds) {
    expect_always(description, [&] {
        Cluster cluster = any_cluster();
        for (unsigned i = 1 + below(20); i > 0; --i) {
            event(cluster);
            cluster.decide();
            holds(cluster);
        }
    });
}

TEST(DecideProperty, DestinationsAreSortedAndConfigured) {
    expect_of_every_decision("sorted, unique, of the service", [](const Cluster& cluster) {
        const auto& list = cluster.decision.forwarding.destinations;
        for (std::size_t i = 0; i < list.size(); ++i) {
            if (i > 0) RC_ASSERT(list[i - 1].server < list[i].server);
            RC_ASSERT(std::any_of(
                cluster.service.real_servers.begin(), cluster.service.real_servers.end(),
                [&](const RealServer& one) { return one.endpoint == list[i].server; }));
        }
        RC_ASSERT(cluster.decision.servers.size() == cluster.service.real_servers.size());
    });
}

TEST(DecideProperty, NoWorkForTheDrainedTheUnreachableAndWeightZero) {
    expect_of_every_decision("out whatever their health", [](const Cluster& cluster) {
        const Rules rules{cluster};
        for (std::size_t i = 0; i < rules.size(); ++i)
            if (!rules.eligible(i) || !rules.reachable(i)) {
                RC_ASSERT(rules.work(i) == 0U);
                RC_ASSERT(cluster.decision.servers[i].effective_weight == 0U);
                RC_ASSERT(!cluster.decision.servers[i].held);
            }
    });
}

TEST(DecideProperty, TheWellWorkAndOnlyTheHeldWorkBesides) {
    expect_of_every_decision("work is for the well and the held", [](const Cluster& cluster) {
        const Rules rules{cluster};
        for (std::size_t i = 0; i < rules.size(); ++i) {
            if (!rules.eligible(i) || !rules.reachable(i)) continue;
            const bool held = cluster.decision.servers[i].held;
            RC_ASSERT((rules.work(i) != 0) == (rules.well(i) || held));
            RC_ASSERT(!(rules.well(i) && held));
        }
    });
}

TEST(DecideProperty, DrainedAndWeightZeroServersStayListedWhileWell) {
    expect_of_every_decision("their TCP flows go on", [](const Cluster& cluster) {
        const Rules rules{cluster};
        for (std::size_t i = 0; i < rules.size(); ++i)
            if (!rules.eligible(i))
                RC_ASSERT(
                    weight_of(cluster.decision.forwarding, rules.at(i).endpoint).has_value() ==
                    (rules.reachable(i) && (rules.well(i) || rules.at(i).inhibit_on_failure)));
    });
}

TEST(DecideProperty, AnswersNeverTakeOutMoreThanMaxOut) {
    expect_of_every_decision("share of weight out by answers", [](const Cluster& cluster) {
        const Rules rules{cluster};
        std::uint64_t total = 0;
        std::uint64_t out = 0;
        for (std::size_t i = 0; i < rules.size(); ++i) {
            if (!rules.eligible(i)) continue;
            total += rules.at(i).weight;
            if (rules.down_by_answers(i) && rules.reachable(i) && rules.work(i) == 0)
                out += rules.at(i).weight;
        }
        RC_ASSERT(out * 100 <= total * cluster.service.max_out_percent);
    });
}

TEST(DecideProperty, MaxOutHoldsWhoFailsByAnswersOnly) {
    expect_of_every_decision("silence is never held by max_out", [](const Cluster& cluster) {
        const Rules rules{cluster};
        for (std::size_t i = 0; i < rules.size(); ++i)
            if (cluster.decision.servers[i].reason.find("max_out") != std::string::npos)
                RC_ASSERT(rules.down_by_answers(i));
    });
}

TEST(DecideProperty, NobodyIsHeldByMaxOutWhoWouldFit) {
    expect_of_every_decision("the limit is used", [](const Cluster& cluster) {
        const Rules rules{cluster};
        const bool anyone_well = std::any_of(
            cluster.decision.servers.begin(), cluster.decision.servers.end(),
            [](const ServerDecision& one) { return one.effective_weight != 0 && !one.held; });
        if (!anyone_well) return;
        std::uint64_t total = 0;
        std::uint64_t out = 0;
        for (std::size_t i = 0; i < rules.size(); ++i) {
            if (!rules.eligible(i)) continue;
            total += rules.at(i).weight;
            if (rules.down_by_answers(i) && rules.reachable(i) && rules.work(i) == 0)
                out += rules.at(i).weight;
        }
        for (std::size_t i = 0; i < rules.size(); ++i)
            if (cluster.decision.servers[i].held)
                RC_ASSERT((out + rules.at(i).weight) * 100 >
                          total * cluster.service.max_out_percent);
    });
}

TEST(DecideProperty, HoldNeverLeavesAServiceEmptyThatCouldBeHeld) {
    expect_always("of the last set, who may work does", [] {
        Cluster cluster = any_cluster();
        cluster.service.on_all_down = OnAllDown::hold;
        std::vector<Endpoint> last;
        for (unsigned i = 1 + below(20); i > 0; --i) {
            event(cluster);
            cluster.decide();
            const Rules rules{cluster};
            std::vector<Endpoint> working;
            bool only_last_hope = true;
            for (std::size_t k = 0; k < rules.size(); ++k) {
                if (rules.work(k) == 0) continue;
                working.push_back(rules.at(k).endpoint);
                if (cluster.decision.servers[k].reason.find("no server is up") == std::string::npos)
                    only_last_hope = false;
            }
            if (!working.empty() && !only_last_hope) {
                last = working;
                continue;
            }
            for (std::size_t k = 0; k < rules.size(); ++k) {
                const bool was_in =
                    std::find(last.begin(), last.end(), rules.at(k).endpoint) != last.end();
                RC_ASSERT((rules.work(k) != 0) ==
                          (was_in && rules.eligible(k) && rules.reachable(k)));
            }
            RC_ASSERT(!cluster.decision.quorum.met);
        }
    });
}

TEST(DecideProperty, EmptyHoldsNobodyButByMaxOut) {
    expect_always("on_all_down empty", [] {
        Cluster cluster = any_cluster();
        cluster.service.on_all_down = OnAllDown::empty;
        cluster.service.max_out_percent = 100;
        for (unsigned i = 1 + below(20); i > 0; --i) {
            event(cluster);
            for (const ServerDecision& one : cluster.decide().servers)
                RC_ASSERT(!one.held);
        }
    });
}

TEST(DecideProperty, QuorumSumsTheConfiguredWeightsOfWhoIsWell) {
    expect_of_every_decision("up and servers_up", [](const Cluster& cluster) {
        const Rules rules{cluster};
        std::uint64_t up = 0;
        std::uint32_t servers = 0;
        for (std::size_t i = 0; i < rules.size(); ++i) {
            if (!rules.eligible(i) || !rules.reachable(i) || !rules.well(i)) continue;
            up += rules.at(i).weight;
            ++servers;
        }
        const QuorumDecision& quorum = cluster.decision.quorum;
        RC_ASSERT(quorum.up == up);
        RC_ASSERT(quorum.servers_up == servers);
        const Quorum& wanted = cluster.service.quorum;
        if (up >= wanted.required + wanted.hysteresis) RC_ASSERT(quorum.met);
        if (up == 0 || up + wanted.hysteresis < wanted.required) RC_ASSERT(!quorum.met);
    });
}

TEST(DecideProperty, WeightsAreConfiguredOnesButForSlowStart) {
    expect_of_every_decision("ratios are exact", [](const Cluster& cluster) {
        const Rules rules{cluster};
        const bool starting = cluster.decision.next_change.has_value();
        if (starting) RC_ASSERT(cluster.service.slow_start > Nanoseconds{0});
        for (std::size_t i = 0; i < rules.size(); ++i) {
            const ServerDecision& one = cluster.decision.servers[i];
            const std::uint32_t work = rules.work(i);
            RC_ASSERT(one.configured_weight == rules.at(i).weight);
            RC_ASSERT(one.effective_weight <= one.configured_weight);
            RC_ASSERT((one.effective_weight == 0) == (work == 0));
            if (work == 0) continue;
            if (starting) {
                RC_ASSERT(work % rules.at(i).weight == 0U);
                RC_ASSERT(work / rules.at(i).weight <= slow_start_steps);
                RC_ASSERT(one.effective_weight == (work + slow_start_steps - 1) / slow_start_steps);
            } else {
                RC_ASSERT(work == rules.at(i).weight);
            }
        }
    });
}

TEST(DecideProperty, SlowStartAlwaysAdvancesAndEnds) {
    expect_of_every_decision("next_change leads to full weights", [](const Cluster& reached) {
        Cluster cluster = reached;
        for (unsigned steps = 0; cluster.decision.next_change; ++steps) {
            RC_ASSERT(steps <= slow_start_steps);
            RC_ASSERT(*cluster.decision.next_change > cluster.now);
            cluster.now = *cluster.decision.next_change;
            std::vector<Weight> before;
            for (const ServerDecision& one : cluster.decision.servers)
                before.push_back(one.effective_weight);
            cluster.decide();
            for (std::size_t i = 0; i < before.size(); ++i)
                RC_ASSERT(cluster.decision.servers[i].effective_weight >= before[i]);
        }
    });
}

TEST(DecideProperty, DecidingAgainChangesNothing) {
    expect_of_every_decision("a decision is settled", [](const Cluster& reached) {
        Cluster cluster = reached;
        cluster.decide();
        RC_ASSERT(cluster.decision.forwarding == reached.decision.forwarding);
        for (std::size_t i = 0; i < cluster.decision.servers.size(); ++i) {
            RC_ASSERT(cluster.decision.servers[i].reason == reached.decision.servers[i].reason);
            RC_ASSERT(cluster.decision.servers[i].transitions ==
                      reached.decision.servers[i].transitions);
        }
    });
}

TEST(DecideProperty, TheOrderOfTheFileMattersToMaxOutOnly) {
    expect_of_every_decision("reversed servers, same forwarding", [](const Cluster& reached) {
        if (reached.service.max_out_percent != 100) return;
        Cluster cluster = reached;
        std::reverse(cluster.service.real_servers.begin(), cluster.service.real_servers.end());
        RC_ASSERT(cluster.decide().forwarding == reached.decision.forwarding);
    });
}

TEST(DecideProperty, WhoeverIsNotSimplyUpSaysWhy) {
    expect_of_every_decision("reasons", [](const Cluster& cluster) {
        for (const ServerDecision& one : cluster.decision.servers) {
            const bool simply_up = one.state == ServerState::up &&
                                   one.effective_weight == one.configured_weight &&
                                   one.configured_weight != 0;
            if (!simply_up) RC_ASSERT(!one.reason.empty());
            if (one.reason.empty()) RC_ASSERT(simply_up);
        }
    });
}

TEST(DecideProperty, TheSorryServerHasAllTheWorkExactlyWithoutQuorum) {
    expect_always("sorry server or the others", [] {
        Cluster cluster = any_cluster();
        const Endpoint sorry = server(250);
        cluster.service.sorry_server = SorryServer{sorry, coin()};
        for (unsigned i = 1 + below(20); i > 0; --i) {
            event(cluster);
            cluster.decide();
            const bool used = cluster.decision.sorry->in_use;
            RC_ASSERT(used == !cluster.decision.quorum.met);
            const auto weight = weight_of(cluster.decision.forwarding, sorry);
            RC_ASSERT(weight.has_value() == (used || cluster.service.sorry_server->inhibit));
            RC_ASSERT(weight.value_or(0) == (used ? 1U : 0U));
            const Rules rules{cluster};
            for (std::size_t k = 0; k < rules.size(); ++k) {
                const ServerDecision& one = cluster.decision.servers[k];
                if (used) RC_ASSERT(rules.work(k) == 0U && one.effective_weight == 0U && !one.held);
                const bool simply_up = one.state == ServerState::up &&
                                       one.effective_weight == one.configured_weight &&
                                       one.configured_weight != 0;
                if (!simply_up) RC_ASSERT(!one.reason.empty());
            }
        }
    });
}

}  // namespace
}  // namespace dnsdirector::core
