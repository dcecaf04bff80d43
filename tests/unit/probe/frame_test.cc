// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "probe/frame.h"

namespace dnsdirector::probe {
namespace {

using Octets = std::vector<std::uint8_t>;

Octets octets(const std::string& hex) {
    Octets bytes;
    for (std::size_t at = 0; at + 1 < hex.size(); at += 2)
        bytes.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(at, 2), nullptr, 16)));
    return bytes;
}

Endpoint at(const char* text) {
    return *Endpoint::parse(text);
}

Octets octets(dns::Bytes bytes) {
    return {bytes.begin(), bytes.end()};
}

const Octets abc = {'a', 'b', 'c'};
// Made by another program.
const std::string datagram_v4 = "4500001f0000400002117a97cb007101c00002354e210035000beee7616263";
const std::string tunnelled_v4 = "45000033000040004004c2b9cb007101cb00710b" + datagram_v4;
const std::string syn_v6 =
    "600000000018060220010db800010000000000000000000120010db80000000000000000000000534e220035123454"
    "00000000006002ffff87e80000020405a0";

PacketPath path_v4() {
    return {at("203.0.113.1:20001"), at("192.0.2.53:53"), {}};
}

PacketPath path_v6() {
    return {at("[2001:db8:1::1]:20002"), at("[2001:db8::53]:53"), {}};
}

TcpFields syn() {
    return {.sequence = 0x12345400, .flags = TcpFields::syn, .window = 65535, .max_segment = 1440};
}

void sum_v4(Octets& packet) {
    std::uint32_t sum = 0;
    packet[10] = packet[11] = 0;
    for (std::size_t i = 0; i < 20; i += 2)
        sum += static_cast<std::uint32_t>(packet[i] << 8 | packet[i + 1]);
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = ~((sum & 0xFFFF) + (sum >> 16));
    packet[10] = static_cast<std::uint8_t>(sum >> 8);
    packet[11] = static_cast<std::uint8_t>(sum);
}

/// ICMP (type, code) from 203.0.113.11 to 203.0.113.1 that quotes a packet.
Octets icmp_v4(std::uint8_t type, std::uint8_t code, const Octets& quoted) {
    Octets packet = octets(
        "4500000000004000400100"
        "00"
        "cb00710bcb007101");
    packet.insert(packet.end(), {type, code, 0, 0, 0, 0, 0, 0});
    packet.insert(packet.end(), quoted.begin(), quoted.end());
    packet[2] = static_cast<std::uint8_t>(packet.size() >> 8);
    packet[3] = static_cast<std::uint8_t>(packet.size());
    sum_v4(packet);
    return packet;
}

TEST(Frame, WritesWhatAnotherProgramWrites) {
    PacketBuffer buffer;
    EXPECT_EQ(octets(write_udp(path_v4(), abc, buffer)), octets(datagram_v4));
    EXPECT_EQ(octets(write_tcp(path_v6(), syn(), {}, buffer)), octets(syn_v6));
    PacketPath tunnel = path_v4();
    tunnel.tunnel_to = IpAddress::parse("203.0.113.11");
    EXPECT_EQ(octets(write_udp(tunnel, abc, buffer)), octets(tunnelled_v4));
}

TEST(Frame, ReadsBackWhatItWrites) {
    for (const PacketPath& path : {path_v4(), path_v6()}) {
        PacketBuffer buffer;
        const auto datagram = read_packet(write_udp(path, abc, buffer), false);
        ASSERT_TRUE(datagram);
        EXPECT_EQ(datagram->kind, Incoming::Kind::datagram);
        EXPECT_EQ(datagram->source, path.source);
        EXPECT_EQ(datagram->destination, path.destination);
        EXPECT_EQ(octets(datagram->payload), abc);
        EXPECT_FALSE(datagram->checksum_wrong || datagram->fragment);

        TcpFields fields = syn();
        fields.flags = TcpFields::ack | TcpFields::psh;
        fields.acknowledgement = 0xFFFFFFFE;
        fields.max_segment = 0;
        const auto segment = read_packet(write_tcp(path, fields, abc, buffer), false);
        ASSERT_TRUE(segment);
        EXPECT_EQ(segment->kind, Incoming::Kind::segment);
        EXPECT_EQ(segment->tcp, fields);
        EXPECT_EQ(octets(segment->payload), abc);
        EXPECT_FALSE(segment->checksum_wrong);
    }
}

TEST(Frame, ReadsTheMaximumSegmentBehindOtherOptions) {
    PacketBuffer buffer;
    Octets packet = octets(write_tcp(path_v6(), syn(), {}, buffer));
    EXPECT_EQ(read_packet(packet, false)->tcp.max_segment, 1440);
    // NOP, NOP, then two bytes of SACK permitted in place of it.
    std::copy_n(octets("01010402").begin(), 4, packet.end() - 4);
    EXPECT_EQ(read_packet(packet, true)->tcp.max_segment, 0);
    std::copy_n(octets("0402"
                       "0200")
                    .begin(),
                4, packet.end() - 4);
    EXPECT_EQ(read_packet(packet, true)->tcp.max_segment, 0);
}

