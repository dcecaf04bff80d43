// SPDX-License-Identifier: Apache-2.0
//
// What only the ipvs plane can do with a service or a server, for both forms of
// the language: judged, and put into the model. On other planes the compatible
// form, whose files come from elsewhere, warns; the native form refuses.
#pragma once

#include <optional>

#include "config/assembly.h"

namespace dnsdirector::config {

/// What a block says of it.
struct IpvsWishes {
    const PersistenceDraft& persistence;
    std::optional<bool> one_packet;  ///< absent: as the rest asks for
    bool fallback = false;           ///< of sh and mh
    bool translates = false;         ///< some server is reached by NAT
    bool all_ports = false;          ///< which takes persistence (keepalived.conf(5): 360 s)
};

/// Says what is wrong with a block's persistence. `native`: which form it is.
void judge_persistence(const PersistenceDraft& persistence, bool native, Assembly& assembly);

/// Whether it goes by the connections that each real server has.
[[nodiscard]] bool counts_connections(core::Scheduler scheduler);

/// Whether UDP is spread packet by packet unless the file says otherwise. Not with persistence,
/// which asks for the opposite; not by NAT, whose replies are translated by the flow that the
/// query made; not where a scheduler counts connections, of which nothing would be left to count.
[[nodiscard]] bool one_packet_by_default(core::Scheduler scheduler, bool persists, bool translates);

/// For one service of the block; nothing special on other planes.
[[nodiscard]] core::IpvsOptions ipvs_options(const IpvsWishes& wishes, const core::Service& service,
                                             const Assembly& assembly);

void judge_thresholds(const ThresholdsDraft& draft, bool native, Assembly& assembly);
[[nodiscard]] core::Thresholds thresholds_of(const ThresholdsDraft& draft);

}  // namespace dnsdirector::config
