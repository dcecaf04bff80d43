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
#include "hash.h"
#include "unit/dataplane/xdp_bed.h"

namespace dnsdirector::dataplane::xdp {
namespace {

static_assert(offsetof(abi::member_key, server_address) == 16 &&
              offsetof(abi::member_key, where) == 32 && offsetof(abi::member_key, port) == 36);
static_assert(offsetof(abi::member, counter) == 0 && offsetof(abi::member, weight) == 4 &&
              offsetof(abi::member, forwarded) == 8 && offsetof(abi::member, scheduler) == 12 &&
              offsetof(abi::member, method) == 13 && offsetof(abi::member, other_hash) == 14 &&
              offsetof(abi::member, hop) == 15 && offsetof(abi::member, server_mac) == 16 &&
              offsetof(abi::member, own_mac) == 22 && offsetof(abi::member, ifindex) == 28 &&
              offsetof(abi::member, tags) == 32 && offsetof(abi::member, source) == 40 &&
              offsetof(abi::member, mtu) == 56 && offsetof(abi::member, source_bits) == 60);
static_assert(offsetof(abi::attachment, gro_was_on) == 4 &&
              offsetof(abi::attachment, lro_was_on) == 8 &&
              offsetof(abi::attachment, vlan_was_on) == 12);
static_assert(abi::HOP_UNKNOWN == 0 && abi::HOP_DIRECT == 1 && abi::HOP_TAGGED == 2 &&
              abi::HOP_TUNNEL == 3 && abi::HOP_LOCAL == 4 && abi::BASE_REASON == 0 &&
              abi::BASE_INCLUDED == 1);
// Format 1 of flows and of tables (bpf/ledger.h).
static_assert(abi::FLOWS_FORMAT == 1 && abi::TABLES_FORMAT == 1);
static_assert(sizeof(abi::flow_bucket) == 128 && sizeof(abi::flow_control) == 80 &&
              sizeof(abi::flow_state) == 64 && offsetof(abi::flow_control, key) == 32 &&
              offsetof(abi::flow_control, most_learnt) == 12 &&
              offsetof(abi::flow_state, learnt) == 16 && abi::FLOWS_PER_BUCKET == 16 &&
              abi::FLOW_PLACES == 8 && abi::FLOW_COUNTER_BITS == 21 && abi::FLOW_EPOCH_BITS == 10 &&
              abi::FLOW_TAG_SHIFT == 32 && FLOW_ENDING == 1ULL << 31 && abi::FLOW_IDLE_MAX == 300);
static_assert(abi::SLOT_MOVED == 1 << 15 && abi::SLOTS_PER_BLOCK == 32 &&
              abi::TABLE_LENGTH_BITS == 21 && abi::TABLE_RECORD_BITS == 21);
static_assert(abi::VLAN_WAS_ON_CTAG == 1 && abi::VLAN_WAS_ON_STAG == 2);
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
    EXPECT_FALSE(first->flows || first->tables);
}

/// A successor must find a flow by the same name, in the same place.
TEST(XdpLedger, names_flows_as_every_version_of_the_format_does) {
    const __u64 keys[6] = {0x9b97f4a7c159e377, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb,
                           0xd6e8feb86659fd93, 0xa0761d6478bd642f, 0xe7037ed1a0b428db};
    const __u64 name4 = abi::flow_name4(keys, 0x077100cb, 0xa00f, 7);
    const __u64 name6 = abi::flow_name6(keys, 0x0700b80d0120, 0x0700000000000000, 0xa00f, 7);
    EXPECT_EQ(name4, 0xc3f35fcb6904f9ef);
    EXPECT_EQ(name6, 0xf0fa085ba0b0455c);
    EXPECT_EQ(abi::flow_tag(name4), 0xc3f35fcbU);
    EXPECT_EQ(abi::flow_spread(name4), 0xf58f025cU);
}

TEST(XdpLedger, says_where_its_flows_are) {
    const auto own = parse_description(own_description());
    ASSERT_TRUE(own && own->flows && own->tables);
    EXPECT_EQ(own->flows->established, "flows");
    EXPECT_EQ(own->flows->young, "young_flows");
    EXPECT_EQ(own->flows->control, "flow_control");
    EXPECT_EQ(own->flows->states, "flow_states");
    EXPECT_EQ(own->tables->services, "services");
    EXPECT_EQ(own->tables->table, offsetof(abi::service, table));
    EXPECT_EQ(own->tables->previous, offsetof(abi::service, previous));
    EXPECT_EQ(own->tables->slots, "slots");
    EXPECT_EQ(own->tables->destinations, "destinations");
    EXPECT_EQ(own->tables->counter, offsetof(abi::destination, counter));
}

TEST(XdpLedger, leaves_out_flows_of_a_format_that_it_does_not_know) {
    const std::string counters = "dnsdirector-layout 9\nservices s 0 8\nservers t 0 8\n";
    for (const char* lines :
         {"", "remembered 2 a b c d\ntables 2 a 0 8 b c 0\n",
          "remembered 1 a b c\ntables 1 a 0 8 b c\n", "remembered\ntables\n",
          "remembered x a b c d\ntables 1 a x 8 b c 0\n", "remembered 1\ntables 1 a -\n"}) {
        const auto read = parse_description(counters + lines);
        ASSERT_TRUE(read.has_value()) << lines;
        EXPECT_FALSE(read->flows) << lines;
        EXPECT_FALSE(read->tables) << lines;
    }
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

/// Ways of every kind, as they are found in the tables and by a successor.
std::vector<std::pair<Endpoint, Hop>> ways_of_every_kind(std::uint32_t ifindex) {
    const auto direct = [&](std::uint8_t number) {
        Hop hop;
        hop.ifindex = ifindex;
        hop.server = {2, 0, 0, 0, 1, number};
        hop.own = {2, 0, 0, 0, 0, 2};
        return hop;
    };
    std::vector<std::pair<Endpoint, Hop>> ways;
    const auto put = [&](const char* to, const Hop& hop) {
        ways.emplace_back(*Endpoint::parse(to), hop);
    };
    put("203.0.113.11:53", direct(11));
    Hop hop = direct(12);
    hop.tags[0] = {0x8100, 105};
    put("203.0.113.12:53", hop);
    hop.tags = {Tag{0x88a8, 4094}, Tag{0x8100, 0}};
    put("203.0.113.13:53", hop);
    hop.tunnel =
        Tunnel{*IpAddress::parse("198.51.100.0"), *IpAddress::parse("203.0.113.14"), 0xff, 1400};
    put("203.0.113.14:53", hop);
    hop = direct(15);
    hop.tunnel = Tunnel{*IpAddress::parse("2001:db8:5::"), *IpAddress::parse("2001:db8:1::15"),
                        0xffffffff, 9000};
    put("[2001:db8:1::15]:53", hop);
    hop.tunnel->entropy = 0;
    hop.tunnel->server = *IpAddress::parse("2001:db8:1::16");
    put("[2001:db8:1::16]:53", hop);
    Hop local;
    local.ifindex = 1;
    local.local = true;
    put("203.0.113.17:53", local);
    return ways;
}

TEST(XdpLedger, tells_a_successor_every_kind_of_way) {
    NEEDS_BED(bed);
    const auto ways = ways_of_every_kind(bed.near());
    const core::ServiceKey key6{*IpAddress::parse("2001:db8::53"), 53, Protocol::udp};
    std::map<core::ServiceKey, std::vector<core::Destination>> destinations;
    for (const auto& [to, hop] : ways) {
        bed.ways[to.address] = hop;
        destinations[to.address.is_v4() ? key : key6].push_back(
            {to, 1, hop.tunnel ? core::ForwardingMethod::tun : core::ForwardingMethod::dr});
    }
    for (const auto& [service, servers] : destinations)
        bed.serve(service, servers);
    const auto ledger = read_ledger(bed.maps->fd(MapId::members));
    ASSERT_TRUE(ledger.has_value()) << ledger.error().message;
    for (const auto& [service, servers] : destinations)
        for (const core::Destination& each : servers) {
            SCOPED_TRACE(each.server.to_string());
            const LedgerMember& found = ledger->at(service).members.at(each.server);
            EXPECT_EQ(found.method, each.method);
            ASSERT_TRUE(found.hop.has_value());
            EXPECT_EQ(*found.hop, bed.ways.at(each.server.address));
        }
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
