// SPDX-License-Identifier: Apache-2.0
//
// When a reply passes: a DnsCheck's words, parsed once at set-up.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/model.h"

namespace re2 {
class RE2;
}

namespace dnsdirector::dns {

struct Criteria {
    /// Errors: expected record data that are none of the asked type, a pattern
    /// that is no regular expression.
    static Result<Criteria> make(const core::DnsCheck& check);

    std::uint16_t type = 0;
    std::uint16_t klass = 0;
    Protocol transport = Protocol::udp;
    core::OnTruncated on_truncated = core::OnTruncated::ask_over_tcp;
    std::vector<std::uint16_t> fail_on;  ///< RCODEs, sorted
    std::optional<std::uint16_t> expect_rcode;
    core::AnswerMatch match = core::AnswerMatch::any;
    std::vector<std::vector<std::uint8_t>> answers;  ///< canonical wire form
    std::shared_ptr<const re2::RE2> pattern;         ///< instead of `answers`
    std::string answers_text;                        ///< for reasons: "A or B", "exactly A and B"
    std::uint16_t required_flags = 0;                ///< of core::header_flag
    std::uint16_t min_answers = 0;
};

/// "A", "A and B", "A, B and C", with `last` = " and ".
[[nodiscard]] std::string joined(const std::vector<std::string>& words, std::string_view last);

}  // namespace dnsdirector::dns
