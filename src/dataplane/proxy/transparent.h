// SPDX-License-Identifier: Apache-2.0
//
// Servers that are asked from the client's own address (ip(7), IP_TRANSPARENT): the sockets are
// bound to addresses that are not the machine's, and the network has to lead the replies back.
#pragma once

#include <sys/socket.h>

#include <array>

#include "base/result.h"
#include "dataplane/proxy/socket_address.h"

namespace dnsdirector::dataplane::proxy {

/// The system's errors are left in errno.
[[nodiscard]] bool make_transparent(int socket, Family family);
/// Errors: this process may not, with the mend.
[[nodiscard]] Result<void> may_be_transparent(Family family);

/// The port is the kernel's choice.
[[nodiscard]] bool bind_to_client(int socket, const SocketAddress& client);

/// Has one datagram of a socket that is transparent leave from this address. It lasts until the
/// message is sent.
class SourceAddress {
public:
    void put_into(msghdr& message, const SocketAddress& source);

private:
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(in6_pktinfo))> bytes_{};
};

}  // namespace dnsdirector::dataplane::proxy
