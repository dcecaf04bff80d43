// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/hop.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

#include "dataplane/xdp/keys.h"

namespace dnsdirector::dataplane::xdp {
namespace {

std::uint32_t word_of(const Tag& tag) {
    return std::uint32_t{htons(tag.protocol)} | std::uint32_t{htons(tag.id)} << 16;
}

void put16(std::vector<std::uint8_t>& bytes, std::size_t number) {
    bytes.push_back(static_cast<std::uint8_t>(number >> 8));
    bytes.push_back(static_cast<std::uint8_t>(number));
}

void put(std::vector<std::uint8_t>& bytes, const IpAddress& address) {
    bytes.insert(bytes.end(), address.bytes().begin(),
                 address.bytes().begin() + static_cast<std::ptrdiff_t>(address.size()));
}

/// As bpf/tunnel.h writes it, for a packet of `inside` bytes.
void put_outer(std::vector<std::uint8_t>& frame, const Tunnel& tunnel, std::size_t inside) {
    constexpr std::uint8_t time_to_live = 64;
    if (!tunnel.server.is_v4()) {
        frame.insert(frame.end(), {0x60, 0, 0, 0});
        put16(frame, inside);
        frame.insert(frame.end(), {IPPROTO_IPV6, time_to_live});
        put(frame, tunnel.source);
        put(frame, tunnel.server);
        return;
    }
    const std::size_t at = frame.size();
    frame.insert(frame.end(), {0x45, 0});
    put16(frame, inside + 20);
    frame.insert(frame.end(), {0, 0, 0x40, 0, time_to_live, IPPROTO_IPIP, 0, 0});
    put(frame, tunnel.source);
    put(frame, tunnel.server);
    std::uint32_t sum = 0;
    for (std::size_t i = at; i < frame.size(); i += 2)
        sum += static_cast<std::uint32_t>(frame[i] << 8 | frame[i + 1]);
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    frame[at + 10] = static_cast<std::uint8_t>(~sum >> 8);
    frame[at + 11] = static_cast<std::uint8_t>(~sum);
}

Tag tag_of(std::uint32_t word) {
    return {ntohs(static_cast<std::uint16_t>(word)), ntohs(static_cast<std::uint16_t>(word >> 16))};
}

}  // namespace

TagWords words_of(const Tags& tags) {
    TagWords words{};
    for (std::size_t i = 0; i < tags.size(); ++i)
        if (tags[i].protocol != 0) words[i] = word_of(tags[i]);
    return words;
}

Tags tags_of(const std::uint32_t (&words)[2]) {
    Tags tags;
    for (std::size_t i = 0; i < tags.size(); ++i)
        if (words[i] != 0) tags[i] = tag_of(words[i]);
    return tags;
}

Hop hop_of(const abi::destination& record, const abi::tunnel& outer) {
    Hop hop;
    hop.ifindex = record.ifindex;
    std::memcpy(hop.server.data(), record.server_mac, sizeof record.server_mac);
    std::memcpy(hop.own.data(), record.own_mac, sizeof record.own_mac);
    hop.tags = tags_of(record.tags);
    hop.local = (record.way & abi::WAY_LOCAL) != 0;
    if ((record.way & abi::WAY_TUNNEL) != 0) {
        const Family family = (record.way & abi::WAY_IPV6) != 0 ? Family::ipv6 : Family::ipv4;
        hop.tunnel = Tunnel{address_of(family, outer.source), address_of(family, outer.server),
                            ntohl(outer.entropy), outer.mtu};
    }
    return hop;
}

std::vector<std::uint8_t> frame_to(const Hop& hop, Family family,
                                   std::span<const std::uint8_t> packet) {
    std::vector<std::uint8_t> frame(hop.server.begin(), hop.server.end());
    frame.insert(frame.end(), hop.own.begin(), hop.own.end());
    for (const Tag& tag : hop.tags) {
        if (tag.protocol == 0) continue;
        put16(frame, tag.protocol);
        put16(frame, tag.id);
    }
    put16(frame, family == Family::ipv4 ? ETH_P_IP : ETH_P_IPV6);
    if (hop.tunnel) put_outer(frame, *hop.tunnel, packet.size());
    frame.insert(frame.end(), packet.begin(), packet.end());
    return frame;
}

abi::destination record_of(const Hop& hop, std::uint32_t counter) {
    abi::destination record{};
    std::memcpy(record.server_mac, hop.server.data(), sizeof record.server_mac);
    std::memcpy(record.own_mac, hop.own.data(), sizeof record.own_mac);
    record.ifindex = hop.ifindex;
    record.counter = counter;
    record.way = count(hop.tags);
    const TagWords tags = words_of(hop.tags);
    std::copy(tags.begin(), tags.end(), record.tags);
    if (hop.local) record.way |= abi::WAY_LOCAL;
    if (hop.tunnel) {
        record.way |= abi::WAY_TUNNEL;
        if (!hop.tunnel->server.is_v4()) record.way |= abi::WAY_IPV6;
    }
    return record;
}

abi::tunnel outer_of(const Hop& hop) {
    abi::tunnel outer{};
    if (!hop.tunnel) return outer;
    const Words source = words_of(hop.tunnel->source);
    const Words server = words_of(hop.tunnel->server);
    std::memcpy(outer.source, source.data(), sizeof outer.source);
    std::memcpy(outer.server, server.data(), sizeof outer.server);
    outer.entropy = htonl(hop.tunnel->entropy);
    outer.mtu = hop.tunnel->mtu;
    return outer;
}

}  // namespace dnsdirector::dataplane::xdp
