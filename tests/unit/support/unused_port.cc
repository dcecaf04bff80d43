// SPDX-License-Identifier: Apache-2.0
#include "unit/support/unused_port.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <stdexcept>

namespace dnsdirector::support {
namespace {

/// Of IPv6 and, as the same socket, of IPv4.
bool can_bind(int type, std::uint16_t port) {
    const int socket = ::socket(AF_INET6, type | SOCK_CLOEXEC, 0);
    const int off = 0;
    setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(port);
    const bool bound = bind(socket, reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0;
    close(socket);
    return bound;
}

}  // namespace

std::uint16_t unused_port() {
    std::random_device random;
    std::uniform_int_distribution<std::uint16_t> ports{10240, 29999};
    for (int i = 0; i < 1000; ++i)
        if (const std::uint16_t port = ports(random);
            can_bind(SOCK_DGRAM, port) && can_bind(SOCK_STREAM, port))
            return port;
    throw std::runtime_error("no unused port");
}

}  // namespace dnsdirector::support
