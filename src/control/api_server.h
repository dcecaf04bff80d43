// SPDX-License-Identifier: Apache-2.0
//
// The HTTP API: on a Unix socket for the commands, and (when configured) on a
// TCP address for /metrics and /healthz. It runs on a thread and an io_context
// of its own and knows only requests and replies.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/address.h"
#include "base/result.h"

namespace dnsdirector::control {

struct ApiRequest {
    std::string method;  ///< "GET", "POST"
    std::string path;    ///< "/v1/status"
    std::string body;    ///< JSON or empty; at most 64 KiB
};

struct ApiReply {
    int status = 200;
    std::string body;
    std::string content_type = "application/json";
    /// When set, makes the body, on the API's thread: turning a large snapshot
    /// into text must not hold up the event loop.
    std::function<std::string()> render = nullptr;
};

/// Called on the API's thread; `reply` may be called once, from any thread.
using ApiHandler = std::function<void(ApiRequest, std::function<void(ApiReply)> reply)>;

class ApiServer {
public:
    ApiServer();
    ~ApiServer();  ///< stops the thread; requests under way are dropped

    /// Commands, for root and the director's own user and group (mode 0660,
    /// peer credentials are checked). A stale socket file is replaced.
    Result<void> listen_unix(const std::string& path, ApiHandler handler);
    /// Read-only paths for everybody who reaches the address.
    Result<void> listen_tcp(const Endpoint& endpoint, ApiHandler handler);
    void start();
    /// Runs work on the API's thread, off the event loop.
    void post(std::function<void()> work);
    /// Runs work while the API's thread takes no call, waiting a second at most for it to be free.
    void while_still(const std::function<void()>& work);
    /// Somebody removed the socket's file: listens there again.
    void restore_unix();
    /// Waits two seconds at most for a request under way.
    void stop();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace dnsdirector::control
