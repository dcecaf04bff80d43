// SPDX-License-Identifier: Apache-2.0
//
// "Fragmentation needed" (RFC 792) and "packet too big" (RFC 4443) for what left with a service IP
// as source: they quote a packet that no socket of this machine has sent, until the quoted
// source is translated, too. Pure.
#pragma once

#include <string>

#include "base/address.h"

namespace dnsdirector::realserver {

/// The rule for one service IP and the process that answers for it, of the same family.
[[nodiscard]] std::string too_big_rule(const Endpoint& service, const Endpoint& listen);

}  // namespace dnsdirector::realserver
