// SPDX-License-Identifier: Apache-2.0
//
// Frames for tests of the kernel program, built field by field.
#pragma once

#include <arpa/inet.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/address.h"
#include "netlink/netlink.h"

namespace dnsdirector::dataplane::test {

using Frame = std::vector<std::uint8_t>;
using netlink::Mac;

inline constexpr Mac own_mac{2, 0, 0, 0, 0, 1};
inline constexpr Mac client_mac{2, 0, 0, 0, 0, 7};

/// What a frame is made of; the lengths are right unless they are set.
struct Packet {
    Mac to = own_mac;
    Mac from = client_mac;
    Endpoint source;
    Endpoint destination;
    Protocol protocol = Protocol::udp;
    std::size_t payload = 32;
    std::vector<std::uint16_t> vlans = {};  ///< tag protocol numbers, outermost first
    std::size_t options = 0;                ///< bytes of IPv4 options, a multiple of 4
    std::uint16_t fragment = 0;             ///< IPv4 flags and offset
    int next_header = -1;                   ///< instead of the protocol's number
    int ip_length = -1;                     ///< total length, or payload length (IPv6)
    int udp_length = -1;
};

inline void put(Frame& frame, const void* data, std::size_t bytes) {
    const auto* first = static_cast<const std::uint8_t*>(data);
    frame.insert(frame.end(), first, first + bytes);
}
inline void put16(Frame& frame, std::uint16_t value) {
    const std::uint16_t network = htons(value);
    put(frame, &network, sizeof network);
}

inline void put_ip(Frame& frame, const Packet& packet, std::size_t transport) {
    const int number = packet.next_header >= 0            ? packet.next_header
                       : packet.protocol == Protocol::udp ? 17
                                                          : 6;
    if (packet.destination.address.is_v4()) {
        const std::size_t header = 20 + packet.options;
        frame.push_back(static_cast<std::uint8_t>(0x40 | header / 4));
        frame.push_back(0);
        put16(frame, static_cast<std::uint16_t>(packet.ip_length >= 0 ? packet.ip_length
                                                                      : header + transport));
        put16(frame, 0x1234);
        put16(frame, packet.fragment);
        frame.push_back(64);
        frame.push_back(static_cast<std::uint8_t>(number));
        put16(frame, 0);
        put(frame, packet.source.address.bytes().data(), 4);
        put(frame, packet.destination.address.bytes().data(), 4);
        frame.insert(frame.end(), packet.options, 1);  // RFC 791: no operation
        return;
    }
    frame.insert(frame.end(), {0x60, 0, 0, 0});
    put16(frame, static_cast<std::uint16_t>(packet.ip_length >= 0 ? packet.ip_length : transport));
    frame.push_back(static_cast<std::uint8_t>(number));
    frame.push_back(64);
    put(frame, packet.source.address.bytes().data(), 16);
    put(frame, packet.destination.address.bytes().data(), 16);
}

inline Frame frame_of(const Packet& packet) {
    Frame frame;
    put(frame, packet.to.data(), 6);
    put(frame, packet.from.data(), 6);
    for (const std::uint16_t tag : packet.vlans) {
        put16(frame, tag);
        put16(frame, 42);
    }
    put16(frame, packet.destination.address.is_v4() ? 0x0800 : 0x86dd);
    const std::size_t header = packet.protocol == Protocol::udp ? 8 : 20;
    put_ip(frame, packet, header + packet.payload);
    put16(frame, packet.source.port);
    put16(frame, packet.destination.port);
    if (packet.protocol == Protocol::udp) {
        put16(frame, static_cast<std::uint16_t>(packet.udp_length >= 0 ? packet.udp_length
                                                                       : header + packet.payload));
        put16(frame, 0);
    } else {
        frame.insert(frame.end(), {0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0});
    }
    for (std::size_t i = 0; i < packet.payload; ++i)
        frame.push_back(static_cast<std::uint8_t>(i));
    return frame;
}

/// `frame` with other MACs: what direct routing makes of it.
inline Frame with_macs(Frame frame, const Mac& to, const Mac& from) {
    std::memcpy(frame.data(), to.data(), 6);
    std::memcpy(frame.data() + 6, from.data(), 6);
    return frame;
}

}  // namespace dnsdirector::dataplane::test
