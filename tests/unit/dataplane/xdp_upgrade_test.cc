// SPDX-License-Identifier: Apache-2.0
//
// Versions with different layouts take over from each other (tests/upgrade): no
// packet is lost and none is counted twice, whenever a takeover is killed.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <sstream>
#include <tuple>

#include "dataplane/xdp/fd.h"
#include "dataplane/xdp/ledger.h"
#include "dataplane/xdp/pin_dir.h"
#include "unit/dataplane/packets.h"
#include "unit/dataplane/xdp_lab.h"
#include "unit/support/traced.h"

namespace dnsdirector::dataplane {
namespace {

using support::run_traced;
using support::TracedRun;
using test::Frame;
using test::Mac;
using test::PinDir;

/// Built into the same directory as the tests.
std::string beside_this_program(const std::string& name) {
    return std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
}
const std::string layout1_director = beside_this_program("layout1_director");
const std::string ours = beside_this_program("plane_tool");
const std::string other = beside_this_program("plane_tool_other");

constexpr const char* services =
    "service udp 192.0.2.53:53 wrr\n"
    "server 203.0.113.11:53 02:00:00:00:01:11 2\n"
    "server 203.0.113.12:53 02:00:00:00:01:12 1\n"
    "server 203.0.113.13:53 02:00:00:00:01:13 0\n"
    "gone 203.0.113.14:53\n"
    "service tcp [2001:db8::53]:53 mh\n"
    "server [2001:db8:1::11]:53 02:00:00:00:01:11 1\n"
    "server [2001:db8:1::12]:53 02:00:00:00:01:12 3\n";
const std::vector<std::string> forwarded{"weight 192.0.2.53:53/udp 203.0.113.11:53 wrr 2",
                                         "weight 192.0.2.53:53/udp 203.0.113.12:53 wrr 1",
                                         "weight 192.0.2.53:53/udp 203.0.113.13:53 wrr 0",
                                         "weight [2001:db8::53]:53/tcp [2001:db8:1::11]:53 mh 1",
                                         "weight [2001:db8::53]:53/tcp [2001:db8:1::12]:53 mh 3"};

/// A director's two interfaces, near and near2, and the far end of their cables.
/// Servers are reached by near alone: what comes in by near2 is redirected.
class Wire {
public:
    Wire() {
        for (const std::string end : {"", "2"}) {
            support::ip("link add near" + end + " type veth peer name far" + end);
            support::ip("link set near" + end + " up");
            support::ip("link set far" + end + " up");
        }
        support::ip("link set near address 02:00:00:00:00:01");
        support::ip("link set near2 address 02:00:00:00:00:01");
        support::ip("address add 203.0.113.1/24 dev near");
        support::ip("address add 2001:db8:1::1/64 dev near nodad");
        for (const std::string server : {"11", "12", "13", "14"})
            for (const std::string network : {"203.0.113.", "2001:db8:1::"})
                support::ip("neighbour add " + network + server +
                            " lladdr 02:00:00:00:01:" + server + " dev near nud permanent");
        far_ = open_socket("far");
        far2_ = open_socket("far2");
    }
    ~Wire() {
        close(far_);
        close(far2_);
    }
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    /// A query of each kind to each interface, and one whose lengths contradict each
    /// other, which is counted and not forwarded. Every query must come back on its way to a
    /// server.
    void traffic() {
        for (const int by : {far_, far2_}) {
            query("192.0.2.53:53/udp", "198.51.100.7:", "192.0.2.53:53", Protocol::udp, by);
            query("[2001:db8::53]:53/tcp", "[2001:db8:c::7]:", "[2001:db8::53]:53", Protocol::tcp,
                  by);
        }
        test::Packet packet{.source = *Endpoint::parse("198.51.100.7:4000"),
                            .destination = *Endpoint::parse("192.0.2.53:53")};
        packet.ip_length = 1000;
        send(test::frame_of(packet), far_);
        ++malformed;
    }

    /// What a director that counted everything prints.
    [[nodiscard]] std::map<std::string, std::string> expected() const {
        std::map<std::string, std::string> counts;
        const auto text = [](std::size_t packets, std::size_t size) {
            return fmt::format("{} {}", packets, packets * size);
        };
        std::map<std::string, std::size_t> of_service;
        for (const auto& [to, packets] : received) {
            counts["server " + to.first + " " + server(to)] = text(packets, size_.at(to.first));
            of_service[to.first] += packets;
        }
        for (const auto& [service, packets] : of_service)
            counts["service " + service] = text(packets, size_.at(service));
        counts["drop malformed"] = std::to_string(malformed);
        return counts;
    }

