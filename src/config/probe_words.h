// SPDX-License-Identifier: Apache-2.0
//
// The nine words of the classic dig wrapper, which `dnsdirector probe` takes.
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "core/model.h"

namespace dnsdirector::config {

struct ProbeWords {
    Endpoint server;
    core::DnsCheck check;
    Nanoseconds timeout;  ///< for one try
    std::uint32_t tries;  ///< 1 to 10
};

/// FROM_IP CLASS QTYPE QNAME TO_IP TIME TRIES ERROR_STATUS_REGEX [udp|tcp].
/// FROM_IP 0.0.0.0 or :: leaves the choice to the kernel; TO_IP may carry a port;
/// TIME is seconds and may have a fraction or a unit. A status that the
/// expression matches from its start (RE2, case-sensitive) is a failure.
/// Errors: a word that is none of these, in words that quote it.
[[nodiscard]] Result<ProbeWords> parse_probe_words(std::span<const std::string> words);

}  // namespace dnsdirector::config
