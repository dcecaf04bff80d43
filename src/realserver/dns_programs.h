// SPDX-License-Identifier: Apache-2.0
//
// What operators of the DNS servers that are met on real servers write to mend something.
#pragma once

#include <string>
#include <string_view>

#include "base/address.h"

namespace dnsdirector::realserver {

/// `program`: as the kernel calls the process; an unknown one gives words that fit any.
[[nodiscard]] std::string how_to_listen(std::string_view program, const Endpoint& at);
/// Where it listens already over the other protocol.
[[nodiscard]] std::string how_to_serve(std::string_view program, Protocol protocol);
[[nodiscard]] std::string how_to_send_large(std::string_view program);

}  // namespace dnsdirector::realserver
