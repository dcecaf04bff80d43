// SPDX-License-Identifier: Apache-2.0
//
// A configuration as text for people: what a file means, whichever form it is
// written in.
#pragma once

#include <string>

#include "core/model.h"

namespace dnsdirector::core {

/// Everything that a configuration is, a line for each thing. Settings at their
/// defaults are left out; checks stand under each server that they decide, by
/// full_text(). Equal configurations have equal texts, and two that differ in
/// more than the numbering of `checks` have different ones.
///
///     director: interfaces 'eth0'
///     service 192.0.2.53:53/udp: cluster 'resolvers', wrr dr, on_all_down hold
///       real_server 'ns1' 203.0.113.11:53: weight 2
///         check dns www.example.com. A over udp, …
[[nodiscard]] std::string full_text(const Configuration& configuration);

}  // namespace dnsdirector::core
