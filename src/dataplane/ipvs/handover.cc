// SPDX-License-Identifier: Apache-2.0
//
// The plane: what is looked at before a configuration comes, and services that
// change hands.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "dataplane/ipvs/plane.h"
#include "dataplane/ipvs/refusals.h"
#include "dataplane/ipvs/surroundings.h"
#include "dataplane/ipvs/translate.h"

namespace dnsdirector::dataplane::ipvs {
namespace {

using netlink::IpvsDestination;

/// In what can be set.
bool alike(const IpvsDestination& left, const IpvsDestination& right) {
    return left.method == right.method && left.weight == right.weight &&
           left.upper_threshold == right.upper_threshold &&
           left.lower_threshold == right.lower_threshold && left.tunnel_type == right.tunnel_type;
}

}  // namespace

/// Before anything is changed: a scheduler that is missing is the one thing that this
/// kernel may refuse of a whole configuration.
Result<void> Plane::check(const core::Configuration& next) {
    std::set<core::Scheduler> known;
    for (const auto& [key, service] : held_)
        known.insert(service.scheduler);
    for (const core::Service& service : next.services) {
        if (!known.insert(service.scheduler).second) continue;
        const std::string name{core::to_string(service.scheduler)};
        if (const auto found = table_->find_scheduler(name); !found)
            return refused_scheduler(service.key, name, found.error());
    }
    return {};
}

void Plane::expect(const core::Configuration& next) {
    expected_.clear();
    for (const core::Service& service : next.services) {
        expected_.insert(service.key);
        methods_.try_emplace(service.key, service.method);
    }
    for (auto at = taken_.begin(); at != taken_.end();) {
        const core::ServiceKey key = (at++)->first;
        if (expected_.contains(key)) continue;
        if (auto given = give_back(key); !given) spdlog::error("{}", given.error().message);
    }
    const std::vector<std::string> before =
        std::exchange(warnings_, judge_surroundings(next, read_setting));
    for (const std::string& warning : warnings_)
        if (std::find(before.begin(), before.end(), warning) == before.end())
            spdlog::warn("{}", warning);
}

void Plane::take_over(const core::ServiceKey& key, Original found) {
    spdlog::warn(
        "{}: somebody else made this service in the IPVS table; the configuration has "
        "it, so that it is taken over",
        key.to_string());
    note(journal_.claim(key));
    taken_.emplace(key, std::move(found));
}

/// Makes it again what it was when it was taken over.
Result<void> Plane::give_back(const core::ServiceKey& key) {
    const auto node = taken_.extract(key);
    const Original& original = node.mapped();
    const netlink::IpvsServiceId id = id_of(key);
    auto done = table_->edit(original.service);
    if (!done && done.error().error == ESRCH) done = table_->add(original.service);
    if (!done) return refused(key, "giving the service back", done.error());
    const auto present = table_->destinations(id);
    if (!present) return refused(key, "giving the service back", present.error());
    std::map<Endpoint, IpvsDestination> others;
    for (const IpvsDestination& one : *present)
        others.emplace(Endpoint{one.address, one.port}, one);
    Result<void> result;
    const auto keep = [&](const netlink::IpvsResult<void>& step, const IpvsDestination& one) {
        if (!step && result)
            result = refused(
                key, "giving back real server " + Endpoint{one.address, one.port}.to_string(),
                step.error());
    };
    for (const IpvsDestination& one : original.destinations) {
        const auto now = others.extract(Endpoint{one.address, one.port});
        if (now.empty())
            keep(table_->add(id, one), one);
        else if (!alike(now.mapped(), one))
            keep(table_->edit(id, one), one);
    }
    for (const auto& [server, one] : others)
        keep(table_->remove(id, one), one);
    note(journal_.release(key));
    methods_.erase(key);
    held_.erase(key);
    spdlog::warn("{}: given back as somebody else had made it", key.to_string());
    return result;
}

}  // namespace dnsdirector::dataplane::ipvs