    std::size_t lost = 0;
    std::size_t malformed = 0;
    std::map<std::pair<std::string, int>, std::size_t> received;  ///< by service and server

private:
    static int open_socket(const char* interface) {
        const int socket =
            ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);
        address.sll_ifindex = static_cast<int>(if_nametoindex(interface));
        EXPECT_EQ(bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0)
            << std::strerror(errno);
        return socket;
    }
    static void send(const Frame& frame, int by) {
        EXPECT_EQ(::send(by, frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()))
            << std::strerror(errno);
    }
    static std::string server(const std::pair<std::string, int>& to) {
        return fmt::format(
            fmt::runtime(to.first.starts_with('[') ? "[2001:db8:1::{:x}]:53" : "203.0.113.{:x}:53"),
            to.second);
    }

    void query(const std::string& service, const std::string& client, const std::string& to,
               Protocol protocol, int by) {
        const Frame sent = test::frame_of(
            {.source = *Endpoint::parse(client + std::to_string(1024 + next_port_++ % 60000)),
             .destination = *Endpoint::parse(to),
             .protocol = protocol});
        size_[service] = sent.size();
        send(sent, by);
        if (const int server = wait_for(sent); server >= 0)
            ++received[{service, server}];
        else
            ++lost;
    }

    /// The server that this frame was sent to; -1: none within a second.
    int wait_for(const Frame& sent) const {
        for (;;) {
            Frame got(2048);
            sockaddr_ll from{};
            socklen_t length = sizeof from;
            const ssize_t size = recvfrom(far_, got.data(), got.size(), 0,
                                          reinterpret_cast<sockaddr*>(&from), &length);
            if (size < 0) {
                pollfd ready{far_, POLLIN, 0};
                if (poll(&ready, 1, 1000) <= 0) return -1;
                continue;
            }
            got.resize(static_cast<std::size_t>(size));
            if (from.sll_pkttype != PACKET_OUTGOING && got.size() == sent.size() &&
                std::equal(sent.begin() + 12, sent.end(), got.begin() + 12))
                return got[5];
        }
    }

    int far_ = -1;
    int far2_ = -1;
    unsigned next_port_ = 0;
    std::map<std::string, std::size_t> size_;
};

/// Versions that follow each other on one wire.
class Upgrade {
public:
    explicit Upgrade(const PinDir& pins) : pins_(pins) {}

    TracedRun run(const std::string& tool, const std::string& input = "", std::size_t kill_at = 0) {
        auto run = run_traced({tool, pins_.path(), "near", "near2"}, input, kill_at,
                              [&] { wire.traffic(); });
        wire.traffic();
        if (kill_at == 0) {
            EXPECT_EQ(run.status, 0) << run.output;
        }
        EXPECT_EQ(wire.lost, 0U) << tool << " killed at its step " << kill_at;
        return run;
    }
    /// Begins with this version, which has forwarded something when it ends.
    void begin_with(const std::string& tool) {
        const auto begun = run_traced({tool, pins_.path(), "near", "near2"}, services);
        ASSERT_EQ(begun.status, 0) << begun.output;
        wire.traffic();
        ASSERT_EQ(wire.lost, 0U);
    }
    void end() {
        const auto stopped = run_traced({ours, "--stop", pins_.path(), "near", "near2"}, "");
        EXPECT_EQ(stopped.status, 0) << stopped.output;
        EXPECT_FALSE(pins_.exists());
    }
    /// A full start of this version: it holds what the first one did, and has
    /// counted every packet since then once.
    void expect_all_is_kept_by(const std::string& tool) {
        // Printed at the end: no packets meanwhile that it could miss.
        const auto run = run_traced({tool, pins_.path(), "near", "near2"}, "");
        ASSERT_EQ(run.status, 0) << run.output;
        std::vector<std::string> weights;
        std::map<std::string, std::string> counts;
        std::istringstream lines{run.output};
        for (std::string line; std::getline(lines, line);) {
            if (line.starts_with("weight ")) weights.push_back(line);
            const bool is_drop = line.starts_with("drop ");
            if (!is_drop && !line.starts_with("service ") && !line.starts_with("server ")) continue;
            std::size_t cut = line.rfind(' ');
            if (!is_drop) cut = line.rfind(' ', cut - 1);
            if (!line.ends_with(" 0 0")) counts[line.substr(0, cut)] = line.substr(cut + 1);
        }
        EXPECT_EQ(weights, forwarded) << run.output;
        EXPECT_EQ(counts, wire.expected()) << run.output;
        EXPECT_EQ(xdp::sets_of_pins(pins_.path()).size(), 1U);
    }

