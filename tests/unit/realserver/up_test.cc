// SPDX-License-Identifier: Apache-2.0
#include "realserver/up.h"

#include <gtest/gtest.h>

#include "unit/realserver/fake_machine.h"

namespace dnsdirector::realserver {
namespace {

using namespace fakes;
using Lines = std::vector<std::string>;

/// What tells two machines apart, in whatever order it stands.
struct Picture {
    explicit Picture(const Actual& actual)
        : addresses(actual.addresses.begin(), actual.addresses.end()),
          settings(actual.settings),
          table(actual.table) {
        for (const netlink::TunnelDevice& each : actual.tunnels)
            tunnels.insert(each.name);
        for (const netlink::Link& each : actual.links)
            links.insert(each.name);
    }
    std::set<HeldAddress> addresses;
    Settings settings;
    std::optional<std::string> table;
    std::set<std::string> tunnels, links;

    friend bool operator==(const Picture&, const Picture&) = default;
};

/// Everything at once: inputs with and without an address, `all` strict, tunnels, a table.
Actual busy_machine() {
    Actual actual = plain_machine();
    actual.settings["ipv4/conf/all/rp_filter"] = "1";
    actual.settings["ipv4/conf/eth0/rp_filter"] = "0";
    add_interface(actual, "eth1.105", "203.0.113.98");
    add_interface(actual, "eth1.109");
    return actual;
}
Order busy_order() {
    Order order = plain_order();
    order.machine.processes = {process("a", "eth1.105", "203.0.113.98"),
                               process("b", "eth1.109", "203.0.113.11")};
    order.machine.tunnel_ends = {address("203.0.113.11")};
    return order;
}
/// Another address, one process less, no tunnel.
Order edited_order() {
    Order order = busy_order();
    order.machine.service_ips = {address("192.0.2.54"), address("2001:db8::53")};
    order.machine.processes.pop_back();
    order.machine.tunnel_ends.clear();
    return order;
}

struct Bench {
    FakeMachine machine;
    FakeStore store;
    Said said;

