// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "probe/probe.h"
#include "probe/script_launcher.h"
#include "probe/timer_wheel.h"
#include "probe/token.h"

namespace dnsdirector::probe {

/// Scripts under way: starts them, learns of their end, and ends them with all
/// processes of their group. A run is watched until its leader is reaped, also
/// when nobody waits for its result any more.
class ScriptRunner {
public:
    using RunId = std::uint64_t;

    /// Between SIGTERM and SIGKILL.
    static constexpr Nanoseconds grace = Seconds{2};

    ScriptRunner(int epoll, TimerWheel& wheel, std::string default_user, const rlimit& files);
    /// Kills what still runs.
    ~ScriptRunner();
    ScriptRunner(const ScriptRunner&) = delete;
    ScriptRunner& operator=(const ScriptRunner&) = delete;

    /// `owner` is what on_event() returns when there is a result to collect.
    RunId start(std::shared_ptr<const core::ScriptCheck> check, std::uint64_t owner);
    /// The result of a run that has ended; after that the run is forgotten.
    [[nodiscard]] std::optional<Outcome> collect(RunId run);
    /// Asks the whole group to end, kills it after `grace`; nobody will collect.
    void terminate(RunId run, TimePoint now);
    /// Kills the whole group; nobody will collect.
    void kill(RunId run);
    [[nodiscard]] bool running(RunId run) const { return find(Token::unpack(run)) != nullptr; }

    /// The launcher's event: owners whose scripts could not be started.
    [[nodiscard]] std::vector<std::uint64_t> on_launched();
    /// A run's pidfd; its owner, where it waits for the result.
    [[nodiscard]] std::optional<std::uint64_t> on_exit(Token token);
    /// A run's grace is over.
    void on_timer(Token token);

private:
    enum class Wish : std::uint8_t { run, terminate, kill };
    struct Run {
        explicit Run(RunId run, std::uint64_t owner_token, bool dynamic_weight)
            : owner(owner_token), dynamic(dynamic_weight), timer(run) {}
        std::uint64_t owner;
        bool dynamic;            ///< ScriptCheck::dynamic
        TimerWheel::Node timer;  ///< armed between SIGTERM and SIGKILL
        ScriptChild child;
        Wish wish = Wish::run;
        std::optional<Outcome> result;
    };
    struct Place {
        std::unique_ptr<Run> run;
        std::uint32_t generation = 0;
    };

    [[nodiscard]] Run* find(Token token) const;
    void forget(Token token);
    static void signal_group(const Run& run, int signal);
    std::optional<Outcome> adopt(Run& run, RunId id, Result<ScriptChild> child);

    int epoll_;
    TimerWheel& wheel_;
    ScriptLauncher launcher_;
    std::vector<Place> places_;
    std::vector<std::uint32_t> free_places_;
};

}  // namespace dnsdirector::probe
