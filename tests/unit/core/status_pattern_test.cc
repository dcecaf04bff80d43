// SPDX-License-Identifier: Apache-2.0
#include "core/status_pattern.h"

#include <gtest/gtest.h>

namespace dnsdirector::core {
namespace {

TEST(StatusPattern, IsAnchoredAtTheStartOnlyAndCaseSensitive) {
    using Statuses = std::vector<std::uint16_t>;
    EXPECT_EQ(statuses_matching("SERVFAIL|REFUSED").value(), (Statuses{2, 5}));
    EXPECT_EQ(statuses_matching("NX").value(), (Statuses{3, 8}));
    EXPECT_EQ(statuses_matching("FAIL").value(), Statuses{});
    EXPECT_EQ(statuses_matching("servfail").value(), Statuses{});
    EXPECT_EQ(statuses_matching("RESERVED1[12]$").value(), (Statuses{11, 12}));
    EXPECT_EQ(statuses_matching("(?!NOERROR)").error().message.substr(0, 13), "\"(?!NOERROR)\"");
    EXPECT_EQ(statuses_matching("").value().size(), 4096);
}

}  // namespace
}  // namespace dnsdirector::core
