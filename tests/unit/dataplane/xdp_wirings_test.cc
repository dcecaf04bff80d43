// SPDX-License-Identifier: Apache-2.0
//
// No wiring makes a packet circle. Each row of the table below is a network of
// directors (the kernel program itself, its ways and its loop guard found by
// NextHops in made-up routes and neighbours) and of other machines, most of them
// at fault. A client's packet is followed from machine to machine until it ends.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "dataplane/xdp/insiders.h"
#include "dataplane/xdp/next_hops.h"
#include "unit/dataplane/fake_netlink.h"
#include "unit/dataplane/xdp_bed.h"

namespace dnsdirector::dataplane::xdp {
namespace {

using test::Bed;
using test::FakeNetlink;
using test::Frame;

const Endpoint service = *Endpoint::parse("192.0.2.53:53");
const Endpoint client = *Endpoint::parse("198.51.100.7:4000");
const core::ServiceKey key{service.address, 53, Protocol::udp};

/// Machines are known by the last byte of their MAC and of their address.
constexpr std::uint8_t router = 254;
constexpr std::uint8_t a = 1, b = 2, c = 3;
constexpr std::uint8_t s = 11, t = 12;

netlink::Mac mac(std::uint8_t machine) {
    return {2, 0, 0, 0, 0, machine};
}
IpAddress address(std::uint8_t machine) {
    return IpAddress::from_v4({203, 0, 113, machine});
}

/// What a director has for a server.
struct Listed {
    std::uint8_t machine;
    enum { on_link, local, behind_gateway, by_tunnel } how = on_link;
    std::uint8_t answers_as = 0;  ///< with this machine's MAC; 0: its own
    std::uint16_t vlan = 0;
    bool out = false;  ///< known, and not forwarded to: its check is down
};
struct DirectorPlan {
    std::uint8_t machine;
    std::vector<Listed> servers;
    std::vector<std::uint8_t> others = {};  ///< other_directors
};

/// What another machine does with a frame that is addressed to it.
struct Machine {
    enum {
        serves,
        routes_to,   ///< lacks the service IP: lowers the TTL, its own MAC as source
        bridges_to,  ///< a bridge that was told so: only the destination MAC is new
        reflects,    ///< a loop: the frame comes back to who sent it
    } does = serves;
    std::uint8_t to = 0;
    std::uint16_t vlan = 0;  ///< the frame leaves with this tag
};

struct Wiring {
    const char* name;
    std::vector<DirectorPlan> directors;
    std::map<std::uint8_t, Machine> machines;
    /// Where the packet's way may end: "served by 11", "passed by 1", "dropped by 1".
    std::set<std::string> ends;
    int most_forwards = 1;   ///< by directors
    std::uint8_t first = a;  ///< where the router sends it
    std::uint8_t from = router;

