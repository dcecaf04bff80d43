// SPDX-License-Identifier: Apache-2.0
#include "control/event_driver.h"

#include <boost/asio/post.hpp>
#include <chrono>

namespace dnsdirector::control {

TimePoint monotonic_now() {
    return TimePoint{std::chrono::steady_clock::now().time_since_epoch()};
}

WallTime wall_now() {
    return std::chrono::floor<Microseconds>(std::chrono::system_clock::now());
}

struct EventDriver::Entry {
    explicit Entry(boost::asio::io_context& io) : stream(io), timer(io) {}

    boost::asio::posix::stream_descriptor stream;
    boost::asio::steady_timer timer;
    std::function<std::optional<TimePoint>()> deadline;
    std::function<void()> on_deadline;
    std::function<void()> on_readable;
    std::optional<TimePoint> armed_for;
};

EventDriver::EventDriver(boost::asio::io_context& io) : io_(io) {}

EventDriver::~EventDriver() {
    // The descriptors belong to their sources.
    for (const auto& entry : entries_)
        if (entry->stream.is_open()) entry->stream.release();
}

void EventDriver::add(EventSource& source) {
    auto entry = std::make_unique<Entry>(io_);
    entry->deadline = [&source] { return source.deadline(); };
    entry->on_deadline = [&source] { source.on_deadline(monotonic_now()); };
    entry->on_readable = [&source] { source.on_readable(); };
    if (source.descriptor() >= 0) entry->stream.assign(source.descriptor());
    entries_.push_back(std::move(entry));
    if (source.descriptor() >= 0) wait_readable(*entries_.back());
    arm(*entries_.back());
}

void EventDriver::add(std::function<std::optional<TimePoint>()> deadline,
                      std::function<void()> on_deadline) {
    auto entry = std::make_unique<Entry>(io_);
    entry->deadline = std::move(deadline);
    entry->on_deadline = std::move(on_deadline);
    entries_.push_back(std::move(entry));
    arm(*entries_.back());
}

void EventDriver::wait_readable(Entry& entry) {
    entry.stream.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                            [this, &entry](const boost::system::error_code& error) {
                                if (error) return;
                                entry.on_readable();
                                wait_readable(entry);
                                rearm();
                            });
}

void EventDriver::rearm() {
    for (const auto& entry : entries_)
        arm(*entry);
}

void EventDriver::arm(Entry& entry) {
    const std::optional<TimePoint> wish = entry.deadline();
    if (wish == entry.armed_for) return;
    entry.armed_for = wish;
    if (!wish) {
        entry.timer.cancel();
        return;
    }
    const auto fire = [this, &entry, wish] {
        if (entry.armed_for != wish) return;  // a newer wish took this one's place
        entry.armed_for.reset();
        entry.on_deadline();
        rearm();
    };
    if (*wish <= monotonic_now()) {
        // Due already: after what else is ready, without a timer.
        entry.timer.cancel();
        boost::asio::post(io_, fire);
        return;
    }
    using SteadyPoint = std::chrono::steady_clock::time_point;
    entry.timer.expires_at(SteadyPoint{wish->time_since_epoch()});
    entry.timer.async_wait([fire](const boost::system::error_code& error) {
        if (!error) fire();
    });
}

}  // namespace dnsdirector::control
