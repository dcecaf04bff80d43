// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "probe/clock.h"
#include "probe/file_probe.h"
#include "unit/probe/checks.h"
#include "unit/probe/drive.h"
#include "unit/support/wait.h"

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

/// A file system where /hung does not answer until open().
class Hanging {
public:
    FileStart read(const std::string& path) {
        std::unique_lock lock(mutex_);
        ++reads_;
        most_ = std::max(most_, ++inside_);
        changed_.wait(lock, [&] { return open_ || path != "/hung"; });
        --inside_;
        return {.text = "1"};
    }
    void open() {
        const std::lock_guard lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }
    std::size_t of(std::size_t Hanging::* count) {
        const std::lock_guard lock(mutex_);
        return this->*count;
    }

    std::size_t inside_ = 0, most_ = 0, reads_ = 0;

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = false;
};

class HangingFiles : public testing::Test {
protected:
    void TearDown() override {
        files_->open();
        EXPECT_TRUE(support::eventually([&] { return files_->of(&Hanging::inside_) == 0; }));
    }
    /// Waits until so many reads are done.
    void expect_done(std::size_t count) {
        EXPECT_TRUE(support::eventually([&] {
            for (const std::uint64_t owner : reader_->take())
                done_.push_back(owner);
            return done_.size() >= count;
        }));
        EXPECT_EQ(done_.size(), count);
    }

    std::shared_ptr<Hanging> files_ = std::make_shared<Hanging>();
    std::unique_ptr<FileReader> reader_ = std::make_unique<FileReader>(
        [files = files_](const std::string& path) { return files->read(path); });
    std::vector<std::uint64_t> done_;
};

TEST_F(HangingFiles, FailAtTheirTimeoutAndHoldUpNoOthers) {
    FileProbe hung(*reader_, 1, {.path = "/hung"}, Milliseconds{50});
    FileProbe good(*reader_, 2, {.path = "/good"}, Milliseconds{50});
    const TimePoint begun = now();
    EXPECT_EQ(hung.start(begun), std::nullopt);
    EXPECT_EQ(hung.wake(), begun + Milliseconds{50});
    EXPECT_EQ(good.start(begun), std::nullopt);
    expect_done(1);
    EXPECT_EQ(done_, std::vector<std::uint64_t>{2});
    const Probe::Progress passed = good.on_event(now());
    ASSERT_TRUE(passed.has_value());
    EXPECT_EQ(passed->weight_change, 1);

    for (int round = 0; round < 3; ++round) {
        const Probe::Progress failed = hung.on_timeout(now());
        ASSERT_TRUE(failed.has_value());
        EXPECT_EQ(failed->failure, Failure::local);
        EXPECT_EQ(failed->reason, "cannot read /hung: timed out after 50ms");
        EXPECT_EQ(hung.start(now()), std::nullopt);
        EXPECT_EQ(hung.on_event(now()), std::nullopt);
    }
    // None beside the one that hangs.
    EXPECT_TRUE(support::eventually([&] { return files_->of(&Hanging::reads_) >= 2; }));
    EXPECT_EQ(files_->of(&Hanging::reads_), 2U);

    files_->open();
    expect_done(2);
    const Probe::Progress back = hung.on_event(now());
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(back->failure, Failure::none);
}

TEST_F(HangingFiles, TakeNoMoreThanSoManyThreads) {
    constexpr std::size_t many = 3 * FileReader::most_threads;
    for (std::size_t owner = 0; owner < many; ++owner)
        EXPECT_FALSE(reader_->submit("/hung", owner)->done);
    EXPECT_TRUE(support::eventually(
        [&] { return files_->of(&Hanging::inside_) == FileReader::most_threads; }));
    files_->open();
    expect_done(many);
    EXPECT_EQ(files_->of(&Hanging::most_), std::size_t{FileReader::most_threads});
}

TEST_F(HangingFiles, AreNotWaitedForAtTheEnd) {
    const auto read = reader_->submit("/hung", 1);
    EXPECT_TRUE(support::eventually([&] { return files_->of(&Hanging::inside_) == 1; }));
    reader_.reset();
    EXPECT_FALSE(read->done);
}

}  // namespace
}  // namespace dnsdirector::probe
