// SPDX-License-Identifier: Apache-2.0
//
// The event source against a daemon made up here, which answers, hangs, hangs up, dribbles or
// lies over a real socket.
#include "announce/sessions.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <thread>

#include "unit/announce/replies.h"
#include "unit/support/wait.h"

namespace dnsdirector::announce {
namespace {

using Clock = std::chrono::steady_clock;
using replies::parsed;

Moment moment_now() {
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    return {TimePoint{std::chrono::duration_cast<Nanoseconds>(Clock::now().time_since_epoch())},
            WallTime{std::chrono::duration_cast<Microseconds>(wall)}};
}

/// One connection at a time, in a thread of its own.
class FakeDaemon {
public:
    enum class Way { answers, hangs, dribbles, hangs_up, says_garbage, never_ends };
    using Answer = std::function<std::string(const std::string& command)>;

    FakeDaemon(std::string path, std::string greeting, char end, Answer answer)
        : path_(std::move(path)),
          greeting_(std::move(greeting)),
          end_(end),
          answer_(std::move(answer)) {
        open();
    }
    ~FakeDaemon() { end(); }
    void open() {
        ::unlink(path_.c_str());
        listening_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path_.copy(address.sun_path, sizeof address.sun_path - 1);
        if (::bind(listening_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
            ::listen(listening_, 8) != 0)
            throw std::runtime_error("cannot listen at " + path_);
        stop_ = false;
        thread_ = std::thread([this] { run(); });
    }
    /// As a daemon that was killed: the socket stays, and nobody listens.
    void end() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
        if (listening_ >= 0) ::close(std::exchange(listening_, -1));
    }
    std::atomic<Way> way = Way::answers;
    std::atomic<unsigned> pause = 0;  ///< microseconds between the bytes of who dribbles
    std::atomic<int> commands = 0;

private:
    static bool readable(int socket) {
        pollfd waiting{socket, POLLIN, 0};
        return ::poll(&waiting, 1, 5) > 0;
    }
    void run() {
        while (!stop_) {
            if (!readable(listening_)) continue;
            const int connection = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
            serve(connection);
            ::close(connection);
        }
    }
    void serve(int connection) {
        if (way == Way::answers && !say(connection, greeting_)) return;
        if (way == Way::dribbles && !say(connection, greeting_)) return;
        std::string text;
        while (!stop_) {
            if (way == Way::hangs_up) return;
            if (!readable(connection)) continue;
            if (way == Way::hangs) {
                // As a process that is stopped: not even an end of the connection is seen.
                ::usleep(5000);
                continue;
            }
            char buffer[512];
            const ssize_t length = ::recv(connection, buffer, sizeof buffer, 0);
            if (length <= 0) return;
            text.append(buffer, static_cast<std::size_t>(length));
            for (auto at = text.find(end_); at != std::string::npos; at = text.find(end_)) {
                ++commands;
                if (!say(connection, answer_(text.substr(0, at)))) return;
                text.erase(0, at + 1);
            }
        }
    }
    bool say(int connection, std::string text) {
        if (way == Way::says_garbage) text = "SSH-2.0-OpenSSH_9.2\r\n0000 \n";
        do {
            if (way == Way::never_ends) text = std::string(100000, 'x');
            while (!text.empty() && !stop_) {
                const std::size_t size = way == Way::dribbles ? 1 : text.size();
                const ssize_t sent = ::send(connection, text.data(), size, MSG_NOSIGNAL);
                if (sent <= 0) return false;
                text.erase(0, static_cast<std::size_t>(sent));
                if (way == Way::dribbles && pause > 0) ::usleep(pause);
            }
        } while (way == Way::never_ends && !stop_);
        return true;
    }

    std::string path_;
    std::string greeting_;
    char end_;
    Answer answer_;
    int listening_ = -1;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

class SessionsTest : public testing::Test {
protected:
    SessionsTest() {
        char path[] = "/tmp/dnsdirector-sessions-XXXXXX";
        folder = ::mkdtemp(path);
        sessions = std::move(*Sessions::create(moment_now));
        sessions->on_event = [this](const SessionEvent& event) {
            events.push_back({event.text, Clock::now()});
        };
    }
    ~SessionsTest() override { std::filesystem::remove_all(folder); }

