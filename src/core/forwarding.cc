// SPDX-License-Identifier: Apache-2.0
#include "core/forwarding.h"

#include <fmt/format.h>

#include <algorithm>

namespace dnsdirector::core {
namespace {

const std::vector<Destination> no_destinations;

template <typename Destinations>
auto position(Destinations& destinations, const Endpoint& server) {
    return std::lower_bound(destinations.begin(), destinations.end(), server,
                            [](const Destination& destination, const Endpoint& wanted) {
                                return destination.server < wanted;
                            });
}

const Destination* find(const ServiceForwarding* service, const Endpoint& server) {
    if (service == nullptr) return nullptr;
    const auto at = position(service->destinations, server);
    return at != service->destinations.end() && at->server == server ? &*at : nullptr;
}

/// One walk over both sorted lists; calls only_before, only_after and both.
template <typename OnlyBefore, typename OnlyAfter, typename Both>
void compare(const std::vector<Destination>& before, const std::vector<Destination>& after,
             OnlyBefore only_before, OnlyAfter only_after, Both both) {
    auto left = before.begin();
    auto right = after.begin();
    while (left != before.end() || right != after.end()) {
        if (right == after.end() || (left != before.end() && left->server < right->server))
            only_before(*left++);
        else if (left == before.end() || right->server < left->server)
            only_after(*right++);
        else
            both(*left++, *right++);
    }
}

/// What gives a server work comes first, then what takes work away, then
/// removals: a plane that applies the changes one by one always has somebody.
void diff_destinations(const ServiceKey& key, const std::vector<Destination>& actual,
                       const std::vector<Destination>& desired, std::vector<Change>& changes) {
    const auto add_and_edit = [&](bool with_work) {
        compare(
            actual, desired, [](const Destination&) {},
            [&](const Destination& added) {
                if ((added.weight != 0) == with_work)
                    changes.emplace_back(AddDestination{key, added});
            },
            [&](const Destination& before, const Destination& after) {
                if (before != after && (after.weight != 0) == with_work)
                    changes.emplace_back(EditDestination{key, after});
            });
    };
    add_and_edit(true);
    add_and_edit(false);
    compare(
        actual, desired,
        [&](const Destination& gone) { changes.emplace_back(RemoveDestination{key, gone.server}); },
        [](const Destination&) {}, [](const Destination&, const Destination&) {});
}

void diff_service(const ServiceForwarding* actual, const ServiceForwarding* desired,
                  std::vector<Change>& changes) {
    if (desired == nullptr) {
        if (actual != nullptr) changes.emplace_back(RemoveService{actual->key});
        return;
    }
    if (actual == nullptr)
        changes.emplace_back(AddService{desired->key, desired->scheduler, desired->method,
                                        desired->other_hash, desired->ipvs});
    else if (actual->scheduler != desired->scheduler || actual->method != desired->method ||
             actual->other_hash != desired->other_hash || actual->ipvs != desired->ipvs)
        changes.emplace_back(EditService{desired->key, desired->scheduler, desired->method,
                                         desired->other_hash, desired->ipvs});
    diff_destinations(desired->key, actual != nullptr ? actual->destinations : no_destinations,
                      desired->destinations, changes);
}

// ---- apply ------------------------------------------------------------------

struct Applier {
    Forwarding& forwarding;

    ServiceForwarding* service(const ServiceKey& key) const {
        const auto found = forwarding.find(key);
        return found == forwarding.end() ? nullptr : &found->second;
    }

    void operator()(const AddService& change) const {
        ServiceForwarding& added = forwarding[change.key];
        added.key = change.key;
        added.scheduler = change.scheduler;
        added.method = change.method;
        added.other_hash = change.other_hash;
        added.ipvs = change.ipvs;
    }
    void operator()(const EditService& change) const {
        if (ServiceForwarding* edited = service(change.key)) {
            edited->scheduler = change.scheduler;
            edited->method = change.method;
            edited->other_hash = change.other_hash;
            edited->ipvs = change.ipvs;
        }
    }
    void operator()(const RemoveService& change) const { forwarding.erase(change.key); }
    void operator()(const AddDestination& change) const {
        ServiceForwarding* to = service(change.key);
        if (to == nullptr) return;
        const auto at = position(to->destinations, change.destination.server);
        if (at != to->destinations.end() && at->server == change.destination.server)
            *at = change.destination;
        else
            to->destinations.insert(at, change.destination);
    }
    void operator()(const EditDestination& change) const {
        ServiceForwarding* of = service(change.key);
        if (of == nullptr) return;
        const auto at = position(of->destinations, change.destination.server);
        if (at != of->destinations.end() && at->server == change.destination.server)
            *at = change.destination;
    }
    void operator()(const RemoveDestination& change) const {
        ServiceForwarding* from = service(change.key);
        if (from == nullptr) return;
        const auto at = position(from->destinations, change.server);
        if (at != from->destinations.end() && at->server == change.server)
            from->destinations.erase(at);
    }
};

// ---- describe ---------------------------------------------------------------

std::string seconds(std::uint32_t timeout) {
    return timeout == 0 ? "off" : fmt::format("{} s", timeout);
}

std::string limits(const Thresholds& thresholds) {
    return thresholds == Thresholds{} ? "none"
                                      : fmt::format("{}/{}", thresholds.upper, thresholds.lower);
}

/// What differs in each, as "NAME BEFORE -> AFTER".
void describe_options(const IpvsOptions& before, const IpvsOptions& after, std::string& text) {
    if (before == after) return;
    if (before == unwishable_options || after == unwishable_options) {
        const bool theirs = after == unwishable_options;
        text += fmt::format("{}{}", text.empty() ? "" : ", ",
                            theirs ? "a scheduler or flags that are not ours"
                                   : "its own scheduler and flags again");
        return;
    }
    const auto add = [&](std::string_view name, const std::string& was, const std::string& is) {
        if (was != is)
            text += fmt::format("{}{} {} -> {}", text.empty() ? "" : ", ", name, was, is);
    };
    const auto on_off = [](bool value) { return std::string(value ? "on" : "off"); };
    add("one-packet scheduling", on_off(before.one_packet), on_off(after.one_packet));
    add("fallback", on_off(before.fallback), on_off(after.fallback));
    add("persistence", seconds(before.persistence_timeout), seconds(after.persistence_timeout));
    add("persistence prefix", std::to_string(before.persistence_prefix),
        std::to_string(after.persistence_prefix));
}

bool takes_port(const EditService& change) {
    return (change.scheduler == Scheduler::sh) == change.other_hash;
}

struct Describer {
    const ServiceForwarding* before;  ///< nullptr: the service is not there

