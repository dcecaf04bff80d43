// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "probe/script_child.h"

namespace dnsdirector::probe {

/// The thread that starts scripts, so that a slow file system or user database
/// holds up no check but those of scripts.
class ScriptLauncher {
public:
    struct Launched {
        std::uint64_t run = 0;
        Result<ScriptChild> child;
    };

    ScriptLauncher(std::string default_user, const rlimit& files);
    ~ScriptLauncher();
    ScriptLauncher(const ScriptLauncher&) = delete;
    ScriptLauncher& operator=(const ScriptLauncher&) = delete;

    void submit(std::uint64_t run, std::shared_ptr<const core::ScriptCheck> check);
    /// Readable when take() has something.
    [[nodiscard]] int descriptor() const { return event_.get(); }
    [[nodiscard]] std::vector<Launched> take();
    /// Ends the thread; requests not begun are dropped. take() goes on to work.
    void stop();

private:
    struct Request {
        std::uint64_t run = 0;
        std::shared_ptr<const core::ScriptCheck> check;
    };
    void work();

    std::string default_user_;
    rlimit files_;
    Descriptor event_;
    std::mutex mutex_;
    std::condition_variable wanted_;
    std::deque<Request> requests_;
    std::vector<Launched> launched_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace dnsdirector::probe
