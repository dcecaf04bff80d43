// SPDX-License-Identifier: Apache-2.0
//
// nft rewrites a quoted header only as raw bits, and does not correct the checksum of the message
// then. What the checksum is short of is known beforehand, though, and there is room for it.
#include "realserver/too_big.h"

#include <fmt/format.h>

namespace dnsdirector::realserver {
namespace {

/// The address in the one's complement sum that internet checksums are (RFC 1071), modulo 65,535.
std::uint32_t sum_of(const IpAddress& address) {
    std::uint32_t sum = 0;
    for (std::size_t at = 0; at < address.size(); at += 2)
        sum += address.bytes()[at] * 256U + address.bytes()[at + 1];
    return sum % 0xffff;
}

/// By how much the sum grows where `to` is written over `from`, modulo 65,535.
std::uint32_t growth(const Endpoint& from, const Endpoint& to) {
    return (sum_of(to.address) + to.port + 2 * 0xffff - sum_of(from.address) - from.port % 0xffff) %
           0xffff;
}

/// "0xc0000235": raw bits as nft takes them.
std::string bits_of(const IpAddress& address) {
    std::string text = "0x";
    for (std::size_t at = 0; at < address.size(); ++at)
        text += fmt::format("{:02x}", address.bytes()[at]);
    return text;
}

/// The quoted IPv4 header begins after 8 bytes, and has no options. Bytes 4 and 5 are unused:
/// they take up the difference. Where they are in use (RFC 4884) the message is let alone.
std::string rule_v4(const Endpoint& service, const Endpoint& listen) {
    const std::uint32_t rest = (0xffff - growth(service, listen)) % 0xffff;
    return fmt::format(
        "ip daddr {0} icmp type destination-unreachable icmp code frag-needed @th,32,8 0 @th,40,8 "
        "0 @th,64,8 0x45 @th,160,32 {1} @th,224,16 {2} notrack counter @th,160,32 set {3} "
        "@th,224,16 set {4} @th,32,8 set {5} @th,40,8 set {6} accept",
        service.address.to_string(), bits_of(service.address), service.port,
        bits_of(listen.address), listen.port, rest / 256, rest % 256);
}

/// Nothing in this message is unused. But when nft writes an address into the outer header, it
/// corrects the checksum for what stood there before: so something else stands there before,
/// written as raw bits, in just the distance that the checksum is to be moved.
std::string rule_v6(const Endpoint& service, const Endpoint& listen) {
    const auto& bytes = service.address.bytes();
    const std::uint32_t last = bytes[14] * 256U + bytes[15];
    const std::uint32_t before = (last + 0xffff - growth(service, listen)) % 0xffff;
    return fmt::format(
        "ip6 daddr {0} icmpv6 type packet-too-big @th,128,128 {1} @th,384,16 {2} notrack counter "
        "@th,128,128 set {3} @th,384,16 set {4} @nh,304,16 set {5} ip6 daddr set {0} accept",
        service.address.to_string(), bits_of(service.address), service.port,
        bits_of(listen.address), listen.port, before);
}

}  // namespace

std::string too_big_rule(const Endpoint& service, const Endpoint& listen) {
    return service.address.is_v4() ? rule_v4(service, listen) : rule_v6(service, listen);
}

}  // namespace dnsdirector::realserver
