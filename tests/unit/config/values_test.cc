// SPDX-License-Identifier: Apache-2.0
#include "config/values.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <chrono>

#include "config/script_words.h"
#include "config/suggest.h"

namespace dnsdirector::config {
namespace {

using namespace std::chrono_literals;

Nanoseconds duration(std::string_view text) {
    return parse_duration(text, 0s, 1000h).value_or(Nanoseconds{-1});
}

TEST(Durations, HaveUnitsAndAreSecondsWithout) {
    EXPECT_EQ(duration("500ms"), 500ms);
    EXPECT_EQ(duration("1s"), 1s);
    EXPECT_EQ(duration("2m"), 2min);
    EXPECT_EQ(duration("1h"), 1h);
    EXPECT_EQ(duration("1.5s"), 1500ms);
    EXPECT_EQ(duration("10"), 10s);
    EXPECT_EQ(duration("0.25"), 250ms);
    EXPECT_EQ(duration("250us"), 250us);
    EXPECT_EQ(duration("0"), 0s);
    EXPECT_EQ(duration("1.0000000009s"), 1s);
}

TEST(Durations, RefuseJunkAndOverflow) {
    for (const char* text : {"", "s", "6x", "1 s", "-1s", "+1s", "1.5.5s", "1e3", "0x10", ".5",
                             "5.", "99999999999999999999999", "9223372036854775807h", "1sm"})
        EXPECT_FALSE(parse_duration(text, 0s, 1000h)) << text;
}

RC_GTEST_PROP(Durations, ReadWhatToTextPrints, ()) {
    const Nanoseconds value{*rc::gen::inRange<std::int64_t>(0, Nanoseconds{24h}.count())};
    RC_ASSERT(duration(to_text(value)) == value);
}

RC_GTEST_PROP(Numbers, ReadThemselvesWithinTheirRangeOnly, (std::uint32_t value)) {
    const std::string text = std::to_string(value);
    RC_ASSERT(parse_number(text, 0, UINT32_MAX).value() == value);
    RC_ASSERT(!parse_number(text + "x", 0, UINT32_MAX));
    RC_ASSERT(!parse_number(text, static_cast<std::uint64_t>(value) + 1, UINT64_MAX));
}

TEST(EditDistance, CountsASwapAsOne) {
    EXPECT_EQ(edit_distance("weight", "weight"), 0U);
    EXPECT_EQ(edit_distance("wieght", "weight"), 1U);
    EXPECT_EQ(edit_distance("Weight", "weight"), 0U);
    EXPECT_EQ(edit_distance("wegiht", "weight"), 1U);
    EXPECT_EQ(edit_distance("", "abc"), 3U);
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

RC_GTEST_PROP(EditDistance, IsADistance, (const std::string& a, const std::string& b)) {
    RC_ASSERT(edit_distance(a, b) == edit_distance(b, a));
    RC_ASSERT(edit_distance(a, a) == 0U);
    RC_ASSERT(edit_distance(a, b) <= std::max(a.size(), b.size()));
}

TEST(Nearest, IsSilentWhenNothingIsNear) {
    constexpr std::array<std::string_view, 3> words = {"weight", "port", "address"};
    EXPECT_EQ(nearest("wieght", words), "weight");
    EXPECT_EQ(nearest("WEIGHT", words), "weight");
    EXPECT_EQ(nearest("bananas", words), "");
    EXPECT_EQ(nearest(std::string(1000000, 'x'), words), "");
}

/// What a shell would need quoting for comes through whole.
RC_GTEST_PROP(ScriptWords, QuotedWordsComeThroughWhole, (std::vector<std::string> words)) {
    std::string command = "/bin/x";
    std::vector<std::string> expected = {"/bin/x"};
    for (std::string& word : words) {
        std::erase(word, '\0');
        command += " \"";
        for (const char c : word) {
            if (c == '"' || c == '\\') command.push_back('\\');
            command.push_back(c);
        }
        command.push_back('"');
        expected.push_back(word);
    }
    RC_ASSERT(parse_script(command).value().arguments == expected);
}

TEST(ScriptWords, EscapesAreThoseOfC) {
    EXPECT_EQ(parse_script("/x \\x41\\102\\tz \\cA \\q \"a\\\"b\"").value().arguments,
              (std::vector<std::string>{"/x", "AB\tz", "\x01", "q", "a\"b"}));
    EXPECT_FALSE(parse_script("/x \\"));
    EXPECT_FALSE(parse_script("/x \\0"));
}

}  // namespace
}  // namespace dnsdirector::config