TEST(Frame, SeesAnyBitThatIsWrong) {
    PacketBuffer buffer;
    for (const PacketPath& path : {path_v4(), path_v6()})
        for (const bool tcp : {false, true}) {
            const Octets good =
                octets(tcp ? write_tcp(path, syn(), abc, buffer) : write_udp(path, abc, buffer));
            const std::size_t header = path.source.address.is_v4() ? 20 : 40;
            for (std::size_t byte = header; byte < good.size(); ++byte)
                for (int bit = 0; bit < 8; ++bit) {
                    Octets bad = good;
                    bad[byte] ^= static_cast<std::uint8_t>(1 << bit);
                    const auto read = read_packet(bad, false);
                    EXPECT_TRUE(!read || read->checksum_wrong) << byte << "." << bit;
                }
            // Not looked at where somebody else has.
            Octets bad = good;
            bad.back() ^= 1;
            EXPECT_FALSE(read_packet(bad, true)->checksum_wrong);
        }
}

TEST(Frame, TakesADatagramWithoutAChecksumInIpv4Only) {
    PacketBuffer buffer;
    Octets v4 = octets(write_udp(path_v4(), abc, buffer));
    v4[26] = v4[27] = 0;
    EXPECT_FALSE(read_packet(v4, false)->checksum_wrong);
    Octets v6 = octets(write_udp(path_v6(), abc, buffer));
    v6[46] = v6[47] = 0;
    EXPECT_TRUE(read_packet(v6, false)->checksum_wrong);
}

TEST(Frame, IsNothingWhenCutAnywhere) {
    PacketBuffer buffer;
    for (const PacketPath& path : {path_v4(), path_v6()}) {
        const Octets packet = octets(write_tcp(path, syn(), abc, buffer));
        for (std::size_t size = 0; size < packet.size(); ++size)
            EXPECT_FALSE(read_packet(dns::Bytes(packet).first(size), true)) << size;
        // Padding, as Ethernet has it, is not read.
        Octets padded = packet;
        padded.resize(packet.size() + 20);
        EXPECT_EQ(octets(read_packet(padded, false)->payload), abc);
    }
}

TEST(Frame, TellsAFirstFragmentAndLeavesTheOthers) {
    PacketBuffer buffer;
    Octets packet = octets(write_udp(path_v4(), Octets(64), buffer));
    packet[6] = 0x20;  // more fragments
    sum_v4(packet);
    ASSERT_TRUE(read_packet(packet, false));
    EXPECT_TRUE(read_packet(packet, false)->fragment);

    Octets v6 = octets(write_udp(path_v6(), abc, buffer));
    v6.insert(v6.begin() + 40, {17, 0, 0, 1, 0, 0, 0, 7});
    v6[5] = static_cast<std::uint8_t>(v6[5] + 8);
    v6[6] = 44;
    ASSERT_TRUE(read_packet(v6, false));
    EXPECT_TRUE(read_packet(v6, false)->fragment);
    v6[43] = 9;  // 8 bytes on
    EXPECT_FALSE(read_packet(v6, false));
}

TEST(Frame, ReadsThePacketThatAnErrorQuotes) {
    const auto packet = icmp_v4(3, 3, octets(datagram_v4));  // the payload lies in it
    const auto error = read_packet(packet, false);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind, Incoming::Kind::error);
    EXPECT_EQ(error->protocol, Protocol::udp);
    EXPECT_EQ(error->source, path_v4().source);
    EXPECT_EQ(error->destination, path_v4().destination);
    EXPECT_EQ(octets(error->payload), abc);
    EXPECT_EQ(error->icmp_code, 3);
    EXPECT_EQ(error->reported_by.to_string(), "203.0.113.11");
    EXPECT_FALSE(error->tunnelled);

    const auto tunnelled = read_packet(icmp_v4(3, 2, octets(tunnelled_v4)), false);
    ASSERT_TRUE(tunnelled);
    EXPECT_TRUE(tunnelled->tunnelled);
    EXPECT_EQ(tunnelled->source, path_v4().source);
    // Eight bytes of the quoted packet are enough for its ports, fewer are none.
    EXPECT_TRUE(read_packet(icmp_v4(3, 3, octets(datagram_v4.substr(0, 56))), false));
    EXPECT_FALSE(read_packet(icmp_v4(3, 3, octets(datagram_v4.substr(0, 54))), false));
}

}  // namespace
}  // namespace dnsdirector::probe
