// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/transparent.h"

#include <netinet/in.h>
#include <unistd.h>

#include <cerrno>

namespace dnsdirector::dataplane::proxy {

bool make_transparent(int socket, Family family) {
    const int on = 1;
    return family == Family::ipv4
               ? setsockopt(socket, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on) == 0
               : setsockopt(socket, IPPROTO_IPV6, IPV6_TRANSPARENT, &on, sizeof on) == 0;
}

Result<void> may_be_transparent(Family family) {
    const int socket = ::socket(family == Family::ipv4 ? AF_INET : AF_INET6,
                                SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
    const bool may = socket >= 0 && make_transparent(socket, family);
    const int error = errno;
    if (socket >= 0) ::close(socket);
    if (may) return {};
    return tl::unexpected(Error{
        system_error("transparent: cannot ask servers from clients' addresses", error).message +
        (error == EPERM ? "; it needs CAP_NET_ADMIN or CAP_NET_RAW (AmbientCapabilities= in the "
                          "unit)"
                        : "")});
}

bool bind_to_client(int socket, const SocketAddress& client) {
    if (!make_transparent(socket, client.is_v4() ? Family::ipv4 : Family::ipv6)) return false;
    // A port is needed for one server only, and so found when that is known (connect()).
    const int on = 1;
    (void)setsockopt(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    SocketAddress address = client;
    (client.is_v4() ? address.v4.sin_port : address.v6.sin6_port) = 0;
    return bind(socket, &address.any, address.size()) == 0;
}

void SourceAddress::put_into(msghdr& message, const SocketAddress& source) {
    const auto put = [&](int level, int type, const auto& info) {
        message.msg_control = bytes_.data();
        message.msg_controllen = CMSG_SPACE(sizeof info);
        cmsghdr* part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = level;
        part->cmsg_type = type;
        part->cmsg_len = CMSG_LEN(sizeof info);
        std::memcpy(CMSG_DATA(part), &info, sizeof info);
    };
    if (source.is_v4())
        put(IPPROTO_IP, IP_PKTINFO,
            in_pktinfo{.ipi_ifindex = 0, .ipi_spec_dst = source.v4.sin_addr, .ipi_addr = {}});
    else
        put(IPPROTO_IPV6, IPV6_PKTINFO,
            in6_pktinfo{.ipi6_addr = source.v6.sin6_addr, .ipi6_ifindex = 0});
}

}  // namespace dnsdirector::dataplane::proxy
