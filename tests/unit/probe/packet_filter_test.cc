// SPDX-License-Identifier: Apache-2.0
//
// The kernel itself runs the filter here: on what is sent through a pair of sockets.
#include "probe/packet_filter.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <vector>

#include "probe/descriptor.h"
#include "probe/frame.h"

namespace dnsdirector::probe {
namespace {

using Packet = std::vector<std::uint8_t>;
constexpr PortRange our_ports{20000, 32};

class FilteredPair {
public:
    explicit FilteredPair(Family family) {
        int ends[2] = {-1, -1};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends), 0);
        in_ = Descriptor(ends[0]);
        out_ = Descriptor(ends[1]);
        std::vector<sock_filter> program = packet_filter(family, our_ports);
        const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
        EXPECT_EQ(::setsockopt(out_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter),
                  0);
    }
    /// Whether the whole packet gets through.
    bool passes(const Packet& packet) const {
        Packet got(packet.size() + 1);
        // One that the filter drops is refused to the sender here (EPERM), or simply not there.
        ::send(in_.get(), packet.data(), packet.size(), 0);
        const ssize_t size = ::recv(out_.get(), got.data(), got.size(), 0);
        return size == static_cast<ssize_t>(packet.size());
    }

private:
    Descriptor in_, out_;
};

Endpoint from_service(Family family) {
    return *Endpoint::parse(family == Family::ipv4 ? "192.0.2.53:53" : "[2001:db8::53]:53");
}

Endpoint to_us(Family family, std::uint16_t port) {
    return {*IpAddress::parse(family == Family::ipv4 ? "203.0.113.1" : "2001:db8:1::1"), port};
}

Packet written(const PacketPath& path, bool tcp) {
    PacketBuffer buffer;
    const Packet data(20);
    const dns::Bytes bytes = tcp ? write_tcp(path, {.flags = TcpFields::ack}, data, buffer)
                                 : write_udp(path, data, buffer);
    return {bytes.begin(), bytes.end()};
}

/// An ICMP error in a packet of its own that quotes this one.
Packet error_about(const Packet& quoted, std::uint8_t type) {
    const bool v4 = quoted[0] >> 4 == 4;
    Packet packet(v4 ? 20 : 40);
    packet[0] = v4 ? 0x45 : 0x60;
    packet[v4 ? 9 : 6] = v4 ? 1 : 58;
    packet.insert(packet.end(), {type, 0, 0, 0, 0, 0, 0, 0});
    packet.insert(packet.end(), quoted.begin(), quoted.end());
    return packet;
}

TEST(PacketFilter, TakesWhatIsForOurPortsAndNothingElse) {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        const FilteredPair pair(family);
        for (const bool tcp : {false, true}) {
            const auto for_port = [&](std::uint16_t port) {
                return written({from_service(family), to_us(family, port), {}}, tcp);
            };
            for (const std::uint16_t port : {20000, 20001, 20031})
                EXPECT_TRUE(pair.passes(for_port(port))) << port;
            for (const std::uint16_t port : {53, 19999, 20032, 20128, 40000, 65535})
                EXPECT_FALSE(pair.passes(for_port(port))) << port;
            // A client's: from such a port, to the service.
            EXPECT_FALSE(
                pair.passes(written({to_us(family, 20001), from_service(family), {}}, tcp)));
            Packet other = for_port(20001);
            other[family == Family::ipv4 ? 9 : 6] = 132;  // SCTP
            EXPECT_FALSE(pair.passes(other));
            EXPECT_FALSE(pair.passes(Packet(other.begin(), other.begin() + 15)));
        }
    }
}

TEST(PacketFilter, TakesTheFirstFragmentOnly) {
    const FilteredPair v4(Family::ipv4), v6(Family::ipv6);
    Packet packet = written({from_service(Family::ipv4), to_us(Family::ipv4, 20001), {}}, false);
    packet[6] = 0x20;
    EXPECT_TRUE(v4.passes(packet));
    packet[7] = 1;
    EXPECT_FALSE(v4.passes(packet));

    Packet six = written({from_service(Family::ipv6), to_us(Family::ipv6, 20001), {}}, false);
    six[6] = 44;
    six.insert(six.begin() + 40, {17, 0, 0, 1, 0, 0, 0, 7});
    EXPECT_TRUE(v6.passes(six));
    six[43] = 9;
    EXPECT_FALSE(v6.passes(six));
}

TEST(PacketFilter, TakesErrorsAboutOurPackets) {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        const FilteredPair pair(family);
        const bool v4 = family == Family::ipv4;
        const std::uint8_t unreachable = v4 ? 3 : 1, out_of_hops = v4 ? 11 : 3, echo = v4 ? 8 : 128;
        PacketPath path{to_us(family, 20001), from_service(family), {}};
        const Packet ours = written(path, false);
        path.tunnel_to = IpAddress::parse(v4 ? "203.0.113.11" : "2001:db8:1::11");
        const Packet tunnelled = written(path, true);
        path = {to_us(family, 40000), from_service(family), {}};
        const Packet others = written(path, false);
        for (const std::uint8_t type : {unreachable, out_of_hops}) {
            EXPECT_TRUE(pair.passes(error_about(ours, type)));
            EXPECT_TRUE(pair.passes(error_about(tunnelled, type)));
            EXPECT_FALSE(pair.passes(error_about(others, type)));
        }
        EXPECT_FALSE(pair.passes(error_about(ours, echo)));
        // The ports of a client's echo may be anything.
        EXPECT_FALSE(pair.passes(error_about(Packet(60, 0x4E), echo)));
    }
}

}  // namespace
}  // namespace dnsdirector::probe
