// SPDX-License-Identifier: Apache-2.0
//
// Remembered TCP flows over a change of layout. The predecessor's memory of them is
// not copied: the successor's programs use the very same maps, from before the first
// of them runs, so that there is no moment at which one knows a flow that the other
// does not. That takes the format that both describe (bpf/ledger.h), and the same
// indices of services and servers, which Services::keep_indices() sees to.
#pragma once

#include <vector>

#include "base/result.h"
#include "dataplane/xdp/maps.h"
#include "dataplane/xdp/predecessor.h"

namespace dnsdirector::dataplane::xdp {

/// Puts the flows of who forwards in the place of this layout's own. Nothing to do where
/// nobody else forwards or programs of this layout do already. Where it cannot be (other
/// format, less room than is asked for) a warning says that flows are lost. Errors: a map
/// could not be opened or pinned.
Result<void> share_flows(const std::vector<Predecessor>& predecessors, Maps& maps);

/// Whether these maps hold the flows of that predecessor.
[[nodiscard]] bool has_flows_of(const Maps& maps, const Predecessor& predecessor);

}  // namespace dnsdirector::dataplane::xdp
