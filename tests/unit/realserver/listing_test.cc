// SPDX-License-Identifier: Apache-2.0
#include "realserver/listing.h"

#include <gtest/gtest.h>

namespace dnsdirector::realserver {
namespace {

std::string listed(const std::string& objects) {
    return R"({"nftables": [{"metainfo": {"version": "1.0.6"}}, )" + objects + "]}";
}

TEST(RealServerListing, IsComparedWithoutWhatChangesByItself) {
    const auto before = comparable(listed(
        R"({"counter": {"name": "a", "handle": 6, "packets": 0, "bytes": 0}},
           {"set": {"name": "s", "handle": 8, "flags": ["timeout"], "timeout": 10}},
           {"rule": {"handle": 9, "expr": [{"counter": {"packets": 0, "bytes": 0}}]}})"));
    const auto after = comparable(listed(
        R"({"counter": {"name": "a", "handle": 16, "packets": 7, "bytes": 400}},
           {"set": {"name": "s", "handle": 18, "flags": ["timeout"], "timeout": 10,
                    "elem": [{"elem": {"val": "192.0.2.1", "expires": 3}}]}},
           {"rule": {"handle": 19, "expr": [{"counter": {"packets": 3, "bytes": 1}}]}})"));
    ASSERT_TRUE(before && after);
    EXPECT_EQ(*before, *after);
}

TEST(RealServerListing, TellsApartWhatSomebodyChanged) {
    const auto original = comparable(listed(R"({"rule": {"handle": 9, "expr": [{"accept": null}]}},
                                               {"set": {"name": "s", "elem": ["192.0.2.1"]}})"));
    const auto rule = comparable(listed(R"({"rule": {"handle": 9, "expr": [{"drop": null}]}},
                                           {"set": {"name": "s", "elem": ["192.0.2.1"]}})"));
    const auto element = comparable(listed(R"({"rule": {"handle": 9, "expr": [{"accept": null}]}},
                                              {"set": {"name": "s", "elem": ["192.0.2.2"]}})"));
    ASSERT_TRUE(original && rule && element);
    EXPECT_NE(*original, *rule);
    EXPECT_NE(*original, *element);
}

TEST(RealServerListing, FindsTheCountersOfProcessesWhateverTheirNames) {
    const auto counters = counters_in(listed(
        R"({"counter": {"name": "process.bind1.udp.queries", "packets": 5, "bytes": 300}},
           {"counter": {"name": "process.2.udp.queries.tcp.replies", "packets": 2, "bytes": 90}},
           {"counter": {"name": "tunnel.refused", "packets": 4, "bytes": 80}},
           {"counter": {"name": "process.udp.queries", "packets": 1, "bytes": 1}},
           {"counter": {"name": "somebody's", "packets": 1, "bytes": 1}})"));
    ASSERT_TRUE(counters);
    const std::vector<RuleCounter> expected = {
        {"bind1", Protocol::udp, Way::queries, 5, 300},
        {"2.udp.queries", Protocol::tcp, Way::replies, 2, 90}};
    EXPECT_EQ(counters->processes, expected);
    EXPECT_EQ(counters->refused_tunnels, 4U);
}

TEST(RealServerListing, ThatIsNoneIsAnError) {
    for (const char* text : {"", "table inet x {", "[]", R"({"nftables": 3})"}) {
        const auto result = comparable(text);
        ASSERT_FALSE(result) << text;
        EXPECT_NE(result.error().message.find("nft did not print"), std::string::npos);
    }
}

}  // namespace
}  // namespace dnsdirector::realserver