    /// Keeps the bytes of the value out of the test's name.
    friend void PrintTo(const Wiring& wiring, std::ostream* out) { *out << wiring.name; }
};

const Wiring wirings[] = {
    {"a sound network", {{a, {{s}, {t}}}}, {}, {"served by 11", "served by 12"}},
    {"a server that lacks the service IP and routes",
     {{a, {{s}}}},
     {{s, {Machine::routes_to, a}}},
     {"dropped by 1"}},
    {"a server that bridges back to the director",
     {{a, {{s}}}},
     {{s, {Machine::bridges_to, a}}},
     {"dropped by 1"}},
    {"a bridge loop", {{a, {{s}}}}, {{s, {Machine::reflects}}}, {"dropped by 1"}},
    {"two directors that are each other's servers",
     {{a, {{a, Listed::local}, {b}}}, {b, {{a}, {b, Listed::local}}}},
     {},
     {"passed by 1", "passed by 2"}},
    {"the other's own server is out, and this one has not noticed",
     {{a, {{b}}}, {b, {{a}, {b, Listed::local, 0, 0, true}}}},
     {},
     {"passed by 2"}},
    {"two directors that list each other, without a server of their own",
     {{a, {{b}}}, {b, {{a}}}},
     {},
     {"dropped by 2"}},
    {"only one lists the other", {{a, {{b}}}, {b, {{s}}}}, {}, {"served by 11"}, 2},
    {"a ring of three directors that know each other",
     {{a, {{b}}, {a, b, c}}, {b, {{c}}, {a, b, c}}, {c, {{a}}, {a, b, c}}},
     {},
     {"dropped by 2"}},
    {"a server of both that bounces to the other one",
     {{a, {{s}}}, {b, {{s}}}},
     {{s, {Machine::routes_to, b}}},
     {"dropped by 2"}},
    {"two servers that bounce to each other's director",
     {{a, {{s}}, {b}}, {b, {{t}}, {a}}},
     {{s, {Machine::routes_to, b}}, {t, {Machine::routes_to, a}}},
     // The first server is none of b's: at b it may be a client.
     {"dropped by 1", "ttl ended"},
     64},
    {"a server behind a gateway, by direct routing",
     {{a, {{s, Listed::behind_gateway}}}},
     {},
     {"passed by 1"},
     0},
    {"a server behind the gateway that clients come by, through a tunnel",
     {{a, {{s, Listed::by_tunnel}}}},
     {},
     {"tunnelled to 254"}},
    {"two directors that are each other's servers, through a tunnel",
     {{a, {{b, Listed::by_tunnel}}}, {b, {{a, Listed::by_tunnel}}}},
     {},
     {"tunnelled to 254"}},
    {"a server that answers ARP with the director's MAC",
     {{a, {{s, Listed::on_link, a}}}},
     {},
     {"passed by 1"},
     0},
    {"the router is listed as a server", {{a, {{router}}}}, {}, {"dropped by 1"}, 0},
    {"a server that bounces to itself in another VLAN",
     {{a, {{s, Listed::on_link, 0, 105}, {t, Listed::on_link, s, 109}}}},
     {{s, {Machine::routes_to, a, 109}}},
     {"dropped by 1"}},
    {"a server that is a client of the service", {{a, {{s}, {t}}}}, {}, {"dropped by 1"}, 0, a, s},
    {"a server that is a client where the director has one of its own",
     {{a, {{a, Listed::local}, {s}}}},
     {},
     {"passed by 1"},
     0,
     a,
     s},
    {"a server of weight zero that bounces",
     {{a, {{s}, {t, Listed::on_link, 0, 0, true}}}},
     {{s, {Machine::bridges_to, t}}, {t, {Machine::routes_to, a}}},
     {"dropped by 1"}},
};

/// A director: its kernel program in a namespace of its own.
class Director {
public:
    explicit Director(const DirectorPlan& plan) : bed_(pins_.path()), hops_(net_, {}) {
        bed_.load(abi::INSTANCE_TRANSMIT, mac(plan.machine));
        net_.all_links = {
            FakeNetlink::link(static_cast<int>(bed_.near()), "eth0", mac(plan.machine)),
            FakeNetlink::vlan(105, "eth0.105", mac(plan.machine), static_cast<int>(bed_.near()),
                              105),
            FakeNetlink::vlan(109, "eth0.109", mac(plan.machine), static_cast<int>(bed_.near()),
                              109)};
        EXPECT_TRUE(hops_.load().has_value());
        std::set<Target> targets;
        std::vector<core::Destination> destinations;
        for (const Listed& each : plan.servers) {
            const auto method = each.how == Listed::by_tunnel ? core::ForwardingMethod::tun
                                                              : core::ForwardingMethod::dr;
            reach(each);
            targets.emplace(address(each.machine), method);
            destinations.push_back({{address(each.machine), 53}, each.out ? 0U : 1U, method});
        }
        std::set<IpAddress> others;
        for (const std::uint8_t each : plan.others) {
            others.insert(address(each));
            each == plan.machine ? net_.local(address(each)) : reach({each});
        }
        hops_.track(targets, others, {});
        EXPECT_TRUE(Insiders{*bed_.maps}.set(*hops_.take_insiders()).has_value());
        for (const Target& target : targets)
            if (const Hop* hop = hops_.hop(target))
                bed_.ways[target.address] = *hop;
            else
                bed_.unknown.insert(target.address);
        bed_.serve(key, destinations);
        here_.leave();
    }
    test::Outcome run(const Frame& frame) { return bed_.run(frame); }
    [[nodiscard]] bool sound() const { return bed_.maps != nullptr; }

private:
    void reach(const Listed& server) {
        const int interface = server.vlan != 0 ? server.vlan : static_cast<int>(bed_.near());
        const IpAddress where = address(server.machine);
        if (server.how == Listed::local) return net_.local(where);
        if (server.how == Listed::on_link) {
            net_.on_link(where, interface);
            net_.neighbour(where, interface,
                           mac(server.answers_as != 0 ? server.answers_as : server.machine));
            return;
        }
        net_.behind(where, interface, address(router));
        net_.neighbour(address(router), interface, mac(router));
    }

