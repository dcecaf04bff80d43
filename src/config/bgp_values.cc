// SPDX-License-Identifier: Apache-2.0
#include "config/bgp_values.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "config/suggest.h"
#include "config/values.h"

namespace dnsdirector::config {
namespace {

struct WellKnown {
    std::string_view name;
    core::Community community;
};

/// The registry of well-known communities of IANA, those that concern an announcement.
constexpr std::array well_known = {
    WellKnown{"graceful-shutdown", core::graceful_shutdown_community},  // RFC 8326
    WellKnown{"no-export", {65535, 65281}},                             // RFC 1997
    WellKnown{"no-advertise", {65535, 65282}},                          // RFC 1997
    WellKnown{"no-export-subconfed", {65535, 65283}},                   // RFC 1997
    WellKnown{"no-peer", {65535, 65284}},                               // RFC 3765
};

std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> parts;
    for (;;) {
        const auto colon = text.find(':');
        parts.push_back(text.substr(0, colon));
        if (colon == std::string_view::npos) return parts;
        text.remove_prefix(colon + 1);
    }
}

bool is_printable(char c) {
    return c >= 0x20 && c < 0x7f && c != '"';
}

}  // namespace

Result<core::Communities> parse_community(std::string_view text) {
    core::Communities out;
    for (const WellKnown& each : well_known)
        if (text == each.name) {
            out.standard = {each.community};
            return out;
        }
    const auto parts = split(text);
    const bool large = parts.size() == 3;
    if (parts.size() != 2 && !large) {
        std::vector<std::string_view> names;
        names.reserve(std::size(well_known));
        for (const WellKnown& each : well_known)
            names.push_back(each.name);
        const auto near = nearest(text, names);
        if (!near.empty()) return fail("`{}` is no community; did you mean `{}`?", text, near);
        return fail("`{}` is no community; write 5430:100, or 5430:1:100 for a large one", text);
    }
    std::array<std::uint32_t, 3> numbers{};
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto number = parse_number(parts[i], 0, large ? UINT32_MAX : UINT16_MAX);
        if (!number && !large && parse_number(parts[i], 0, UINT32_MAX))
            return fail(
                "in `{0}` {1} is more than 65535, the most that a standard community holds; a "
                "large one has three numbers, as {0}:0",
                text, parts[i]);
        if (!number) return fail("in `{}`, {}", text, number.error().message);
        numbers[i] = static_cast<std::uint32_t>(*number);
    }
    if (large)
        out.large = {{numbers[0], numbers[1], numbers[2]}};
    else
        out.standard = {
            {static_cast<std::uint16_t>(numbers[0]), static_cast<std::uint16_t>(numbers[1])}};
    return out;
}

std::string_view reserved_as(core::AsNumber as) {
    switch (as) {
        case 0: return "stands for no AS (RFC 7607)";
        case 23456: return "only stands for longer numbers (AS_TRANS, RFC 6793)";
        case 65535:
        case 4294967295: return "is reserved (RFC 7300)";
        default: return "";
    }
}

Result<std::string> parse_description(std::string_view text) {
    constexpr std::size_t longest = 80;
    if (text.size() > longest)
        return fail("it has {} characters, and {} is the most", text.size(), longest);
    if (!std::all_of(text.begin(), text.end(), is_printable))
        return fail("`{}` holds something else than printable ASCII", text);
    if (text.empty() || text.front() == ' ' || text.back() == ' ' ||
        text.find("  ") != std::string_view::npos)
        return fail("`{}` is empty, or has blanks at an end or two in a row", text);
    return std::string(text);
}

Result<std::string> parse_bgp_password(std::string_view text) {
    if (text.empty()) return fail("it is empty; leave the line out where there is none");
    if (text.size() > core::longest_bgp_password)
        return fail("it has {} characters, and the kernel signs with {} at most (TCP MD5)",
                    text.size(), core::longest_bgp_password);
    if (!std::all_of(text.begin(), text.end(), [](char c) { return is_printable(c) && c != ' '; }))
        return fail("it may hold printable ASCII only, without blanks and double quotes");
    return std::string(text);
}

}  // namespace dnsdirector::config
