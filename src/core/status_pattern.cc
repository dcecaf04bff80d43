// SPDX-License-Identifier: Apache-2.0
#include "core/status_pattern.h"

#include <re2/re2.h>

#include "core/mnemonics.h"

namespace dnsdirector::core {

Result<std::vector<std::uint16_t>> statuses_matching(const std::string& pattern) {
    const RE2 expression(pattern, RE2::Quiet);
    if (!expression.ok())
        return fail("\"{}\" is no regular expression: {}", pattern, expression.error());
    const auto matches = [&](const std::string& name) {
        return expression.Match(name, 0, name.size(), RE2::ANCHOR_START, nullptr, 0);
    };
    constexpr std::uint16_t rcodes = 4096;  // 12 bits, RFC 6891
    std::vector<std::uint16_t> found;
    for (std::uint16_t rcode = 0; rcode < rcodes; ++rcode) {
        const std::string name = rcode_name(rcode);
        const bool nameless = name.starts_with("RCODE");
        if (matches(name) || (nameless && matches("RESERVED" + std::to_string(rcode))))
            found.push_back(rcode);
    }
    return found;
}

}  // namespace dnsdirector::core
