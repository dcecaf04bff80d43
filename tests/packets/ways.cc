// SPDX-License-Identifier: Apache-2.0
#include "packets/ways.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "dataplane/xdp/keys.h"
#include "hash.h"

namespace dnsdirector::packets {
namespace {

namespace xdp = dataplane::xdp;

constexpr std::size_t macs = 12;

bool is_tag(const Frame& frame, std::size_t at) {
    return frame.size() >= at + 2 && ((frame[at] == 0x81 && frame[at + 1] == 0x00) ||
                                      (frame[at] == 0x88 && frame[at + 1] == 0xa8));
}

std::uint32_t word_at(const Frame& frame, std::size_t at) {
    std::uint32_t word = 0;
    std::memcpy(&word, frame.data() + at, sizeof word);
    return word;
}
std::uint64_t long_at(const Frame& frame, std::size_t at) {
    std::uint64_t word = 0;
    std::memcpy(&word, frame.data() + at, sizeof word);
    return word;
}

void put16(Frame& frame, std::size_t value) {
    frame.push_back(static_cast<std::uint8_t>(value >> 8));
    frame.push_back(static_cast<std::uint8_t>(value));
}

/// The flow that an outer header's source and label follow; `at` is the IP header's.
std::uint32_t flow_of(const Frame& frame, std::size_t at, bool v4) {
    const std::size_t header = v4 ? 20 : 40;
    const std::uint8_t protocol = frame[at + (v4 ? 9 : 6)];
    bool has_ports = frame.size() >= at + header + 4;
    if (v4)
        has_ports =
            has_ports && frame[at] == 0x45 && (frame[at + 6] & 0x3f) == 0 && frame[at + 7] == 0;
    else
        has_ports = has_ports && (protocol == IPPROTO_UDP || protocol == IPPROTO_TCP);
    const std::uint32_t ports = has_ports ? word_at(frame, at + header) : 0;
    if (v4) return xdp::abi::flow_hash4(word_at(frame, at + 12), word_at(frame, at + 16), ports);
    return xdp::abi::flow_hash6(long_at(frame, at + 8), long_at(frame, at + 16),
                                long_at(frame, at + 24), long_at(frame, at + 32), ports);
}

void put_source(Frame& frame, const xdp::Tunnel& tunnel, std::uint32_t flow) {
    const std::size_t size = tunnel.source.size();
    frame.insert(frame.end(), tunnel.source.bytes().begin(),
                 tunnel.source.bytes().begin() + static_cast<std::ptrdiff_t>(size));
    const std::uint32_t last = word_at(frame, frame.size() - 4) | (flow & htonl(tunnel.entropy));
    std::memcpy(frame.data() + frame.size() - 4, &last, sizeof last);
}
void put_server(Frame& frame, const xdp::Tunnel& tunnel) {
    frame.insert(frame.end(), tunnel.server.bytes().begin(),
                 tunnel.server.bytes().begin() + static_cast<std::ptrdiff_t>(tunnel.server.size()));
}

std::uint32_t sum16(const Frame& frame, std::size_t at, std::size_t bytes) {
    std::uint32_t sum = 0;
    for (std::size_t i = at; i < at + bytes; i += 2)
        sum += static_cast<std::uint32_t>(frame[i] << 8 | frame[i + 1]);
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

void put_outer4(Frame& to, const Frame& inner, std::size_t at, const xdp::Tunnel& tunnel) {
    const std::size_t header = to.size();
    const std::size_t length = inner[at + 2] << 8 | inner[at + 3];
    to.insert(to.end(), {0x45, inner[at + 1]});
    put16(to, length + 20);
    to.insert(to.end(), {0, 0, 0x40, 0, 64, IPPROTO_IPIP, 0, 0});
    put_source(to, tunnel, flow_of(inner, at, true));
    put_server(to, tunnel);
    const std::uint32_t sum = ~sum16(to, header, 20);
    to[header + 10] = static_cast<std::uint8_t>(sum >> 8);
    to[header + 11] = static_cast<std::uint8_t>(sum);
}

void put_outer6(Frame& to, const Frame& inner, std::size_t at, const xdp::Tunnel& tunnel) {
    const std::uint32_t flow = flow_of(inner, at, false);
    const std::size_t length = inner[at + 4] << 8 | inner[at + 5];
    std::uint8_t label[4];
    std::memcpy(label, &flow, sizeof label);
    to.insert(to.end(),
              {inner[at], static_cast<std::uint8_t>((inner[at + 1] & 0xf0) | (label[1] & 0x0f)),
               label[2], label[3]});
    put16(to, length + 40);
    to.insert(to.end(), {IPPROTO_IPV6, 64});
    put_source(to, tunnel, flow);
    put_server(to, tunnel);
}

/// As a router does: RFC 1141 has how the checksum follows.
void lower_time_to_live(Frame& frame, std::size_t at, bool v4) {
    --frame[at + (v4 ? 8 : 7)];
    if (!v4) return;
    const std::uint32_t sum = (frame[at + 10] << 8 | frame[at + 11]) + 0x0100U;
    const std::uint32_t folded = (sum + (sum >> 16)) & 0xffff;
    frame[at + 10] = static_cast<std::uint8_t>(folded >> 8);
    frame[at + 11] = static_cast<std::uint8_t>(folded);
}

}  // namespace

xdp::Hop way_to(Family family, int number, std::uint32_t near, std::uint32_t far) {
    const bool v4 = family == Family::ipv4;
    xdp::Hop hop;
    hop.ifindex = number >= first_behind_another_interface ? far : near;
    hop.server = server_mac(number);
    hop.own = egress_mac;
    if (number == 71 || number == 74) hop.tags[0] = {0x8100, 105};
    if (number == 72) hop.tags = {xdp::Tag{0x88a8, 100}, xdp::Tag{0x8100, 7}};
    const auto tunnel_from = [&](const char* source, std::uint32_t entropy) {
        hop.tunnel = xdp::Tunnel{*IpAddress::parse(source), server(family, number).address, entropy,
                                 tunnel_mtu};
    };
    if (number == 73) tunnel_from(v4 ? "203.0.113.1" : "2001:db8:1::1", 0);
    if (number == 74) tunnel_from(v4 ? "198.51.100.0" : "2001:db8:5::", v4 ? 0xff : 0xffffffff);
    if (number == 75) {
        hop = {};
        hop.ifindex = near;
        hop.local = true;
    }
    return hop;
}

std::size_t network_at(const Frame& frame) {
    std::size_t type_at = macs;
    for (int tags = 0; tags < 2 && is_tag(frame, type_at); ++tags)
        type_at += 4;
    return type_at + 2;
}

Frame handed_to(int number, const Frame& frame) {
    const std::size_t at = network_at(frame);
    const bool v4 = frame[at - 2] == 0x08;
    const xdp::Hop hop = way_to(v4 ? Family::ipv4 : Family::ipv6, number, 1, 1);
    Frame out(hop.server.begin(), hop.server.end());
    out.insert(out.end(), hop.own.begin(), hop.own.end());
    // Priority and drop eligibility stay, from outermost tag to outermost tag.
    const std::uint8_t priority = at > macs + 2 ? frame[macs + 2] & 0xf0 : 0;
    for (std::size_t i = 0; i < hop.tags.size() && hop.tags[i].protocol != 0; ++i) {
        put16(out, hop.tags[i].protocol);
        put16(out, hop.tags[i].id | (i == 0 ? priority << 8 : 0));
    }
    out.insert(out.end(), frame.begin() + static_cast<std::ptrdiff_t>(at) - 2,
               frame.begin() + static_cast<std::ptrdiff_t>(at));
    if (hop.tunnel)
        v4 ? put_outer4(out, frame, at, *hop.tunnel) : put_outer6(out, frame, at, *hop.tunnel);
    const std::size_t inner = out.size();
    out.insert(out.end(), frame.begin() + static_cast<std::ptrdiff_t>(at), frame.end());
    if (hop.tunnel) lower_time_to_live(out, inner, v4);
    return out;
}

}  // namespace dnsdirector::packets
