// SPDX-License-Identifier: Apache-2.0
#include "probe/script_runner.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

namespace dnsdirector::probe {
namespace {

using core::Failure;

void watch(int epoll, int descriptor, std::uint64_t token) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = token;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}

/// `dynamic`: keepalived.conf(5), misc_dynamic.
Outcome outcome_of_exit(const siginfo_t& ended, bool dynamic) {
    constexpr int weight_zero = 2;
    if (ended.si_code != CLD_EXITED)
        return {Failure::answer, fmt::format("killed by signal {}", ended.si_status), {}};
    if (ended.si_status == 0) return {};
    if (dynamic && ended.si_status >= weight_zero) {
        Outcome passed;
        passed.weight = static_cast<core::Weight>(ended.si_status - weight_zero);
        return passed;
    }
    return {Failure::answer, fmt::format("exit status {}", ended.si_status), {}};
}

}  // namespace

ScriptRunner::ScriptRunner(int epoll, TimerWheel& wheel, std::string default_user,
                           const rlimit& files)
    : epoll_(epoll), wheel_(wheel), launcher_(std::move(default_user), files) {
    watch(epoll_, launcher_.descriptor(), Token{Token::Kind::scripts_launched}.pack());
}

ScriptRunner::~ScriptRunner() {
    constexpr int wait_milliseconds = 1000;
    launcher_.stop();
    static_cast<void>(on_launched());
    for (Place& place : places_) {
        if (!place.run || place.run->child.pid < 0) continue;
        signal_group(*place.run, SIGKILL);
        pollfd end{place.run->child.pidfd.get(), POLLIN, 0};
        siginfo_t ended{};
        if (::poll(&end, 1, wait_milliseconds) == 1)
            ::waitid(P_PIDFD, static_cast<id_t>(end.fd), &ended, WEXITED | WNOHANG);
    }
}

ScriptRunner::Run* ScriptRunner::find(Token token) const {
    if (token.index >= places_.size()) return nullptr;
    const Place& place = places_[token.index];
    return place.generation == token.generation ? place.run.get() : nullptr;
}

void ScriptRunner::forget(Token token) {
    Place& place = places_[token.index];
    place.run.reset();
    place.generation = Token::next_generation(place.generation);
    free_places_.push_back(token.index);
}

void ScriptRunner::signal_group(const Run& run, int signal) {
    // The leader is not reaped yet, so its number cannot belong to anybody else.
    if (run.child.pid > 0) ::kill(-run.child.pid, signal);
}

ScriptRunner::RunId ScriptRunner::start(std::shared_ptr<const core::ScriptCheck> check,
                                        std::uint64_t owner) {
    std::uint32_t place = static_cast<std::uint32_t>(places_.size());
    if (free_places_.empty()) {
        places_.emplace_back();
    } else {
        place = free_places_.back();
        free_places_.pop_back();
    }
    const RunId id = Token{Token::Kind::script_run, places_[place].generation, place}.pack();
    places_[place].run = std::make_unique<Run>(id, owner, check->dynamic);
    launcher_.submit(id, std::move(check));
    return id;
}

std::optional<Outcome> ScriptRunner::collect(RunId id) {
    Run* run = find(Token::unpack(id));
    if (run == nullptr || !run->result) return std::nullopt;
    std::optional<Outcome> result = std::move(run->result);
    forget(Token::unpack(id));
    return result;
}

void ScriptRunner::terminate(RunId id, TimePoint now) {
    Run* run = find(Token::unpack(id));
    if (run == nullptr) return;
    if (run->result) return forget(Token::unpack(id));
    run->wish = Wish::terminate;
    signal_group(*run, SIGTERM);
    wheel_.arm(run->timer, now + grace);
}

void ScriptRunner::kill(RunId id) {
    Run* run = find(Token::unpack(id));
    if (run == nullptr) return;
    if (run->result) return forget(Token::unpack(id));
    run->wish = Wish::kill;
    signal_group(*run, SIGKILL);
}

void ScriptRunner::on_timer(Token token) {
    if (find(token) != nullptr) kill(token.pack());
}

std::optional<Outcome> ScriptRunner::adopt(Run& run, RunId id, Result<ScriptChild> child) {
    if (!child) return Outcome{Failure::local, child.error().message, {}};
    run.child = std::move(*child);
    watch(epoll_, run.child.pidfd.get(), id);
    // What was wished while it was being started.
    if (run.wish == Wish::terminate) signal_group(run, SIGTERM);
    if (run.wish == Wish::kill) signal_group(run, SIGKILL);
    return std::nullopt;
}

std::vector<std::uint64_t> ScriptRunner::on_launched() {
    std::vector<std::uint64_t> owners;
    for (ScriptLauncher::Launched& launched : launcher_.take()) {
        Run* run = find(Token::unpack(launched.run));
        if (run == nullptr) continue;
        std::optional<Outcome> failed = adopt(*run, launched.run, std::move(launched.child));
        if (!failed) continue;
        if (run->wish != Wish::run) {
            forget(Token::unpack(launched.run));
            continue;
        }
        run->result = std::move(failed);
        owners.push_back(run->owner);
    }
    return owners;
}

std::optional<std::uint64_t> ScriptRunner::on_exit(Token token) {
    Run* run = find(token);
    if (run == nullptr) return std::nullopt;
    siginfo_t ended{};
    const auto pidfd = static_cast<id_t>(run->child.pidfd.get());
    // Look first and reap last: while the leader is a zombie the group's number is ours.
    if (::waitid(P_PIDFD, pidfd, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0)
        return std::nullopt;
    signal_group(*run, SIGKILL);
    ::waitid(P_PIDFD, pidfd, &ended, WEXITED | WNOHANG);
    if (run->wish != Wish::run) {
        forget(token);
        return std::nullopt;
    }
    run->child = {};
    run->result = outcome_of_exit(ended, run->dynamic);
    return run->owner;
}

}  // namespace dnsdirector::probe
