// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "unit/probe/checks.h"
#include "unit/probe/drive.h"

namespace dnsdirector::probe {
namespace {

using core::Failure;
using test::check_of;
using test::Recorder;

class Files : public testing::Test {
protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "file-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        directory_ = name;
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    [[nodiscard]] std::string path() const { return directory_ / "value"; }
    void write(const std::string& text) const { std::ofstream(path()) << text; }
    core::Verdict ask(std::int32_t weight, bool reverse = false) {
        return recorder_.ask(
            check_of({}, core::FileCheck{.path = path(), .weight = weight, .reverse = reverse}));
    }

    Recorder recorder_;
    std::filesystem::path directory_;
};

TEST_F(Files, WithWeightZeroAnyNumberButZeroTakesTheServerDown) {
    write("0\n");
    EXPECT_TRUE(ask(0).passed());
    EXPECT_EQ(ask(0, true).reason, "0 in " + path() + ", expected another number than 0");
    write("1\n");
    const core::Verdict verdict = ask(0);
    EXPECT_EQ(verdict.failure, Failure::answer);
    EXPECT_EQ(verdict.reason, "1 in " + path() + ", expected 0");
    EXPECT_TRUE(ask(0, true).passed());
    write("-7 and more");
    EXPECT_EQ(ask(0).reason, "-7 in " + path() + ", expected 0");
}

TEST_F(Files, ElseTheNumberTimesTheWeightIsAddedToTheServersWeight) {
    write("10");
    EXPECT_EQ(ask(1).weight_change, 10);
    EXPECT_EQ(ask(3).weight_change, 30);
    EXPECT_EQ(ask(-3).weight_change, -30);
    EXPECT_EQ(ask(3, true).weight_change, -30);
    EXPECT_EQ(ask(1).weight, std::nullopt);
    write("-253");
    EXPECT_EQ(ask(1).weight_change, -253);
    write("-254");
    const core::Verdict verdict = ask(1);
    EXPECT_EQ(verdict.failure, Failure::answer);
    EXPECT_EQ(verdict.reason, "-254 in " + path() + ", times 1 is -254: -254 or less is a failure");
    write("2147483647");
    EXPECT_EQ(ask(254).weight_change, 2147483647);
}

TEST_F(Files, AMissingFileAndOneWithoutANumberCountAsZeroAsInKeepalived) {
    EXPECT_TRUE(ask(0).passed());
    EXPECT_EQ(ask(5).weight_change, 0);
    EXPECT_EQ(ask(0, true).reason,
              "no file " + path() + ", which counts as 0, expected another number than 0");
    write("maintenance");
    EXPECT_TRUE(ask(0).passed());
    EXPECT_EQ(ask(0, true).reason,
              "no number in " + path() + ", which counts as 0, expected another number than 0");
}

TEST_F(Files, ANumberBeyond32BitsLeavesTheOneBefore) {
    core::Check check = check_of({}, core::FileCheck{.path = path()});
    check.timing.every = Milliseconds{50};
    write("7");
    recorder_.prober->add(1, check, true);
    ASSERT_TRUE(recorder_.wait_for(1));
    write("99999999999");
    const std::size_t before = recorder_.verdicts.size();
    ASSERT_TRUE(recorder_.wait_for(before + 2));
    EXPECT_EQ(recorder_.verdicts.back().verdict.weight_change, 7);
    write("8");
    ASSERT_TRUE(test::drive(*recorder_.prober,
                            [&] { return recorder_.verdicts.back().verdict.weight_change == 8; }));
}

TEST_F(Files, WhatIsNoRegularFileIsRefusedAndNeverWaitedFor) {
    ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
    const core::Verdict fifo = ask(0);
    EXPECT_EQ(fifo.failure, Failure::local);
    EXPECT_EQ(fifo.reason, "cannot read " + path() + ": not a regular file");
    ASSERT_EQ(::unlink(path().c_str()), 0);
    ASSERT_EQ(::mkdir(path().c_str(), 0700), 0);
    EXPECT_EQ(ask(0).reason, "cannot read " + path() + ": not a regular file");
    ASSERT_EQ(::rmdir(path().c_str()), 0);
    ASSERT_EQ(::symlink("/dev/zero", path().c_str()), 0);
    EXPECT_EQ(ask(0).failure, Failure::local);
}

}  // namespace
}  // namespace dnsdirector::probe