    bool has(const std::string& part) const {
        return std::any_of(events.begin(), events.end(), [&](const auto& each) {
            return each.first.find(part) != std::string::npos;
        });
    }
    bool comes(const std::string& part) {
        const bool came = support::drive(*sessions, [&] { return has(part); });
        if (!came)
            for (const auto& [text, when] : events)
                ADD_FAILURE() << "instead of " << part << ": " << text;
        return came;
    }
    void start_bird() {
        bird = std::make_unique<FakeDaemon>(folder + "/bird.ctl", "0001 BIRD 2.0.12 ready.\n", '\n',
                                            [this](const std::string& command) -> std::string {
                                                if (command == "show status") return status();
                                                if (command.starts_with("show protocols")) {
                                                    const std::lock_guard lock(mutex);
                                                    return protocols;
                                                }
                                                if (command.starts_with("show route")) {
                                                    const std::lock_guard lock(mutex);
                                                    return told;
                                                }
                                                return "9001 syntax error\n";
                                            });
        sessions->configure(replies::block(), folder + "/bird.ctl");
    }
    /// Some minutes after the sessions came up, and going on.
    std::string status() const {
        std::string text = replies::reply("bird_status");
        const std::string time = "server time is 2026-11-29 05:";
        const auto passed = std::chrono::floor<Seconds>(Clock::now() - began).count() + 20 * 60;
        text.replace(text.find(time) + time.size(), 5,
                     fmt::format("{:02}:{:02}", passed / 60, passed % 60));
        return text;
    }
    const NeighborSession& neighbor(std::size_t i = 0) const {
        return sessions->state()->neighbors[i];
    }

