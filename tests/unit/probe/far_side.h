// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "unit/probe/drive.h"
#include "unit/support/network_namespace.h"

namespace dnsdirector::probe::test {

/// Connects the thread's namespace (192.0.2.1, 2001:db8::1) with `far`, which is
/// servers' host and router in one:
///
///     servers                192.0.2.11 .12      2001:db8::11 ::12
///     as router              192.0.2.254         2001:db8::fe
///     unreachable, it says   198.51.100.0/25     2001:db8:1::/48
///     prohibited, it says    203.0.113.0/24      2001:db8:2::/48
///     dropped in silence     198.51.100.128/25   2001:db8:3::/48
///
/// Everything else of 192.0.2.0/24 and 2001:db8::/64 answers no ARP.
void connect_far_side(const support::NetworkNamespace& far);

/// Waits until both families get through: a link that has just come up loses
/// its first packets.
[[nodiscard]] bool far_side_answers(Recorder& recorder);

}  // namespace dnsdirector::probe::test
