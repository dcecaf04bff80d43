// SPDX-License-Identifier: Apache-2.0
#include "doctor/readers.h"

#include <gtest/gtest.h>

#include "unit/support/network_namespace.h"

namespace dnsdirector::doctor {
namespace {

TEST(Readers, KnowListeningSocketsOfBothFamilies) {
    const auto sockets = parse_listening(
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
        "   0: 0100007F:2489 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n"
        "   1: 0A0200C0:0035 0B0200C0:9C40 01 00000000:00000000 00:00000000 00000000     0\n"
        "   0: B80D0120000000000000000035000000:0050 00000000000000000000000000000000:0000 0A 0\n"
        "garbage\n   2: XX:YY 0 0A\n");
    EXPECT_EQ(sockets, (std::vector{Endpoint{*IpAddress::parse("127.0.0.1"), 9353},
                                    Endpoint{*IpAddress::parse("2001:db8::35"), 80}}));
}

TEST(Readers, KnowSetsOfCpus) {
    using Cpus = std::vector<unsigned>;
    EXPECT_EQ(parse_cpus("0-2,5\n"), (Cpus{0, 1, 2, 5}));
    EXPECT_EQ(parse_cpus("7"), (Cpus{7}));
    EXPECT_EQ(parse_cpus(""), Cpus{});
    EXPECT_EQ(parse_cpus("0-99999999"), Cpus{});
    EXPECT_EQ(parse_cpus("a-b"), Cpus{});
}

TEST(Readers, KnowWhatInterruptsAreFor) {
    const auto names = parse_interrupts(
        "           CPU0       CPU1\n"
        " 27:         12          0  PCI-MSIX-0000:00:03.0   1-edge      virtio0-input.0\n"
        "131:          0          9  IR-PCI-MSI 524289-edge      eth0-TxRx-1 \n"
        "NMI:          0          0   Non-maskable interrupts\n");
    EXPECT_EQ(names,
              (std::map<unsigned, std::string>{{27, "virtio0-input.0"}, {131, "eth0-TxRx-1"}}));
}

TEST(ReadMachine, SeesTheNamespaceOfItsThreadAndLeavesItAsItWas) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    support::ip("link set lo up");
    support::ip("link add eth0 type veth peer name peer0");
    support::ip("link set eth0 up");
    support::ip("link set peer0 up");
    support::ip("addr add 203.0.113.1/24 dev eth0");
    core::Configuration configuration;
    core::Service& service = configuration.services.emplace_back();
    service.key.address = *IpAddress::parse("192.0.2.53");
    for (const char* address : {"203.0.113.11", "198.51.100.1"})
        service.real_servers.push_back({"", {*IpAddress::parse(address), 53}, 1, {}});

    const auto machine =
        read_machine(&configuration, {"/nonexistent/run", "/nonexistent/pins", false});
    ASSERT_TRUE(machine) << machine.error().message;
    const Interface* eth0 = machine->interface("eth0");
    ASSERT_NE(eth0, nullptr);
    EXPECT_EQ(eth0->settings.driver, "veth");
    ASSERT_TRUE(eth0->settings.gro);
    ASSERT_TRUE(eth0->settings.channels);
    EXPECT_GE(eth0->settings.channels->receive, 1U);
    if (eth0->xdp_features) {  // Linux 6.3
        EXPECT_NE(*eth0->xdp_features & netlink::xdp_basic, 0U);
    }
    EXPECT_TRUE(machine->holds(*IpAddress::parse("203.0.113.1")));
    EXPECT_FALSE(machine->holds(*IpAddress::parse("203.0.113.11")));
    ASSERT_TRUE(machine->neighbour_tables);
    EXPECT_GT(machine->neighbour_tables->arp.hard_limit, 0U);
    EXPECT_GT(machine->neighbour_tables->nd.hard_limit, 0U);
    const Way& way = machine->ways.at(*IpAddress::parse("203.0.113.11"));
    ASSERT_TRUE(way.route);
    EXPECT_EQ(way.route->out_interface, eth0->link.index);
    EXPECT_FALSE(way.neighbour) << "asking made an entry";
    EXPECT_FALSE(machine->ways.at(*IpAddress::parse("198.51.100.1")).route);
    ASSERT_TRUE(machine->pins);
    EXPECT_EQ(machine->pins->nearest, "/");
    EXPECT_FALSE(machine->pins->bpffs);
    EXPECT_FALSE(machine->run.exists);
    EXPECT_GT(machine->memory_available.value_or(0), 0U);
    EXPECT_TRUE(machine->setting("ipv4/ip_forward"));
    EXPECT_FALSE(machine->setting("ipv4/there_is_none"));
}

TEST(ReadMachine, TriesTheProgramForReal) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    const auto trial = dataplane::try_xdp_program();
    ASSERT_TRUE(trial) << trial.error().message;
    EXPECT_GT(trial->instructions, 100U);
    EXPECT_TRUE(trial->jit);
}

}  // namespace
}  // namespace dnsdirector::doctor
