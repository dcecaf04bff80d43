// SPDX-License-Identifier: Apache-2.0
#include "realserver/keeper.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>

#include "unit/realserver/fake_machine.h"

namespace dnsdirector::realserver {
namespace {

using namespace fakes;
using Kind = Keeper::Kind;

/// Hands out the one store again and again.
class SharedStore final : public JournalStore {
public:
    explicit SharedStore(FakeStore& store) : store_(store) {}
    Result<Journal> load() override { return store_.load(); }
    Result<void> save(const Journal& journal) override { return store_.save(journal); }

private:
    FakeStore& store_;
};

struct KeptMachine {
    FakeStore store;
    FakeMachine* machine = nullptr;  ///< to be touched in keeper->while_still() only
    std::unique_ptr<Keeper> keeper;
    std::vector<std::pair<Kind, std::string>> lines;

    explicit KeptMachine(Nanoseconds interval = Milliseconds{5},
                         const Actual& begin = plain_machine()) {
        Keeper::Means means;
        auto fake = std::make_unique<FakeMachine>();
        machine = fake.get();
        machine->state = begin;
        means.machine = std::move(fake);
        means.open_store = [this]() -> Result<std::unique_ptr<JournalStore>> {
            return std::make_unique<SharedStore>(store);
        };
        means.read_counters = []() -> Result<Counters> {
            return Counters{{{"bind1", Protocol::udp, Way::queries, 7, 700}}, 0};
        };
        means.clock = [] { return WallTime{}; };
        means.interval = interval;
        keeper = Keeper::create(std::move(means)).value();
        keeper->on_line = [this](Kind kind, const std::string& line) {
            lines.emplace_back(kind, line);
        };
    }
    template <typename Harm>
    void harm(Harm does) {
        keeper->while_still([&] { does(machine->state); });
    }
    /// What the event loop would do, until it is so.
    template <typename Condition>
    [[nodiscard]] bool becomes(Condition condition) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (std::chrono::steady_clock::now() < end) {
            pollfd told{keeper->descriptor(), POLLIN, 0};
            if (poll(&told, 1, 5) > 0) keeper->on_readable();
            if (condition()) return true;
        }
        return false;
    }
    [[nodiscard]] bool said(Kind kind, const std::string& line) const {
        return std::ranges::find(lines, std::pair{kind, line}) != lines.end();
    }
    [[nodiscard]] bool holds(const char* service_ip) {
        bool result = false;
        keeper->while_still([&] { result = machine->state.holds({"lo", address(service_ip)}); });
        return result;
    }
};

Order withdrawing_order() {
    Order order = plain_order();
    order.machine.processes = {process("a", "eth0", "203.0.113.11")};
    order.machine.withdraw_on_failure = true;
    return order;
}

TEST(Keeper, says_what_it_changes_and_repairs_what_others_change) {
    KeptMachine kept;
    const auto done = kept.keeper->put_in_force(plain_order());
    ASSERT_TRUE(done);
    EXPECT_EQ(done->back(), "added 2001:db8::53/128 to lo");

    kept.harm([](Actual& state) {
        std::erase(state.addresses, HeldAddress{"lo", address("192.0.2.53")});
        state.settings["ipv4/conf/all/arp_ignore"] = "0";
    });
    ASSERT_TRUE(kept.becomes([&] {
        return kept.said(Kind::repair, "added 192.0.2.53/32 to lo") &&
               kept.said(Kind::repair, "set net.ipv4.conf.all.arp_ignore to 1 (was 0)");
    }));
    const KeeperState state = kept.keeper->state();
    EXPECT_TRUE(state.well);
    EXPECT_EQ(state.repairs, 2U);
    EXPECT_EQ(state.last_repairs.size(), 2U);
    EXPECT_TRUE(state.service_ips[0].held);
}

TEST(Keeper, lists_the_table_only_when_somebody_may_have_changed_it) {
    KeptMachine kept;  // without a watch: at each look
    Order order = withdrawing_order();
    ASSERT_TRUE(kept.keeper->put_in_force(order));
    kept.harm([](Actual& state) { state.table = "listed: other rules"; });
    EXPECT_TRUE(kept.becomes([&] {
        return kept.said(Kind::repair, "replaced nftables table inet dnsdirector_realserver");
    }));

    SeenMachine seen(std::make_unique<FakeMachine>());
    Look look;
    ASSERT_TRUE(seen.read(look));
    ASSERT_TRUE(seen.replace_table("rules"));
    EXPECT_EQ(seen.read(look)->table, "listed: rules");
    ASSERT_TRUE(seen.remove_table());
    EXPECT_EQ(seen.read(look)->table, std::nullopt);
}

TEST(Keeper, withholds_and_gives_back_without_calling_it_a_repair) {
    KeptMachine kept(Seconds{3600});  // only what is asked for
    ASSERT_TRUE(kept.keeper->put_in_force(withdrawing_order()));
    kept.keeper->withhold({address("192.0.2.53")});
    ASSERT_TRUE(kept.becomes([&] { return !kept.holds("192.0.2.53"); }));
    EXPECT_TRUE(kept.holds("2001:db8::53"));
    ASSERT_TRUE(
        kept.becomes([&] { return kept.said(Kind::change, "removed 192.0.2.53/32 from lo"); }));
    EXPECT_TRUE(kept.keeper->state().service_ips[0].withheld);
    kept.keeper->withhold({});
    ASSERT_TRUE(kept.becomes([&] { return kept.holds("192.0.2.53"); }));
    EXPECT_EQ(kept.keeper->state().repairs, 0U);
}

TEST(Keeper, adopts_what_a_predecessor_withheld) {
    KeptMachine first(Seconds{3600});
    ASSERT_TRUE(first.keeper->put_in_force(withdrawing_order()));
    first.keeper->withhold({address("192.0.2.53")});
    ASSERT_TRUE(first.becomes([&] { return !first.holds("192.0.2.53"); }));
    Actual left;
    first.keeper->while_still([&] { left = first.machine->state; });

    KeptMachine second(Seconds{3600}, left);
    first.keeper->while_still([&] { second.store.kept = first.store.kept; });
    const auto done = second.keeper->put_in_force(withdrawing_order());
    ASSERT_TRUE(done);
    EXPECT_EQ(*done, std::vector<std::string>{});
    EXPECT_EQ(second.keeper->withheld(), std::set<IpAddress>{address("192.0.2.53")});

    Order steady = withdrawing_order();
    steady.machine.withdraw_on_failure = false;
    ASSERT_TRUE(second.keeper->put_in_force(steady));
    EXPECT_TRUE(second.holds("192.0.2.53"));
}

TEST(Keeper, goes_on_as_before_when_an_order_can_not_be_put_in_force) {
    KeptMachine kept(Seconds{3600});
    ASSERT_TRUE(kept.keeper->put_in_force(plain_order()));
    Order other = plain_order();
    other.machine.service_ips = {address("192.0.2.54")};
    other.machine.processes = {process("a", "eth7", "203.0.113.11")};
    const auto planned = kept.keeper->plan(other);
    const auto done = kept.keeper->put_in_force(other);
    ASSERT_FALSE(done);
    EXPECT_NE(done.error().message.find("eth7"), std::string::npos) << done.error().message;
    ASSERT_FALSE(planned);
    EXPECT_EQ(planned.error(), done.error());
    EXPECT_TRUE(kept.holds("192.0.2.53"));
    EXPECT_FALSE(kept.holds("192.0.2.54"));
}

TEST(Keeper, takes_back_half_a_start) {
    KeptMachine kept(Seconds{3600});
    kept.machine->refused_setting = "ipv4/conf/all/arp_announce";
    const Actual before = kept.machine->state;
    ASSERT_FALSE(kept.keeper->put_in_force(plain_order()));
    EXPECT_EQ(kept.machine->state.settings, before.settings);
    EXPECT_TRUE(kept.store.kept.empty());
}

TEST(Keeper, says_a_problem_once_and_when_it_is_over) {
    KeptMachine kept;
    ASSERT_TRUE(kept.keeper->put_in_force(plain_order()));
    kept.harm([&](Actual& state) {
        kept.machine->refused_setting = "ipv4/conf/all/arp_ignore";
        state.settings["ipv4/conf/all/arp_ignore"] = "0";
    });
    ASSERT_TRUE(
        kept.becomes([&] { return kept.keeper->state().looks > 4 && !kept.lines.empty(); }));
    EXPECT_FALSE(kept.keeper->state().well);
    EXPECT_EQ(kept.lines.size(), 1U);
    EXPECT_EQ(kept.lines[0].first, Kind::problem);
    kept.harm([&](Actual&) { kept.machine->refused_setting.clear(); });
    EXPECT_TRUE(kept.becomes([&] { return kept.lines.back().first == Kind::mended; }));
    EXPECT_TRUE(kept.keeper->state().well);
}

TEST(Keeper, release_leaves_the_machine_as_it_was) {
    KeptMachine kept;
    const Actual before = kept.machine->state;
    ASSERT_TRUE(kept.keeper->put_in_force(withdrawing_order()));
    ASSERT_TRUE(kept.becomes([&] { return !kept.keeper->state().counters.processes.empty(); }));
    ASSERT_TRUE(kept.keeper->release());
    EXPECT_EQ(kept.machine->state.settings, before.settings);
    EXPECT_EQ(kept.machine->state.addresses, before.addresses);
    EXPECT_EQ(kept.machine->state.table, std::nullopt);
    EXPECT_TRUE(kept.store.kept.empty());
}

}  // namespace
}  // namespace dnsdirector::realserver
