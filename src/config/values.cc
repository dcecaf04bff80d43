// SPDX-License-Identifier: Apache-2.0
#include "config/values.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace dnsdirector::config {
namespace {

bool digit(char c) {
    return c >= '0' && c <= '9';
}

bool letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

struct Unit {
    std::string_view name;
    std::int64_t nanoseconds;
};

constexpr std::array<Unit, 7> units = {{{"", 1'000'000'000},
                                        {"ns", 1},
                                        {"us", 1'000},
                                        {"ms", 1'000'000},
                                        {"s", 1'000'000'000},
                                        {"m", 60'000'000'000},
                                        {"h", 3'600'000'000'000}}};

/// Nanoseconds of digits[.digits] times `unit`; saturates far beyond any limit.
std::int64_t scaled(std::string_view whole, std::string_view fraction, std::int64_t unit) {
    std::int64_t value = 0;
    for (const char c : whole)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, c - '0', &value))
            return INT64_MAX;
    if (__builtin_mul_overflow(value, unit, &value)) return INT64_MAX;
    for (const char c : fraction) {
        unit /= 10;
        if (__builtin_add_overflow(value, unit * (c - '0'), &value)) return INT64_MAX;
    }
    return value;
}

}  // namespace

std::string as_keepalived_reads(std::string_view text) {
    if (text.starts_with('+')) text.remove_prefix(1);
    std::string number(text);
    if (number.size() < 2) return number;
    if (number.front() == '.') number.insert(0, 1, '0');
    if (number.back() == '.') number.pop_back();
    return number;
}

Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t minimum,
                                   std::uint64_t maximum) {
    if (text.empty() || !std::all_of(text.begin(), text.end(), digit))
        return fail("`{}` is not a number; it must be {} to {}", text, minimum, maximum);
    std::uint64_t value = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (status != std::errc{} || value < minimum || value > maximum)
        return fail("{} is out of range; it must be {} to {}", text, minimum, maximum);
    return value;
}

Result<std::int64_t> parse_signed(std::string_view text, std::int64_t minimum,
                                  std::int64_t maximum) {
    std::int64_t value = 0;
    const auto [stopped, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || status != std::errc{} || stopped != text.data() + text.size() ||
        value < minimum || value > maximum)
        return fail("`{}` is not a number from {} to {}", text, minimum, maximum);
    return value;
}

Result<std::vector<std::uint8_t>> parse_hex(std::string_view text) {
    const auto value_of = [](char c) {
        if (digit(c)) return c - '0';
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    };
    std::vector<std::uint8_t> bytes;
    // keepalived takes a digit that stands alone for a byte.
    if (text.size() == 1 && value_of(text[0]) >= 0)
        return std::vector{static_cast<std::uint8_t>(value_of(text[0]))};
    if (text.size() % 2 != 0)
        return fail("`{}` is half a byte too long; a byte is two hexadecimal digits", text);
    for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
        const int high = value_of(text[at]);
        const int low = value_of(text[at + 1]);
        if (high < 0 || low < 0)
            return fail("`{}` is not made of hexadecimal digits", text.substr(at, 2));
        bytes.push_back(static_cast<std::uint8_t>(high * 16 + low));
    }
    return bytes;
}

Result<std::pair<std::uint16_t, std::uint16_t>> parse_status_range(std::string_view text) {
    const auto dash = std::min(text.find('-'), text.size());
    const auto first = parse_number(text.substr(0, dash), 100, 599);
    const auto last = dash == text.size() ? first : parse_number(text.substr(dash + 1), 100, 599);
    if (!first || !last || *first > *last)
        return fail(
            "`{}` is not an HTTP status, 100 to 599, or a range of them; write 200 or 200-299",
            text);
    return std::pair{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
}

Result<std::uint32_t> parse_percent(std::string_view text) {
    const std::string_view digits = text.ends_with('%') ? text.substr(0, text.size() - 1) : text;
    const auto value = parse_number(digits, 0, 100);
    if (!value) return fail("`{}` is not a share; write 0% to 100%", text);
    return static_cast<std::uint32_t>(*value);
}

Result<Nanoseconds> parse_duration(std::string_view text, Nanoseconds minimum,
                                   Nanoseconds maximum) {
    const auto first_not_digit = [](std::string_view part) {
        return static_cast<std::size_t>(std::find_if_not(part.begin(), part.end(), digit) -
                                        part.begin());
    };
    const std::string_view whole = text.substr(0, first_not_digit(text));
    std::string_view rest = text.substr(whole.size());
    std::string_view fraction;
    if (rest.starts_with('.')) {
        fraction = rest.substr(1, first_not_digit(rest.substr(1)));
        rest = rest.substr(1 + fraction.size());
        if (fraction.empty()) return fail("`{}` is not a duration; write it as 1.5s", text);
    }
    if (whole.empty())
        return fail("`{}` is not a duration; write a number and a unit, such as 500ms, 1s or 2m",
                    text);
    const auto* const unit =
        std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == rest; });
    if (unit == units.end())
        return fail(
            "`{}` ends in an unknown unit `{}`; the units are ms, s, m and h (none: seconds)", text,
            rest);
    const Nanoseconds value{scaled(whole, fraction, unit->nanoseconds)};
    if (value < minimum || value > maximum)
        return fail("{} is out of range; it must be {} to {}", text, to_text(minimum),
                    to_text(maximum));
    return value;
}

Result<IpAddress> parse_address(std::string_view text) {
    if (const auto address = IpAddress::parse(text)) return *address;
    if (text.find('/') != std::string_view::npos &&
        IpAddress::parse(text.substr(0, text.find('/'))))
        return fail("`{}` has a prefix length; write the address alone", text);
    if (text.find('%') != std::string_view::npos)
        return fail("`{}` has a scope; write the address alone", text);
    if (Endpoint::parse(text)) return fail("`{}` has a port; write the address alone", text);
    return fail("`{}` is not an IPv4 or IPv6 address", text);
}

Result<std::string> parse_name(std::string_view text) {
    const auto allowed = [](char c) {
        return letter(c) || digit(c) || c == '_' || c == '-' || c == '.';
    };
    if (text.empty() || text.size() > 64 || text.front() == '-' ||
        !std::all_of(text.begin(), text.end(), allowed))
        return fail(
            "`{}` is not a name; use 1 to 64 letters, digits, `_`, `-` and `.`, not `-` first",
            text);
    if (IpAddress::parse(text))
        return fail("`{}` reads as an address, and commands would take it for one; use a name",
                    text);
    return std::string(text);
}

Result<std::string> parse_interface(std::string_view text) {
    const auto refused = [](char c) {
        return c == '/' || c == ':' || c == '%' || static_cast<unsigned char>(c) <= ' ' ||
               c == 0x7f;
    };
    if (text.empty() || text.size() > 15 || text == "." || text == ".." ||
        std::any_of(text.begin(), text.end(), refused))
        return fail(
            "`{}` cannot be the name of a network interface (1 to 15 characters, no / or :)", text);
    return std::string(text);
}

Result<bool> parse_flag(std::string_view text) {
    if (text == "on" || text == "yes" || text == "true") return true;
    if (text == "off" || text == "no" || text == "false") return false;
    return fail("`{}` is not understood; write on or off", text);
}

}  // namespace dnsdirector::config
