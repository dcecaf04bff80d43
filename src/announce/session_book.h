// SPDX-License-Identifier: Apache-2.0
//
// Keeps book of what a routing daemon says at each look, and compares it with what it should
// say. Pure: times are passed in.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "announce/session_state.h"
#include "core/bgp.h"

namespace dnsdirector::announce {

/// One moment on both clocks.
struct Moment {
    TimePoint time;
    WallTime wall;
};

class SessionBook {
public:
    /// FRR needs 60 ms from the route to the wire, BIRD less than 1.
    static constexpr Nanoseconds patience_after_change = Seconds{1};
    /// A session that is new is told everything; so long after it must have been.
    static constexpr Nanoseconds patience_after_start = Seconds{2};
    /// A neighbour's BFD begins with a packet a second.
    static constexpr Nanoseconds patience_with_bfd = Seconds{10};
    /// What neighbours were told is looked at again after that time though nothing seems to have
    /// changed; more rarely where a look at all of them takes long.
    static constexpr Nanoseconds look_interval = Seconds{5};
    static constexpr int look_rarely = 50;  ///< the interval is so many times what that takes
    static constexpr int look_often = 10;   ///< … where there is a reason to look

    /// Neighbours that stay keep what is known of them.
    void configure(const core::Bgp& bgp, std::string daemon, std::string socket, Moment now);
    /// The service IPs that have a route, and its state. Until the first call nothing is
    /// expected.
    void expect(const std::map<IpAddress, core::RouteState>& routes, TimePoint now);

    /// The daemon answers, or it does not: why.
    void answers(Moment now);
    void silent(const std::string& problem, Moment now);
    /// Of a part of it ("zebra"), or what it says of itself; "": nothing is wrong.
    void ails(const std::string& part, const std::string& problem, Moment now);

    /// `neighbor` is an index into core::Bgp::neighbors.
    void seen(std::size_t neighbor, const NeighborReport& report, Moment now);
    /// `asked`: when the daemon was asked; the report may be older than `now` by that.
    void told(std::size_t neighbor, const ToldReport& report, TimePoint asked, Moment now);
    /// Whether it is time to look what a neighbour was told.
    [[nodiscard]] bool is_due(std::size_t neighbor, TimePoint now) const;

    [[nodiscard]] const DaemonState& state() const { return state_; }
    /// What has happened since the last call.
    [[nodiscard]] std::vector<SessionEvent> take_events();
    /// Service IPs that some neighbour still has though they are withdrawn, and the time for it
    /// to have heard is over: those seen since the last call.
    [[nodiscard]] std::set<IpAddress> take_lost_withdrawals();

private:
    /// What is remembered of a neighbour beside what is shown.
    struct Entry {
        bool looked = false;
        bool established = false;
        TimePoint began;  ///< of the session, or when it was lost
        std::optional<WallTime> since;
        std::optional<std::uint64_t> lost;
        std::optional<std::uint64_t> count;  ///< NeighborReport::told
        std::string mark;
        std::vector<std::string> problems;       ///< but for those of what it was told
        std::vector<std::string> told_problems;  ///< of the last look at that

        std::vector<ToldPrefix> told;  ///< of this session, also while the daemon is silent
        bool told_looked = false;
        std::string told_mark;  ///< `mark` at the last look
        bool look_again = false;
        bool counts_differed = false;
        TimePoint told_at;
        Nanoseconds told_cost{0};
    };
    struct Expected {
        std::optional<core::RouteState> state;
        TimePoint changed;
    };

    void say(bool is_bad, std::string text) { events_.push_back({is_bad, std::move(text)}); }
    void settle(Moment now);
    void note_session(Entry& entry, NeighborSession& session, const NeighborReport& report,
                      Moment now);
    std::vector<std::string> judge_session(std::size_t neighbor, const NeighborReport& report,
                                           TimePoint now) const;
    std::vector<std::string> judge_told(std::size_t neighbor, const ToldReport& report,
                                        TimePoint asked);
    void put_problems(std::size_t neighbor);

    core::Bgp bgp_;
    DaemonState state_;
    std::vector<Entry> entries_;  ///< as DaemonState::neighbors
    bool asked_ = false;          ///< there was an answer, or none
    std::string silence_;
    std::map<std::string, std::string> ailments_;
    std::optional<std::map<IpAddress, Expected>> expected_;
    std::vector<SessionEvent> events_;
    std::set<IpAddress> lost_withdrawals_;
};

}  // namespace dnsdirector::announce
