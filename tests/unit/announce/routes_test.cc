// SPDX-License-Identifier: Apache-2.0
//
// In a network namespace of its own; what `ip` shows is what a routing daemon would see.
#include "announce/routes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "unit/support/network_namespace.h"

namespace dnsdirector::announce {
namespace {

using core::RouteState;
using support::ip;

const IpAddress first_v4 = IpAddress::parse("192.0.2.53").value();
const IpAddress first_v6 = IpAddress::parse("2001:db8::53").value();
const std::map<IpAddress, RouteState> both = {{first_v4, RouteState::announced},
                                              {first_v6, RouteState::degraded}};
const std::set<core::AnnouncedRoute> both_routes = {{first_v4, 1}, {first_v6, 2}};

std::unique_ptr<Routes> open_routes(std::vector<int> kept = {}) {
    return Routes::open(kept).value();
}
/// What the kernel holds, of our interface.
std::set<core::AnnouncedRoute> seen(Routes& routes) {
    EXPECT_TRUE(routes.read());
    return routes.actual();
}
/// A copy, as systemd's store has one.
int copy_of(const Routes& routes) {
    return fcntl(routes.descriptor(), F_DUPFD_CLOEXEC, 3);
}

TEST(AnnouncedRoutes, stand_in_the_kernel_with_their_state_as_metric) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    const auto routes = open_routes();
    EXPECT_EQ(routes->descriptor(), -1);  // without a need there is no interface
    EXPECT_EQ(routes->hold(both).value().size(), 2U);
    EXPECT_EQ(seen(*routes), both_routes);
    EXPECT_EQ(routes->interface(), "dnsdirector0");
    EXPECT_TRUE(routes->hold(both).value().empty());
    EXPECT_TRUE(routes->foreign().empty());
}

TEST(AnnouncedRoutes, change_their_metric_by_a_second_route_before_the_first_goes) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    const auto routes = open_routes();
    ASSERT_TRUE(routes->hold({{first_v4, RouteState::announced}}));
    const auto log = routes->hold({{first_v4, RouteState::draining}}).value();
    EXPECT_EQ(log,
              (std::vector<std::string>{"add route 192.0.2.53/32 metric 100 over dnsdirector0",
                                        "remove route 192.0.2.53/32 metric 1 over dnsdirector0"}));
    EXPECT_EQ(seen(*routes), (std::set<core::AnnouncedRoute>{{first_v4, 100}}));
}

TEST(AnnouncedRoutes, are_put_right_after_others_changed_them) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    const auto routes = open_routes();
    ASSERT_TRUE(routes->hold(both));
    const char* const mischief[] = {"route del 192.0.2.53 proto 153",
                                    "route add 192.0.2.53 dev dnsdirector0 proto 153 metric 100",
                                    "link set dnsdirector0 down", "link del dnsdirector0"};
    for (const char* each : mischief) {
        ip(each);
        EXPECT_NE(seen(*routes), both_routes) << each;
        EXPECT_TRUE(routes->hold(both)) << each;
        EXPECT_EQ(seen(*routes), both_routes) << each;
    }
}

TEST(AnnouncedRoutes, go_with_the_last_descriptor_and_not_before) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    auto routes = open_routes();
    ASSERT_TRUE(routes->hold(both));
    const int stored = copy_of(*routes);
    routes.reset();  // as by kill -9
    routes = open_routes({stored});
    EXPECT_EQ(routes->actual(), both_routes);
    EXPECT_EQ(routes->interface(), "dnsdirector0");
    EXPECT_TRUE(routes->hold(both).value().empty());
    routes.reset();
    routes = open_routes();
    EXPECT_TRUE(routes->actual().empty());
    EXPECT_TRUE(routes->foreign().empty());
}

TEST(AnnouncedRoutes, do_not_take_what_is_no_interface_for_one) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    const int file = open("/dev/null", O_RDWR | O_CLOEXEC);
    auto routes = open_routes({file});
    EXPECT_EQ(routes->descriptor(), -1);
    EXPECT_EQ(fcntl(file, F_GETFD), -1);  // closed
    EXPECT_TRUE(routes->hold(both));
}

TEST(AnnouncedRoutes, of_somebody_else_are_seen_and_left_alone) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link set lo up");
    ip("route add blackhole 192.0.2.54 proto 153 metric 1");
    const auto routes = open_routes();
    ASSERT_TRUE(routes->hold(both));
    EXPECT_EQ(seen(*routes), both_routes);
    ASSERT_EQ(routes->foreign().size(), 1U);
    EXPECT_EQ(routes->foreign().front().address.to_string(), "192.0.2.54");
    EXPECT_TRUE(routes->release());
    ASSERT_TRUE(routes->read());
    EXPECT_EQ(routes->foreign().size(), 1U);
}

TEST(AnnouncedRoutes, are_gone_after_a_release_and_can_come_again) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    const auto routes = open_routes();
    std::vector<int> told;
    routes->on_new_device = [&](int descriptor) { told.push_back(descriptor); };
    ASSERT_TRUE(routes->hold(both));
    ASSERT_TRUE(routes->release());
    EXPECT_EQ(routes->descriptor(), -1);
    EXPECT_TRUE(seen(*routes).empty());
    ASSERT_TRUE(routes->hold(both));
    EXPECT_EQ(seen(*routes), both_routes);
    EXPECT_EQ(told.size(), 2U);
}

}  // namespace
}  // namespace dnsdirector::announce
