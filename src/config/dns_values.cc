// SPDX-License-Identifier: Apache-2.0
#include "config/dns_values.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/address.h"
#include "config/suggest.h"
#include "core/mnemonics.h"

namespace dnsdirector::config {
namespace {

constexpr std::array<std::string_view, 20> common_types = {
    "A",      "AAAA", "NS",   "SOA",   "CNAME", "PTR", "MX",    "TXT",   "SRV",  "DS",
    "DNSKEY", "CAA",  "SVCB", "HTTPS", "NAPTR", "ANY", "DNAME", "RRSIG", "NSEC", "TLSA"};
constexpr std::array<std::string_view, 11> statuses = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                                       "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
                                                       "NXRRSET", "NOTAUTH", "NOTZONE"};

bool digit(char c) {
    return c >= '0' && c <= '9';
}

/// Length in `text` of the character at `at`, an escape counting as one (\X or
/// \DDD); 0 for a bad one.
std::size_t character_length(std::string_view text, std::size_t at) {
    if (text[at] != '\\') return 1;
    if (at + 1 >= text.size()) return 0;
    if (!digit(text[at + 1])) return 2;
    if (at + 3 >= text.size() || !digit(text[at + 2]) || !digit(text[at + 3])) return 0;
    const int value = (text[at + 1] - '0') * 100 + (text[at + 2] - '0') * 10 + (text[at + 3] - '0');
    return value <= 255 ? 4 : 0;
}

/// RFC 1035, section 5.1: a character-string in quotes.
std::string quoted_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\')
            out.append({'\\', c});
        else if (byte < 0x20 || byte >= 0x7f)
            out += fmt::format("\\{:03}", byte);
        else
            out.push_back(c);
    }
    return out + '"';
}

/// Types whose data ends in a name, with the number of words of the data.
struct NameData {
    std::uint16_t type;
    std::size_t words;
};
constexpr std::array<NameData, 6> name_data = {
    {{2, 1}, {5, 1}, {12, 1}, {39, 1}, {15, 2}, {33, 4}}};  // NS CNAME PTR DNAME MX SRV

Result<std::string> address_data(Family family, std::span<const std::string_view> words) {
    const auto address = words.size() == 1 ? IpAddress::parse(words[0]) : std::nullopt;
    if (!address || address->family() != family)
        return fail("`{}` is not an {} address, which is what the answer to this query holds",
                    fmt::join(words, " "), to_string(family));
    return address->to_string();
}

}  // namespace

Result<std::string> parse_dns_name(std::string_view text) {
    if (text == ".") return std::string(text);
    if (text.empty()) return fail("the name is empty; the root is written `.`");
    std::size_t label = 0;
    std::size_t whole = 1;  // the root's length octet
    bool absolute = false;
    for (std::size_t at = 0; at < text.size();) {
        const auto byte = static_cast<unsigned char>(text[at]);
        if (byte <= ' ' || byte == 0x7f) return fail("`{}` holds white space, a name cannot", text);
        if (byte >= 0x80)
            return fail("`{}` is not ASCII; write an internationalized name in its xn-- form",
                        text);
        absolute = text[at] == '.';
        if (absolute) {
            if (label == 0)
                return fail("`{}` has an empty label (two dots, or one in front)", text);
            label = 0;
            ++at;
            continue;
        }
        const std::size_t length = character_length(text, at);
        if (length == 0) return fail("`{}` has a bad escape; \\. and \\046 are good ones", text);
        if (label == 0) ++whole;
        ++label;
        ++whole;
        at += length;
        if (label > 63) return fail("`{}` has a label of more than 63 characters", text);
        if (whole > 255) return fail("the name is longer than 255 octets");
    }
    return absolute ? std::string(text) : std::string(text) + '.';
}

