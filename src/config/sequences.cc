// SPDX-License-Identifier: Apache-2.0
#include "config/sequences.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace dnsdirector::config {
namespace {

constexpr std::string_view blanks = " \t\r";

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

bool is_name(std::string_view text) {
    const auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_';
    };
    const bool digit_first = !text.empty() && text[0] >= '0' && text[0] <= '9';
    return !text.empty() && !digit_first && std::all_of(text.begin(), text.end(), good);
}

/// Splits at commas that stand outside braces. An empty text has no parts.
std::vector<std::string_view> parts_of(std::string_view text) {
    std::vector<std::string_view> parts;
    if (trim(text).empty()) return parts;
    int depth = 0;
    std::size_t start = 0;
    for (std::size_t at = 0; at <= text.size(); ++at) {
        const char c = at < text.size() ? text[at] : ',';
        if (c == '{') ++depth;
        if (c == '}') --depth;
        if (c != ',' || (depth > 0 && at < text.size())) continue;
        parts.push_back(trim(text.substr(start, at - start)));
        start = at + 1;
    }
    return parts;
}

/// What strtol(3) with base 0 reads, and nothing behind it.
Result<std::int64_t> parse_integer(std::string_view text) {
    std::string_view digits = text;
    const bool negative = digits.starts_with('-');
    if (negative || digits.starts_with('+')) digits.remove_prefix(1);
    int base = 10;
    if (digits.starts_with("0x") || digits.starts_with("0X")) {
        base = 16;
        digits.remove_prefix(2);
    } else if (digits.size() > 1 && digits.starts_with('0')) {
        base = 8;
    }
    // Far from overflow, so that a step further never is one.
    constexpr std::int64_t largest = std::int64_t{1} << 40;
    std::int64_t value = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (error != std::errc() || end != digits.data() + digits.size() || value < 0)
        return fail("`{}` is not a number", text);
    if (value > largest) return fail("{} is too large", text);
    return negative ? -value : value;
}

Result<Repetition> parse_sequence(const std::vector<std::string_view>& parts, bool hexadecimal) {
    if (parts.size() < 2 || parts.size() > 4)
        return fail("write ~SEQ(VARIABLE, START, STEP, END), START and STEP if need be");
    if (!is_name(parts[0])) return fail("`{}` is not a variable's name", parts[0]);
    std::vector<std::int64_t> numbers;
    for (const std::string_view part : std::vector(parts.begin() + 1, parts.end())) {
        const auto number = parse_integer(part);
        if (!number) return tl::unexpected(number.error());
        numbers.push_back(*number);
    }
    const std::int64_t end = numbers.back();
    std::int64_t start = end < 0 ? -1 : 1;
    if (numbers.size() > 1) start = numbers[0];
    std::int64_t step = start <= end ? 1 : -1;
    if (numbers.size() > 2) step = numbers[1];
    if (step == 0 || (start < end && step < 0) || (start > end && step > 0))
        return fail("steps of {} do not lead from {} to {}", step, start, end);
    if (hexadecimal && (start < 0 || end < 0)) return fail("~SEQx takes no negative numbers");
    return Repetition(std::string(parts[0]), {start, step, end, hexadecimal});
}

/// The words of `{a, b}`, or the one word `a`.
std::vector<std::string> row_of(std::string_view part) {
    std::vector<std::string> row;
    if (!part.starts_with('{') || !part.ends_with('}')) return {std::string(part)};
    for (const std::string_view word : parts_of(part.substr(1, part.size() - 2)))
        row.emplace_back(word);
    return row;
}

Result<Repetition> parse_list(const std::vector<std::string_view>& parts) {
    if (parts.size() < 2) return fail("write ~LST(VARIABLE, VALUE, VALUE…)");
    const std::vector<std::string> variables = row_of(parts[0]);
    for (const std::string& variable : variables)
        if (!is_name(variable)) return fail("`{}` is not a variable's name", variable);
    if (variables.empty()) return fail("a variable's name is missing");
    std::vector<std::vector<std::string>> rows;
    for (std::size_t i = 1; i < parts.size(); ++i) {
        std::vector<std::string> row = row_of(parts[i]);
        if (row.size() > variables.size())
            return fail("`{}` has {} values for {} variables", parts[i], row.size(),
                        variables.size());
        row.resize(variables.size());  // what is missing is empty
        rows.push_back(std::move(row));
    }
    return Repetition(variables, std::move(rows));
}

}  // namespace

std::optional<std::vector<std::string>> Repetition::next() {
    if (!sequence_) {
        if (row_ == rows_.size()) return std::nullopt;
        return rows_[row_++];
    }
    auto& [value, step, end, hexadecimal] = *sequence_;
    if (step > 0 ? value > end : value < end) return std::nullopt;
    const std::int64_t present = value;
    value += step;
    return std::vector{hexadecimal ? fmt::format("{:x}", present) : fmt::format("{}", present)};
}

bool starts_repetition(std::string_view line) {
    return line.starts_with("~SEQ") || line.starts_with("~LST");
}

Result<Repetition> parse_repetition(std::string_view line, std::size_t& length) {
    const bool list = line.starts_with("~LST");
    std::size_t at = 4;
    const bool hexadecimal = !list && line.substr(at).starts_with('x');
    if (hexadecimal) ++at;
    const std::size_t open = line.find_first_not_of(blanks, at);
    if (open == std::string_view::npos || line[open] != '(')
        return fail("a ( is missing behind {}", line.substr(0, at));
    const std::size_t close = line.find(')', open);
    if (close == std::string_view::npos) return fail("its closing ) is missing");
    length = close + 1;
    const auto parts = parts_of(line.substr(open + 1, close - open - 1));
    return list ? parse_list(parts) : parse_sequence(parts, hexadecimal);
}

}  // namespace dnsdirector::config
