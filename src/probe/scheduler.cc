// SPDX-License-Identifier: Apache-2.0
#include "probe/scheduler.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>

#include "probe/clock.h"
#include "probe/make_probe.h"
#include "probe/through.h"

namespace dnsdirector::probe {
namespace {

/// What one call does at most, some two milliseconds of work, so that the event
/// loop stays responsive when ten thousand rounds are due at once.
constexpr int events_a_call = 256;
constexpr int timers_a_call = 256;
/// What is fetched must be done, since events come once. TLS handshakes take up
/// to a millisecond each: so few at a time, and the clock in between.
constexpr int events_a_fetch = 32;
constexpr Nanoseconds time_for_events = Milliseconds{5};

/// First rounds that should run "at once" start this far apart: ten thousand
/// within half a second.
constexpr Nanoseconds first_round_spacing = Microseconds{50};

/// Late rounds this close to each other are one happening.
constexpr Nanoseconds together = Milliseconds{100};

void count_lateness(ProberStatistics& statistics, Nanoseconds late) {
    const auto micros = std::max<std::int64_t>(0, late / Microseconds{1});
    const auto bucket = std::min<unsigned>(
        31, static_cast<unsigned>(std::bit_width(static_cast<std::uint64_t>(micros))));
    ++statistics.lateness[bucket];
    if (late < ProberStatistics::very_late) return;
    const WallTime time = wall_now();
    if (statistics.late.empty() || time - statistics.late.back().at > together) {
        if (statistics.late.size() == ProberStatistics::late_kept) statistics.late.pop_front();
        statistics.late.push_back({time, late, 0});
    }
    LateRounds& last = statistics.late.back();
    last.worst = std::max(last.worst, late);
    ++last.rounds;
}

}  // namespace

Scheduler::Scheduler(ProberSettings settings, Descriptor epoll, std::size_t socket_limit,
                     const rlimit& files)
    : settings_(std::move(settings)),
      epoll_(std::move(epoll)),
      environment_(std::make_unique<Environment>(epoll_.get())),
      pacing_(settings_.seed),
      wheel_(now()),
      script_files_(files) {
    environment_->sockets.limit = socket_limit;
}

Scheduler::~Scheduler() = default;

std::optional<TimePoint> Scheduler::deadline() const {
    return more_work_ ? TimePoint{} : wheel_.next();
}

Scheduler::Entry* Scheduler::find(Token token) {
    if (token.index >= places_.size()) return nullptr;
    Place& place = places_[token.index];
    return place.generation == token.generation ? place.entry.get() : nullptr;
}

Scheduler::Entry* Scheduler::find(CheckId id) {
    const auto found = index_.find(id);
    return found == index_.end() ? nullptr : places_[found->second].entry.get();
}

void Scheduler::add(CheckId id, const core::Check& check, bool first_round_at_once) {
    remove(id);
    std::uint32_t place = static_cast<std::uint32_t>(places_.size());
    if (free_places_.empty()) {
        places_.emplace_back();
    } else {
        place = free_places_.back();
        free_places_.pop_back();
    }
    const std::uint64_t token = Token{Token::Kind::check, places_[place].generation, place}.pack();
    const TimePoint time = now();
    if (first_round_at_once)
        next_first_round_ = std::max(next_first_round_ + first_round_spacing, time);
    const TimePoint first = first_round_at_once ? next_first_round_ : time;
    pacing_.add(check.timing.every);
    auto entry = std::make_unique<Entry>(
        id, token, check.timing, Schedule(check.timing, first_round_at_once, first, time, pacing_));
    entry->probe =
        make_probe({*environment_, token, [this]() -> ScriptRunner& { return scripts(); },
                    [this]() -> FileReader& { return files(); }},
                   check);
    wheel_.arm(entry->timer, entry->schedule.due());
    places_[place].entry = std::move(entry);
    index_[id] = place;
}

ScriptRunner& Scheduler::scripts() {
    if (!scripts_)
        scripts_ = std::make_unique<ScriptRunner>(epoll_.get(), wheel_, settings_.script_user,
                                                  script_files_);
    return *scripts_;
}

FileReader& Scheduler::files() {
    if (!files_) {
        files_ = std::make_unique<FileReader>();
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = Token{Token::Kind::files_read}.pack();
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, files_->descriptor(), &event);
    }
    return *files_;
}

void Scheduler::remove(CheckId id) {
    const auto found = index_.find(id);
    if (found == index_.end()) return;
    Place& place = places_[found->second];
    pacing_.remove(place.entry->every);
    place.entry.reset();
    place.generation = Token::next_generation(place.generation);
    free_places_.push_back(found->second);
    index_.erase(found);
}

void Scheduler::hurry(CheckId id) {
    Entry* entry = find(id);
    if (entry == nullptr) return;
    entry->hurried = entry->in_round;
    if (entry->in_round) return;
    entry->schedule.insert_round(now());
    wheel_.arm(entry->timer, entry->schedule.due());
}

