// SPDX-License-Identifier: Apache-2.0
#include "core/forwarding.h"

#include <gtest/gtest.h>

#include "unit/core/support.h"

namespace dnsdirector::core {
namespace {

void apply_all(Forwarding& forwarding, const std::vector<Change>& changes) {
    for (const Change& change : changes)
        core::apply(forwarding, change);
}

bool has_work(const ServiceForwarding& service) {
    return std::any_of(service.destinations.begin(), service.destinations.end(),
                       [](const Destination& destination) { return destination.weight != 0; });
}

/// A short way to say what changes are: "+service", "~11=2", "-12".
std::string shorthand(const Change& change) {
    struct Shorthand {
        std::string operator()(const AddService&) { return "+service"; }
        std::string operator()(const EditService&) { return "~service"; }
        std::string operator()(const RemoveService&) { return "-service"; }
        std::string operator()(const AddDestination& c) { return "+" + text(c.destination); }
        std::string operator()(const EditDestination& c) { return "~" + text(c.destination); }
        std::string operator()(const RemoveDestination& c) {
            return "-" + std::to_string(c.server.address.bytes()[3]);
        }
        static std::string text(const Destination& d) {
            return std::to_string(d.server.address.bytes()[3]) + "=" + std::to_string(d.weight);
        }
    };
    return std::visit(Shorthand{}, change);
}

std::string shorthand(const std::vector<Change>& changes) {
    std::string text;
    for (const Change& change : changes)
        text += (text.empty() ? "" : " ") + shorthand(change);
    return text;
}

ServiceForwarding with(std::vector<Destination> destinations) {
    return {service_key(), Scheduler::wrr, ForwardingMethod::dr, std::move(destinations)};
}

TEST(Diff, GivesWorkBeforeItTakesWork) {
    const ServiceForwarding before =
        with({{server(1), 1}, {server(2), 1}, {server(3), 0}, {server(4), 2}});
    const ServiceForwarding after =
        with({{server(2), 0}, {server(3), 1}, {server(4), 2}, {server(5), 0}, {server(6), 7}});
    EXPECT_EQ(shorthand(diff(&before, &after)), "~3=1 +6=7 ~2=0 +5=0 -1");
}

TEST(Diff, ANewServiceComesBeforeItsDestinations) {
    const ServiceForwarding after = with({{server(1), 1}});
    EXPECT_EQ(shorthand(diff(nullptr, &after)), "+service +1=1");
}

TEST(Diff, RemovesAServiceAtOnce) {
    const ServiceForwarding before = with({{server(1), 1}});
    EXPECT_EQ(shorthand(diff(&before, nullptr)), "-service");
}

TEST(Diff, ASchedulerIsEditedInPlace) {
    const ServiceForwarding before = with({{server(1), 1}});
    ServiceForwarding after = before;
    after.scheduler = Scheduler::mh;
    EXPECT_EQ(shorthand(diff(&before, &after)), "~service");
}

TEST(Diff, OfNothingAndNothingIsEmpty) {
    EXPECT_TRUE(diff(nullptr, nullptr).empty());
}

TEST(Apply, ADestinationOfAnUnknownServiceIsIgnored) {
    Forwarding forwarding;
    core::apply(forwarding, AddDestination{service_key(), {server(1), 1}});
    core::apply(forwarding, EditDestination{service_key(), {server(1), 1}});
    core::apply(forwarding, RemoveDestination{service_key(), server(1)});
    core::apply(forwarding, EditService{service_key(), Scheduler::rr, ForwardingMethod::dr});
    core::apply(forwarding, RemoveService{service_key()});
    EXPECT_TRUE(forwarding.empty());
}

TEST(Apply, AddingAServiceAgainKeepsItsDestinations) {
    Forwarding forwarding{{service_key(), with({{server(1), 1}})}};
    core::apply(forwarding, AddService{service_key(), Scheduler::mh, ForwardingMethod::dr});
    EXPECT_EQ(forwarding.at(service_key()).destinations.size(), 1U);
    EXPECT_EQ(forwarding.at(service_key()).scheduler, Scheduler::mh);
}

TEST(Describe, SaysWhatChangesInOneLine) {
    const Forwarding before{{service_key(), with({{server(11), 1}, {server(12), 1}})}};
    const ServiceKey v6 = service_key("2001:db8::53", Protocol::tcp);
    EXPECT_EQ(describe(EditDestination{service_key(), {server(11), 2}}, before),
              "192.0.2.53:53/udp: real server 203.0.113.11:53 weight 1 -> 2");
    EXPECT_EQ(describe(AddDestination{service_key(), {server(13), 1}}, before),
              "192.0.2.53:53/udp: real server 203.0.113.13:53 added, weight 1");
    EXPECT_EQ(describe(RemoveDestination{service_key(), server(11)}, before),
              "192.0.2.53:53/udp: real server 203.0.113.11:53 removed");
    EXPECT_EQ(describe(AddService{v6, Scheduler::wrr, ForwardingMethod::dr}, before),
              "[2001:db8::53]:53/tcp: new service, scheduler wrr, forwarding dr");
    EXPECT_EQ(describe(EditService{service_key(), Scheduler::mh, ForwardingMethod::dr}, before),
              "192.0.2.53:53/udp: scheduler wrr -> mh");
    EXPECT_EQ(describe(EditService{service_key(), Scheduler::mh, ForwardingMethod::tun}, before),
              "192.0.2.53:53/udp: scheduler wrr -> mh, forwarding dr -> tun");
    EXPECT_EQ(describe(RemoveService{service_key()}, before),
              "192.0.2.53:53/udp: service removed, with 2 real servers");
}

TEST(Describe, SaysWhatOnlyIpvsDoes) {
    const Forwarding before{{service_key(), with({{server(11), 1}})}};
    EXPECT_EQ(
        describe(EditDestination{service_key(), {server(11), 1, ForwardingMethod::tun, {100, 50}}},
                 before),
        "192.0.2.53:53/udp: real server 203.0.113.11:53 forwarding dr -> tun, thresholds "
        "none -> 100/50");
    EditService edit{service_key(), Scheduler::wrr, ForwardingMethod::dr};
    edit.ipvs = {.one_packet = true, .persistence_timeout = 60, .persistence_prefix = 24};
    EXPECT_EQ(describe(edit, before),
              "192.0.2.53:53/udp: one-packet scheduling off -> on, persistence off -> 60 s, "
              "persistence prefix 0 -> 24");
    edit.ipvs = unwishable_options;
    EXPECT_EQ(describe(edit, before), "192.0.2.53:53/udp: a scheduler or flags that are not ours");
}

TEST(Diff, SeesOptionsMethodsAndThresholds) {
    const Forwarding actual{{service_key(), with({{server(11), 1}})}};
    Forwarding desired = actual;
    desired.at(service_key()).ipvs.one_packet = true;
    desired.at(service_key()).destinations[0].method = ForwardingMethod::nat;
    desired.at(service_key()).destinations[0].thresholds.upper = 5;
    const auto changes = diff(actual, desired);
    EXPECT_EQ(changes.size(), 2U);
    Forwarding applied = actual;
    for (const Change& change : changes)
        apply(applied, change);
    EXPECT_EQ(applied, desired);
}

TEST(DiffProperty, AppliedToActualYieldsDesired) {
    expect_always("apply(diff(actual, desired)) == desired", [] {
        const auto actual = *generate::forwarding();
        const auto desired = *generate::forwarding();
        Forwarding forwarding = actual;
        apply_all(forwarding, diff(actual, desired));
        RC_ASSERT(forwarding == desired);
    });
}

TEST(DiffProperty, OfEqualsIsEmpty) {
    expect_always("diff(x, x) is empty", [] {
        const auto forwarding = *generate::forwarding();
        RC_ASSERT(diff(forwarding, forwarding).empty());
    });
}

TEST(DiffProperty, InterruptedAnywhereAFreshDiffLeadsToTheSameEnd) {
    expect_always("a prefix, then a fresh diff", [] {
        const auto actual = *generate::forwarding();
        const auto desired = *generate::forwarding();
        Forwarding forwarding = actual;
        // Interrupted up to three times, as by a plane that refuses now and then.
        for (int i = 0; i < 3; ++i) {
            std::vector<Change> changes = diff(forwarding, desired);
            changes.resize(*rc::gen::inRange(std::size_t{0}, changes.size() + 1));
            apply_all(forwarding, changes);
        }
        apply_all(forwarding, diff(forwarding, desired));
        RC_ASSERT(forwarding == desired);
    });
}

TEST(DiffProperty, ChangesAppliedTwiceYieldTheSame) {
    expect_always("each change is idempotent", [] {
        const auto actual = *generate::forwarding();
        const auto desired = *generate::forwarding();
        Forwarding forwarding = actual;
        for (const Change& change : diff(actual, desired)) {
            core::apply(forwarding, change);
            const Forwarding once = forwarding;
            core::apply(forwarding, change);
            RC_ASSERT(forwarding == once);
        }
    });
}

TEST(DiffProperty, NoServiceIsWithoutWorkInBetween) {
    expect_always("work before and after means work all the time", [] {
        const auto before = *generate::service();
        const auto after = *generate::service();
        RC_PRE(has_work(before) && has_work(after));
        Forwarding forwarding{{before.key, before}};
        for (const Change& change : diff(&before, &after)) {
            core::apply(forwarding, change);
            RC_ASSERT(has_work(forwarding.at(before.key)));
        }
    });
}

TEST(DiffProperty, AdditionsAndEditsComeBeforeRemovalsAndServicesAreConsecutive) {
    expect_always("order of changes", [] {
        const auto changes = diff(*generate::forwarding(), *generate::forwarding());
        std::vector<ServiceKey> finished;
        for (std::size_t i = 0; i < changes.size(); ++i) {
            const ServiceKey& key = service_of(changes[i]);
            RC_ASSERT(std::find(finished.begin(), finished.end(), key) == finished.end());
            if (i + 1 < changes.size() && service_of(changes[i + 1]) != key) {
                finished.push_back(key);
                continue;
            }
            if (i + 1 < changes.size() && std::holds_alternative<RemoveDestination>(changes[i]))
                RC_ASSERT(std::holds_alternative<RemoveDestination>(changes[i + 1]));
        }
    });
}

TEST(DiffProperty, ChangesNothingThatIsRightAlready) {
    expect_always("a destination is named at most once, and only if it differs", [] {
        const auto before = *generate::service();
        const auto after = *generate::service();
        std::set<Endpoint> named;
        for (const Change& change : diff(&before, &after)) {
            std::optional<Endpoint> about;
            if (const auto* add = std::get_if<AddDestination>(&change))
                about = add->destination.server;
            if (const auto* edit = std::get_if<EditDestination>(&change))
                about = edit->destination.server;
            if (const auto* remove = std::get_if<RemoveDestination>(&change))
                about = remove->server;
            if (!about) continue;
            RC_ASSERT(named.insert(*about).second);
            RC_ASSERT(weight_of(before, *about) != weight_of(after, *about));
        }
    });
}

}  // namespace
}  // namespace dnsdirector::core
