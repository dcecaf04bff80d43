// SPDX-License-Identifier: Apache-2.0
//
// Sockets as /proc/net/tcp, tcp6, udp and udp6 list them (proc(5)).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/address.h"

namespace dnsdirector {

struct SocketEntry {
    Endpoint local;
    Endpoint remote;     ///< unspecified, port 0: none
    unsigned state = 0;  ///< of the kernel's TCP states; UDP's say connected (1) or not (7)
    std::uint64_t inode = 0;

    /// Takes what comes from anybody: a TCP listener, a UDP socket that is bound to one port.
    [[nodiscard]] bool is_open(Protocol protocol) const;
};

/// Lines that are none of a socket are passed over.
[[nodiscard]] std::vector<SocketEntry> parse_socket_table(std::string_view text);

}  // namespace dnsdirector
