// SPDX-License-Identifier: Apache-2.0
//
// DNS questions of both forms → core::DnsCheck.
#pragma once

#include <optional>
#include <vector>

#include "config/draft.h"

namespace dnsdirector::config {

/// Where a DNS question over TLS goes (RFC 7858).
inline constexpr std::uint16_t tls_port = 853;

/// A check for each query, over that transport.
[[nodiscard]] std::vector<core::DnsCheck> questions_of(const QuestionDraft& draft,
                                                       Transport transport, const core::Via& via);

/// Checks of one server, all of which must pass, or `required` of them.
struct CheckGroup {
    std::optional<Protocol> protocol;  ///< absent: of neither
    std::vector<core::CheckIndex> checks;
    std::uint32_t required = 0;  ///< 0: all

    void add_to(core::RealServer& real) const;
};

}  // namespace dnsdirector::config
