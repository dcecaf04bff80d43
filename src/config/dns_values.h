// SPDX-License-Identifier: Apache-2.0
//
// DNS names, questions and record data as text.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace dnsdirector::config {

/// A name in presentation form (RFC 1035, section 5.1), made absolute: "www.example.com."
/// Labels have 1 to 63 octets, the whole at most 255 (RFC 1035, section 2.3.4).
[[nodiscard]] Result<std::string> parse_dns_name(std::string_view text);

struct Question {
    std::string name = ".";
    std::uint16_t type = 6;
    std::uint16_t klass = 1;
};

/// NAME TYPE [CLASS], as words.
[[nodiscard]] Result<Question> parse_question(std::span<const std::string_view> words);

[[nodiscard]] Result<std::uint16_t> parse_type(std::string_view text);
[[nodiscard]] Result<std::uint16_t> parse_class(std::string_view text);
/// A status of the DNS header, 0 to 15: checks ask without EDNS, which the others need.
[[nodiscard]] Result<std::uint16_t> parse_rcode(std::string_view text);

/// The words of a text that white space parts.
[[nodiscard]] std::vector<std::string_view> split_words(std::string_view text);

/// Record data of one record, in the presentation form that a comparison needs:
/// addresses canonical, names absolute, each word of a TXT quoted. Types that are
/// not known here are left as written, with one space between words.
[[nodiscard]] Result<std::string> parse_rdata(std::uint16_t type,
                                              std::span<const std::string_view> words);

}  // namespace dnsdirector::config
