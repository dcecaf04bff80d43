// SPDX-License-Identifier: Apache-2.0
//
// What the kernel refused, in an operator's words.
#pragma once

#include <string>

#include "base/result.h"
#include "core/model.h"
#include "netlink/ipvs.h"

namespace dnsdirector::dataplane::ipvs {

[[nodiscard]] tl::unexpected<Error> cannot_read(const netlink::IpvsRefusal& refusal);
/// `what` was to be done with the service.
[[nodiscard]] tl::unexpected<Error> refused(const core::ServiceKey& key, const std::string& what,
                                            const netlink::IpvsRefusal& refusal);
/// A service was to be made with this scheduler.
[[nodiscard]] tl::unexpected<Error> refused_scheduler(const core::ServiceKey& key,
                                                      const std::string& name,
                                                      const netlink::IpvsRefusal& refusal);

}  // namespace dnsdirector::dataplane::ipvs
