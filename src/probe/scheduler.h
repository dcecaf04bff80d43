// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "probe/descriptor.h"
#include "probe/file_reader.h"
#include "probe/probe.h"
#include "probe/prober.h"
#include "probe/schedule.h"
#include "probe/script_runner.h"
#include "probe/timer_wheel.h"
#include "probe/token.h"

namespace dnsdirector::probe {

/// The Prober: one epoll instance, one wheel of timers, one timer a check. In a
/// round the timer is the try's time-out, between rounds the next start.
class Scheduler : public Prober {
public:
    /// `files` is the limit of open files as it was before we raised it: scripts
    /// get that one.
    Scheduler(ProberSettings settings, Descriptor epoll, std::size_t socket_limit,
              const rlimit& files);
    ~Scheduler() override;

    [[nodiscard]] int descriptor() const override { return epoll_.get(); }
    void on_readable() override { work(); }
    [[nodiscard]] std::optional<TimePoint> deadline() const override;
    void on_deadline(TimePoint /*now*/) override { work(); }

    void add(CheckId id, const core::Check& check, bool first_round_at_once) override;
    void remove(CheckId id) override;
    void hurry(CheckId id) override;
    void retry(CheckId id, Nanoseconds delay) override;
    [[nodiscard]] const ProberStatistics& statistics() const override {
        return environment_->statistics;
    }

private:
    struct Entry {
        Entry(CheckId check, std::uint64_t token, const core::CheckTiming& timing, Schedule rounds)
            : id(check), every(timing.every), limit(timing.limit), schedule(rounds), timer(token) {}
        CheckId id;
        Nanoseconds every;
        Nanoseconds limit;    ///< of a round; 0: none
        TimePoint round_end;  ///< of the present round, where there is a limit
        Schedule schedule;
        TimerWheel::Node timer;
        std::unique_ptr<Probe> probe;
        bool in_round = false;
        bool hurried = false;  ///< the next round follows this one at once
    };
    struct Place {
        std::unique_ptr<Entry> entry;
        std::uint32_t generation = 0;
    };

    void work();
    void on_event(Token token, TimePoint time);
    void on_timer(Token token);
    void on_packets(Token::Kind kind, TimePoint time);
    void look_at(std::uint64_t owner, TimePoint time);
    /// Up to `limit` events; whether there may be more.
    bool take_events(int limit);
    bool take_timers(int limit);
    Entry* find(Token token);
    Entry* find(CheckId id);
    ScriptRunner& scripts();
    FileReader& files();
    void start_round(Entry& entry);
    void on_round_timer(Entry& entry);
    /// Ends the round where there is an outcome, else arms the timer anew. The
    /// verdict's receiver may remove the entry: nothing may touch it afterwards.
    void follow(Entry& entry, Probe::Progress progress);

    ProberSettings settings_;
    Descriptor epoll_;
    std::unique_ptr<Environment> environment_;  ///< large: it holds the read buffer
    Pacing pacing_;
    TimerWheel wheel_;
    rlimit script_files_;
    std::unique_ptr<ScriptRunner> scripts_;  ///< made for the first script; outlives the probes
    std::unique_ptr<FileReader> files_;      ///< made for the first file; outlives the probes
    std::vector<Place> places_;
    std::vector<std::uint32_t> free_places_;
    std::unordered_map<CheckId, std::uint32_t> index_;
    TimePoint next_first_round_;
    bool more_work_ = false;
};

}  // namespace dnsdirector::probe
