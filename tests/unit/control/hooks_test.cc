// SPDX-License-Identifier: Apache-2.0
#include "control/hooks.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "probe/clock.h"

namespace dnsdirector::control {
namespace {

using Steady = std::chrono::steady_clock;

class HooksTest : public testing::Test {
protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "hooks-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        directory_ = name;
        ASSERT_EQ(::chmod(name.c_str(), 0777), 0);  // scripts may run as another user
        make({});
    }
    void TearDown() override {
        hooks_.reset();
        std::filesystem::remove_all(directory_);
    }
    void make(HookSettings settings) {
        auto hooks = Hooks::create(std::move(settings));
        ASSERT_TRUE(hooks);
        hooks_ = std::move(*hooks);
    }

    [[nodiscard]] std::string path(const std::string& name) const {
        return directory_ + "/" + name;
    }
    [[nodiscard]] std::string content(const std::string& name) const {
        std::ostringstream text;
        text << std::ifstream(path(name)).rdbuf();
        return text.str();
    }

    static Endpoint server(int number) {
        return {*IpAddress::parse("203.0.113." + std::to_string(number)), 53};
    }
    static core::Command shell(const std::string& text) { return {{"/bin/sh", "-c", text}, ""}; }
    /// Server `number` with these commands; quorum commands likewise.
    core::Service service(const std::string& up, const std::string& down, int number = 1) {
        core::Service made;
        made.key = {*IpAddress::parse("192.0.2.53"), 53, Protocol::udp};
        core::RealServer& one = made.real_servers.emplace_back();
        one.endpoint = server(number);
        if (!up.empty()) one.notify_up = made.quorum_up = shell(up);
        if (!down.empty()) one.notify_down = made.quorum_down = shell(down);
        return made;
    }

    /// One turn of an event loop.
    void turn() {
        pollfd ready{hooks_->descriptor(), POLLIN, 0};
        ::poll(&ready, 1, 5);
        if (ready.revents != 0) hooks_->on_readable();
        if (const auto due = hooks_->deadline(); due && *due <= probe::now())
            hooks_->on_deadline(probe::now());
    }
    bool wait(const std::function<bool()>& done) {
        const auto end = Steady::now() + Seconds{20};
        while (!done()) {
            if (Steady::now() > end) return false;
            turn();
        }
        return true;
    }
    bool wait_until_idle() {
        return wait([this] {
            const HookStatistics now = hooks_->statistics();
            return now.running == 0 && now.waiting == 0;
        });
    }

