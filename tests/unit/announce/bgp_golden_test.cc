// SPDX-License-Identifier: Apache-2.0
//
// tests/bgp: of each NAME.conf the configuration of our own BIRD is NAME.bird, the part for an
// existing one NAME.part.bird, and that for FRR NAME.frr. tests/lab/test_bgp_config.py loads them
// into the daemons. To write them anew, and then review them:
//
//   UPDATE_EXPECTED=1 build/release/unit_tests --gtest_filter='BgpGolden.*'; git diff tests/bgp
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "announce/bird_config.h"
#include "announce/frr_config.h"
#include "unit/config/support.h"

namespace dnsdirector::announce {
namespace {

namespace fs = std::filesystem;

const fs::path corpus = fs::path(DNSDIRECTOR_SOURCE_DIR) / "tests" / "bgp";

std::string content_of(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

void expect(const fs::path& path, const std::string& text) {
    if (std::getenv("UPDATE_EXPECTED") != nullptr) std::ofstream(path) << text;
    EXPECT_EQ(text, content_of(path)) << path;
}

TEST(BgpGolden, EachBlockBecomesTheConfigurationThatIsExpected) {
    std::size_t files = 0;
    for (const auto& entry : fs::directory_iterator(corpus)) {
        fs::path path = entry.path();
        if (path.extension() != ".conf") continue;
        ++files;
        core::Bgp bgp = config::configuration_of(content_of(path)).bgp.value();
        bgp.daemon = core::RoutingDaemon::existing_frr;
        expect(path.replace_extension(".frr"), frr_config(bgp));
        bgp.daemon = core::RoutingDaemon::bird;
        expect(path.replace_extension(".bird"), bird_config(bgp));
        bgp.daemon = core::RoutingDaemon::existing_bird;
        expect(path.replace_extension(".part.bird"), bird_config(bgp));
    }
    EXPECT_GE(files, 5U);
}

}  // namespace
}  // namespace dnsdirector::announce
