// SPDX-License-Identifier: Apache-2.0
#include "probe/script_launcher.h"

#include <sys/eventfd.h>

#include <csignal>

namespace dnsdirector::probe {

ScriptLauncher::ScriptLauncher(std::string default_user, const rlimit& files)
    : default_user_(std::move(default_user)),
      files_(files),
      event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    // The director's signals are for its own thread; the new one inherits the mask.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { work(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ScriptLauncher::~ScriptLauncher() {
    stop();
}

void ScriptLauncher::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wanted_.notify_one();
    if (thread_.joinable()) thread_.join();
}

void ScriptLauncher::submit(std::uint64_t run, std::shared_ptr<const core::ScriptCheck> check) {
    {
        const std::lock_guard lock(mutex_);
        requests_.push_back({run, std::move(check)});
    }
    wanted_.notify_one();
}

std::vector<ScriptLauncher::Launched> ScriptLauncher::take() {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(event_.get(), &count, sizeof count);
    const std::lock_guard lock(mutex_);
    return std::exchange(launched_, {});
}

void ScriptLauncher::work() {
    std::unique_lock lock(mutex_);
    while (true) {
        wanted_.wait(lock, [this] { return stopping_ || !requests_.empty(); });
        if (stopping_) return;
        const Request request = std::move(requests_.front());
        requests_.pop_front();
        lock.unlock();
        Result<ScriptChild> child = start_script(*request.check, default_user_, files_);
        lock.lock();
        launched_.push_back({request.run, std::move(child)});
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t put = ::write(event_.get(), &one, sizeof one);
    }
}

}  // namespace dnsdirector::probe
