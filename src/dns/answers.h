// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "dns/criteria.h"
#include "dns/message.h"

namespace dnsdirector::dns {

/// Compares a reply's answers with what is expected. `answers` is where the
/// first record of the answer section begins; the message must have been found
/// well-formed up to the section's end. Records of the asked type count, wherever
/// CNAMEs led. Why it fails, or "": nothing is allocated then, unless a pattern
/// must be compared with text.
[[nodiscard]] std::string trouble_with_answers(Bytes reply, std::size_t answers,
                                               std::uint16_t rcode, const Criteria& criteria);

}  // namespace dnsdirector::dns
