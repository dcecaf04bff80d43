// SPDX-License-Identifier: Apache-2.0
//
// Runs the operator's commands when a server or a quorum comes or goes
// (notify_up, notify_down, quorum_up, quorum_down). Never waits for one: each
// runs in a process group of its own, as its own user, with a clean
// environment and a time limit, started by a thread of its own.
//
// Commands of one server in one service, or of one service's quorum, run one at
// a time and in the order of what happened. Those of different ones run side by
// side.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/event_source.h"
#include "base/result.h"
#include "control/hook_statistics.h"
#include "core/notices.h"
#include "probe/script_runner.h"

namespace dnsdirector::control {

struct HookSettings {
    std::string script_user;               ///< as DirectorSettings::script_user
    Nanoseconds time_limit = Seconds{60};  ///< then TERM to the whole group, and KILL 2 s later
    std::size_t at_once = 64;              ///< running side by side; the others wait
    std::size_t waiting_for_one = 32;      ///< of one server or quorum; then the oldest go
};

class Hooks final : public EventSource {
public:
    static Result<std::unique_ptr<Hooks>> create(HookSettings settings);
    /// Kills what still runs.
    ~Hooks() override;

    /// Queues the command that the service has for this, if any.
    void tell(const core::Service& service, const core::Notice& notice);

    /// Calls `done` once, when no command runs or waits any more, or at `by`;
    /// at once when there is none. Replaces an earlier wish.
    void when_idle(TimePoint by, std::function<void()> done);
    /// Kills what runs and forgets what waits; says so in the log.
    void give_up();

    [[nodiscard]] HookStatistics statistics() const;

    [[nodiscard]] int descriptor() const override { return epoll_.get(); }
    void on_readable() override { work(); }
    [[nodiscard]] std::optional<TimePoint> deadline() const override;
    void on_deadline(TimePoint /*now*/) override { work(); }

private:
    /// A service's quorum where there is no server.
    using Subject = std::pair<core::ServiceKey, std::optional<Endpoint>>;
    struct Job {
        core::Command command;
        std::string what;  ///< "notify_up of 203.0.113.11:53 in 192.0.2.53:53/udp"
        bool up = false;
    };
    struct Run {
        Subject subject;
        std::string what;
        probe::ScriptRunner::RunId id = 0;
        TimePoint limit;
        bool late = false;  ///< told to end
    };
    using RunNumber = std::uint64_t;

    Hooks(HookSettings settings, probe::Descriptor epoll);
    [[nodiscard]] bool idle() const { return running_.empty() && waiting_.empty(); }
    void work();
    void take_events();
    void end_the_late(TimePoint now);
    void sweep();
    void start_waiting();
    void start(const Subject& subject, Job job);
    void finished(RunNumber number, const probe::Outcome& outcome);
    void drop_superseded(std::deque<Job>& jobs, const Subject& subject);

    HookSettings settings_;
    probe::Descriptor epoll_;
    probe::TimerWheel wheel_;
    std::unique_ptr<probe::ScriptRunner> runner_;  ///< made for the first command
    std::map<RunNumber, Run> running_;
    std::set<Subject> busy_;  ///< of running_
    std::map<Subject, std::deque<Job>> waiting_;
    std::deque<Subject> turns_;  ///< keys of waiting_, in the order of their first job
    RunNumber next_number_ = 1;
    std::function<void()> when_idle_;
    TimePoint idle_by_;
    HookStatistics statistics_;
};

}  // namespace dnsdirector::control