    explicit Bench(Actual actual) { machine.state = std::move(actual); }
    bool up(const Order& order) {
        said = {};
        machine.log.clear();
        return bring_up(order, store, machine, said.report());
    }
    bool down() {
        said = {};
        machine.log.clear();
        return take_down(store, machine, said.report());
    }
    /// Killed at that step; false when the run was over before.
    bool killed(int step, const std::function<void()>& run) {
        Steps steps;
        steps.kill_at = step;
        machine.steps = store.steps = &steps;
        bool died = false;
        try {
            run();
        } catch (const Killed&) {
            died = true;
        }
        machine.steps = store.steps = nullptr;
        return died;
    }
};

TEST(RealServerUp, says_each_change_and_makes_it_once) {
    Bench bench(plain_machine());
    EXPECT_TRUE(bench.up(plain_order()));
    EXPECT_EQ(bench.said.changes,
              (Lines{"set net.ipv4.conf.all.arp_ignore to 1 (was 0)",
                     "set net.ipv4.conf.all.arp_announce to 2 (was 0)", "added 192.0.2.53/32 to lo",
                     "added 2001:db8::53/128 to lo"}));
    EXPECT_TRUE(bench.up(plain_order()));
    EXPECT_EQ(bench.said.changes, Lines{});
    EXPECT_EQ(bench.machine.log, Lines{});
    EXPECT_TRUE(bench.down());
    EXPECT_EQ(bench.said.changes,
              (Lines{"removed 192.0.2.53/32 from lo", "removed 2001:db8::53/128 from lo",
                     "restored net.ipv4.conf.all.arp_announce to 0 (was 2)",
                     "restored net.ipv4.conf.all.arp_ignore to 0 (was 1)"}));
    EXPECT_TRUE(bench.store.kept.empty());
    EXPECT_TRUE(bench.down());
    EXPECT_EQ(bench.said.changes, Lines{});
}

TEST(RealServerUp, takes_nothing_back_that_was_there_before) {
    Actual before = plain_machine();
    before.addresses.push_back({"lo", address("192.0.2.53")});
    before.settings["ipv4/conf/all/arp_ignore"] = "1";
    Bench bench(before);
    EXPECT_TRUE(bench.up(plain_order()));
    EXPECT_EQ(bench.said.changes.size(), 2U);
    EXPECT_TRUE(bench.down());
    EXPECT_EQ(Picture(bench.machine.state), Picture(before));
}

TEST(RealServerUp, down_restores_everything_whenever_up_was_killed) {
    const Actual before = busy_machine();
    int step = 0;
    for (;; ++step) {
        Bench bench(before);
        if (!bench.killed(step, [&] { (void)bench.up(busy_order()); })) break;
        EXPECT_TRUE(bench.down()) << step;
        EXPECT_EQ(Picture(bench.machine.state), Picture(before)) << step;
        EXPECT_TRUE(bench.store.kept.empty()) << step;
    }
    EXPECT_GT(step, 30);
}

TEST(RealServerUp, goes_on_where_it_was_killed) {
    Bench whole(busy_machine());
    ASSERT_TRUE(whole.up(busy_order()));
    for (int step = 0;; ++step) {
        Bench bench(busy_machine());
        if (!bench.killed(step, [&] { (void)bench.up(busy_order()); })) break;
        EXPECT_TRUE(bench.up(busy_order())) << step;
        EXPECT_EQ(Picture(bench.machine.state), Picture(whole.machine.state)) << step;
        EXPECT_TRUE(bench.down()) << step;
        EXPECT_EQ(Picture(bench.machine.state), Picture(busy_machine())) << step;
    }
}

TEST(RealServerUp, a_killed_down_is_finished_by_the_next_one) {
    const Actual before = busy_machine();
    for (int step = 0;; ++step) {
        Bench bench(before);
        ASSERT_TRUE(bench.up(busy_order()));
        if (!bench.killed(step, [&] { (void)bench.down(); })) break;
        EXPECT_TRUE(bench.down()) << step;
        EXPECT_EQ(Picture(bench.machine.state), Picture(before)) << step;
    }
}

TEST(RealServerUp, an_edited_file_changes_the_difference_and_down_still_restores_all) {
    const Actual before = busy_machine();
    for (int step = -1;; ++step) {
        Bench bench(before);
        ASSERT_TRUE(bench.up(busy_order()));
        if (!bench.killed(step, [&] { (void)bench.up(edited_order()); }) && step >= 0) break;
        if (step < 0) {
            EXPECT_TRUE(std::ranges::count(bench.machine.log, "add 192.0.2.54") == 1 &&
                        std::ranges::count(bench.machine.log, "remove 192.0.2.53") == 1 &&
                        std::ranges::count(bench.machine.log, "no tunnel dnsd4") == 1);
            EXPECT_FALSE(std::ranges::count(bench.machine.log, "remove 2001:db8::53"));
            // What the file does not ask for is as it was before us.
            Bench only(before);
            ASSERT_TRUE(only.up(edited_order()));
            EXPECT_EQ(Picture(bench.machine.state), Picture(only.machine.state));
        }
        EXPECT_TRUE(bench.down()) << step;
        EXPECT_EQ(Picture(bench.machine.state), Picture(before)) << step;
    }
}

TEST(RealServerUp, what_others_changed_meanwhile_stays_and_is_named) {
    Bench bench(plain_machine());
    ASSERT_TRUE(bench.up(plain_order()));
    bench.machine.state.settings["ipv4/conf/all/arp_ignore"] = "8";
    std::erase(bench.machine.state.addresses, HeldAddress{"lo", address("192.0.2.53")});
    EXPECT_TRUE(bench.down());
    EXPECT_EQ(bench.machine.state.settings["ipv4/conf/all/arp_ignore"], "8");
    ASSERT_EQ(bench.said.notes.size(), 2U);
    EXPECT_NE(bench.said.notes[0].find("192.0.2.53 was gone from lo already"), std::string::npos);
    EXPECT_NE(bench.said.notes[1].find("left net.ipv4.conf.all.arp_ignore at 8"),
              std::string::npos);
    EXPECT_TRUE(bench.store.kept.empty());
}

TEST(RealServerUp, what_others_spoiled_is_mended_and_they_get_their_value_back) {
    Bench bench(plain_machine());
    ASSERT_TRUE(bench.up(plain_order()));
    bench.machine.state.settings["ipv4/conf/all/arp_announce"] = "1";
    EXPECT_TRUE(bench.up(plain_order()));
    EXPECT_EQ(bench.said.changes, Lines{"set net.ipv4.conf.all.arp_announce to 2 (was 1)"});
    EXPECT_TRUE(bench.down());
    EXPECT_EQ(bench.machine.state.settings["ipv4/conf/all/arp_announce"], "1");
    EXPECT_EQ(bench.machine.state.settings["ipv4/conf/all/arp_ignore"], "0");
}

TEST(RealServerUp, a_changed_table_is_replaced_and_an_unchanged_one_is_not) {
    Bench bench(busy_machine());
    ASSERT_TRUE(bench.up(busy_order()));
    ASSERT_TRUE(bench.machine.state.table);
    ASSERT_TRUE(bench.up(busy_order()));
    EXPECT_EQ(bench.machine.log, Lines{});
    bench.machine.state.table = "flushed";
    ASSERT_TRUE(bench.up(busy_order()));
    EXPECT_EQ(bench.machine.log, Lines{"table"});
    EXPECT_EQ(bench.said.changes, Lines{"replaced nftables table inet dnsdirector_realserver"});
}

TEST(RealServerUp, ends_before_the_addresses_where_arp_would_answer_for_them) {
    Bench bench(plain_machine());
    bench.machine.refused_setting = "ipv4/conf/all/arp_ignore";
    EXPECT_FALSE(bench.up(plain_order()));
    EXPECT_EQ(bench.said.failures, Lines{"cannot set ipv4/conf/all/arp_ignore"});
    EXPECT_EQ(Picture(bench.machine.state), Picture(plain_machine()));
    EXPECT_TRUE(bench.down());
    EXPECT_EQ(Picture(bench.machine.state), Picture(plain_machine()));
    EXPECT_TRUE(bench.store.kept.empty());
}

TEST(RealServerUp, down_goes_on_with_the_rest) {
    Bench bench(plain_machine());
    ASSERT_TRUE(bench.up(plain_order()));
    bench.machine.refused_setting = "ipv4/conf/all/arp_announce";
    EXPECT_FALSE(bench.down());
    EXPECT_EQ(bench.machine.state.settings["ipv4/conf/all/arp_ignore"], "0");
    ASSERT_EQ(bench.store.kept.settings.size(), 1U);
    bench.machine.refused_setting.clear();
    EXPECT_TRUE(bench.down());
    EXPECT_EQ(Picture(bench.machine.state), Picture(plain_machine()));
}

TEST(RealServerUp, a_refusal_changes_nothing) {
    Bench bench(plain_machine());
    Order order = plain_order();
    order.machine.interface = "eth0";
    EXPECT_FALSE(bench.up(order));
    EXPECT_EQ(bench.said.failures.size(), 1U);
    EXPECT_EQ(bench.machine.log, Lines{});
    EXPECT_TRUE(bench.store.kept.empty());
}

}  // namespace
}  // namespace dnsdirector::realserver
