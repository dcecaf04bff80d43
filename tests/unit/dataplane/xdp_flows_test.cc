// SPDX-License-Identifier: Apache-2.0
//
// TCP flows stay with their servers: the kernel program by BPF_PROG_TEST_RUN, its
// clock turned by hand.
#include "dataplane/xdp/flows.h"

#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "dataplane/xdp/insiders.h"
#include "unit/dataplane/xdp_bed.h"

namespace dnsdirector::dataplane::xdp {
namespace {

using test::Bed;
using test::Frame;
using test::frame_of;
using test::mac_of;
using test::Packet;
using test::server;

enum TcpFlags : std::uint8_t { fin = 0x01, syn = 0x02, rst = 0x04, push = 0x08, ack = 0x10 };

const Endpoint service4 = *Endpoint::parse("192.0.2.53:53");
const Endpoint service6 = *Endpoint::parse("[2001:db8::53]:53");

TimePoint at(int seconds) {
    return TimePoint{Seconds{seconds}};
}

using Weights = std::map<int, std::uint32_t>;

/// A TCP service whose servers come and go, and a clock.
class Served {
public:
    Served(Bed& bed, const Endpoint& service)
        : bed_(&bed), key_{service.address, 53, Protocol::tcp} {}

    /// These servers with these weights; the others are removed.
    void set(const Weights& weights) {
        core::Forwarding desired;
        core::ServiceForwarding forwarding{
            key_, core::Scheduler::wrr, core::ForwardingMethod::dr, {}};
        for (const auto& [number, weight] : weights)
            forwarding.destinations.push_back({server(key_.endpoint(), number), weight});
        desired.emplace(key_, forwarding);
        const auto found = bed_->services->read();
        ASSERT_TRUE(found.has_value());
        const auto applied = bed_->services->apply(core::diff(*found, desired), at(now_));
        ASSERT_TRUE(applied.has_value()) << applied.error().message;
        EXPECT_EQ(bed_->services->read().value(), desired);
    }
    /// Time passes, a second at a time as in the plane.
    void pass(int seconds) {
        for (const int end = now_ + seconds; now_ < end;) {
            ++now_;
            bed_->services->on_deadline(at(now_));
            if (const auto idle = bed_->flows->on_deadline(at(now_)))
                bed_->services->forget_moves(*idle);
        }
    }
    [[nodiscard]] Endpoint client(unsigned number) const {
        const auto high = static_cast<std::uint8_t>(number >> 12);
        const auto port = static_cast<std::uint16_t>(1024 + (number & 0xfff));
        if (key_.address.is_v4()) return {IpAddress::from_v4({198, 51, 100, high}), port};
        return {IpAddress::from_v6({0x20, 0x01, 0x0d, 0xb8, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, high}),
                port};
    }
    /// The server that a segment of this client goes to; -1: none.
    int send(unsigned number, std::uint8_t flags) { return send(client(number), flags); }
    [[nodiscard]] Frame segment(const Endpoint& from, std::uint8_t flags,
                                std::vector<std::uint16_t> tags = {}) const {
        Frame frame = frame_of({.source = from,
                                .destination = key_.endpoint(),
                                .protocol = Protocol::tcp,
                                .payload = (flags & push) != 0 ? std::size_t{40} : 0,
                                .vlans = tags});
        frame[14 + 4 * tags.size() + (key_.address.is_v4() ? 20 : 40) + 13] = flags;
        return frame;
    }
    int send(const Endpoint& from, std::uint8_t flags) {
        const test::Outcome outcome = bed_->run(segment(from, flags));
        std::copy_n(outcome.frame.begin() + 6, 6, left_by_.begin());
        return outcome.verdict == XDP_TX ? outcome.frame[5] : -1;
    }
    [[nodiscard]] const test::Mac& left_by() const { return left_by_; }
    /// A handshake and a query; the server that all of it went to, -2: not to one.
    int open(unsigned number) {
        const int to = send(number, syn);
        return send(number, ack) == to && send(number, ack | push) == to ? to : -2;
    }
    FlowCounts counts() { return bed_->flows->count().value(); }
    [[nodiscard]] const core::ServiceKey& key() const { return key_; }
    [[nodiscard]] int now() const { return now_; }

private:
    Bed* bed_;
    core::ServiceKey key_;
    int now_ = 1000;
    test::Mac left_by_{};
};

class EveryFamily : public testing::TestWithParam<Endpoint> {};
INSTANTIATE_TEST_SUITE_P(Flows, EveryFamily, testing::Values(service4, service6),
                         [](const auto& one) {
                             return std::string{to_string(one.param.address.family())};
                         });

/// Opens flows; {client: server}.
std::map<unsigned, int> open_some(Served& served, unsigned first, unsigned count) {
    std::map<unsigned, int> flows;
    for (unsigned i = first; i < first + count; ++i)
        flows[i] = served.open(i);
    return flows;
}

unsigned elsewhere(Served& served, const std::map<unsigned, int>& flows,
                   std::uint8_t flags = ack | push) {
    unsigned count = 0;
    for (const auto& [client, to] : flows)
        count += served.send(client, flags) != to ? 1 : 0;
    return count;
}

/// Servers over a VLAN, through a tunnel, and this machine: a remembered flow's
/// segments leave as they did before it was remembered, to the last byte.
TEST_P(EveryFamily, leaves_by_the_way_of_its_server_whatever_that_is) {
    NEEDS_BED(bed);
    Served served{bed, GetParam()};
    const auto way_to = [&](int number) -> Hop& {
        Hop& hop = bed.ways[server(served.key().endpoint(), number).address];
        hop.ifindex = bed.near();
        hop.server = mac_of(server(served.key().endpoint(), number).address);
        hop.own = bed.leaves_by;
        return hop;
    };
    way_to(11).tags[0] = {0x8100, 105};
    const IpAddress behind = server(served.key().endpoint(), 12).address;
    way_to(12).tunnel = Tunnel{served.client(0).address, behind, 0, 1500};
    way_to(13) = {};
    way_to(13).local = true;
    served.set({{11, 1}, {12, 1}, {13, 1}});
    open_some(served, 0, 200);
    const std::vector<std::vector<std::uint16_t>> stacks{{}, {0x8100}, {0x88a8, 0x8100}};
    std::map<std::pair<unsigned, std::size_t>, test::Outcome> before;
    std::map<std::ptrdiff_t, unsigned> grew;
    for (unsigned client = 0; client < 200; ++client)
        for (std::size_t stack = 0; stack < stacks.size(); ++stack) {
            const Frame frame = served.segment(served.client(client), ack | push, stacks[stack]);
            const auto outcome = bed.run(frame);
            if (stack == 0) ++grew[std::ssize(outcome.frame) - std::ssize(frame)];
            before[{client, stack}] = outcome;
        }
    EXPECT_EQ(grew.size(), 3U) << "each kind of way has flows";
    const std::uint64_t known = served.counts().learnt;
    served.set({{11, 1}, {12, 1}, {13, 1}, {14, 2}});
    const auto differ = [&] {
        unsigned count = 0;
        for (const auto& [of, outcome] : before) {
            const auto now =
                bed.run(served.segment(served.client(of.first), ack | push, stacks[of.second]));
            count += now.verdict != outcome.verdict || now.frame != outcome.frame ? 1 : 0;
        }
        return count;
    };
    EXPECT_EQ(differ(), 0U);
    served.pass(3);
    EXPECT_EQ(differ(), 0U);
    EXPECT_GT(served.counts().learnt, known + 50);
    served.pass(70);
    EXPECT_EQ(differ(), 0U);
}

/// The loop guard comes first: also where a flow's memory would have a server for it.
TEST_P(EveryFamily, that_is_remembered_is_not_forwarded_when_it_comes_from_a_server) {
    NEEDS_BED(bed);
    Served served{bed, GetParam()};
    served.set({{11, 1}, {12, 1}});
    const auto flows = open_some(served, 0, 100);
    served.set({{11, 1}, {12, 1}, {14, 2}});
    EXPECT_EQ(elsewhere(served, flows), 0U);
    served.pass(3);
    EXPECT_EQ(elsewhere(served, flows), 0U);
    const auto bouncing = server(served.key().endpoint(), 11).address;
    ASSERT_TRUE(Insiders{*bed.maps}.set({{mac_of(bouncing), abi::INSIDER_SERVER}}).has_value());
    for (const auto& [client, to] : flows) {
        Frame frame = served.segment(served.client(client), ack | push);
        std::copy_n(mac_of(bouncing).begin(), 6, frame.begin() + 6);
        EXPECT_EQ(bed.run(frame).verdict, static_cast<std::uint32_t>(XDP_DROP));
    }
    EXPECT_EQ(bed.reason(abi::REASON_loop), flows.size());
    EXPECT_EQ(elsewhere(served, flows), 0U);
}

TEST_P(EveryFamily, that_comes_from_another_director_goes_by_the_table_that_both_have) {
    std::map<unsigned, int> flows;
    {
        NEEDS_BED(bed);
        Served other{bed, GetParam()};
        other.set({{11, 1}, {12, 1}, {13, 1}});
        flows = open_some(other, 0, 300);
    }
    NEEDS_BED(bed);
    Served served{bed, GetParam()};
    // It has just started, and its servers came one by one.
    served.set({{11, 1}});
    served.set({{11, 1}, {12, 1}});
    served.set({{11, 1}, {12, 1}, {13, 1}});
    EXPECT_EQ(elsewhere(served, flows), 0U);
    EXPECT_EQ(served.counts().young, 0U);
}

TEST_P(EveryFamily, stays_with_its_server_when_others_come_and_go) {
    NEEDS_BED(bed);
    Served served{bed, GetParam()};
    served.set({{11, 1}, {12, 1}, {13, 1}});
    const auto flows = open_some(served, 0, 300);
    EXPECT_EQ(served.counts().young, 0U) << "remembered before anything changed";
    served.set({{11, 1}, {12, 1}, {13, 1}, {14, 1}, {15, 3}});
    EXPECT_EQ(elsewhere(served, flows), 0U);
    served.pass(3);
    EXPECT_EQ(elsewhere(served, flows), 0U);
    EXPECT_GT(served.counts().learnt, 100U);
    EXPECT_EQ(served.counts().learnt, served.counts().remembered);
    // Long after the change they are remembered, and nobody else has to be.
    served.pass(70);
    EXPECT_EQ(elsewhere(served, flows), 0U);
    EXPECT_EQ(bed.maps->services()[1].previous | bed.maps->services()[2].previous, 0U);
    // New ones go by the new table, whole.
    std::set<int> seen;
    for (const auto& [client, to] : open_some(served, 10000, 300))
        seen.insert(to);
    EXPECT_EQ(seen, (std::set<int>{11, 12, 13, 14, 15}));
}

TEST_P(EveryFamily, goes_whole_to_the_new_server_when_it_begins_after_the_change) {
    NEEDS_BED(bed);
    Served served{bed, GetParam()};
    served.set({{11, 1}, {12, 1}, {13, 1}});
    const auto old = open_some(served, 0, 100);
    served.set({{11, 1}, {12, 1}, {13, 1}, {14, 2}});
    const auto young = open_some(served, 1000, 300);
    std::map<int, int> shares;
    for (const auto& [client, to] : young)
        ++shares[to];
    EXPECT_EQ(shares.count(-2), 0U);
    EXPECT_GT(shares[14], 60);
    EXPECT_EQ(elsewhere(served, old), 0U);
    served.set({{11, 1}, {12, 1}, {13, 1}});
    for (const auto& [client, to] : young)
        EXPECT_TRUE(to == 14 || served.send(client, ack) == to) << client;
}

TEST_P(EveryFamily, ends_on_a_server_that_drains_and_leaves_one_that_is_gone) {
    NEEDS_BED(bed);
    Served served{bed, GetParam()};
    served.set({{11, 1}, {12, 1}, {13, 1}});
    const auto flows = open_some(served, 0, 200);
    served.set({{11, 0}, {12, 1}, {13, 1}});
    EXPECT_EQ(elsewhere(served, flows), 0U);
    for (const auto& [client, to] : open_some(served, 1000, 200))
        EXPECT_TRUE(to == 12 || to == 13) << to;
    served.pass(3);
    EXPECT_EQ(elsewhere(served, flows), 0U);
    served.pass(120);
    EXPECT_EQ(elsewhere(served, flows), 0U);
    // All of them drain: nothing new, and the old ones go on.
    served.set({{11, 0}, {12, 0}, {13, 0}});
    EXPECT_EQ(elsewhere(served, flows), 0U);
    EXPECT_EQ(served.send(5000, syn), -1);
    served.pass(3);
    EXPECT_EQ(elsewhere(served, flows), 0U);
    // Gone: its flows are somewhere else at once, all others where they were.
    served.set({{12, 1}, {13, 1}});
    for (const auto& [client, to] : flows)
        if (const int now = served.send(client, ack); to == 11)
            EXPECT_TRUE(now == 12 || now == 13) << now;
        else
            EXPECT_EQ(now, to);
    EXPECT_GT(served.counts().moved, 30U);
    // It comes back: who has moved stays, and so do the others.
    std::map<unsigned, int> after;
    for (const auto& [client, to] : flows)
        after[client] = served.send(client, ack);
    served.set({{11, 1}, {12, 1}, {13, 1}});
    EXPECT_EQ(elsewhere(served, after), 0U);
    served.pass(3);
    EXPECT_EQ(elsewhere(served, after), 0U);
}

TEST(XdpFlows, that_nobody_learnt_survive_a_hundred_changes_in_a_row) {
    NEEDS_BED(bed);
    Served served{bed, service4};
    std::mt19937 random{42};
    Weights weights{{11, 2}, {12, 2}, {13, 2}, {14, 2}};
    served.set(weights);
    // Without a packet as long as changes go on.
    const auto flows = open_some(served, 0, 300);
    for (int i = 0; i < 100; ++i) {
        weights[11 + static_cast<int>(random() % 4)] = 1 + random() % 5;
        served.set(weights);
        if (i % 10 == 0) served.pass(1);
    }
    EXPECT_EQ(elsewhere(served, flows), 0U);
}

TEST(XdpFlows, outlive_the_daemon) {
    NEEDS_BED(bed);
    Served served{bed, service4};
    served.set({{11, 1}, {12, 1}, {13, 1}});
    const auto flows = open_some(served, 0, 200);
    served.set({{11, 1}, {12, 1}, {13, 1}, {14, 3}});
    const auto more = open_some(served, 1000, 100);
    bed.restart();  // kill -9 in the middle of it: nobody is learnt yet
    EXPECT_EQ(elsewhere(served, flows) + elsewhere(served, more), 0U);
    served.set({{11, 1}, {12, 1}, {13, 1}});
    for (const auto& [client, to] : more)
        EXPECT_TRUE(to == 14 || served.send(client, ack) == to);
    served.pass(3);
    EXPECT_EQ(elsewhere(served, flows), 0U);
    bed.restart();
    served.pass(100);
    EXPECT_EQ(elsewhere(served, flows), 0U);
}

TEST(XdpFlows, are_not_ended_by_forged_segments) {
    NEEDS_BED(bed);
    Served served{bed, service4};
    served.set({{11, 1}, {12, 1}});
    const auto flows = open_some(served, 0, 200);
    served.set({{11, 1}, {12, 1}, {13, 4}});
    (void)elsewhere(served, flows);
    served.pass(3);
    (void)elsewhere(served, flows);
    for (const std::uint8_t flags : {std::uint8_t{syn}, std::uint8_t{rst}, std::uint8_t{fin | ack},
                                     std::uint8_t{syn}, std::uint8_t{rst | ack}})
        EXPECT_EQ(elsewhere(served, flows, flags), 0U) << int{flags};
    // Data shows that they live: they are kept although they rest for long.
    EXPECT_EQ(elsewhere(served, flows), 0U);
    served.pass(200);
    EXPECT_EQ(elsewhere(served, flows), 0U);
}

TEST(XdpFlows, are_forgotten_when_they_are_over_and_slots_are_plain_again) {
    NEEDS_BED(bed);
    Served served{bed, service4};
    served.set({{11, 1}, {12, 1}});
    const auto flows = open_some(served, 0, 200);
    served.set({{11, 1}, {12, 1}, {13, 1}});
    (void)elsewhere(served, flows);
    served.pass(3);
    (void)elsewhere(served, flows);
    const FlowCounts before = served.counts();
    EXPECT_GT(before.remembered, 30U);
    (void)elsewhere(served, flows, fin | ack);
    (void)elsewhere(served, flows, ack);
    served.pass(abi::FLOW_ENDING_MAX + 1 + 64);
    EXPECT_EQ(served.counts().remembered, 0U);
    served.pass(abi::FLOW_IDLE_MAX + 3 * 64);
    const Directory directory{*bed.maps};
    const std::uint32_t record =
        directory.find(words_of(served.key().address), where_of(served.key()));
    const std::uint64_t table = bed.maps->services()[record].table;
    const std::uint16_t* slots = bed.maps->slots()[abi::table_block(table)].position;
    EXPECT_EQ(std::count_if(slots, slots + abi::table_length(table),
                            [](std::uint16_t slot) { return (slot & abi::SLOT_MOVED) != 0; }),
              0);
    EXPECT_EQ(served.counts().learnt, before.learnt) << "the totals stay";
}

TEST(XdpFlows, that_are_established_are_not_displaced_by_a_flood) {
    // Room for 1,024 flows, of which 300 are in use, and 50,000 segments of
    // others, changes in between.
    NEEDS_BED(bed, {.services = 64, .real_servers = 64, .slots = 1 << 16, .flows = 1024});
    Served served{bed, service4};
    served.set({{11, 1}, {12, 1}, {13, 1}, {14, 1}});
    const auto flows = open_some(served, 0, 300);
    served.set({{11, 1}, {12, 1}, {13, 1}, {14, 1}, {15, 4}});
    for (int i = 0; i < 20; ++i) {  // the cap: a few in each second
        EXPECT_EQ(elsewhere(served, flows), 0U);
        served.pass(2);
    }
    std::mt19937 random{7};
    const std::uint8_t kinds[] = {syn, ack, ack | push};
    for (int i = 0; i < 50000; ++i) {
        const Endpoint from{IpAddress::from_v4({203, 0, 113, static_cast<std::uint8_t>(random())}),
                            static_cast<std::uint16_t>(1024 + random() % 64000)};
        (void)served.send(from, kinds[i % 3]);
        if (i % 1000 == 0) served.pass(1);
        if (i % 5000 == 0) served.set({{11, 1}, {12, 1}, {13, 1}, {14, 1}, {15, 1 + random() % 5}});
        if (i % 10000 == 0) {
            EXPECT_EQ(elsewhere(served, flows), 0U) << i;
        }
    }
    served.pass(90);  // the table before the change is gone: memory alone decides
    EXPECT_EQ(elsewhere(served, flows), 0U);
    EXPECT_GT(served.counts().capped, 10000U);
}

TEST(XdpFlows, are_the_same_to_two_directors_and_to_why) {
    NEEDS_BED(bed);
    Served served{bed, service4};
    served.set({{11, 1}, {12, 1}, {13, 1}});
    const auto flows = open_some(served, 0, 200);
    served.set({{11, 1}, {12, 1}, {13, 0}});
    std::map<Choice::By, int> by;
    const auto compare = [&] {
        for (const auto& [client, to] : flows) {
            const auto choice = bed.services->choose({served.client(client), served.key()});
            ASSERT_TRUE(choice.has_value() && choice->server);
            EXPECT_EQ(mac_of(choice->server->address)[5], to);
            EXPECT_EQ(choice->by_table.has_value(),
                      choice->by == Choice::By::remembered || choice->by == Choice::By::previous);
            ++by[choice->by];
        }
    };
    compare();
    EXPECT_GT(by[Choice::By::previous], 30);
    EXPECT_EQ(by[Choice::By::remembered], 0);
    EXPECT_EQ(elsewhere(served, flows), 0U);
    by.clear();
    compare();
    EXPECT_EQ(by[Choice::By::previous], 0);
    EXPECT_GT(by[Choice::By::remembered], 30);
    EXPECT_GT(by[Choice::By::flow_hash], 100);
}

TEST(XdpFlows, follow_a_drained_server_to_another_mac) {
    NEEDS_BED(bed);
    Served served{bed, service4};
    served.set({{11, 1}, {12, 1}});
    const auto flows = open_some(served, 0, 50);
    served.set({{11, 0}, {12, 1}});
    bed.leaves_by = {2, 0, 0, 0, 0, 3};
    const IpAddress changed[] = {server(service4, 11).address, server(service4, 12).address};
    ASSERT_TRUE(bed.services->refresh(changed, at(served.now())).has_value());
    for (const auto& [client, to] : flows) {
        EXPECT_EQ(served.send(client, ack), to);
        EXPECT_EQ(served.left_by(), bed.leaves_by);
    }
}

TEST(XdpFlows, can_be_left_unremembered) {
    NEEDS_BED(bed, {.services = 64, .real_servers = 64, .slots = 1 << 16, .flows = 0});
    Served served{bed, service4};
    served.set({{11, 1}, {12, 1}});
    const auto flows = open_some(served, 0, 200);
    served.set({{11, 1}, {12, 1}, {13, 1}});
    EXPECT_GT(elsewhere(served, flows), 30U);
    EXPECT_EQ(served.counts().most, 0U);
    EXPECT_EQ(served.counts().young, 0U);
}

/// Against a model that remembers everything: a flow is where its SYN went as long
/// as that server is there and the flow is not silent for too long.
TEST(XdpFlows, are_where_a_model_has_them_through_random_changes) {
    NEEDS_BED(bed);
    Served served{bed, service4};
    std::mt19937 random{20261};
    const auto below = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
    Weights weights{{11, 1}, {12, 1}, {13, 1}, {14, 1}, {15, 1}};
    served.set(weights);
    struct Known {
        int server;
        int last;
    };
    std::map<unsigned, Known> model;
    unsigned next = 0, checked = 0;
    for (int step = 0; step < 400; ++step) {
        switch (below(8)) {
            case 0: {
                const int number = 11 + static_cast<int>(below(5));
                if (below(4) == 0 && weights.size() > 2) {
                    weights.erase(number);
                    std::erase_if(model,
                                  [&](const auto& flow) { return flow.second.server == number; });
                } else {
                    weights[number] = below(4);
                }
                if (std::all_of(weights.begin(), weights.end(),
                                [](const auto& one) { return one.second == 0; }))
                    weights.begin()->second = 1;
                served.set(weights);
                break;
            }
            case 1: bed.restart(); break;
            case 2:
            case 3: served.pass(1 + static_cast<int>(below(20))); break;
            default:
                for (int i = 0; i < 5; ++i, ++next) {
                    const int to = served.open(next);
                    ASSERT_GE(to, 0) << "step " << step;
                    ASSERT_GT(weights[to], 0U) << "a new flow to one that takes none";
                    model[next] = {to, served.now()};
                }
        }
        for (auto& [client, known] : model) {
            if (below(3) != 0 && served.now() - known.last < 40) continue;
            ASSERT_EQ(served.send(client, ack | push), known.server)
                << "step " << step << " client " << client << " silent for "
                << served.now() - known.last;
            ++checked;
            known.last = served.now();
        }
    }
    EXPECT_GT(checked, 10000U);
}

}  // namespace
}  // namespace dnsdirector::dataplane::xdp
