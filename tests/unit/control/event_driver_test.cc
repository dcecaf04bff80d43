// SPDX-License-Identifier: Apache-2.0
#include "control/event_driver.h"

#include <functional>

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

namespace dnsdirector::control {
namespace {

/// Takes one byte a call out of a pipe that is watched through an epoll set, as
/// a prober that bounds its work per call does.
class OneByteAtATime final : public EventSource {
public:
    OneByteAtATime() {
        EXPECT_EQ(pipe(pipe_), 0);
        epoll_ = epoll_create1(0);
        epoll_event event{.events = EPOLLIN, .data = {}};
        epoll_ctl(epoll_, EPOLL_CTL_ADD, pipe_[0], &event);
    }
    ~OneByteAtATime() override {
        for (const int fd : {pipe_[0], pipe_[1], epoll_})
            close(fd);
    }
    void put(const char* text, std::size_t size) const {
        EXPECT_EQ(write(pipe_[1], text, size), static_cast<ssize_t>(size));
    }

    [[nodiscard]] int descriptor() const override { return epoll_; }
    void on_readable() override {
        char byte = 0;
        epoll_event event{};
        if (epoll_wait(epoll_, &event, 1, 0) == 1 && read(pipe_[0], &byte, 1) == 1) ++taken;
        if (taken == wanted && done) done();
    }
    [[nodiscard]] std::optional<TimePoint> deadline() const override { return wish; }
    void on_deadline(TimePoint now) override {
        wish.reset();
        fired_at = now;
        if (done) done();
    }

    int taken = 0;
    int wanted = 0;
    std::optional<TimePoint> wish;
    std::optional<TimePoint> fired_at;
    std::function<void()> done;

private:
    int pipe_[2] = {-1, -1};
    int epoll_ = -1;
};

TEST(EventDriver, CallsAgainWhileASourceLeftWorkUndone) {
    boost::asio::io_context io{1};
    OneByteAtATime source;
    source.wanted = 5;
    source.done = [&io] { io.stop(); };
    EventDriver driver(io);
    driver.add(source);
    source.put("12345", 5);
    io.run_for(std::chrono::seconds(10));
    EXPECT_EQ(source.taken, 5);
}

TEST(EventDriver, FiresADeadlineNotBeforeItsTimeAndFollowsAnEarlierOne) {
    boost::asio::io_context io{1};
    OneByteAtATime source;
    source.done = [&io] { io.stop(); };
    source.wish = monotonic_now() + Seconds(3600);
    EventDriver driver(io);
    driver.add(source);
    const TimePoint soon = monotonic_now() + Milliseconds(20);
    source.wish = soon;
    driver.rearm();
    io.run_for(std::chrono::seconds(10));
    ASSERT_TRUE(source.fired_at);
    EXPECT_GE(*source.fired_at, soon);
}

TEST(EventDriver, ADeadlineThatWasTakenBackDoesNotFire) {
    boost::asio::io_context io{1};
    OneByteAtATime source;
    source.wanted = 1;
    source.wish = monotonic_now() + Milliseconds(10);
    EventDriver driver(io);
    driver.add(source);
    source.wish.reset();
    driver.rearm();
    // A later deadline of another source proves that the time has passed.
    std::optional<TimePoint> later = monotonic_now() + Milliseconds(40);
    driver.add([&later] { return later; },
               [&] {
                   later.reset();
                   io.stop();
               });
    io.run_for(std::chrono::seconds(10));
    EXPECT_FALSE(later);
    EXPECT_FALSE(source.fired_at);
}

}  // namespace
}  // namespace dnsdirector::control
