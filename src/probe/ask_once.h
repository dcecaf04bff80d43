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

struct DigReport {
    Report report;
    int exit_status = 0;  ///< that dig would have ended with
};

/// As dig would ask, with all its tries. Errors: as ask_once().
[[nodiscard]] Result<DigReport> dig_once(const Endpoint& target, const core::DigCheck& check,
                                         const core::CheckTiming& timing);

}  // namespace dnsdirector::probe
