// SPDX-License-Identifier: Apache-2.0
#include "control/overrides_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace dnsdirector::control {
namespace {

class OverridesStore : public testing::Test {
protected:
    void SetUp() override {
        std::string name = testing::TempDir() + "overrides-XXXXXX";
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        directory_ = name;
        path_ = name + "/overrides.json";
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    std::string directory_;
    std::string path_;
};

TEST_F(OverridesStore, ReadsBackWhatWasSaved) {
    core::Overrides overrides;
    overrides.drained.insert(
        {"resolvers", {*IpAddress::parse("2001:db8:1::1"), 53}, Protocol::tcp});
    overrides.drained.insert({"", {*IpAddress::parse("203.0.113.11"), 53}, Protocol::udp});
    overrides.withdrawn = {*IpAddress::parse("192.0.2.53"), *IpAddress::parse("2001:db8::53")};
    ASSERT_TRUE(save_overrides(path_, overrides));
    EXPECT_EQ(load_overrides(path_).value(), overrides);
}

TEST_F(OverridesStore, NothingSavedIsNoOverride) {
    EXPECT_EQ(load_overrides(path_).value(), core::Overrides{});
}

TEST_F(OverridesStore, RefusesADamagedFileWithItsPath) {
    for (const char* text : {"", "[]", "{\"drained\": 3}", "{\"drained\": [{\"server\": \"x\"}]}",
                             "{\"drained\": [{\"server\": 3}]}", "{\"all_drained\": \"yes\"}"}) {
        std::ofstream(path_) << text;
        const auto loaded = load_overrides(path_);
        ASSERT_FALSE(loaded) << text;
        EXPECT_NE(loaded.error().message.find(path_), std::string::npos);
    }
}

TEST_F(OverridesStore, SaysWhereItCannotWrite) {
    const auto saved = save_overrides(directory_ + "/missing/overrides.json", {});
    ASSERT_FALSE(saved);
    EXPECT_NE(saved.error().message.find("/missing/"), std::string::npos);
}

}  // namespace
}  // namespace dnsdirector::control
