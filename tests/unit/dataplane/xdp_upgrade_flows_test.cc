// SPDX-License-Identifier: Apache-2.0
//
// TCP flows that stand at other servers than the table says stay there while versions
// with different layouts take over from each other (tests/upgrade), whenever a takeover
// is killed.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <tuple>
#include <vector>

#include "dataplane/xdp/fd.h"
#include "dataplane/xdp/old_tables.h"
#include "dataplane/xdp/pin_dir.h"
#include "dataplane/xdp/program.h"
#include "unit/dataplane/packets.h"
#include "unit/dataplane/xdp_lab.h"
#include "unit/support/traced.h"

namespace dnsdirector::dataplane {
namespace {

using support::run_traced;
using support::TracedRun;
using test::Frame;
using test::PinDir;

std::string version_of(const std::string& tool) {
    return std::filesystem::read_symlink("/proc/self/exe").parent_path() / tool;
}
const std::string this_layout = version_of("plane_tool");
const std::string next_layout = version_of("plane_tool_other");

enum Segment : std::uint8_t { syn = 0x02, data = 0x18 };

/// All new flows go to one of three servers; the others are drained.
std::string all_to(int server) {
    std::string text = "service tcp 192.0.2.53:53 mh\n";
    for (const int each : {11, 12, 13})
        text += fmt::format("server 203.0.113.{0}:53 02:00:00:00:01:{0} {1}\n", each,
                            each == server ? 1 : 0);
    return text;
}

/// A director's interface, and what leaves by it. Flows are the client's ports.
class FlowWire {
public:
    FlowWire() {
        support::ip("link add near address 02:00:00:00:00:01 type veth peer name far");
        support::ip("link set near up");
        support::ip("link set far up");
        support::ip("address add 203.0.113.1/24 dev near");
        for (const int server : {11, 12, 13})
            support::ip(
                fmt::format("neighbour add 203.0.113.{0} lladdr 02:00:00:00:01:{0} dev "
                            "near nud permanent",
                            server));
        far_ =
            xdp::Fd{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL))};
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);
        address.sll_ifindex = static_cast<int>(if_nametoindex("far"));
        EXPECT_EQ(bind(far_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0)
            << std::strerror(errno);
    }
    ~FlowWire() { support::ip("link delete near"); }
    FlowWire(const FlowWire&) = delete;
    FlowWire& operator=(const FlowWire&) = delete;

    /// The server that gets this segment; -1: none within a second.
    int server_of(unsigned port, Segment segment) const {
        Frame sent =
            test::frame_of({.source = *Endpoint::parse("198.51.100.7:" + std::to_string(port)),
                            .destination = *Endpoint::parse("192.0.2.53:53"),
                            .protocol = Protocol::tcp});
        constexpr std::size_t flags = ETH_HLEN + 20 + 13;
        sent[flags] = segment;
        EXPECT_EQ(::send(far_.get(), sent.data(), sent.size(), 0),
                  static_cast<ssize_t>(sent.size()));
        for (;;) {
            Frame got(2048);
            sockaddr_ll from{};
            socklen_t length = sizeof from;
            const ssize_t size = recvfrom(far_.get(), got.data(), got.size(), 0,
                                          reinterpret_cast<sockaddr*>(&from), &length);
            if (size < 0) {
                pollfd ready{far_.get(), POLLIN, 0};
                if (poll(&ready, 1, 1000) <= 0) return -1;
                continue;
            }
            got.resize(static_cast<std::size_t>(size));
            if (from.sll_pkttype != PACKET_OUTGOING && got.size() == sent.size() &&
                std::equal(sent.begin() + 12, sent.end(), got.begin() + 12))
                // The last byte of the MAC has the number's digits.
                return got[5] / 16 * 10 + got[5] % 16;
        }
    }

private:
    xdp::Fd far_;
};

/// Flows of each kind, after all new ones went to 11, then to 12, now to 13. For a
/// minute flows that nobody remembers are taken for those of the first table.
class UpgradedFlows {
public:
    explicit UpgradedFlows(const PinDir& pins) : pins_(pins) {
        start(this_layout, all_to(11));
        for (unsigned port = first_silent; port < last_silent; ++port)
            expect(port, syn, 11);
        for (unsigned port = 1000; port < 1010; ++port)
            expect(port, syn, 11);
        start(this_layout, all_to(12));
        for (unsigned port = 1000; port < 1010; ++port)
            expect(port, data, 11);
        for (unsigned port = 2000; port < 2010; ++port)
            expect(port, syn, 12);
        later(xdp::abi::FLOW_YOUNG);
        for (unsigned i = 0; i < 5; ++i) {  // these are established then, the others young
            expect(1000 + i, data, 11);
            expect(2000 + i, data, 12);
        }
        start(this_layout, all_to(13));
        ready_ = true;
        expect_all_stay();
    }

