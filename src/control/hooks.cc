// SPDX-License-Identifier: Apache-2.0
#include "control/hooks.h"

#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "probe/clock.h"

namespace dnsdirector::control {
namespace {

using probe::Token;

/// What one call takes at most, so that the event loop stays responsive.
constexpr int events_a_call = 64;

std::string describe(const core::Service& service, const core::Notice& notice) {
    if (!notice.server)
        return fmt::format("{} of {}", notice.up ? "quorum_up" : "quorum_down",
                           service.key.to_string());
    return fmt::format("{} of {} in {}", notice.up ? "notify_up" : "notify_down",
                       notice.server->to_string(), service.key.to_string());
}

}  // namespace

Result<std::unique_ptr<Hooks>> Hooks::create(HookSettings settings) {
    probe::Descriptor epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll.open()) return fail_errno("cannot create an epoll instance for the hooks", errno);
    return std::unique_ptr<Hooks>(new Hooks(std::move(settings), std::move(epoll)));
}

Hooks::Hooks(HookSettings settings, probe::Descriptor epoll)
    : settings_(std::move(settings)), epoll_(std::move(epoll)), wheel_(probe::now()) {}

Hooks::~Hooks() = default;

void Hooks::tell(const core::Service& service, const core::Notice& notice) {
    const core::Command* command = core::command_for(service, notice);
    if (command == nullptr || command->arguments.empty()) return;
    const Subject subject{service.key, notice.server};
    auto [at, first] = waiting_.try_emplace(subject);
    if (first) turns_.push_back(subject);
    at->second.push_back({*command, describe(service, notice), notice.up});
    drop_superseded(at->second, subject);
    start_waiting();
}

/// The oldest up and down that follow each other: what comes after them says
/// how things stand.
void Hooks::drop_superseded(std::deque<Job>& jobs, const Subject& subject) {
    if (jobs.size() <= settings_.waiting_for_one) return;
    const std::size_t count = jobs.size() >= 3 && jobs[0].up != jobs[1].up ? 2 : 1;
    spdlog::warn("{} commands wait for {}: leaving out {}{}{}", jobs.size(),
                 subject.second ? subject.second->to_string() : subject.first.to_string(),
                 jobs[0].what, count == 2 ? " and " : "", count == 2 ? jobs[1].what : "");
    jobs.erase(jobs.begin(), jobs.begin() + static_cast<std::ptrdiff_t>(count));
    statistics_.dropped += count;
}

void Hooks::start_waiting() {
    std::deque<Subject> later;
    while (!turns_.empty() && running_.size() < settings_.at_once) {
        const Subject subject = turns_.front();
        turns_.pop_front();
        if (busy_.contains(subject)) {
            later.push_back(subject);
            continue;
        }
        const auto at = waiting_.find(subject);
        Job job = std::move(at->second.front());
        at->second.pop_front();
        if (at->second.empty())
            waiting_.erase(at);
        else
            later.push_back(subject);
        start(subject, std::move(job));
    }
    turns_.insert(turns_.begin(), later.begin(), later.end());
}

void Hooks::start(const Subject& subject, Job job) {
    if (!runner_) {
        rlimit files{};
        ::getrlimit(RLIMIT_NOFILE, &files);
        constexpr rlim_t usual = 1024;  // not what the prober raised it to
        files.rlim_cur = std::min(files.rlim_cur, usual);
        runner_ = std::make_unique<probe::ScriptRunner>(epoll_.get(), wheel_, settings_.script_user,
                                                        files);
    }
    spdlog::info("{}: {}", job.what, fmt::join(job.command.arguments, " "));
    auto script = std::make_shared<core::ScriptCheck>();
    script->arguments = std::move(job.command.arguments);
    script->user = std::move(job.command.user);
    const RunNumber number = next_number_++;
    const auto id = runner_->start(std::move(script), number);
    running_.emplace(
        number, Run{subject, std::move(job.what), id, probe::now() + settings_.time_limit, false});
    busy_.insert(subject);
    ++statistics_.started;
}

void Hooks::finished(RunNumber number, const probe::Outcome& outcome) {
    const auto at = running_.find(number);
    if (at == running_.end()) return;
    if (outcome.failure != core::Failure::none) {
        spdlog::warn("{}: {}", at->second.what, outcome.reason);
        ++statistics_.failed;
    }
    busy_.erase(at->second.subject);
    running_.erase(at);
}

void Hooks::take_events() {
    std::array<epoll_event, events_a_call> events;
    const int count = ::epoll_wait(epoll_.get(), events.data(), events_a_call, 0);
    const auto collect = [this](std::uint64_t number) {
        const auto at = running_.find(number);
        if (at == running_.end()) return;
        if (const auto outcome = runner_->collect(at->second.id)) finished(number, *outcome);
    };
    for (int i = 0; i < count; ++i) {
        const Token token = Token::unpack(events[static_cast<std::size_t>(i)].data.u64);
        if (token.kind == Token::Kind::scripts_launched)
            for (const std::uint64_t number : runner_->on_launched())
                collect(number);
        else if (const auto number = runner_->on_exit(token))
            collect(*number);
    }
}

void Hooks::end_the_late(TimePoint now) {
    for (auto& [number, run] : running_) {
        if (run.late || run.limit > now) continue;
        run.late = true;
        spdlog::warn("{}: still running after {}, ending it", run.what,
                     to_text(settings_.time_limit));
        runner_->terminate(run.id, now);
    }
    while (const probe::TimerWheel::Node* due = wheel_.pop(now))
        runner_->on_timer(Token::unpack(due->token));
}

/// Those that were told to end, and have: nobody collects them.
void Hooks::sweep() {
    std::erase_if(running_, [this](const auto& entry) {
        if (!entry.second.late || runner_->running(entry.second.id)) return false;
        busy_.erase(entry.second.subject);
        ++statistics_.failed;
        return true;
    });
}

void Hooks::work() {
    const TimePoint now = probe::now();
    if (runner_) {
        take_events();
        end_the_late(now);
        sweep();
        start_waiting();
    }
    if (when_idle_ && (idle() || idle_by_ <= now)) std::exchange(when_idle_, nullptr)();
}

std::optional<TimePoint> Hooks::deadline() const {
    std::optional<TimePoint> earliest = wheel_.next();
    const auto consider = [&](TimePoint time) {
        if (!earliest || time < *earliest) earliest = time;
    };
    for (const auto& [number, run] : running_)
        if (!run.late) consider(run.limit);
    if (when_idle_) consider(idle_by_);
    return earliest;
}

void Hooks::when_idle(TimePoint by, std::function<void()> done) {
    if (idle()) return done();
    when_idle_ = std::move(done);
    idle_by_ = by;
}

void Hooks::give_up() {
    for (const auto& [subject, jobs] : waiting_)
        for (const Job& job : jobs) {
            spdlog::warn("{}: left out, the director ends", job.what);
            ++statistics_.dropped;
        }
    waiting_.clear();
    turns_.clear();
    for (auto& [number, run] : running_) {
        spdlog::warn("{}: killed, the director ends", run.what);
        run.late = true;
        runner_->kill(run.id);
    }
}

HookStatistics Hooks::statistics() const {
    HookStatistics now = statistics_;
    now.running = running_.size();
    for (const auto& [subject, jobs] : waiting_)
        now.waiting += jobs.size();
    return now;
}

}  // namespace dnsdirector::control
