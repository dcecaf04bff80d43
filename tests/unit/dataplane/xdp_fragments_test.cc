// SPDX-License-Identifier: Apache-2.0
//
// What becomes of the ports that first fragments leave behind, in the kernel program
// compiled for user space, where time passes as told.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "packets/host.h"

namespace dnsdirector::packets {
namespace {

constexpr std::uint64_t second = 1'000'000'000;
constexpr std::uint64_t start = 1000 * second;

std::uint32_t verdict_of(const std::string& text) {
    return host::run(frame_of(text).value()).verdict;
}

std::string first(unsigned client, unsigned id) {
    return fmt::format(
        "eth / ip 198.51.{}.{} > 192.0.2.53 id={} more / udp 4000 > 53 len=96 / data 56",
        client / 256, client % 256, id);
}
std::string later(unsigned client, unsigned id) {
    return fmt::format("eth / ip 198.51.{}.{} > 192.0.2.53 id={} offset=64 proto=17 / data 32",
                       client / 256, client % 256, id);
}

/// One service, whose flows decide.
void serve_by_flow() {
    core::ServiceForwarding wish;
    wish.key = {*IpAddress::parse("192.0.2.53"), 53, Protocol::udp};
    wish.scheduler = core::Scheduler::mh;
    wish.destinations = {{server(Family::ipv4, 11), 1}, {server(Family::ipv4, 12), 1}};
    host::serve(std::span{&wish, 1});
    host::set_clock(start);
}

TEST(XdpFragments, are_remembered_as_long_as_a_kernel_keeps_a_datagram) {
    serve_by_flow();
    EXPECT_EQ(verdict_of(first(7, 1)), std::uint32_t{XDP_TX});
    host::set_clock(start + 29 * second);
    EXPECT_EQ(verdict_of(later(7, 1)), std::uint32_t{XDP_TX});
    host::set_clock(start + 31 * second);
    EXPECT_EQ(verdict_of(later(7, 1)), std::uint32_t{XDP_DROP});
    // The same identification again: its own first fragment counts.
    EXPECT_EQ(verdict_of(first(7, 1)), std::uint32_t{XDP_TX});
    EXPECT_EQ(verdict_of(later(7, 1)), std::uint32_t{XDP_TX});
}

TEST(XdpFragments, of_a_flood_displace_the_oldest_and_nothing_else) {
    serve_by_flow();
    EXPECT_EQ(verdict_of(first(1, 1)), std::uint32_t{XDP_TX});
    for (unsigned i = 0; i < host::abi::FRAGMENTS_MAX; ++i) {
        const unsigned client = 256 + i % 4096, id = i / 4096;
        ASSERT_EQ(verdict_of(first(client, id)), std::uint32_t{XDP_TX});
        // What comes in its turn is whole, whatever else comes.
        ASSERT_EQ(verdict_of(later(client, id)), std::uint32_t{XDP_TX});
    }
    EXPECT_EQ(verdict_of(later(1, 1)), std::uint32_t{XDP_DROP});
}

}  // namespace
}  // namespace dnsdirector::packets
