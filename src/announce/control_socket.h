// SPDX-License-Identifier: Apache-2.0
//
// Asking a routing daemon over its Unix socket. It waits, a second at most by default, so that
// this is for commands and for threads of their own, not for the event loop.
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace dnsdirector::announce {

inline constexpr std::chrono::seconds control_patience{1};

/// One command for BIRD (doc/reply_codes of its source); the reply without its codes.
/// An error of BIRD's, and a daemon that is silent, are errors here.
[[nodiscard]] Result<std::string> ask_bird(const std::string& socket, const std::string& command,
                                           Nanoseconds patience = control_patience);

/// One command for a daemon of FRR (lib/vty.c, vtysh_read()): `socket` is bgpd.vty, zebra.vty …
[[nodiscard]] Result<std::string> ask_frr(const std::string& socket, const std::string& command,
                                          Nanoseconds patience = control_patience);

}  // namespace dnsdirector::announce
