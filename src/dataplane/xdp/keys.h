// SPDX-License-Identifier: Apache-2.0
//
// Services and servers as the kernel program spells them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "core/model.h"
#include "dataplane/xdp/program.h"

namespace dnsdirector::dataplane::xdp {

using Words = std::array<__u64, 2>;

[[nodiscard]] Words words_of(const IpAddress& address);
[[nodiscard]] IpAddress address_of(Family family, const __u64* words);

/// abi::service::where of a service, or of an address alone.
[[nodiscard]] std::uint32_t where_of(const core::ServiceKey& key);
[[nodiscard]] std::uint32_t where_of(const IpAddress& address);
/// True for records that stand for an address, not for a service.
[[nodiscard]] bool is_address_only(std::uint32_t where);

/// Nothing where the words are no service (somebody else's bytes).
[[nodiscard]] std::optional<core::ServiceKey> service_key(const __u64* words, std::uint32_t where);

[[nodiscard]] abi::member_key member_key(const core::ServiceKey& service, const Endpoint& server);
[[nodiscard]] Endpoint server_of(const abi::member_key& key);

/// abi::service::select. `remembers`: flows of TCP services are.
[[nodiscard]] std::uint32_t select_of(const core::ServiceKey& key, core::Scheduler scheduler,
                                      bool other_hash, bool remembers);

}  // namespace dnsdirector::dataplane::xdp
