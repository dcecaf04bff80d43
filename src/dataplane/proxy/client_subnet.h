// SPDX-License-Identifier: Apache-2.0
//
// EDNS client subnet (RFC 7871): the network that a client is in, told to a server; and out of
// the answer again what the client did not ask for. Everything happens in the message's place.
#pragma once

#include "core/proxy.h"
#include "dataplane/proxy/socket_address.h"
#include "dataplane/proxy/wire.h"

namespace dnsdirector::dataplane::proxy {

/// What a query got that it had not. (A query's OPT record is the client's; RFC 6891, 6.1.1.)
enum class Added : std::uint8_t { nothing, option, opt };

/// By so much a query grows at most: an OPT record (RFC 6891, section 6.1.2) with the option.
inline constexpr std::size_t most_added = 11 + 4 + 4 + 16;

/// Of a whole query (read_query() found it fine) with room for most_added behind it. Left as
/// they are: queries with the option, that of a client who wants none (/0) among them; signed
/// ones (TSIG, SIG(0)); of another version of EDNS; without a question; and those whose records
/// cannot be read.
[[nodiscard]] Added add_client_subnet(std::uint8_t* query, std::uint32_t& size,
                                      const SocketAddress& client,
                                      const core::ClientSubnet& lengths);

/// Of a server's answer. Returns its size then. What cannot be read, or is signed, stays as it is.
[[nodiscard]] std::size_t take_out_client_subnet(std::uint8_t* answer, std::size_t size,
                                                 Added added);

}  // namespace dnsdirector::dataplane::proxy
