// SPDX-License-Identifier: Apache-2.0
//
// Between core/'s words and the kernel's.
#pragma once

#include <optional>

#include "core/forwarding.h"
#include "netlink/ipvs.h"

namespace dnsdirector::dataplane::ipvs {

[[nodiscard]] netlink::IpvsServiceId id_of(const core::ServiceKey& key);
/// Nothing for a protocol that we do not serve (SCTP).
[[nodiscard]] std::optional<core::ServiceKey> key_of(const netlink::IpvsServiceId& id);

[[nodiscard]] netlink::IpvsService service_of(const core::AddService& service);
/// Without destinations; `method` is a guess (the kernel has it of destinations
/// only). With core::unwishable_options where the kernel holds what cannot be
/// wished for: another scheduler, flag or persistence engine.
[[nodiscard]] core::ServiceForwarding forwarding_of(const core::ServiceKey& key,
                                                    const netlink::IpvsService& service);

[[nodiscard]] netlink::IpvsDestination destination_of(const core::Destination& destination);
/// With `unwishable` as its weight where the kernel holds what cannot be wished for.
[[nodiscard]] core::Destination destination_of(const netlink::IpvsDestination& destination);

/// No weight that a configuration gives, slow start's scaling included.
inline constexpr std::uint32_t unwishable = UINT32_MAX;

}  // namespace dnsdirector::dataplane::ipvs
