// SPDX-License-Identifier: Apache-2.0
#include "realserver/table_differences.h"

#include <gtest/gtest.h>

namespace dnsdirector::realserver {
namespace {

TEST(TableDifferences, AreCountedByChain) {
    const std::string wished =
        "{\"chain\":{\"name\":\"a\"}}\n{\"rule\":{\"chain\":\"a\",\"expr\":1}}\n"
        "{\"rule\":{\"chain\":\"a\",\"expr\":1}}\n{\"set\":{\"name\":\"s\"}}\n";
    using Lines = std::vector<std::string>;
    EXPECT_EQ(table_differences(wished, wished), Lines{});
    EXPECT_EQ(rules_in(wished), 2U);
    EXPECT_EQ(table_differences(wished, "{\"chain\":{\"name\":\"a\"}}\n"),
              (Lines{"set s is gone", "chain a: 2 rules are gone"}));
    EXPECT_EQ(table_differences("", "{\"rule\":{\"chain\":\"b\"}}\nwhat\n"),
              (Lines{"what is not ours", "chain b: 1 rule is not ours"}));
    EXPECT_EQ(
        table_differences("{\"set\":{\"name\":\"s\"}}\nx\n", "x\n{\"set\":{\"name\":\"s\"}}\n"),
        Lines{"its rules are in another order"});
}

}  // namespace
}  // namespace dnsdirector::realserver
