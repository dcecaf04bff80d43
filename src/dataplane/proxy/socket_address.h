// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <utility>

#include "base/address.h"

namespace dnsdirector::dataplane::proxy {

/// An endpoint as the kernel wants it.
union SocketAddress {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;

    SocketAddress() : v6{} {}
    explicit SocketAddress(const Endpoint& endpoint) : v6{} {
        if (endpoint.address.is_v4()) {
            v4.sin_family = AF_INET;
            v4.sin_port = htons(endpoint.port);
            std::memcpy(&v4.sin_addr, endpoint.address.bytes().data(), 4);
        } else {
            v6.sin6_family = AF_INET6;
            v6.sin6_port = htons(endpoint.port);
            std::memcpy(&v6.sin6_addr, endpoint.address.bytes().data(), 16);
        }
    }

    /// Address and port in network order; four bytes of address are IPv4, sixteen IPv6.
    static SocketAddress of_bytes(const std::uint8_t* address, std::size_t size,
                                  const std::uint8_t* port) {
        SocketAddress made;
        made.any.sa_family = size == 4 ? AF_INET : AF_INET6;
        std::memcpy(made.address_bytes(), address, size);
        std::memcpy(size == 4 ? &made.v4.sin_port : &made.v6.sin6_port, port, 2);
        return made;
    }

    [[nodiscard]] bool is_v4() const { return any.sa_family == AF_INET; }
    [[nodiscard]] socklen_t size() const {
        return is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    }
    [[nodiscard]] const std::uint8_t* address_bytes() const {
        return is_v4() ? reinterpret_cast<const std::uint8_t*>(&v4.sin_addr)
                       : reinterpret_cast<const std::uint8_t*>(&v6.sin6_addr);
    }
    [[nodiscard]] std::uint8_t* address_bytes() {
        return const_cast<std::uint8_t*>(std::as_const(*this).address_bytes());
    }
    [[nodiscard]] std::size_t address_size() const { return is_v4() ? 4 : 16; }
    /// Means nothing beyond its link (RFC 4291, section 2.5.6).
    [[nodiscard]] bool is_link_local() const {
        return !is_v4() && address_bytes()[0] == 0xfe && (address_bytes()[1] & 0xc0U) == 0x80;
    }
    /// In network order.
    [[nodiscard]] std::uint16_t port() const { return is_v4() ? v4.sin_port : v6.sin6_port; }

    [[nodiscard]] Endpoint endpoint() const {
        if (is_v4()) {
            std::array<std::uint8_t, 4> bytes{};
            std::memcpy(bytes.data(), &v4.sin_addr, bytes.size());
            return {IpAddress::from_v4(bytes), ntohs(v4.sin_port)};
        }
        std::array<std::uint8_t, 16> bytes{};
        std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
        return {IpAddress::from_v6(bytes), ntohs(v6.sin6_port)};
    }

    friend bool operator==(const SocketAddress& a, const SocketAddress& b) {
        return a.any.sa_family == b.any.sa_family && a.port() == b.port() &&
               std::memcmp(a.address_bytes(), b.address_bytes(), a.address_size()) == 0;
    }
};

}  // namespace dnsdirector::dataplane::proxy
