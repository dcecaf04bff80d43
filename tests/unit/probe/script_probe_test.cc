// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "unit/probe/drive.h"

namespace dnsdirector::probe {
namespace {

using core::Failure;
using test::Recorder;
using test::Steady;

class Scripts : public testing::Test {
protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "probe-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        directory_ = name;
        // Scripts may run as another user.
        ASSERT_EQ(::chmod(name.c_str(), 0777), 0);
    }
    void TearDown() override { std::filesystem::remove_all(directory_); }

    [[nodiscard]] std::string path(const std::string& name) const { return directory_ / name; }

    [[nodiscard]] std::string content(const std::string& name) const {
        std::ostringstream text;
        text << std::ifstream(path(name)).rdbuf();
        return text.str();
    }

    static core::Check check_of(std::vector<std::string> arguments,
                                Milliseconds timeout = Milliseconds{3000}) {
        core::Check check;
        check.what = core::ScriptCheck{.arguments = std::move(arguments)};
        check.timing.every = Seconds{60};
        check.timing.timeout = timeout;
        return check;
    }
    static core::Check shell(const std::string& command,
                             Milliseconds timeout = Milliseconds{3000}) {
        return check_of({"/bin/sh", "-c", command}, timeout);
    }

    /// Waits until `done`, and lets the prober work meanwhile.
    static bool wait(Recorder& recorder, const std::function<bool()>& done,
                     Milliseconds at_most = Milliseconds{5000}) {
        const auto end = Steady::now() + at_most;
        while (!done()) {
            if (Steady::now() > end) return false;
            test::drive(*recorder.prober, done, Milliseconds{5});
        }
        return true;
    }
    /// Ended; whoever inherited it may be slow to reap it.
    static bool gone(const std::string& pid) {
        if (pid.empty()) return false;
        std::string number, name, state;
        std::ifstream stat("/proc/" + std::to_string(std::stoi(pid)) + "/stat");
        return !(stat >> number >> name >> state) || state == "Z";
    }