    Wire wire;

private:
    const PinDir& pins_;
};

TEST(XdpUpgrade, takes_over_from_layout_1_and_loses_nothing) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(own_namespace);
    Upgrade upgrade{pins};
    upgrade.begin_with(layout1_director);
    upgrade.run(ours);
    upgrade.expect_all_is_kept_by(ours);
    upgrade.end();
}

TEST(XdpUpgrade, goes_to_a_later_layout_and_back_and_forth) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(own_namespace);
    Upgrade upgrade{pins};
    upgrade.begin_with(ours);
    for (const std::string& version : {other, ours, other, ours}) {
        upgrade.run(version);
        upgrade.expect_all_is_kept_by(version);
    }
    upgrade.end();
}

TEST(XdpUpgrade, looks_up_the_ways_that_the_predecessor_has_no_words_for) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(own_namespace);
    Upgrade upgrade{pins};
    upgrade.begin_with(ours);
    const std::string sets = xdp::sets_of_pins(pins.path()).at(0);
    const xdp::Fd members{bpf_obj_get((sets + "/members").c_str())};
    const auto entries = xdp::member_entries(members.get());
    ASSERT_TRUE(entries.has_value());
    for (auto [key, member] : *entries) {
        if (!xdp::names_a_server(key)) continue;
        member.hop = 99;  // of a version to come
        ASSERT_EQ(bpf_map_update_elem(members.get(), &key, &member, BPF_ANY), 0);
    }
    upgrade.run(other);
    upgrade.expect_all_is_kept_by(other);
    upgrade.end();
}

/// Neither has a neighbour entry of its own, and that of the router is gone: what the
/// ledger says is all that there is to forward by.
TEST(XdpUpgrade, takes_over_tunnels_and_a_server_of_its_own_by_the_ledger_alone) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(own_namespace);
    Upgrade upgrade{pins};
    support::ip("neighbour add 203.0.113.254 lladdr 02:00:00:00:01:fe dev near nud permanent");
    support::ip("route add 203.0.114.0/24 via 203.0.113.254");
    const auto begun = run_traced({ours, pins.path(), "near", "near2"},
                                  "service udp 192.0.2.54:53 wrr\n"
                                  "server 203.0.113.1:53 02:00:00:00:00:01 2\n"
                                  "server 203.0.114.11:53 02:00:00:00:01:fe 1 tun\n");
    ASSERT_EQ(begun.status, 0) << begun.output;
    const auto ways = [&] {
        const std::string set = xdp::sets_of_pins(pins.path()).at(0);
        const xdp::Fd members{bpf_obj_get((set + "/members").c_str())};
        const auto ledger = xdp::read_ledger(members.get()).value();
        std::map<Endpoint, xdp::Hop> found;
        for (const auto& [key, service] : ledger)
            for (const auto& [server, member] : service.members)
                found[server] = member.hop.value_or(xdp::Hop{});
        return found;
    };
    const auto before = ways();
    const Endpoint own = *Endpoint::parse("203.0.113.1:53");
    const Endpoint behind = *Endpoint::parse("203.0.114.11:53");
    ASSERT_TRUE(before.at(own).local);
    ASSERT_TRUE(before.at(behind).tunnel.has_value());
    EXPECT_EQ(before.at(behind).tunnel->source, own.address);

    support::ip("route delete 203.0.114.0/24");
    support::ip("neighbour delete 203.0.113.254 dev near");
    for (const std::string& version : {other, ours}) {
        const auto run = run_traced({version, pins.path(), "near", "near2"}, "");
        ASSERT_EQ(run.status, 0) << run.output;
        EXPECT_NE(run.output.find("weight 192.0.2.54:53/udp 203.0.114.11:53 wrr 1 tun\n"),
                  std::string::npos)
            << run.output;
        EXPECT_EQ(ways(), before);
    }
    upgrade.end();
}

TEST(XdpUpgrade, a_start_that_is_refused_leaves_the_predecessor_as_it_was) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(own_namespace);
    Upgrade upgrade{pins};
    upgrade.begin_with(layout1_director);
    const std::vector<std::string> before = xdp::names_in(pins.path() + "/v1");
    const auto refused = run_traced({ours, pins.path(), "near", "near2", "eth7"}, "");
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.output.find("eth7 does not exist"), std::string::npos) << refused.output;
    EXPECT_EQ(xdp::names_in(pins.path()), std::vector<std::string>{"v1"});
    EXPECT_EQ(xdp::names_in(pins.path() + "/v1"), before);
    upgrade.wire.traffic();
    upgrade.run(ours);
    upgrade.expect_all_is_kept_by(ours);
    upgrade.end();
}