    test::PinDir pins_;
    support::NetworkNamespace here_;
    Bed bed_;
    FakeNetlink net_;
    NextHops hops_;
};

class Walk {
public:
    explicit Walk(const Wiring& wiring) : wiring_(wiring) {
        for (const DirectorPlan& plan : wiring.directors)
            directors_.emplace(plan.machine, std::make_unique<Director>(plan));
    }

    /// Where the packet's way ends.
    std::string follow() {
        Frame frame = test::frame_of({.to = mac(wiring_.first),
                                      .from = mac(wiring_.from),
                                      .source = client,
                                      .destination = service});
        forwards = 0;
        for (int step = 0; step < 300; ++step) {
            const std::uint8_t at = frame[5];
            const auto director = directors_.find(at);
            const auto end = director != directors_.end()
                                 ? by_director(at, *director->second, frame)
                                 : by_machine(at, frame);
            if (!end.empty()) return end;
        }
        return "circles";
    }
    int forwards = 0;

private:
    std::string by_director(std::uint8_t at, Director& director, Frame& frame) {
        const auto outcome = director.run(frame);
        const std::string name = std::to_string(at);
        if (outcome.verdict == XDP_PASS) return "passed by " + name;
        if (outcome.verdict != XDP_TX) return "dropped by " + name;
        ++forwards;
        frame = outcome.frame;
        if (frame[23] == IPPROTO_IPIP) return "tunnelled to " + std::to_string(frame[5]);
        return "";
    }
    std::string by_machine(std::uint8_t at, Frame& frame) {
        const auto found = wiring_.machines.find(at);
        const Machine machine = found != wiring_.machines.end() ? found->second : Machine{};
        if (machine.does == Machine::serves) return "served by " + std::to_string(at);
        if (machine.does == Machine::reflects) {
            // As it left, addressed to who is on the way back.
            frame[5] = frame[11];
            return "";
        }
        frame[5] = machine.to;
        if (machine.does == Machine::bridges_to) return "";
        frame[11] = at;
        const std::size_t tag = frame[12] == 0x81 ? 4 : 0;
        if (--frame[14 + tag + 8] == 0) return "ttl ended";
        if (tag != 0 && machine.vlan != 0) frame[15] = static_cast<std::uint8_t>(machine.vlan);
        return "";
    }

    const Wiring& wiring_;
    std::map<std::uint8_t, std::unique_ptr<Director>> directors_;
};

class XdpWirings : public testing::TestWithParam<Wiring> {};

TEST_P(XdpWirings, make_no_packet_circle) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    Walk walk{GetParam()};
    // As many packets as reach every server of the table.
    for (int packet = 0; packet < 4; ++packet) {
        const std::string end = walk.follow();
        EXPECT_TRUE(GetParam().ends.contains(end)) << end;
        EXPECT_LE(walk.forwards, GetParam().most_forwards);
    }
}

INSTANTIATE_TEST_SUITE_P(table, XdpWirings, testing::ValuesIn(wirings), [](const auto& row) {
    std::string name = row.param.name;
    for (char& letter : name)
        if (std::isalnum(static_cast<unsigned char>(letter)) == 0) letter = '_';
    return name;
});

}  // namespace
}  // namespace dnsdirector::dataplane::xdp