    std::string directory_;
    std::unique_ptr<Hooks> hooks_;
};

TEST_F(HooksTest, RunTheCommandForWhatHappened) {
    const core::Service one = service("echo up >> " + path("log"), "echo down >> " + path("log"));
    hooks_->tell(one, {server(1), true});
    hooks_->tell(one, {server(1), false});
    ASSERT_TRUE(wait_until_idle());
    EXPECT_EQ(content("log"), "up\ndown\n");
    EXPECT_EQ(hooks_->statistics().started, 2U);
    EXPECT_EQ(hooks_->statistics().failed, 0U);
}

TEST_F(HooksTest, NothingRunsWhereNoCommandIsConfigured) {
    hooks_->tell(service("", ""), {server(1), true});
    hooks_->tell(service("true", "true"), {server(99), true});
    EXPECT_EQ(hooks_->statistics().waiting + hooks_->statistics().running, 0U);
}

TEST_F(HooksTest, OneServersCommandsNeverOverlapNorOvertake) {
    // Each takes a lock that fails when another one is inside; the first ones are slower.
    const auto script = [&](const char* word) {
        return "mkdir " + path("inside") + " || echo overlap >> " + path("log") + "; echo " + word +
               " >> " + path("log") + "; n=$(wc -l < " + path("log") +
               "); [ $n -gt 3 ] || sleep 0.1; "
               "rmdir " +
               path("inside");
    };
    const core::Service one = service(script("up"), script("down"));
    std::string expected;
    for (int i = 0; i < 10; ++i) {
        hooks_->tell(one, {server(1), i % 2 == 0});
        expected += i % 2 == 0 ? "up\n" : "down\n";
    }
    ASSERT_TRUE(wait_until_idle());
    EXPECT_EQ(content("log"), expected);
}

TEST_F(HooksTest, AHangingCommandDelaysNoOtherServers) {
    hooks_->tell(service("sleep 300", ""), {server(1), true});
    hooks_->tell(service("echo there > " + path("other"), "", 2), {server(2), true});
    hooks_->tell(service("echo there > " + path("quorum"), ""), {std::nullopt, true});
    EXPECT_TRUE(
        wait([this] { return content("other") == "there\n" && content("quorum") == "there\n"; }));
    EXPECT_TRUE(wait([this] { return hooks_->statistics().running == 1; }));
}

TEST_F(HooksTest, ALateCommandIsEndedWithItsWholeGroupAndTheNextOneRuns) {
    make({.time_limit = Seconds{2}});  // in which a shell has begun
    const core::Service one =
        service("echo $$ > " + path("pid") + "; sleep 300 & wait", "echo down > " + path("log"));
    hooks_->tell(one, {server(1), true});
    hooks_->tell(one, {server(1), false});
    ASSERT_TRUE(wait_until_idle());
    EXPECT_EQ(content("log"), "down\n");
    EXPECT_EQ(hooks_->statistics().failed, 1U);
    const pid_t leader = std::stoi(content("pid"));
    EXPECT_TRUE(wait([&] { return ::kill(-leader, 0) != 0; })) << "the sleep is left behind";
}

TEST_F(HooksTest, WhatIgnoresTermIsKilled) {
    make({.time_limit = Milliseconds{200}});
    hooks_->tell(service("trap '' TERM; while :; do sleep 1; done", ""), {server(1), true});
    ASSERT_TRUE(wait_until_idle());
    EXPECT_EQ(hooks_->statistics().failed, 1U);
}

TEST_F(HooksTest, SupersededPairsAreLeftOutAndTheLastWordStands) {
    make({.waiting_for_one = 4});
    const core::Service one =
        service("sleep 0.3; echo up >> " + path("log"), "echo down >> " + path("log"));
    for (int i = 0; i < 21; ++i)
        hooks_->tell(one, {server(1), i % 2 == 0});
    ASSERT_TRUE(wait_until_idle());
    const std::string log = content("log");
    EXPECT_TRUE(log.ends_with("up\n")) << log;
    EXPECT_GT(hooks_->statistics().dropped, 0U);
    EXPECT_EQ(hooks_->statistics().dropped % 2, 0U);
    EXPECT_EQ(hooks_->statistics().started + hooks_->statistics().dropped, 21U);
    EXPECT_EQ(log.find("up\nup"), std::string::npos) << log;
}

TEST_F(HooksTest, OnlySoManyRunSideBySide) {
    make({.at_once = 3});
    for (int number = 1; number <= 12; ++number)
        hooks_->tell(service("echo x >> " + path("log") + "; sleep 0.05", "", number),
                     {server(number), true});
    EXPECT_EQ(hooks_->statistics().running, 3U);
    ASSERT_TRUE(wait([this] {
        EXPECT_LE(hooks_->statistics().running, 3U);
        return hooks_->statistics().running == 0 && hooks_->statistics().waiting == 0;
    }));
    EXPECT_EQ(content("log").size(), 24U);
}

TEST_F(HooksTest, FailuresAreCounted) {
    hooks_->tell(service("exit 3", ""), {server(1), true});
    core::Service missing = service("", "");
    missing.real_servers[0].notify_up = core::Command{{"/nonexistent/script"}, ""};
    missing.real_servers[0].endpoint = server(2);
    hooks_->tell(missing, {server(2), true});
    core::Service stranger = service("true", "", 3);
    stranger.real_servers[0].notify_up->user = "no-such-user";
    hooks_->tell(stranger, {server(3), true});
    ASSERT_TRUE(wait_until_idle());
    EXPECT_EQ(hooks_->statistics().failed, 3U);
}

TEST_F(HooksTest, TheEnvironmentIsCleanAndInputEmpty) {
    ::setenv("SECRET_OF_THE_DIRECTOR", "1", 1);
    hooks_->tell(service("env > " + path("env") + "; cat >> " + path("env") +
                             "; ls /proc/self/fd > " + path("fds"),
                         ""),
                 {server(1), true});
    ASSERT_TRUE(wait_until_idle());
    EXPECT_EQ(content("env").find("SECRET"), std::string::npos);
    EXPECT_NE(content("env").find("PATH="), std::string::npos);
    EXPECT_EQ(content("fds"), "0\n1\n2\n3\n");  // 3 is the directory that ls reads
}

TEST_F(HooksTest, WhenIdleComesWhenAllIsDoneOrTheTimeIsUp) {
    bool idle = false;
    hooks_->when_idle(probe::now() + Seconds{10}, [&] { idle = true; });
    EXPECT_TRUE(idle) << "at once";
    idle = false;
    hooks_->tell(service("sleep 0.1; echo done > " + path("log"), ""), {server(1), true});
    hooks_->when_idle(probe::now() + Seconds{20}, [&] { idle = true; });
    EXPECT_FALSE(idle);
    ASSERT_TRUE(wait([&] { return idle; }));
    EXPECT_EQ(content("log"), "done\n");

    idle = false;
    hooks_->tell(service("sleep 300", ""), {server(1), true});
    hooks_->when_idle(probe::now() + Milliseconds{200}, [&] { idle = true; });
    ASSERT_TRUE(wait([&] { return idle; }));
    EXPECT_EQ(hooks_->statistics().running, 1U);
    hooks_->give_up();
    EXPECT_TRUE(wait_until_idle());
}

}  // namespace
}  // namespace dnsdirector::control
