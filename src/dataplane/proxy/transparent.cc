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
    const bool v4 = source.is_v4();
    message.msg_control = bytes_.data();
    message.msg_controllen = v4 ? CMSG_SPACE(sizeof(in_pktinfo)) : CMSG_SPACE(sizeof(in6_pktinfo));
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    if (v4) {
        in_pktinfo info{};
        info.ipi_spec_dst = source.v4.sin_addr;
        part->cmsg_level = IPPROTO_IP;
        part->cmsg_type = IP_PKTINFO;
        part->cmsg_len = CMSG_LEN(sizeof info);
        std::memcpy(CMSG_DATA(part), &info, sizeof info);
    } else {
        in6_pktinfo info{};
        info.ipi6_addr = source.v6.sin6_addr;
        part->cmsg_level = IPPROTO_IPV6;
        part->cmsg_type = IPV6_PKTINFO;
        part->cmsg_len = CMSG_LEN(sizeof info);
        std::memcpy(CMSG_DATA(part), &info, sizeof info);
    }
}

}  // namespace dnsdirector::dataplane::proxy
