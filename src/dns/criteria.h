// SPDX-License-Identifier: Apache-2.0
//
// When a reply passes: a DnsCheck's words, parsed once at set-up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/model.h"

namespace dnsdirector::dns {

struct Criteria {
    /// Errors: expected record data that are none of the asked type.
    static Result<Criteria> make(const core::DnsCheck& check);

    std::uint16_t type = 0;
    std::uint16_t klass = 0;
    Protocol transport = Protocol::udp;
    core::OnTruncated on_truncated = core::OnTruncated::ask_over_tcp;
    std::vector<std::uint16_t> fail_on;  ///< RCODEs, sorted
    std::optional<std::uint16_t> expect_rcode;
    std::vector<std::vector<std::uint8_t>> answers;  ///< canonical wire form; one must be there
    std::string answers_text;                        ///< as configured, for reasons
};

}  // namespace dnsdirector::dns