    /// A full start of this version, or until it is killed at one of its steps; at each of
    /// them all flows are where they were.
    TracedRun start(const std::string& version, const std::string& input = "",
                    std::size_t kill_at = 0) {
        auto run =
            run_traced({version, pins_.path(), "near"}, input, kill_at, [&] { expect_all_stay(); });
        if (kill_at == 0) {
            EXPECT_EQ(run.status, 0) << run.output;
        }
        expect_all_stay();
        return run;
    }
    void stop() const {
        const auto stopped = run_traced({this_layout, "--stop", pins_.path(), "near"}, "");
        EXPECT_EQ(stopped.status, 0) << stopped.output;
        EXPECT_FALSE(pins_.exists());
    }

    /// Those that are remembered, one that was silent until now, and a new one.
    void expect_all_stay() {
        if (!ready_) return;
        for (unsigned i = 0; i < 10; ++i) {
            expect(1000 + i, data, 11);
            expect(2000 + i, data, 12);
        }
        if (next_silent_ < last_silent) expect(next_silent_++, data, 11);
        expect(next_new_++, syn, 13);
    }

    [[nodiscard]] std::string set_of_pins() const { return xdp::sets_of_pins(pins_.path()).at(0); }
    [[nodiscard]] int server_of(unsigned port, Segment segment) const {
        return wire_.server_of(port, segment);
    }

private:
    void expect(unsigned port, Segment segment, int server) const {
        EXPECT_EQ(wire_.server_of(port, segment), server) << "flow of port " << port;
    }

    /// The clock of the flows goes on by so many epochs, as the daemon lets it.
    void later(std::uint32_t epochs) const {
        const std::string path = set_of_pins() + "/flow_control";
        const xdp::Fd map{bpf_obj_get(path.c_str())};
        const std::uint32_t first = 0;
        xdp::abi::flow_control control{};
        ASSERT_EQ(bpf_map_lookup_elem(map.get(), &first, &control), 0) << path;
        control.epoch += epochs;
        ASSERT_EQ(bpf_map_update_elem(map.get(), &first, &control, BPF_ANY), 0) << path;
    }

    static constexpr unsigned first_silent = 3000;
    static constexpr unsigned last_silent = 3600;
    const PinDir& pins_;
    FlowWire wire_;
    bool ready_ = false;
    unsigned next_silent_ = first_silent;
    unsigned next_new_ = 10000;
};

/// Another version's tables, of which nobody knows how it left them.
TEST(XdpOldTables, are_read_as_far_as_they_exist) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    const auto array = [&](const char* name, std::uint32_t value_size, std::uint32_t elements) {
        LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
        xdp::Fd map{bpf_map_create(BPF_MAP_TYPE_ARRAY, name, 4, value_size, elements, &options)};
        EXPECT_EQ(bpf_obj_pin(map.get(), (pins.path() + "/" + name).c_str()), 0);
        return map;
    };
    std::filesystem::create_directories(pins.path());
    const xdp::Fd services = array("s", 20, 6);  // the kernel makes that 24
    const xdp::Fd slots = array("t", 64, 3);
    const xdp::Fd destinations = array("d", 12, 5);
    const auto put = [](const xdp::Fd& map, std::uint32_t index, const void* value) {
        EXPECT_EQ(bpf_map_update_elem(map.get(), &index, value, BPF_ANY), 0);
    };
    const auto set_tables = [&](std::uint32_t service, std::uint64_t table, std::uint64_t before) {
        std::array<std::uint32_t, 5> words{};
        std::memcpy(words.data() + 1, &table, sizeof table);
        std::memcpy(words.data() + 3, &before, sizeof before);
        put(services, service, words.data());
    };
    for (std::uint32_t i = 0; i < 5; ++i) {
        const std::array<std::uint32_t, 3> destination{0, 0, 100 + i};
        put(destinations, i, destination.data());
    }
    std::array<std::uint16_t, 32> block{};
    block[0] = 1;
    block[1] = static_cast<std::uint16_t>(0 | xdp::abi::SLOT_MOVED);
    block[2] = 77;  // there is no such destination
    put(slots, 1, block.data());
    set_tables(1, xdp::abi::table_word(1, 3, 3), xdp::abi::table_word(1, 3, 1));
    set_tables(2, xdp::abi::table_word(1, 3, 64), xdp::abi::table_word(1, 3, 65));
    set_tables(3, xdp::abi::table_word(4000000, 3, 1), ~std::uint64_t{0});

    const xdp::Description::Tables where{"s", 4, 12, "t", "d", 8};
    const auto tables = xdp::OldTables::open(pins.path(), where);
    ASSERT_TRUE(tables.has_value()) << tables.error().message;
    const xdp::OldTable table = tables->in_force(1);
    EXPECT_EQ(table.servers, (std::vector<std::uint32_t>{104, 103, 0}));
    EXPECT_EQ(table.moved, (std::vector<bool>{false, true, false}));
    EXPECT_EQ(tables->before_change(1).servers, (std::vector<std::uint32_t>{104}));
    EXPECT_EQ(tables->in_force(2).servers.size(), 64U);
    for (const xdp::OldTable& none :
         {tables->before_change(2), tables->in_force(3), tables->before_change(3),
          tables->in_force(0), tables->in_force(6), tables->in_force(4000000)})
        EXPECT_TRUE(none.servers.empty());

    for (const xdp::Description::Tables& wrong :
         {xdp::Description::Tables{"s", 4, 13, "t", "d", 8},
          xdp::Description::Tables{"s", 4000000, 12, "t", "d", 8},
          xdp::Description::Tables{"s", 4, 12, "d", "d", 8},
          xdp::Description::Tables{"s", 4, 12, "t", "d", 9},
          xdp::Description::Tables{"s", 4, 12, "none", "d", 8}})
        EXPECT_FALSE(xdp::OldTables::open(pins.path(), wrong).has_value());
    for (const char* name : {"s", "t", "d"})
        EXPECT_EQ(unlink((pins.path() + "/" + name).c_str()), 0);
}