    std::string folder;
    std::unique_ptr<Sessions> sessions;
    std::vector<std::pair<std::string, Clock::time_point>> events;
    const Clock::time_point began = Clock::now();
    std::mutex mutex;
    std::string protocols = replies::reply("bird_protocols");
    std::string told = replies::reply("bird_told");
    std::unique_ptr<FakeDaemon> bird;
};

TEST_F(SessionsTest, WithoutABlockNobodyIsAsked) {
    EXPECT_EQ(sessions->state(), nullptr);
    EXPECT_EQ(sessions->deadline(), std::nullopt);
    sessions->configure(replies::block(), folder + "/bird.ctl");
    EXPECT_NE(sessions->state(), nullptr);
    EXPECT_TRUE(sessions->deadline());
    sessions->configure(std::nullopt, "");
    EXPECT_EQ(sessions->state(), nullptr);
    EXPECT_EQ(sessions->deadline(), std::nullopt);
}

TEST_F(SessionsTest, SessionsAndWhatNeighborsWereTold) {
    start_bird();
    ASSERT_TRUE(comes("neighbor 203.0.113.252: session is established since"));
    ASSERT_TRUE(support::drive(*sessions, [&] { return neighbor(1).told.size() == 3; }));
    EXPECT_EQ(neighbor(0).session, "established");
    EXPECT_EQ(neighbor(1).told_of(parsed("2001:db8::53"))->med, 9U);
    EXPECT_TRUE(sessions->state()->answering);
    EXPECT_EQ(sessions->state()->problem, "");
}

TEST_F(SessionsTest, ASocketThatIsNotThere) {
    sessions->configure(replies::block(), folder + "/bird.ctl");
    ASSERT_TRUE(comes("BIRD does not run: there is no socket " + folder + "/bird.ctl"));
    EXPECT_EQ(neighbor().session, "unknown");
    start_bird();
    ASSERT_TRUE(comes("BIRD answers"));
    bird->end();
    ASSERT_TRUE(comes("hung up: it ended, or was ended"));
    ASSERT_TRUE(support::drive(*sessions, [&] {
        return sessions->state()->problem.find("nobody listens at") != std::string::npos;
    }));
    bird->open();
    ASSERT_TRUE(comes("BIRD answers again, after"));
}

TEST_F(SessionsTest, ADaemonThatHangsIsNoticedWithinASecond) {
    start_bird();
    ASSERT_TRUE(comes("BIRD answers at"));
    const auto start = Clock::now();
    bird->way = FakeDaemon::Way::hangs;
    ASSERT_TRUE(comes("BIRD does not answer at"));
    // The rest is for a machine that is busy.
    EXPECT_LT(events.back().second - start, std::chrono::seconds{5});
    EXPECT_EQ(neighbor().session, "unknown");
    EXPECT_TRUE(neighbor().told.empty());
    bird->way = FakeDaemon::Way::answers;
    ASSERT_TRUE(comes("BIRD answers again, after"));
    ASSERT_TRUE(support::drive(*sessions, [&] { return !neighbor().told.empty(); }));
    EXPECT_EQ(neighbor().flaps, 0U);
}

TEST_F(SessionsTest, ADaemonThatIsSlowIsUnderstoodOrGivenUp) {
    start_bird();
    bird->way = FakeDaemon::Way::dribbles;
    {
        const std::lock_guard lock(mutex);
        protocols = "8003 No protocols match\n";
    }
    ASSERT_TRUE(comes("BIRD has no such neighbor"));
    {
        const std::lock_guard lock(mutex);
        protocols = replies::reply("bird_protocols");
    }
    bird->pause = 5000;  // thousands of bytes
    ASSERT_TRUE(comes("BIRD does not answer at"));
}

TEST_F(SessionsTest, GarbageIsNoBird) {
    start_bird();
    ASSERT_TRUE(comes("BIRD answers at"));
    bird->way = FakeDaemon::Way::says_garbage;
    ASSERT_TRUE(comes("is no BIRD, or speaks in riddles: it begins with `SSH-2.0-OpenSSH_9.2?`"));
    EXPECT_FALSE(sessions->state()->answering);
}

TEST_F(SessionsTest, AReplyWithoutAnEndTakesNoMemory) {
    start_bird();
    ASSERT_TRUE(comes("BIRD answers at"));
    bird->way = FakeDaemon::Way::never_ends;
    ASSERT_TRUE(support::drive(*sessions, [&] { return !sessions->state()->answering; }));
}

TEST_F(SessionsTest, ADaemonThatHangsUp) {
    start_bird();
    ASSERT_TRUE(comes("BIRD answers at"));
    bird->way = FakeDaemon::Way::hangs_up;
    ASSERT_TRUE(comes("hung up: it ended, or was ended"));
}

TEST_F(SessionsTest, ADaemonThatLiesIsSaid) {
    sessions->expect({{parsed("192.0.2.53"), core::RouteState::announced},
                      {parsed("192.0.2.54"), core::RouteState::degraded}});
    start_bird();
    // It tells 2001:db8::53 though that has no route; what it tells of the others is right.
    ASSERT_TRUE(comes("neighbor 203.0.113.252: it is told of 2001:db8::53, though withdrawn"));
    sessions->expect({{parsed("192.0.2.53"), core::RouteState::draining},
                      {parsed("192.0.2.54"), core::RouteState::degraded}});
    const auto start = Clock::now();
    ASSERT_TRUE(comes("it is told of 192.0.2.53 with MED 0 instead of 4294967294"));
    EXPECT_GE(events.back().second - start, SessionBook::patience_after_change);
    {
        const std::lock_guard lock(mutex);
        protocols = "8003 No protocols match\n";
    }
    ASSERT_TRUE(comes("BIRD has no such neighbor"));
    EXPECT_EQ(neighbor().session, "missing");
}

TEST_F(SessionsTest, AnExistingBirdIsAskedForEachServiceIp) {
    start_bird();
    sessions->configure(replies::block(core::RoutingDaemon::existing_bird), folder + "/bird.ctl");
    ASSERT_TRUE(support::drive(*sessions, [&] { return neighbor(1).told.size() >= 3; }));
}

TEST_F(SessionsTest, FrrWithAZebraThatHangs) {
    using namespace std::string_literals;
    const auto framed = [](const std::string& text) { return text + "\0\0\0\0"s; };
    FakeDaemon bgpd(folder + "/bgpd.vty", "", '\0', [&](const std::string& command) {
        if (command.find("advertised-routes") != std::string::npos)
            return framed(replies::reply(command.find("ipv6") == std::string::npos ? "frr_told"
                                                                                   : "frr_told6"));
        if (command.find("203.0.113.251") != std::string::npos)
            return framed(replies::reply("frr_neighbor"));
        if (command.find("203.0.113.252") != std::string::npos)
            return framed(replies::reply("frr_neighbor_shut"));
        return framed("");
    });
    FakeDaemon zebra(folder + "/zebra.vty", "", '\0', [&](const std::string& command) {
        return framed(command == "enable" ? "" : replies::reply("zebra_clients"));
    });
    sessions->configure(replies::block(core::RoutingDaemon::existing_frr), folder);
    ASSERT_TRUE(comes("FRR answers at " + folder));
    ASSERT_TRUE(comes("neighbor 203.0.113.252: session is not established: shut down by"));
    ASSERT_TRUE(support::drive(*sessions, [&] { return neighbor(0).told.size() == 2; }));
    zebra.way = FakeDaemon::Way::hangs;
    ASSERT_TRUE(comes("FRR's zebra does not answer at"));
    EXPECT_TRUE(sessions->state()->answering);
    EXPECT_EQ(neighbor(0).session, "established");
    zebra.way = FakeDaemon::Way::answers;
    ASSERT_TRUE(comes("FRR is well again"));
    bgpd.way = FakeDaemon::Way::says_garbage;
    ASSERT_TRUE(support::drive(*sessions, [&] { return !sessions->state()->answering; }));
}

}  // namespace
}  // namespace dnsdirector::announce