void Scheduler::retry(CheckId id, Nanoseconds delay) {
    Entry* entry = find(id);
    if (entry == nullptr || entry->in_round) return;
    entry->schedule.retry_round(now() + delay, delay, pacing_);
    wheel_.arm(entry->timer, entry->schedule.due());
}

void Scheduler::work() {
    const bool more_events = take_events(events_a_call);
    const bool more_timers = take_timers(timers_a_call);
    more_work_ = more_events || more_timers;
}

bool Scheduler::take_events(int limit) {
    std::array<epoll_event, events_a_fetch> events;
    const TimePoint end = now() + time_for_events;
    for (int taken = 0; taken < limit; taken += events_a_fetch) {
        const int count = ::epoll_wait(epoll_.get(), events.data(), events_a_fetch, 0);
        const TimePoint time = now();
        for (int index = 0; index < count; ++index)
            on_event(Token::unpack(events[static_cast<std::size_t>(index)].data.u64), time);
        if (count < events_a_fetch) return false;
        if (time >= end) return true;
    }
    return true;
}

bool Scheduler::take_timers(int limit) {
    const TimePoint time = now();
    for (int count = 0; count < limit; ++count) {
        const TimerWheel::Node* due = wheel_.pop(time);
        if (due == nullptr) return false;
        on_timer(Token::unpack(due->token));
    }
    return true;
}

void Scheduler::look_at(std::uint64_t owner, TimePoint time) {
    if (Entry* entry = find(Token::unpack(owner))) follow(*entry, entry->probe->on_event(time));
}

void Scheduler::on_packets(Token::Kind kind, TimePoint time) {
    // Held: the receiver of a verdict may remove the last check that needs it.
    const std::shared_ptr<Through> through = environment_->through.lock();
    if (!through) return;
    for (const std::uint64_t owner : through->on_event(kind, time))
        look_at(owner, time);
}

void Scheduler::on_event(Token token, TimePoint time) {
    switch (token.kind) {
        case Token::Kind::check: return look_at(token.pack(), time);
        case Token::Kind::script_run:
            if (const std::optional<std::uint64_t> owner = scripts_->on_exit(token))
                look_at(*owner, time);
            return;
        case Token::Kind::scripts_launched:
            for (const std::uint64_t owner : scripts_->on_launched())
                look_at(owner, time);
            return;
        case Token::Kind::files_read:
            for (const std::uint64_t owner : files_->take())
                look_at(owner, time);
            return;
        case Token::Kind::packets:
        case Token::Kind::ways: return on_packets(token.kind, time);
    }
}

void Scheduler::on_timer(Token token) {
    if (token.kind == Token::Kind::script_run) return scripts_->on_timer(token);
    Entry* entry = find(token);
    if (entry == nullptr) return;
    if (entry->in_round)
        on_round_timer(*entry);
    else
        start_round(*entry);
}

void Scheduler::on_round_timer(Entry& entry) {
    const TimePoint time = now();
    if (entry.limit == Nanoseconds{0} || time < entry.round_end)
        return follow(entry, entry.probe->on_timeout(time));
    // The answer may have come in time and we are late to look.
    Probe::Progress progress = entry.probe->on_event(time);
    if (!progress) {
        entry.probe->abandon();
        progress = Outcome{core::Failure::silence, "timed out after " + to_text(entry.limit), {}};
    }
    follow(entry, std::move(progress));
}

void Scheduler::start_round(Entry& entry) {
    const TimePoint time = now();
    if (!entry.probe->ready()) {
        entry.schedule.advance(time, pacing_);
        wheel_.arm(entry.timer, entry.schedule.due());
        return;
    }
    count_lateness(environment_->statistics, time - entry.schedule.due());
    entry.in_round = true;
    entry.round_end = time + entry.limit;
    follow(entry, entry.probe->start(time));
}

void Scheduler::follow(Entry& entry, Probe::Progress progress) {
    if (!entry.in_round) return;  // an event of a round that was given up
    if (!progress) {
        const bool limited = entry.limit > Nanoseconds{0} && entry.round_end < entry.probe->wake();
        wheel_.arm(entry.timer, limited ? entry.round_end : entry.probe->wake());
        return;
    }
    const TimePoint time = now();
    entry.in_round = false;
    entry.schedule.advance(time, pacing_);
    if (std::exchange(entry.hurried, false)) entry.schedule.insert_round(time);
    wheel_.arm(entry.timer, entry.schedule.due());
    ++environment_->statistics.rounds;
    if (on_verdict)
        on_verdict(entry.id,
                   core::Verdict{progress->failure, std::move(progress->reason), progress->rtt,
                                 time, wall_now(), std::move(progress->reply), progress->weight,
                                 progress->weight_change});
}

}  // namespace dnsdirector::probe