TEST(XdpUpgradeFlows, stay_with_their_servers_through_layouts_and_back) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(own_namespace);
    UpgradedFlows flows{pins};
    for (const std::string& version : {next_layout, this_layout, next_layout, this_layout}) {
        const std::string before = flows.set_of_pins();
        flows.start(version);
        EXPECT_NE(flows.set_of_pins(), before);
    }
    flows.stop();
}

/// A later version may keep flows in another way: then they are lost, and it says so.
TEST(XdpUpgradeFlows, are_lost_with_a_warning_where_the_predecessor_does_not_say_where_they_are) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(own_namespace);
    UpgradedFlows flows{pins};
    const xdp::Fd map{bpf_obj_get((flows.set_of_pins() + "/layout").c_str())};
    const std::uint32_t first = 0;
    xdp::abi::layout_text layout{};
    ASSERT_EQ(bpf_map_lookup_elem(map.get(), &first, &layout), 0);
    char* const line = std::strstr(layout.text, "\nremembered 1 ");
    ASSERT_NE(line, nullptr);
    std::memcpy(line + 1, "remembered 9", 12);
    ASSERT_EQ(bpf_map_update_elem(map.get(), &first, &layout, BPF_ANY), 0);
    const auto run = run_traced({next_layout, pins.path(), "near"}, "");
    ASSERT_EQ(run.status, 0) << run.output;
    EXPECT_NE(run.output.find("remembers are lost, and may move: its version does not say where"),
              std::string::npos)
        << run.output;
    EXPECT_EQ(flows.server_of(2000, data), 13);
    flows.stop();
}

/// With less room asked for they stay where they are, as within one layout.
TEST(XdpUpgradeFlows, are_lost_with_a_warning_only_where_more_room_is_asked_for) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(own_namespace);
    UpgradedFlows flows{pins};
    const auto less = run_traced({next_layout, "--flows", "1000", pins.path(), "near"}, "");
    ASSERT_EQ(less.status, 0) << less.output;
    EXPECT_EQ(less.output.find("lost"), std::string::npos) << less.output;
    flows.expect_all_stay();
    const auto more = run_traced({this_layout, "--flows", "1000000", pins.path(), "near"}, "");
    ASSERT_EQ(more.status, 0) << more.output;
    EXPECT_NE(more.output.find("may move: max_flows asks for more room than they have"),
              std::string::npos)
        << more.output;
    EXPECT_EQ(flows.server_of(2000, data), 13);
}

/// A takeover is killed at its steps, and either version goes on from there; each part
/// of the test takes its share.
class XdpUpgradeFlowsKilled : public ::testing::TestWithParam<std::tuple<bool, std::size_t>> {};
constexpr std::size_t killed_parts = 2;

TEST_P(XdpUpgradeFlowsKilled, stay_with_their_servers) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(own_namespace);
    const auto& [is_undone, part] = GetParam();
    const auto take_over = [&, goes_back = is_undone](std::size_t kill_at) {
        UpgradedFlows flows{pins};
        auto run = flows.start(next_layout, "", kill_at);
        EXPECT_EQ(run.killed, kill_at != 0);
        flows.start(goes_back ? this_layout : next_layout);
        flows.start(goes_back ? next_layout : this_layout);
        flows.stop();
        return run.steps;
    };
    const std::vector<std::string> steps = take_over(0);
    EXPECT_GT(std::count(steps.begin(), steps.end(), "rename"), 3) << "flows are not shared";
    std::vector<std::size_t> every(steps.size());
    std::iota(every.begin(), every.end(), std::size_t{1});
    const std::vector<std::size_t> killed = support::for_this_run(every, 9);
    for (std::size_t i = part; i < killed.size(); i += killed_parts) {
        const std::size_t at = killed[i];
        take_over(at);
        ASSERT_FALSE(HasFailure()) << "killed at step " << at << ", " << steps[at - 1];
    }
}

INSTANTIATE_TEST_SUITE_P(EachStep, XdpUpgradeFlowsKilled,
                         ::testing::Combine(::testing::Bool(),
                                            ::testing::Range(std::size_t{0}, killed_parts)),
                         [](const auto& test) {
                             return std::string{std::get<0>(test.param) ? "undone" : "finished"} +
                                    "_part_" + std::to_string(std::get<1>(test.param));
                         });

}  // namespace
}  // namespace dnsdirector::dataplane
