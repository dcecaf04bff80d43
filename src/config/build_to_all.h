// SPDX-License-Identifier: Apache-2.0
//
// What a dns_cluster says of messages that go to every server.
#pragma once

#include "config/assembly.h"

namespace dnsdirector::config {

/// As it is in force: nothing on planes that see no messages. Says what is wrong with it.
[[nodiscard]] core::ToAll build_to_all(const ClusterDraft& cluster, Assembly& assembly);

}  // namespace dnsdirector::config