    std::filesystem::path directory_;
};

TEST_F(Scripts, ExitStatusIsTheVerdict) {
    Recorder recorder;
    EXPECT_EQ(recorder.ask(shell("exit 0")).failure, Failure::none);
    const core::Verdict failed = recorder.ask(shell("exit 3"));
    EXPECT_EQ(failed.failure, Failure::answer);
    EXPECT_EQ(failed.reason, "exit status 3");
    EXPECT_EQ(recorder.ask(shell("kill -9 $$")).reason, "killed by signal 9");
    EXPECT_EQ(recorder.prober->statistics().scripts, 3);
}

TEST_F(Scripts, ADynamicOneSetsTheWeightByItsExitStatus) {
    Recorder recorder;
    const auto ask = [&](const std::string& command) {
        core::Check check = shell(command);
        std::get<core::ScriptCheck>(check.what).dynamic = true;
        return recorder.ask(check);
    };
    const core::Verdict as_configured = ask("exit 0");
    EXPECT_TRUE(as_configured.passed());
    EXPECT_EQ(as_configured.weight, std::nullopt);
    EXPECT_EQ(ask("exit 1").reason, "exit status 1");
    EXPECT_EQ(ask("exit 1").failure, Failure::answer);
    EXPECT_EQ(ask("exit 2").weight, 0U);
    EXPECT_TRUE(ask("exit 2").passed());
    EXPECT_EQ(ask("exit 12").weight, 10U);
    EXPECT_EQ(ask("exit 255").weight, 253U);
    EXPECT_EQ(ask("kill -9 $$").failure, Failure::answer);
    EXPECT_EQ(recorder.ask(shell("exit 12")).failure, Failure::answer) << "not dynamic";
}

TEST_F(Scripts, WhatCannotBeRunIsALocalFailureWithItsReason) {
    Recorder recorder;
    const core::Verdict missing = recorder.ask(check_of({path("missing")}));
    EXPECT_EQ(missing.failure, Failure::local);
    EXPECT_EQ(missing.reason, "cannot run " + path("missing") + ": No such file or directory");
    std::ofstream(path("plain")) << "text";
    EXPECT_EQ(recorder.ask(check_of({path("plain")})).reason,
              "cannot run " + path("plain") + ": Permission denied");
    core::Check check = shell("exit 0");
    std::get<core::ScriptCheck>(check.what).stdout_to = path("no/such/place");
    EXPECT_EQ(recorder.ask(check).reason, "cannot write the output of /bin/sh to " +
                                              path("no/such/place") +
                                              ": No such file or directory");
    std::get<core::ScriptCheck>(check.what).user = "no-such-user";
    EXPECT_EQ(recorder.ask(check).reason,
              "cannot run a script as user no-such-user: there is no such user");
}

TEST_F(Scripts, RunWithoutAShellInACleanEnvironment) {
    ::setenv("DNSDIRECTOR_SECRET", "1", 1);
    const int leaked = ::open("/dev/null", O_RDONLY);
    Recorder recorder;
    core::Check check =
        check_of({"/bin/sh", "-c",
                  "echo \"$1\"; env | cut -d= -f1 | sort | tr '\\n' ' '; "
                  "test -e /proc/$$/fd/$2 && echo leaked; readlink /proc/$$/fd/0; pwd",
                  "name", "a b; $(c) > d", std::to_string(leaked)});
    std::get<core::ScriptCheck>(check.what).stdout_to = path("out");
    std::get<core::ScriptCheck>(check.what).stderr_to = "&1";
    EXPECT_EQ(recorder.ask(check).failure, Failure::none);
    EXPECT_EQ(content("out"), "a b; $(c) > d\nLANG PATH PWD /dev/null\n/\n");
    ::close(leaked);
    ::unsetenv("DNSDIRECTOR_SECRET");
}

TEST_F(Scripts, OutputsGoToTheirFiles) {
    Recorder recorder;
    core::Check check = shell("echo one; echo two >&2");
    auto& script = std::get<core::ScriptCheck>(check.what);
    script.stdout_to = path("out");
    EXPECT_EQ(recorder.ask(check).failure, Failure::none);
    EXPECT_EQ(content("out"), "one\n");
    script.stderr_to = path("err");
    EXPECT_EQ(recorder.ask(check).failure, Failure::none);
    EXPECT_EQ(content("err"), "two\n");
    script.stderr_to = "&1";
    EXPECT_EQ(recorder.ask(check).failure, Failure::none);
    EXPECT_EQ(content("out"), "one\ntwo\n");
}

TEST_F(Scripts, RunAsTheUserNamed) {
    if (::geteuid() != 0 || ::getpwnam("nobody") == nullptr) GTEST_SKIP() << "needs root";
    Recorder recorder({.script_user = "nobody", .seed = 1});
    core::Check check = shell("id -un; id -G");
    auto& script = std::get<core::ScriptCheck>(check.what);
    script.stdout_to = path("out");
    EXPECT_EQ(recorder.ask(check).failure, Failure::none);
    EXPECT_EQ(content("out"), "nobody\n" + std::to_string(::getpwnam("nobody")->pw_gid) + "\n");
    // The file is opened as that user, too.
    ASSERT_EQ(::mkdir(path("root").c_str(), 0700), 0);
    script.stdout_to = path("root/out");
    EXPECT_EQ(recorder.ask(check).reason,
              "cannot write the output of /bin/sh to " + path("root/out") + ": Permission denied");
}

TEST_F(Scripts, ALateScriptFailsInTimeAndItsWholeGroupEnds) {
    Recorder recorder;
    const auto start = Steady::now();
    const core::Verdict verdict =
        recorder.ask(shell("sleep 100 & echo $! > " + path("child") + "; (sleep 101 & echo $! > " +
                               path("grandchild") + "; wait); wait",
                           Seconds{2}));  // in which a shell has begun
    EXPECT_LT(Steady::now() - start, Seconds{4});
    EXPECT_EQ(verdict.failure, Failure::silence);
    EXPECT_EQ(verdict.reason, "timed out after 2s");
    EXPECT_TRUE(wait(recorder, [&] { return gone(content("child")); }));
    EXPECT_TRUE(wait(recorder, [&] { return gone(content("grandchild")); }));
}

TEST_F(Scripts, OneThatIgnoresTheTermSignalIsKilledAndNotRunTwice) {
    Recorder recorder;
    core::Check check =
        shell("trap '' TERM; echo $$ >> " + path("pids") + "; while :; do sleep 0.1; done",
              Milliseconds{1000});  // in which a shell has begun
    check.timing.every = Milliseconds{1100};
    const auto start = Steady::now();
    recorder.prober->add(1, check, true);
    ASSERT_TRUE(recorder.wait_for(1));
    const std::string first = content("pids");
    ASSERT_FALSE(first.empty());
    while (!gone(first)) {
        ASSERT_LT(Steady::now() - start, Seconds{10});
        ASSERT_EQ(content("pids"), first) << "ran twice at a time";
        test::drive(*recorder.prober, [] { return false; }, Milliseconds{20});
    }
    EXPECT_GE(Steady::now() - start, Milliseconds{3000});
    EXPECT_TRUE(wait(recorder, [&] { return recorder.verdicts.size() >= 2; }, Seconds{10}));
}

TEST_F(Scripts, ARoundThatReachesItsLimitEndsThem) {
    Recorder recorder;
    core::Check check = shell("echo $$ > " + path("pid") + "; sleep 100", Seconds{10});
    check.timing.limit = Seconds{2};  // in which a shell has begun
    const core::Verdict verdict = recorder.ask(check, Seconds{5});
    EXPECT_EQ(verdict.failure, Failure::silence);
    EXPECT_EQ(verdict.reason, "timed out after 2s");
    EXPECT_TRUE(wait(recorder, [&] { return gone(content("pid")); }));
}

TEST_F(Scripts, WhatTheyLeaveBehindInTheirGroupIsKilled) {
    Recorder recorder;
    EXPECT_EQ(recorder.ask(shell("sleep 100 & echo $! > " + path("child"))).failure, Failure::none);
    EXPECT_TRUE(wait(recorder, [&] { return gone(content("child")); }));
}

TEST_F(Scripts, RemovalAndDestructionKill) {
    auto recorder = std::make_unique<Recorder>();
    const auto run = [&](CheckId id, const std::string& name) {
        recorder->prober->add(id, shell("sleep 100 & echo $! > " + path(name) + "; wait"), true);
        return wait(*recorder, [&] { return content(name).ends_with('\n'); });
    };
    ASSERT_TRUE(run(1, "removed"));
    recorder->prober->remove(1);
    EXPECT_TRUE(wait(*recorder, [&] { return gone(content("removed")); }));
    ASSERT_TRUE(run(2, "destroyed"));
    recorder->prober->remove(99);
    auto bystander = std::make_unique<Recorder>();
    recorder.reset();
    EXPECT_TRUE(wait(*bystander, [&] { return gone(content("destroyed")); }));
    EXPECT_TRUE(bystander->verdicts.empty());
}

TEST_F(Scripts, StartingThemDoesNotHoldUpTheLoop) {
    Recorder recorder;
    for (CheckId id = 0; id < 20; ++id)
        recorder.prober->add(id, shell("exit 0"), true);
    Nanoseconds longest{0};
    const auto end = Steady::now() + Seconds{10};
    std::vector<Nanoseconds> calls;
    while (recorder.verdicts.size() < 20 && Steady::now() < end) {
        timespec before{}, after{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
        recorder.prober->on_readable();
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
        longest = std::max(longest, Nanoseconds{(after.tv_sec - before.tv_sec) * 1'000'000'000 +
                                                after.tv_nsec - before.tv_nsec});
        test::drive(*recorder.prober, [] { return false; }, Milliseconds{1});
    }
    EXPECT_EQ(recorder.verdicts.size(), 20);
#ifdef DNSDIRECTOR_SANITIZED
    constexpr Milliseconds most{10};
#else
    constexpr Milliseconds most{2};
#endif
    EXPECT_LT(longest, most);
}

}  // namespace
}  // namespace dnsdirector::probe
