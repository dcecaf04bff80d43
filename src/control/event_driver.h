// SPDX-License-Identifier: Apache-2.0
//
// Drives EventSources on an Asio io_context: waits for their descriptors and
// deadlines. The only place where the modules below meet the event library.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "base/event_source.h"

namespace dnsdirector::control {

[[nodiscard]] TimePoint monotonic_now();
[[nodiscard]] WallTime wall_now();

class EventDriver {
public:
    explicit EventDriver(boost::asio::io_context& io);
    ~EventDriver();

    /// The source must outlive the driver.
    void add(EventSource& source);
    /// A deadline without a descriptor (the engine's).
    void add(std::function<std::optional<TimePoint>()> deadline, std::function<void()> on_deadline);

    /// Deadlines may have moved: call after anything that touched a source
    /// from outside (a command, a reload).
    void rearm();

private:
    struct Entry;
    void wait_readable(Entry& entry);
    void arm(Entry& entry);

    boost::asio::io_context& io_;
    std::vector<std::unique_ptr<Entry>> entries_;
};

}  // namespace dnsdirector::control
