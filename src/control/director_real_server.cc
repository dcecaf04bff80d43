// SPDX-License-Identifier: Apache-2.0
//
// The director as a real server's agent: what `realserver run` does besides.
#include <spdlog/spdlog.h>

#include "control/running_director.h"

namespace dnsdirector::control {
namespace {

using Kind = realserver::Keeper::Kind;

void log_line(Kind kind, const std::string& line) {
    switch (kind) {
        case Kind::repair: return spdlog::warn("repaired: {}", line);
        case Kind::problem: return spdlog::error("{}", line);
        default: return spdlog::info("{}", line);
    }
}

}  // namespace

void RunningDirector::connect_keeper() {
    parts_.keeper->on_line = log_line;
    engine_.on_decided =
        [this, announce = std::move(engine_.on_decided)](std::span<const std::uint32_t> services) {
            withhold_the_unserved();
            announce(services);
        };
}

/// Returns what changed.
Result<std::vector<std::string>> RunningDirector::make_real_server(const realserver::Order& order) {
    auto done = parts_.keeper->put_in_force(order);
    if (!done) return done;
    if (order_)
        if (std::string line = change_of_withdrawal(*order_, order); !line.empty())
            done->insert(done->begin(), std::move(line));
    order_ = order;
    return done;
}

void RunningDirector::withhold_the_unserved() {
    if (!order_) return;  // overrides are decided before there is a configuration
    const std::set<IpAddress> before = parts_.keeper->withheld();
    std::set<IpAddress> now;
    if (order_->machine.withdraw_on_failure)
        now = unserved(
            engine_.configuration().services,
            [this](std::uint32_t index) -> const core::ServiceDecision& {
                return engine_.decision(index);
            },
            before);
    for (const IpAddress& each : now)
        if (!before.contains(each))
            spdlog::warn("{} is withdrawn from this machine: no DNS process passes its checks",
                         each.to_string());
    for (const IpAddress& each : before)
        if (!now.contains(each)) spdlog::info("{} comes back to this machine", each.to_string());
    parts_.keeper->withhold(std::move(now));
}

}  // namespace dnsdirector::control
