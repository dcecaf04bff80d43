// SPDX-License-Identifier: Apache-2.0
//
// The part of the pins that every version shares. What is held here holds for
// versions that are installed somewhere: it is never changed.
#include "dataplane/xdp/ledger.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstddef>

#include "dataplane/xdp/base_counts.h"
#include "dataplane/xdp/layout1.h"
#include "dataplane/xdp/pin_dir.h"
#include "unit/dataplane/xdp_lab.h"

namespace dnsdirector::dataplane::xdp {
namespace {

static_assert(offsetof(abi::member_key, server_address) == 16 &&
              offsetof(abi::member_key, where) == 32 && offsetof(abi::member_key, port) == 36);
static_assert(offsetof(abi::member, counter) == 0 && offsetof(abi::member, weight) == 4 &&
              offsetof(abi::member, forwarded) == 8 && offsetof(abi::member, scheduler) == 12 &&
              offsetof(abi::member, method) == 13 && offsetof(abi::member, other_hash) == 14 &&
              offsetof(abi::member, hop) == 15 && offsetof(abi::member, server_mac) == 16 &&
              offsetof(abi::member, own_mac) == 22 && offsetof(abi::member, ifindex) == 28);
static_assert(offsetof(abi::attachment, gro_was_on) == 4 &&
              offsetof(abi::attachment, lro_was_on) == 8);
static_assert(abi::HOP_UNKNOWN == 0 && abi::HOP_DIRECT == 1 && abi::BASE_REASON == 0 &&
              abi::BASE_INCLUDED == 1);
static_assert(static_cast<int>(core::Scheduler::wrr) == 0 &&
              static_cast<int>(core::Scheduler::rr) == 1 &&
              static_cast<int>(core::Scheduler::mh) == 2 &&
              static_cast<int>(core::Scheduler::sh) == 3 &&
              static_cast<int>(core::ForwardingMethod::dr) == 0 &&
              static_cast<int>(core::ForwardingMethod::tun) == 1);

const core::ServiceKey key{*IpAddress::parse("192.0.2.53"), 53, Protocol::udp};
const Endpoint server = *Endpoint::parse("203.0.113.11:53");

TEST(XdpLedger, describes_itself_in_words_that_it_understands) {
    const auto own = parse_description(own_description());
    ASSERT_TRUE(own.has_value()) << own.error().message;
    EXPECT_EQ(own->layout, static_cast<std::uint32_t>(abi::ABI_VERSION));
    EXPECT_EQ(own->services.map, "service_states");
    EXPECT_EQ(own->servers.map, "server_counters");
    EXPECT_EQ(own->reasons.size(), static_cast<std::size_t>(abi::REASON_COUNT));
    const auto first = parse_description(layout1::description());
    ASSERT_TRUE(first.has_value()) << first.error().message;
    EXPECT_EQ(first->layout, 1U);
    EXPECT_EQ(first->reasons.size(), 8U);
    EXPECT_EQ(first->reasons.at(3), "fragment");
}

TEST(XdpLedger, skips_what_a_later_version_says_besides) {
    const auto later = parse_description(
        "dnsdirector-layout 9 of-some-kind\n"
        "flows flow_map 64\n"
        "services s 8 0 and more\n"
        "servers t 16 24\n"
        "reasons r one two\n");
    ASSERT_TRUE(later.has_value()) << later.error().message;
    EXPECT_EQ(later->layout, 9U);
    EXPECT_EQ(later->services.packets, 8U);
    EXPECT_EQ(later->servers.bytes, 24U);
    EXPECT_EQ(later->reasons, (std::vector<std::string>{"one", "two"}));
}

TEST(XdpLedger, refuses_a_description_that_does_not_say_where_counters_lie) {
    for (const char* text : {"", "something else\n", "dnsdirector-layout 3\n",
                             "dnsdirector-layout 3\nservices s 0 8\n",
                             "dnsdirector-layout 3\nservices s 0\nservers t 0 8\n",
                             "dnsdirector-layout 3\nservices s 0 4\nservers t 0 8\n",
                             "dnsdirector-layout x\nservices s 0 8\nservers t 0 8\n"})
        EXPECT_FALSE(parse_description(text).has_value()) << text;
}

TEST(XdpLedger, a_base_is_replaced_as_a_whole_and_found_again) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    ASSERT_EQ(mkdir(pins.path().c_str(), 0700), 0);
    auto base = BaseCounts::open(pins.path());
    ASSERT_TRUE(base.has_value()) << base.error().message;
    EXPECT_TRUE(base->counts().services.empty());
    EXPECT_TRUE(names_in(pins.path()).empty()) << "nothing to add, nothing pinned";

    Counters counts;
    counts.services[key] = {7, 700};
    counts.servers[{key, server}] = {5, 500};
    counts.drops["a_reason_of_thirty_one_bytes___"] = 3;
    ASSERT_TRUE(base->replace(counts, {42}).has_value());
    EXPECT_EQ(names_in(pins.path()), std::vector<std::string>{"base"});
    counts.drops["fragment"] = 1;
    ASSERT_TRUE(base->replace(counts, {42, 43}).has_value());

    const auto found = BaseCounts::open(pins.path());
    ASSERT_TRUE(found.has_value()) << found.error().message;
    EXPECT_EQ(found->included(), (std::set<std::uint32_t>{42, 43}));
    EXPECT_EQ(found->counts().services.at(key).packets, 7U);
    EXPECT_EQ(found->counts().services.at(key).bytes, 700U);
    EXPECT_EQ(found->counts().servers.at({key, server}).bytes, 500U);
    EXPECT_EQ(found->counts().drops, counts.drops);

    base->forget(key, server);
    const auto less = BaseCounts::open(pins.path());
    ASSERT_TRUE(less.has_value()) << less.error().message;
    EXPECT_TRUE(less->counts().servers.empty());
    EXPECT_EQ(less->counts().services.at(key).packets, 7U);
}

}  // namespace
}  // namespace dnsdirector::dataplane::xdp
