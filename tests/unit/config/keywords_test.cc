// SPDX-License-Identifier: Apache-2.0
//
// The keyword table is whole, and the manual is made from it.
#include "config/keywords.h"

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "config/arguments.h"
#include "unit/config/support.h"

namespace dnsdirector::config {
namespace {

std::string called(const Keyword& keyword) {
    return block_name(keyword.in) + " " + std::string(keyword.name);
}

TEST(KeywordTable, EveryKeywordIsDescribed) {
    for (const Keyword* keyword : all_keywords()) {
        EXPECT_FALSE(keyword->help.empty()) << called(*keyword);
        EXPECT_FALSE(keyword->help.ends_with('.')) << called(*keyword);
        const bool must_explain = keyword->status != Status::effective;
        EXPECT_FALSE(must_explain && keyword->instead.empty()) << called(*keyword);
    }
}

TEST(KeywordTable, EveryKeywordWithAnEffectHasAHandlerOrABlock) {
    for (const Keyword* keyword : all_keywords()) {
        const bool effective = keyword->status == Status::effective;
        EXPECT_EQ(effective, keyword->handle != nullptr || keyword->opens == Block::http)
            << called(*keyword);
        EXPECT_TRUE(effective || !keyword->required) << called(*keyword);
    }
}

TEST(KeywordTable, NamesAreUniqueInTheirBlockAndAliasesHaveAnOriginal) {
    std::set<std::pair<Block, std::string_view>> names;
    for (const Keyword* keyword : all_keywords()) {
        EXPECT_TRUE(names.emplace(keyword->in, keyword->name).second) << called(*keyword);
        EXPECT_EQ(find_keyword(keyword->in, keyword->name), keyword);
        EXPECT_TRUE(keyword->alias_of.empty() ||
                    find_keyword(keyword->in, keyword->alias_of) != nullptr)
            << called(*keyword);
    }
}

TEST(KeywordTable, RangesAndChoicesFitTheKind) {
    for (const Keyword* keyword : all_keywords()) {
        const bool ranged = keyword->kind == Kind::number || keyword->kind == Kind::duration;
        EXPECT_TRUE(!ranged || keyword->minimum < keyword->maximum) << called(*keyword);
        const bool chosen = keyword->kind == Kind::one_of || keyword->kind == Kind::some_of ||
                            keyword->kind == Kind::expectation || keyword->kind == Kind::method;
        EXPECT_EQ(chosen, !choices_of(*keyword).empty()) << called(*keyword);
    }
}

/// A default that is an argument must be one that the keyword takes.
TEST(KeywordTable, DefaultsCanBeWrittenOut) {
    for (const Keyword* keyword : all_keywords()) {
        const bool plain = keyword->kind == Kind::one_of || keyword->kind == Kind::some_of ||
                           keyword->kind == Kind::duration || keyword->kind == Kind::percent ||
                           keyword->kind == Kind::statuses || keyword->kind == Kind::dns_type;
        if (keyword->standard.empty() || !plain || keyword->standard.starts_with("the ")) continue;
        Diagnostics diagnostics;
        diagnostics.add_file("default");
        Statement statement;
        statement.words.push_back({keyword->name, {}});
        std::string_view rest = keyword->standard;
        while (!rest.empty()) {
            const auto blank = std::min(rest.find(' '), rest.size());
            statement.words.push_back({rest.substr(0, blank), {}});
            rest.remove_prefix(std::min(blank + 1, rest.size()));
        }
        Arguments arguments;
        EXPECT_TRUE(read_arguments(*keyword, statement, diagnostics, arguments))
            << called(*keyword);
    }
}

TEST(KeywordTable, EveryBlockThatOpensIsInTheManual) {
    std::set<Block> described;
    for (const BlockInfo& info : all_blocks())
        EXPECT_TRUE(described.insert(info.block).second) << info.title;
    for (const Keyword* keyword : all_keywords()) {
        EXPECT_TRUE(described.contains(keyword->in)) << called(*keyword);
        const bool real = keyword->opens != Block::none && keyword->opens != Block::skipped;
        EXPECT_TRUE(!real || described.contains(keyword->opens)) << called(*keyword);
    }
}

TEST(Manual, NamesEveryKeyword) {
    const std::string manual = reference_markdown();
    for (const Keyword* keyword : all_keywords()) {
        const std::string start = "`" + std::string(keyword->name);
        EXPECT_TRUE(manual.find(start + "`") != std::string::npos ||
                    manual.find(start + " ") != std::string::npos)
            << called(*keyword);
    }
}

TEST(Manual, ExamplesAreGoodConfigurations) {
    for (const BlockInfo& info : all_blocks()) {
        std::string text(info.before);
        text.append(info.example).append(info.after);
        const Loaded loaded = parse_text(text);
        EXPECT_TRUE(loaded.ok()) << info.title;
        for (const Message& message : loaded.messages)
            EXPECT_EQ(message.severity, Severity::warning) << message.to_string() << "\n" << text;
    }
}

/// To write the file anew: UPDATE_MANUAL=1 build/release/unit_tests --gtest_filter='Manual.*'
TEST(Manual, InDocsIsTheOneOfTheTable) {
    const std::string path = DNSDIRECTOR_SOURCE_DIR "/docs/configuration.md";
    if (std::getenv("UPDATE_MANUAL") != nullptr) std::ofstream(path) << reference_markdown();
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    EXPECT_TRUE(text.str() == reference_markdown())
        << path << " is not what the keyword table gives; run this test with UPDATE_MANUAL=1";
}

TEST(Manual, SuppliedExamplesAreGoodConfigurations) {
    for (const char* name : {"resolvers.conf", "keepalived.conf"}) {
        const Loaded loaded = load(std::string(DNSDIRECTOR_SOURCE_DIR "/examples/") + name);
        EXPECT_TRUE(loaded.ok()) << name;
    }
}

}  // namespace
}  // namespace dnsdirector::config
