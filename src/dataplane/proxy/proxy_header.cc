// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/proxy_header.h"

#include <array>

namespace dnsdirector::dataplane::proxy {
namespace {

constexpr std::array<std::uint8_t, 12> signature = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                                    0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};
constexpr std::uint8_t version_2_proxy = 0x21;
constexpr std::uint8_t inet = 0x10;
constexpr std::uint8_t inet6 = 0x20;
constexpr std::uint8_t stream = 0x01;
constexpr std::uint8_t datagram = 0x02;

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
    std::uint8_t* at = out + 16;
    std::memcpy(at, client.address_bytes(), address);
    std::memcpy(at + address, service.address_bytes(), address);
    const std::uint16_t client_port = client.port();
    const std::uint16_t service_port = service.port();
    std::memcpy(at + 2 * address, &client_port, 2);
    std::memcpy(at + 2 * address + 2, &service_port, 2);
    return 16 + addresses;
}

}  // namespace dnsdirector::dataplane::proxy
