// SPDX-License-Identifier: Apache-2.0
#include "config/dig_words.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <span>

#include "core/mnemonics.h"

namespace dnsdirector::config {
namespace {

/// Types that BIND has a word for and mnemonics.cc has none: a word that may be
/// meant as one is no name.
constexpr std::string_view other_types[] = {
    "A6",    "AMTRELAY", "ATMA",  "AVC",       "BRID",    "DLV",      "DOA",      "DSYNC",
    "EID",   "GID",      "GPOS",  "HHIT",      "ISDN",    "IPSECKEY", "KEYDATA",  "L32",
    "L64",   "LP",       "MAILA", "MAILB",     "MB",      "MD",       "MF",       "MG",
    "MINFO", "MR",       "NID",   "NIMLOC",    "NINFO",   "NSAP",     "NSAP-PTR", "NULL",
    "NXT",   "OPT",      "PX",    "RESERVED0", "RESINFO", "RKEY",     "RT",       "SINK",
    "TA",    "TALINK",   "TKEY",  "TSIG",      "UID",     "UINFO",    "UNSPEC",   "WALLET",
    "WKS",   "X25"};

char upper(char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

}  // namespace

bool same_letters(std::string_view left, std::string_view right) {
    return std::ranges::equal(left, right, {}, upper, upper);
}

std::optional<std::uint32_t> number(std::string_view text, std::uint32_t most) {
    std::uint32_t value = 0;
    const auto [rest, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (status != std::errc{} || rest != text.data() + text.size() || value > most)
        return std::nullopt;
    return value;
}

bool numbered(std::string_view word, std::string_view prefix) {
    if (word.size() <= prefix.size() || !same_letters(word.substr(0, prefix.size()), prefix))
        return false;
    word.remove_prefix(prefix.size());
    if (word[0] == '+' || word[0] == '-') word.remove_prefix(1);
    return !word.empty() && word.find_first_not_of("0123456789") == std::string_view::npos;
}

std::optional<std::uint16_t> class_of(std::string_view word) {
    if (same_letters(word, "CHAOS")) return 3;
    if (same_letters(word, "HESIOD")) return 4;
    return core::class_number(word);
}

std::string reverse_name(const IpAddress& address) {
    constexpr std::string_view digits = "0123456789abcdef";
    const std::span<const std::uint8_t> bytes = std::span(address.bytes()).first(address.size());
    std::string name;
    for (std::size_t left = bytes.size(); left > 0; --left) {
        const std::uint8_t byte = bytes[left - 1];
        if (address.is_v4())
            name += std::to_string(byte) + '.';
        else
            name.append({digits[byte & 0xfU], '.', digits[byte >> 4U], '.'});
    }
    return name + (address.is_v4() ? "in-addr.arpa." : "ip6.arpa.");
}

bool is_other_type(std::string_view word) {
    return std::any_of(std::begin(other_types), std::end(other_types),
                       [&](std::string_view type) { return same_letters(word, type); });
}

}  // namespace dnsdirector::config
