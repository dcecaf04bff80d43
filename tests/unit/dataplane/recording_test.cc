// SPDX-License-Identifier: Apache-2.0
#include "dataplane/recording/recording.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "dataplane/none/none.h"

namespace dnsdirector::dataplane {
namespace {

const core::ServiceKey service{IpAddress::parse("192.0.2.53").value(), 53, Protocol::udp};
const Endpoint ns1{IpAddress::parse("203.0.113.11").value(), 53};
const Endpoint ns2{IpAddress::parse("203.0.113.12").value(), 53};

core::Forwarding two_servers() {
    core::ServiceForwarding forwarding{.key = service};
    forwarding.destinations = {{ns1, 1}, {ns2, 2}};
    return {{service, forwarding}};
}

TEST(RecordingPlane, holds_and_records_what_was_applied) {
    RecordingPlane plane;
    const auto changes = core::diff({}, two_servers());
    ASSERT_TRUE(plane.apply(changes).has_value());
    EXPECT_EQ(plane.read().value(), two_servers());
    EXPECT_EQ(plane.applied(), changes);
    ASSERT_TRUE(plane.detach().has_value());
    EXPECT_TRUE(plane.detached());
    EXPECT_TRUE(plane.read()->empty());
}

TEST(RecordingPlane, refuses_the_change_it_was_told_to_and_keeps_those_before) {
    const auto changes = core::diff({}, two_servers());
    for (std::size_t nth = 1; nth <= changes.size(); ++nth) {
        RecordingPlane plane;
        plane.fail_change(nth, "no room");
        const auto applied = plane.apply(changes);
        ASSERT_FALSE(applied.has_value());
        EXPECT_EQ(applied.error().message, "no room");
        EXPECT_EQ(plane.applied().size(), nth - 1);
        // The engine's way out: read, compare, apply.
        ASSERT_TRUE(plane.apply(core::diff(plane.read().value(), two_servers())).has_value());
        EXPECT_EQ(plane.read().value(), two_servers());
    }
}

TEST(RecordingPlane, tells_of_a_disturbance_after_it_happened) {
    RecordingPlane plane{core::DataPlaneKind::xdp, two_servers()};
    std::string heard;
    plane.on_disturbed = [&](const std::string& what) {
        heard = what;
        EXPECT_TRUE(plane.read()->empty());
    };
    plane.disturb("eth0 went away", [](core::Forwarding& forwarding) { forwarding.clear(); });
    EXPECT_EQ(heard, "eth0 went away");
}

TEST(RecordingPlane, tells_when_reachability_is_news) {
    RecordingPlane plane;
    int told = 0;
    plane.on_reachability_changed = [&](std::span<const IpAddress> servers) {
        ++told;
        ASSERT_EQ(servers.size(), 1U);
        EXPECT_EQ(servers.front(), ns1.address);
    };
    EXPECT_EQ(plane.unreachable_reason(ns1, core::ForwardingMethod::dr), "");
    plane.set_unreachable(ns1.address, "no neighbour entry");
    plane.set_unreachable(ns1.address, "no neighbour entry");
    EXPECT_EQ(plane.unreachable_reason(ns1, core::ForwardingMethod::dr), "no neighbour entry");
    EXPECT_EQ(plane.unreachable_reason(ns2, core::ForwardingMethod::dr), "");
    plane.set_unreachable(ns1.address, "");
    EXPECT_EQ(plane.unreachable_reason(ns1, core::ForwardingMethod::dr), "");
    EXPECT_EQ(told, 2);
}

TEST(NonePlane, remembers_what_it_was_told_and_reaches_everybody) {
    const auto plane = make_none();
    ASSERT_TRUE(plane->apply(core::diff({}, two_servers())).has_value());
    EXPECT_EQ(plane->read().value(), two_servers());
    EXPECT_EQ(plane->unreachable_reason(ns1, core::ForwardingMethod::dr), "");
    EXPECT_TRUE(plane->interfaces().empty());
    EXPECT_EQ(plane->descriptor(), -1);
    ASSERT_TRUE(plane->detach().has_value());
    EXPECT_TRUE(plane->read()->empty());
}

TEST(Capabilities, say_which_plane_can_what) {
    const auto can = [](core::DataPlaneKind kind, core::Scheduler scheduler) {
        const auto& all = capabilities_of(kind).schedulers;
        return std::find(all.begin(), all.end(), scheduler) != all.end();
    };
    EXPECT_TRUE(can(core::DataPlaneKind::xdp, core::Scheduler::mh));
    EXPECT_FALSE(can(core::DataPlaneKind::xdp, core::Scheduler::wlc));
    EXPECT_TRUE(can(core::DataPlaneKind::ipvs, core::Scheduler::wlc));
    EXPECT_EQ(capabilities_of(core::DataPlaneKind::xdp).methods,
              (std::vector{core::ForwardingMethod::dr, core::ForwardingMethod::tun}));
    EXPECT_TRUE(capabilities_of(core::DataPlaneKind::xdp).needs_next_hop);
    EXPECT_FALSE(capabilities_of(core::DataPlaneKind::none).needs_next_hop);
    EXPECT_TRUE(capabilities_of(core::DataPlaneKind::proxy).methods.empty());
}

}  // namespace
}  // namespace dnsdirector::dataplane