TEST(XdpUpgrade, does_not_replace_what_it_can_not_read) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(own_namespace);
    Upgrade upgrade{pins};
    upgrade.begin_with(ours);
    const std::string sets = xdp::sets_of_pins(pins.path()).at(0);
    const xdp::Fd layout{bpf_obj_get((sets + "/layout").c_str())};
    ASSERT_EQ(unlink((sets + "/layout").c_str()), 0);
    const auto refused = run_traced({other, pins.path(), "near", "near2"}, "");
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.output.find(sets + " holds the program that forwards, and does not say what "
                                         "its tables hold: stop the director that made it"),
              std::string::npos)
        << refused.output;
    EXPECT_EQ(xdp::sets_of_pins(pins.path()), std::vector<std::string>{sets});
    upgrade.wire.traffic();
    EXPECT_EQ(upgrade.wire.lost, 0U);
    // With its description again it is taken over.
    ASSERT_EQ(bpf_obj_pin(layout.get(), (sets + "/layout").c_str()), 0);
    upgrade.run(other);
    upgrade.expect_all_is_kept_by(other);
    upgrade.end();
}

/// Of steps of one kind in a row the first, the last, and some between: how many
/// elements of a map have been written, say, makes no other difference.
std::vector<std::size_t> to_be_killed_at(const std::vector<std::string>& steps) {
    std::vector<std::size_t> chosen;
    std::size_t in_a_row = 0;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        in_a_row = i > 0 && steps[i] == steps[i - 1] ? in_a_row + 1 : 0;
        const bool last = i + 1 == steps.size() || steps[i] != steps[i + 1];
        if (in_a_row < 2 || in_a_row % 4 == 0 || last) chosen.push_back(i + 1);
    }
    return support::for_this_run(chosen, 12);
}

struct Versions {
    const char* name;
    std::string first;
    std::string killed;  ///< in its takeover from `first`
    std::string next;    ///< started after that
};
const std::vector<Versions> versions{{"finished_by_itself", layout1_director, ours, ours},
                                     {"finished_by_a_later_one", layout1_director, ours, other},
                                     {"undone_by_the_one_before", ours, other, ours}};
constexpr std::size_t parts = 2;

/// A takeover is killed at its steps; each part of the test takes its share.
class XdpUpgradeKilled : public ::testing::TestWithParam<std::tuple<Versions, std::size_t>> {};

TEST_P(XdpUpgradeKilled, loses_and_forgets_nothing) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(own_namespace);
    const auto& [chosen, part] = GetParam();
    const auto take_over = [&, &which = chosen](std::size_t kill_at) {
        Upgrade upgrade{pins};
        upgrade.begin_with(which.first);
        auto run = upgrade.run(which.killed, "", kill_at);
        EXPECT_EQ(run.killed, kill_at != 0);
        upgrade.expect_all_is_kept_by(which.next);
        upgrade.end();
        for (const char* interface : {"near", "near2"})
            support::ip(std::string{"link delete "} + interface);
        return run.steps;
    };
    const std::vector<std::string> steps = take_over(0);
    for (const char* kind : {"mkdir", "BPF_OBJ_PIN", "BPF_MAP_UPDATE_ELEM", "BPF_LINK_UPDATE",
                             "rename", "unlink", "rmdir"})
        EXPECT_NE(std::find(steps.begin(), steps.end(), kind), steps.end()) << kind;
    const std::vector<std::size_t> at = to_be_killed_at(steps);
    for (std::size_t i = part; i < at.size(); i += parts) {
        take_over(at[i]);
        ASSERT_FALSE(HasFailure()) << "killed at step " << at[i] << ", " << steps[at[i] - 1];
    }
}

INSTANTIATE_TEST_SUITE_P(EachStep, XdpUpgradeKilled,
                         ::testing::Combine(::testing::ValuesIn(versions),
                                            ::testing::Range(std::size_t{0}, parts)),
                         [](const auto& test) {
                             return std::get<0>(test.param).name + std::string{"_part_"} +
                                    std::to_string(std::get<1>(test.param));
                         });

}  // namespace
}  // namespace dnsdirector::dataplane