Result<std::uint16_t> parse_type(std::string_view text) {
    if (const auto number = core::type_number(text)) {
        if (*number == 251 || *number == 252)
            return fail("{} is a transfer, not a question; ask for SOA", text);
        if (*number == 0 || *number == 41)
            return fail("{} is not a type that can be asked for", text);
        return *number;
    }
    const auto near = nearest(text, common_types);
    if (!near.empty()) return fail("`{}` is not a DNS type; did you mean {}?", text, near);
    return fail("`{}` is not a DNS type; write a name such as A or SOA, or TYPE65280", text);
}

Result<std::uint16_t> parse_class(std::string_view text) {
    if (const auto klass = core::class_number(text)) return *klass;
    return fail("`{}` is not a DNS class; write IN, CH, HS, ANY or CLASS123", text);
}

Result<std::uint16_t> parse_rcode(std::string_view text) {
    const auto number = core::rcode_number(text);
    if (number && *number > 15)
        return fail("{} needs EDNS, which the checks do not use; the statuses are {}", text,
                    fmt::join(statuses, " "));
    if (number) return *number;
    const auto near = nearest(text, statuses);
    if (!near.empty()) return fail("`{}` is not a DNS status; did you mean {}?", text, near);
    return fail("`{}` is not a DNS status; they are {}", text, fmt::join(statuses, " "));
}

Result<Question> parse_question(std::span<const std::string_view> words) {
    if (words.size() < 2 || words.size() > 3)
        return fail("a query is a name, a type and perhaps a class, as in \"www.example.com A\"");
    Question question;
    auto name = parse_dns_name(words[0]);
    if (!name) return tl::unexpected(name.error());
    question.name = std::move(*name);
    const auto type = parse_type(words[1]);
    if (!type) return tl::unexpected(type.error());
    question.type = *type;
    if (words.size() == 3) {
        const auto klass = parse_class(words[2]);
        if (!klass) return tl::unexpected(klass.error());
        question.klass = *klass;
    }
    return question;
}

std::vector<std::string_view> split_words(std::string_view text) {
    constexpr std::string_view blanks = " \t";
    std::vector<std::string_view> words;
    for (;;) {
        text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
        if (text.empty()) return words;
        words.push_back(text.substr(0, text.find_first_of(blanks)));
        text.remove_prefix(words.back().size());
    }
}

Result<std::string> parse_rdata(std::uint16_t type, std::span<const std::string_view> words) {
    constexpr std::uint16_t a = 1;
    constexpr std::uint16_t aaaa = 28;
    constexpr std::uint16_t txt = 16;
    constexpr std::uint16_t spf = 99;
    if (type == a) return address_data(Family::ipv4, words);
    if (type == aaaa) return address_data(Family::ipv6, words);
    std::vector<std::string> parts;
    if (type == txt || type == spf) {
        for (const std::string_view word : words) {
            if (word.size() > 255) return fail("a string of a TXT record has at most 255 octets");
            parts.push_back(quoted_string(word));
        }
        return fmt::format("{}", fmt::join(parts, " "));
    }
    for (const std::string_view word : words)  // "10 mail.example.com." in quotes is two words
        for (const std::string_view part : split_words(word))
            parts.emplace_back(part);
    if (parts.empty()) return fail("the record data is empty");
    const auto* const known = std::find_if(name_data.begin(), name_data.end(),
                                           [&](const NameData& d) { return d.type == type; });
    if (known != name_data.end()) {
        if (parts.size() != known->words)
            return fail("`{}` is not the data of a {} record, which has {} word{}",
                        fmt::join(words, " "), core::type_name(type), known->words,
                        known->words == 1 ? "" : "s");
        for (std::size_t i = 0; i + 1 < parts.size(); ++i)
            if (parts[i].empty() || !std::all_of(parts[i].begin(), parts[i].end(), digit))
                return fail("`{}` in the data of a {} record must be a number", parts[i],
                            core::type_name(type));
        auto name = parse_dns_name(parts.back());
        if (!name) return tl::unexpected(name.error());
        parts.back() = std::move(*name);
    }
    return fmt::format("{}", fmt::join(parts, " "));
}

}  // namespace dnsdirector::config
