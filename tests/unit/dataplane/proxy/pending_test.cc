// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/pending.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "dataplane/proxy/stream.h"
#include "dataplane/proxy/suspicions.h"

namespace dnsdirector::dataplane::proxy {
namespace {

TimePoint at_ms(std::int64_t milliseconds) {
    return TimePoint{Milliseconds{milliseconds}};
}

TEST(ProxyPending, TheOldestIsTheOneThatWasTakenFirstAndIsStillThere) {
    PendingPool pool(3);
    const PendingIndex a = pool.take(at_ms(1));
    const PendingIndex b = pool.take(at_ms(2));
    const PendingIndex c = pool.take(at_ms(3));
    EXPECT_EQ(pool.take(at_ms(4)), no_pending);
    EXPECT_EQ(pool.oldest(), a);
    pool.give_back(b);
    pool.give_back(a);
    EXPECT_EQ(pool.oldest(), c);
    EXPECT_NE(pool.take(at_ms(5)), no_pending);
    EXPECT_EQ(pool.oldest(), c);
}

TEST(ProxyPending, APlaceKeepsNothingOfWhoHadItBefore) {
    PendingPool pool(1);
    Pending& copy = pool.at(pool.take(at_ms(1)));
    copy.tcp = copy.brought = copy.counts = copy.repeats = copy.may_try_again = true;
    copy.fan_out = 0;
    copy.added = Added::opt;
    pool.give_back(0);
    const Pending& query = pool.at(pool.take(at_ms(2)));
    EXPECT_FALSE(query.tcp || query.brought || query.counts || query.repeats || query.is_copy() ||
                 query.may_try_again || query.servfail_seen || query.answered);
    EXPECT_EQ(query.added, Added::nothing);
}

/// Every timer comes once, not before its time, and soon after it.
RC_GTEST_PROP(ProxyPendingProperty, TimersComeOnceAndInTime, ()) {
    PendingPool pool(64);
    std::map<PendingIndex, std::int64_t> due;
    std::int64_t now = *rc::gen::inRange<std::int64_t>(0, 100000);
    const auto steps = *rc::gen::container<std::vector<std::pair<int, int>>>(
        rc::gen::pair(rc::gen::inRange(0, 3), rc::gen::inRange(1, 9000)));
    const auto collect = [&] {
        for (PendingIndex index = pool.next_due(at_ms(now)); index != no_pending;
             index = pool.next_due(at_ms(now))) {
            RC_ASSERT(due.contains(index));
            RC_ASSERT(due.at(index) <= now);
            due.erase(index);
            pool.give_back(index);
        }
        for (const auto& [index, time] : due)
            RC_ASSERT(time + 1 >= now);
        const int next = pool.until_next(at_ms(now));
        RC_ASSERT((next < 0) == due.empty());
        for (const auto& [index, time] : due)
            RC_ASSERT(next <= time - now + 1);
    };
    for (const auto& [what, value] : steps) {
        if (what == 0) {
            now += value;
        } else if (what == 1 || due.empty()) {
            const PendingIndex index = pool.take(at_ms(now));
            if (index == no_pending) continue;
            pool.set_timer(index, at_ms(now + value), at_ms(now));
            due[index] = now + value;
        } else {
            pool.stop_timer(due.begin()->first);
            pool.give_back(due.begin()->first);
            due.erase(due.begin());
        }
        collect();
    }
}

RC_GTEST_PROP(ProxyStreamProperty, MessagesComeWholeHoweverTheyAreCut,
              (const std::vector<std::vector<std::uint8_t>>& messages)) {
    std::vector<std::uint8_t> bytes;
    for (const auto& each : messages) {
        bytes.push_back(static_cast<std::uint8_t>(each.size() >> 8));
        bytes.push_back(static_cast<std::uint8_t>(each.size() & 0xff));
        bytes.insert(bytes.end(), each.begin(), each.end());
    }
    Inbox inbox;
    std::vector<std::vector<std::uint8_t>> got;
    // Taking may stop after any message; what follows stays.
    const auto take = [&](std::uint8_t* message, std::size_t size) {
        got.emplace_back(message, message + size);
        return got.size() % 3 != 0;
    };
    std::size_t at = 0;
    while (at < bytes.size()) {
        const std::size_t size = *rc::gen::inRange<std::size_t>(1, bytes.size() - at + 1);
        inbox.feed(std::span(bytes).subspan(at, size), take);
        at += size;
    }
    for (std::size_t before = SIZE_MAX; before != got.size();) {
        before = got.size();
        inbox.feed({}, take);
    }
    RC_ASSERT(got == messages);
    RC_ASSERT(inbox.empty());
}

TEST(ProxySuspicions, TheyLastLongerEachTimeThatTheySoonFollow) {
    Suspicions suspicions;
    const Endpoint server{*IpAddress::parse("192.0.2.1"), 53};
    std::int64_t now = 1000;
    for (const std::int64_t seconds : {5, 10, 20, 40, 60, 60}) {
        EXPECT_TRUE(suspicions.add(server, Charge::silent, at_ms(now)));
        EXPECT_FALSE(suspicions.add(server, Charge::refuses, at_ms(now))) << "it is out already";
        EXPECT_EQ(suspicions.next_end(), at_ms(now + seconds * 1000));
        EXPECT_TRUE(suspicions.end(at_ms(now + seconds * 1000 - 1)).empty());
        now += seconds * 1000;
        EXPECT_EQ(suspicions.end(at_ms(now)).size(), 1U);
        EXPECT_EQ(suspicions.reason(server), "");
        now += 1000;
    }
    now += 120'000;
    EXPECT_TRUE(suspicions.end(at_ms(now)).empty());
    EXPECT_TRUE(suspicions.add(server, Charge::silent, at_ms(now)));
    EXPECT_EQ(suspicions.next_end(), at_ms(now + 5000)) << "long ago is forgotten";
}

TEST(ProxyUpstream, PatienceIsLearntAndBounded) {
    UpstreamPart part;
    EXPECT_EQ(part.patience(), Milliseconds{200});
    for (int i = 0; i < 50; ++i)
        part.answered(Microseconds{200}, at_ms(i), true);
    EXPECT_EQ(part.patience(), Milliseconds{50});
    for (int i = 0; i < 50; ++i)
        part.answered(Milliseconds{i % 2 == 0 ? 100 : 200}, at_ms(100 + i), true);
    EXPECT_GT(part.patience(), Milliseconds{200});
    for (int i = 0; i < 50; ++i)
        part.answered(Seconds{5}, at_ms(1000 + i), true);
    EXPECT_EQ(part.patience(), Seconds{1});
}

TEST(ProxyUpstream, SilenceCountsOnlyIfAnotherServerAnsweredAndItLasts) {
    UpstreamPart part;
    part.answered(Milliseconds{1}, at_ms(0), true);
    for (int i = 0; i < 100; ++i)
        EXPECT_EQ(part.failed(Charge::silent, false, at_ms(1000)), Charge::none);
    for (int i = 0; i < 7; ++i)
        EXPECT_EQ(part.failed(Charge::silent, true, at_ms(1000)), Charge::none);
    EXPECT_EQ(part.failed(Charge::silent, true, at_ms(1000)), Charge::silent);
    part.answered(Milliseconds{1}, at_ms(2000), true);
    for (int i = 0; i < 20; ++i)
        EXPECT_EQ(part.failed(Charge::silent, true, at_ms(2050)), Charge::none)
            << "it answered a moment ago";
}

TEST(ProxyUpstream, AGoodAnswerBetweenServfailsSpeaksForAServer) {
    UpstreamPart part;
    for (int i = 0; i < 100; ++i) {
        for (int j = 0; j < 7; ++j)
            EXPECT_EQ(part.failed(Charge::servfails, true, at_ms(i)), Charge::none);
        part.answered(Milliseconds{1}, at_ms(i), true);
    }
    for (int j = 0; j < 7; ++j)
        EXPECT_EQ(part.failed(Charge::servfails, true, at_ms(200)), Charge::none);
    part.answered(Milliseconds{1}, at_ms(200), false);
    EXPECT_EQ(part.failed(Charge::servfails, true, at_ms(200)), Charge::servfails);
}

}  // namespace
}  // namespace dnsdirector::dataplane::proxy
