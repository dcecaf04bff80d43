// SPDX-License-Identifier: Apache-2.0
#include "realserver/withheld.h"

#include <gtest/gtest.h>

#include "realserver/translation.h"
#include "unit/realserver/fake_machine.h"

namespace dnsdirector::realserver {
namespace {

using namespace fakes;

const IpAddress withheld_v4 = address("192.0.2.53");
const IpAddress withheld_v6 = address("2001:db8::53");

core::RealServerMachine listens_on_service_ips() {
    return plain_order().machine;
}
core::RealServerMachine with_a_process() {
    core::RealServerMachine machine = plain_order().machine;
    machine.processes = {process("a", "eth0", "203.0.113.11")};
    return machine;
}

TEST(Withheld, nothing_is_the_ruleset_as_ever) {
    EXPECT_EQ(ruleset_of(listens_on_service_ips(), {}), "");
    EXPECT_EQ(ruleset_of(with_a_process(), {}), ruleset_of(with_a_process()));
}

TEST(Withheld, packets_from_outside_are_dropped_before_they_are_translated) {
    const std::string text = ruleset_of(listens_on_service_ips(), {withheld_v4});
    EXPECT_NE(text.find("iifname != \"lo\" ip daddr 192.0.2.53 drop\n"), std::string::npos) << text;
    EXPECT_EQ(text.find("2001:db8::53"), std::string::npos) << text;
    EXPECT_NE(text.find("priority -310"), std::string::npos) << text;
    // All in one transaction with the rest, of which there is none here.
    EXPECT_EQ(text.find("table inet dnsdirector_realserver { }\ndelete table"), 0U) << text;
}

TEST(Withheld, what_is_not_withheld_is_translated_on) {
    core::RealServerMachine machine = with_a_process();
    machine.service_ips = {withheld_v4, address("192.0.2.54")};
    core::RealServerMachine rest = machine;
    rest.service_ips = {address("192.0.2.54")};
    const std::string text = ruleset_of(machine, {withheld_v4});
    EXPECT_EQ(text.find(ruleset_of(rest)), 0U);
    EXPECT_NE(text.find("ip daddr 192.0.2.53 drop"), std::string::npos);
}

TEST(Withheld, is_read_back_from_what_is_in_force) {
    const std::vector<IpAddress> all = {withheld_v4, withheld_v6, address("192.0.2.5")};
    EXPECT_EQ(withheld_by("", all), std::set<IpAddress>{});
    const std::string text = ruleset_of(listens_on_service_ips(), {withheld_v4, withheld_v6});
    EXPECT_EQ(withheld_by(text, all), (std::set<IpAddress>{withheld_v4, withheld_v6}));
}

TEST(Withheld, the_address_goes_only_where_the_dns_server_does_not_listen_on_it) {
    Order order = plain_order();
    order.withheld = {withheld_v4};
    EXPECT_EQ(wishes_of(order, plain_machine()).addresses.size(), 2U);
    order.machine = with_a_process();
    const Wishes wishes = wishes_of(order, plain_machine());
    ASSERT_EQ(wishes.addresses.size(), 1U);
    EXPECT_EQ(wishes.addresses[0].address, withheld_v6);
    // It comes back to a machine that is quiet about it.
    EXPECT_EQ(wishes.settings, wishes_of(plain_order(), plain_machine()).settings);
}

}  // namespace
}  // namespace dnsdirector::realserver
