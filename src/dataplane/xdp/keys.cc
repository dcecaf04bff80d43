// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/keys.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

#include "core/table.h"

namespace dnsdirector::dataplane::xdp {
namespace {

constexpr std::uint32_t family_number(Family family) {
    return family == Family::ipv4 ? 4 : 6;
}

std::optional<Family> family_of(std::uint32_t where) {
    const std::uint32_t number = where >> abi::WHERE_FAMILY_SHIFT;
    if (number == 4) return Family::ipv4;
    if (number == 6) return Family::ipv6;
    return std::nullopt;
}

}  // namespace

Words words_of(const IpAddress& address) {
    Words words{};
    std::memcpy(words.data(), address.bytes().data(), address.size());
    return words;
}

IpAddress address_of(Family family, const __u64* words) {
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), words, sizeof bytes);
    if (family == Family::ipv6) return IpAddress::from_v6(bytes);
    return IpAddress::from_v4({bytes[0], bytes[1], bytes[2], bytes[3]});
}

std::uint32_t where_of(const core::ServiceKey& key) {
    const std::uint32_t protocol = key.protocol == Protocol::udp ? IPPROTO_UDP : IPPROTO_TCP;
    return htons(key.port) | protocol << abi::WHERE_PROTOCOL_SHIFT | where_of(key.address);
}

std::uint32_t where_of(const IpAddress& address) {
    return family_number(address.family()) << abi::WHERE_FAMILY_SHIFT;
}

bool is_address_only(std::uint32_t where) {
    return (where & ((1U << abi::WHERE_FAMILY_SHIFT) - 1)) == 0;
}

std::optional<core::ServiceKey> service_key(const __u64* words, std::uint32_t where) {
    const auto family = family_of(where);
    const std::uint32_t protocol = where >> abi::WHERE_PROTOCOL_SHIFT & 0xff;
    const std::uint16_t port = ntohs(static_cast<std::uint16_t>(where));
    if (!family || port == 0 || (protocol != IPPROTO_UDP && protocol != IPPROTO_TCP))
        return std::nullopt;
    return core::ServiceKey{address_of(*family, words), port,
                            protocol == IPPROTO_UDP ? Protocol::udp : Protocol::tcp};
}

abi::member_key member_key(const core::ServiceKey& service, const Endpoint& server) {
    abi::member_key key{};
    const Words service_words = words_of(service.address);
    const Words server_words = words_of(server.address);
    std::memcpy(key.service_address, service_words.data(), sizeof key.service_address);
    std::memcpy(key.server_address, server_words.data(), sizeof key.server_address);
    key.where = where_of(service);
    key.port = htons(server.port);
    return key;
}

Endpoint server_of(const abi::member_key& key) {
    // A service's servers are of its own family.
    const Family family = family_of(key.where).value_or(Family::ipv4);
    return {address_of(family, key.server_address), ntohs(key.port)};
}

std::uint32_t select_of(const core::ServiceKey& key, core::Scheduler scheduler, bool other_hash,
                        bool remembers) {
    if (core::per_packet(key.protocol, scheduler)) return abi::SELECT_CURSOR;
    // Only sh and mh have the choice (sh-port, mh-port); the others keep flows together.
    const bool by_source = scheduler == core::Scheduler::sh
                               ? !other_hash
                               : scheduler == core::Scheduler::mh && other_hash;
    const std::uint32_t memory =
        remembers && key.protocol == Protocol::tcp ? std::uint32_t{abi::SELECT_REMEMBERS} : 0;
    return memory | (by_source ? abi::SELECT_SOURCE : abi::SELECT_FLOW);
}

}  // namespace dnsdirector::dataplane::xdp
