// SPDX-License-Identifier: Apache-2.0
//
// Reads back from the routing daemon what it does: whether it answers, its sessions, what each
// neighbour was told. Asks about four times a second, never waits, and says each change.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "announce/control_client.h"
#include "announce/daemon_reader.h"
#include "announce/session_book.h"
#include "base/event_source.h"
#include "base/result.h"

namespace dnsdirector::announce {

class Sessions final : public EventSource {
public:
    /// A daemon that hangs is noticed after both together at the latest: within a second.
    static constexpr Nanoseconds interval = Milliseconds{250};
    static constexpr Nanoseconds patience = Milliseconds{600};
    /// Questions about what neighbours were told, in one round. An existing BIRD is asked one
    /// for each neighbour and service IP.
    static constexpr std::size_t most_questions = 250;

    /// Errors: no epoll instance.
    static Result<std::unique_ptr<Sessions>> create(std::function<Moment()> clock);
    ~Sessions() override;

    /// Whom to ask, from now on; without a bgp block nobody. `socket`: BIRD's, or the folder of
    /// FRR's. Nothing happens where that is as it was. Not from within on_event.
    void configure(const std::optional<core::Bgp>& bgp, const std::string& socket);
    /// The service IPs that have a route now, and its state (core/announcement.h). Cheap where
    /// nothing has changed.
    void expect(const std::map<IpAddress, core::RouteState>& routes);

    /// Nothing without a bgp block.
    [[nodiscard]] const DaemonState* state() const { return reader_ ? &book_.state() : nullptr; }
    /// Called for each line that is worth a line of the log.
    std::function<void(const SessionEvent&)> on_event;
    /// Called for each look that shows a service IP at a neighbour which was withdrawn and should
    /// have been heard of.
    std::function<void(const IpAddress&)> on_lost_withdrawal;

    int descriptor() const override { return epoll_; }
    void on_readable() override;
    std::optional<TimePoint> deadline() const override;
    void on_deadline(TimePoint now) override;

private:
    /// A socket of the daemon's, and what it is being asked.
    struct Line {
        std::unique_ptr<ControlClient> client;
        std::deque<Question> questions;  ///< the first one was asked
        bool in_overview = false;
        TimePoint next_round;
        TimePoint asked;  ///< the first question about one neighbour
    };

    Sessions(int epoll, std::function<Moment()> clock) : epoll_(epoll), clock_(std::move(clock)) {}
    void begin_round(Line& line, TimePoint now);
    void work(std::size_t line);
    void take(std::size_t line, const std::string& reply, Moment now);
    void give_up(std::size_t line, const std::string& why, Moment now);
    void add_due(Line& line, TimePoint now);
    void ask_next(Line& line, TimePoint now);
    void tell_events();

    int epoll_;
    std::function<Moment()> clock_;
    std::optional<core::Bgp> bgp_;
    std::string socket_;
    std::unique_ptr<DaemonReader> reader_;
    std::vector<Line> lines_;  ///< by DaemonReader::sockets()
    SessionBook book_;
    std::map<IpAddress, core::RouteState> expected_;
    bool expects_ = false;
    std::size_t first_due_ = 0;  ///< where the next round begins, so that each has its turn
};

}  // namespace dnsdirector::announce
