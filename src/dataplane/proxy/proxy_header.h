// SPDX-License-Identifier: Apache-2.0
//
// The PROXY protocol, version 2 (haproxy's doc/proxy-protocol.txt, section 2.2): who the client
// is and whom it asked, before what it sent.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/proxy/socket_address.h"

namespace dnsdirector::dataplane::proxy {

inline constexpr std::size_t largest_proxy_header = 16 + 36;

/// Returns its size. Client and service are of one family.
std::size_t write_proxy_header(std::uint8_t* out, const SocketAddress& client,
                               const SocketAddress& service, bool tcp);

}  // namespace dnsdirector::dataplane::proxy
