// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/hop.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>

#include <algorithm>
#include <cstring>

namespace dnsdirector::dataplane::xdp {

Hop hop_of(const abi::destination& record) {
    Hop hop;
    hop.ifindex = record.ifindex;
    std::memcpy(hop.server.data(), record.server_mac, sizeof record.server_mac);
    std::memcpy(hop.own.data(), record.own_mac, sizeof record.own_mac);
    return hop;
}

std::vector<std::uint8_t> frame_to(const Hop& hop, Family family,
                                   std::span<const std::uint8_t> packet) {
    ethhdr header{};
    std::memcpy(header.h_dest, hop.server.data(), hop.server.size());
    std::memcpy(header.h_source, hop.own.data(), hop.own.size());
    header.h_proto = htons(family == Family::ipv4 ? ETH_P_IP : ETH_P_IPV6);
    std::vector<std::uint8_t> frame(sizeof header + packet.size());
    std::memcpy(frame.data(), &header, sizeof header);
    std::copy(packet.begin(), packet.end(), frame.begin() + sizeof header);
    return frame;
}

abi::destination record_of(const Hop& hop, std::uint32_t counter) {
    abi::destination record{};
    std::memcpy(record.server_mac, hop.server.data(), sizeof record.server_mac);
    std::memcpy(record.own_mac, hop.own.data(), sizeof record.own_mac);
    record.ifindex = hop.ifindex;
    record.counter = counter;
    return record;
}

}  // namespace dnsdirector::dataplane::xdp
