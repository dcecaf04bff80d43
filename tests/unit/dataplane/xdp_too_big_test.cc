// SPDX-License-Identifier: Apache-2.0
//
// From an ICMP error in the kernel program to its copies on the way to the servers.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <set>

#include "dataplane/xdp/too_big.h"
#include "unit/dataplane/xdp_bed.h"

namespace dnsdirector::dataplane::xdp {
namespace {

using test::Bed;

constexpr int servers = 5;
const core::ServiceKey service{*IpAddress::parse("192.0.2.53"), 53, Protocol::udp};
const char* const error =
    " / ip 198.51.100.1 > 192.0.2.53 / icmp 3 4 mtu=1400 / ip 192.0.2.53 > 198.51.100.7 len=1500"
    " df / udp 53 > 4000 len=1480 / data 3";

packets::Frame error_from(const std::string& sender) {
    return packets::frame_of("eth " + sender + " > director" + error).value();
}

/// What goes out by an interface, seen at its other end.
class Watch {
public:
    explicit Watch(const char* interface)
        : socket_{socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_IP))} {
        sockaddr_ll from{};
        from.sll_family = AF_PACKET;
        from.sll_protocol = htons(ETH_P_IP);
        from.sll_ifindex = static_cast<int>(if_nametoindex(interface));
        const int buffer = 16 << 20;
        setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
        EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&from), sizeof from), 0);
    }
    /// Waits for so many frames, and then whether another one comes.
    std::vector<packets::Frame> frames(std::size_t least) const {
        std::vector<packets::Frame> all;
        for (;;) {
            pollfd wait{socket_.get(), POLLIN, 0};
            if (poll(&wait, 1, all.size() < least ? 2000 : 20) != 1) return all;
            packets::Frame frame(2048);
            const ssize_t got = recv(socket_.get(), frame.data(), frame.size(), 0);
            if (got <= 0) return all;
            frame.resize(static_cast<std::size_t>(got));
            all.push_back(std::move(frame));
        }
    }

private:
    Fd socket_;
};

/// The program on `near`, whose other end is `far`.
class TooBigLab {
public:
    explicit TooBigLab(Bed& of, TooBig::Rate rate = {}) : bed(of) {
        // In this order: `near` then has its carrier as it comes up. Else a worker of the kernel's
        // gives it its queue later, and what is sent before that is dropped.
        support::ip("link set far up");
        support::ip("link set near up");
        watch = std::make_unique<Watch>("far");
        std::vector<core::Destination> destinations;
        for (int number = 11; number < 11 + servers; ++number)
            destinations.push_back({test::server(service.endpoint(), number), 1});
        bed.serve(service, destinations);
        auto opened = TooBig::open(
            bed.maps->fd(MapId::too_big),
            [this](const core::ServiceKey& key) { return bed.services->ways_of(key); }, rate);
        EXPECT_TRUE(opened.has_value());
        if (opened) too_big = std::move(*opened);
    }
    [[nodiscard]] bool readable() const {
        pollfd wait{too_big->descriptor(), POLLIN, 0};
        return poll(&wait, 1, 0) == 1;
    }

    Bed& bed;
    std::unique_ptr<Watch> watch;
    std::unique_ptr<TooBig> too_big;
};

TEST(XdpTooBig, every_server_gets_a_copy_as_it_came) {
    NEEDS_BED(bed);
    TooBigLab lab{bed};
    const packets::Frame in = error_from("client");
    EXPECT_EQ(bed.run(in).verdict, static_cast<std::uint32_t>(XDP_DROP));
    EXPECT_EQ(bed.reason(abi::REASON_icmp_too_big), 1U);
    ASSERT_TRUE(lab.readable());
    lab.too_big->on_readable({});
    const auto frames = lab.watch->frames(servers);
    std::set<packets::Frame> wanted;
    for (int number = 11; number < 11 + servers; ++number)
        wanted.insert(test::with_macs(in, packets::server_mac(number), packets::egress_mac));
    EXPECT_EQ((std::set<packets::Frame>{frames.begin(), frames.end()}), wanted);
    EXPECT_EQ(frames.size(), wanted.size());
    EXPECT_FALSE(lab.readable());
}

TEST(XdpTooBig, what_a_server_sends_back_does_not_come_round_again) {
    NEEDS_BED(bed);
    TooBigLab lab{bed};
    (void)bed.run(error_from("server12"));
    ASSERT_TRUE(lab.readable());
    lab.too_big->on_readable({});
    EXPECT_TRUE(lab.watch->frames(0).empty());
}

TEST(XdpTooBig, copies_no_more_than_the_rate_allows) {
    NEEDS_BED(bed);
    TooBigLab lab{bed, {.per_second = 100, .burst = 2 * servers}};
    TimePoint now{Seconds{1000}};
    for (int i = 0; i < 6; ++i)
        (void)bed.run(error_from("client"));
    lab.too_big->on_readable(now);
    EXPECT_EQ(lab.watch->frames(2 * servers).size(), 2U * servers);
    // The rest waits in the ring, and the daemon is not woken for it.
    EXPECT_FALSE(lab.readable());
    const auto next = lab.too_big->deadline();
    ASSERT_TRUE(next.has_value());
    lab.too_big->on_deadline(now);
    EXPECT_TRUE(lab.watch->frames(0).empty());
    lab.too_big->on_deadline(*next);
    EXPECT_EQ(lab.watch->frames(servers).size(), std::size_t{servers});
    // After a second without any all that is left goes.
    lab.too_big->on_deadline(*next + Seconds{1});
    EXPECT_EQ(lab.watch->frames(2 * servers).size(), 2U * servers);
}

TEST(XdpTooBig, a_full_ring_is_counted_and_nothing_is_lost_but_that) {
    NEEDS_BED(bed);
    TooBigLab lab{bed};
    constexpr std::uint64_t sent = 200;
    for (std::uint64_t i = 0; i < sent; ++i)
        (void)bed.run(error_from("client"));
    const std::uint64_t handed = bed.reason(abi::REASON_icmp_too_big);
    EXPECT_GT(handed, 50U);
    EXPECT_LT(handed, sent);
    EXPECT_EQ(handed + bed.reason(abi::REASON_icmp_lost), sent);
    lab.too_big->on_readable({});
    EXPECT_EQ(lab.watch->frames(handed * servers).size(), handed * servers);
}

TEST(XdpTooBig, goes_on_where_a_predecessor_stopped_reading) {
    NEEDS_BED(bed);
    TooBigLab lab{bed};
    (void)bed.run(error_from("client"));
    lab.too_big->on_readable({});
    EXPECT_EQ(lab.watch->frames(servers).size(), std::size_t{servers});
    (void)bed.run(error_from("client"));
    auto again =
        TooBig::open(bed.maps->fd(MapId::too_big),
                     [&](const core::ServiceKey& key) { return bed.services->ways_of(key); }, {});
    ASSERT_TRUE(again.has_value());
    (*again)->on_readable({});
    EXPECT_EQ(lab.watch->frames(servers).size(), std::size_t{servers});
}

}  // namespace
}  // namespace dnsdirector::dataplane::xdp