    std::string operator()(const AddService& change) const {
        return fmt::format("new service, scheduler {}, forwarding {}", to_string(change.scheduler),
                           to_string(change.method));
    }
    std::string operator()(const EditService& change) const {
        if (before == nullptr)
            return fmt::format("scheduler {}, forwarding {}", to_string(change.scheduler),
                               to_string(change.method));
        std::string text;
        if (before->scheduler != change.scheduler)
            text = fmt::format("scheduler {} -> {}", to_string(before->scheduler),
                               to_string(change.scheduler));
        if (before->method != change.method)
            text += fmt::format("{}forwarding {} -> {}", text.empty() ? "" : ", ",
                                to_string(before->method), to_string(change.method));
        if (before->other_hash != change.other_hash)
            text += fmt::format("{}hash {} the client's port", text.empty() ? "" : ", ",
                                takes_port(change) ? "with" : "without");
        describe_options(before->ipvs, change.ipvs, text);
        return text.empty() ? "service unchanged" : text;
    }
    std::string operator()(const RemoveService&) const {
        const std::size_t servers = before == nullptr ? 0 : before->destinations.size();
        if (servers == 0) return "service removed";
        return fmt::format("service removed, with {} real server{}", servers,
                           servers == 1 ? "" : "s");
    }
    std::string operator()(const AddDestination& change) const {
        return fmt::format("real server {} added, weight {}", change.destination.server.to_string(),
                           change.destination.weight);
    }
    std::string operator()(const EditDestination& change) const {
        const Destination* old = find(before, change.destination.server);
        if (old == nullptr)
            return fmt::format("real server {} weight {}", change.destination.server.to_string(),
                               change.destination.weight);
        std::string text;
        if (old->weight != change.destination.weight)
            text = fmt::format(" weight {} -> {}", old->weight, change.destination.weight);
        if (old->method != change.destination.method)
            text += fmt::format("{} forwarding {} -> {}", text.empty() ? "" : ",",
                                to_string(old->method), to_string(change.destination.method));
        if (old->thresholds != change.destination.thresholds)
            text += fmt::format("{} thresholds {} -> {}", text.empty() ? "" : ",",
                                limits(old->thresholds), limits(change.destination.thresholds));
        return fmt::format("real server {}{}", change.destination.server.to_string(),
                           text.empty() ? " unchanged" : text);
    }
    std::string operator()(const RemoveDestination& change) const {
        return fmt::format("real server {} removed", change.server.to_string());
    }
};

}  // namespace

const ServiceKey& service_of(const Change& change) {
    return std::visit([](const auto& one) -> const ServiceKey& { return one.key; }, change);
}

std::string describe(const Change& change, const Forwarding& before) {
    const ServiceKey& key = service_of(change);
    const auto found = before.find(key);
    return key.to_string() + ": " +
           std::visit(Describer{found == before.end() ? nullptr : &found->second}, change);
}

std::vector<Change> diff(const ServiceForwarding* actual, const ServiceForwarding* desired) {
    std::vector<Change> changes;
    diff_service(actual, desired, changes);
    return changes;
}

std::vector<Change> diff(const Forwarding& actual, const Forwarding& desired) {
    std::vector<Change> changes;
    auto left = actual.begin();
    auto right = desired.begin();
    while (left != actual.end() || right != desired.end()) {
        if (right == desired.end() || (left != actual.end() && left->first < right->first))
            diff_service(&(left++)->second, nullptr, changes);
        else if (left == actual.end() || right->first < left->first)
            diff_service(nullptr, &(right++)->second, changes);
        else
            diff_service(&(left++)->second, &(right++)->second, changes);
    }
    return changes;
}

void apply(Forwarding& forwarding, const Change& change) {
    std::visit(Applier{forwarding}, change);
}

}  // namespace dnsdirector::core
