// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/proxy_header.h"

#include <algorithm>
#include <array>

namespace dnsdirector::dataplane::proxy {
namespace {

constexpr std::array<std::uint8_t, 12> signature = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                                    0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};
constexpr std::size_t head_size = 16;
constexpr std::uint8_t version_2_local = 0x20;
constexpr std::uint8_t version_2_proxy = 0x21;
constexpr std::uint8_t inet = 0x10;
constexpr std::uint8_t inet6 = 0x20;
constexpr std::uint8_t stream = 0x01;
constexpr std::uint8_t datagram = 0x02;

/// What stands for a family and a transport; there are no others.
struct FamilyByte {
    std::uint8_t byte;
    std::size_t address;  ///< bytes of one; 0: not looked at
};
constexpr FamilyByte family_bytes[] = {
    {0x00, 0},  // unspecified
    {inet | stream, 4}, {inet | datagram, 4}, {inet6 | stream, 16}, {inet6 | datagram, 16},
    {0x31, 0},  // AF_UNIX
    {0x32, 0},
};

}  // namespace

std::size_t write_proxy_header(std::uint8_t* out, const SocketAddress& client,
                               const SocketAddress& service, bool tcp) {
    const std::size_t address = client.address_size();
    const std::size_t addresses = 2 * address + 4;
    std::memcpy(out, signature.data(), signature.size());
    out[12] = version_2_proxy;
    out[13] =
        static_cast<std::uint8_t>((client.is_v4() ? inet : inet6) | (tcp ? stream : datagram));
    out[14] = 0;
    out[15] = static_cast<std::uint8_t>(addresses);
    std::uint8_t* at = out + head_size;
    std::memcpy(at, client.address_bytes(), address);
    std::memcpy(at + address, service.address_bytes(), address);
    const std::uint16_t client_port = client.port();
    const std::uint16_t service_port = service.port();
    std::memcpy(at + 2 * address, &client_port, 2);
    std::memcpy(at + 2 * address + 2, &service_port, 2);
    return head_size + addresses;
}

ProxyHeader read_proxy_header(std::span<const std::uint8_t> bytes) {
    ProxyHeader header;
    const std::size_t signed_so_far = std::min(bytes.size(), signature.size());
    if (!std::equal(signature.begin(), signature.begin() + signed_so_far, bytes.begin()))
        return header;
    if (bytes.size() > 12 && bytes[12] != version_2_proxy && bytes[12] != version_2_local)
        return header;
    if (bytes.size() < head_size) {
        header.kind = ProxyHeader::Kind::part;
        return header;
    }
    // Of LOCAL the family is passed over.
    const std::uint8_t wanted = bytes[12] == version_2_local ? 0 : bytes[13];
    const auto* family = std::find_if(std::begin(family_bytes), std::end(family_bytes),
                                      [&](const FamilyByte& each) { return each.byte == wanted; });
    const std::size_t size = head_size + (static_cast<std::size_t>(bytes[14]) << 8U |
                                          static_cast<std::size_t>(bytes[15]));
    if (family == std::end(family_bytes) || size > largest_read_header) return header;
    const std::size_t address = family->address;
    if (address != 0 && size < head_size + 2 * address + 4) return header;
    if (bytes.size() < size) {
        header.kind = ProxyHeader::Kind::part;
        return header;
    }
    header.kind = ProxyHeader::Kind::whole;
    header.size = size;
    header.names_client = address != 0;
    if (!header.names_client) return header;
    const std::uint8_t* at = bytes.data() + head_size;
    header.client = SocketAddress::of_bytes(at, address, at + 2 * address);
    header.asked = SocketAddress::of_bytes(at + address, address, at + 2 * address + 2);
    return header;
}

bool is_within(std::span<const core::Prefix> networks, const SocketAddress& peer) {
    const IpAddress address = peer.endpoint().address;
    return std::any_of(networks.begin(), networks.end(),
                       [&](const core::Prefix& network) { return network.contains(address); });
}

}  // namespace dnsdirector::dataplane::proxy
