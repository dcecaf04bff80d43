// SPDX-License-Identifier: Apache-2.0
#include "control/run_dir.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace dnsdirector::control {
namespace {

mode_t mode_of(const std::string& path) {
    struct stat found{};
    return stat(path.c_str(), &found) == 0 ? found.st_mode & 07777U : 0;
}

TEST(RunDir, HasTheSameModeWhateverTheUmask) {
    const std::string base = testing::TempDir() + fmt::format("run_dir_test.{}", getpid());
    for (const mode_t mask : {0U, 022U, 077U}) {
        std::filesystem::remove_all(base);
        const mode_t before = umask(mask);
        {
            auto opened = RunDir::open(base + "/deep");
            umask(before);
            ASSERT_TRUE(opened) << opened.error().message;
            EXPECT_EQ(mode_of(base + "/deep"), 0755U) << "umask " << mask;
            EXPECT_EQ(mode_of(base + "/deep/lock"), 0600U);
        }
    }
    std::filesystem::remove_all(base);
}

TEST(RunDir, OneThatExistsKeepsItsModeAndPlace) {
    const std::string base = testing::TempDir() + fmt::format("run_dir_test_kept.{}", getpid());
    std::filesystem::remove_all(base);
    ASSERT_EQ(mkdir(base.c_str(), 0700), 0);
    auto opened = RunDir::open(base + "/");
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(mode_of(base), 0700U);
    opened->clean();
    EXPECT_TRUE(std::filesystem::is_directory(base)) << "it was not made here";
    std::filesystem::remove_all(base);
}

}  // namespace
}  // namespace dnsdirector::control
