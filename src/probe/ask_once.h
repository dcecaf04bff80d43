// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "core/health.h"
#include "core/model.h"

namespace dnsdirector::probe {

struct Report {
    core::Verdict verdict;
    std::optional<std::uint16_t> rcode;  ///< of the reply that decided
};

/// One round of a DNS check, with all its tries, by the code that the director
/// uses. Blocks for at most timeout times tries. Errors: a question or criteria
/// that make no sense, or no epoll descriptor.
[[nodiscard]] Result<Report> ask_once(const Endpoint& target, const core::DnsCheck& check,
                                      const core::CheckTiming& timing);

}  // namespace dnsdirector::probe
