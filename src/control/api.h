// SPDX-License-Identifier: Apache-2.0
//
// The API's paths. Configuration files are parsed on the API's thread; the
// event loop only sees finished values.
//
//   GET  /v1/status      status --json
//   POST /v1/reload      → {"changes": [...], "messages": [...]}
//   POST /v1/plan        {"path": "..."} → {"changes": [...], "messages": [...]}
//   POST /v1/drain       {"target": "..."} or {"all": true} → {"matches": [...]}
//   POST /v1/undrain     likewise
//   POST /v1/why         {"target": "..."} → {"answer", "servers": [...]}
//                       {"client": "...", "service": "..."} → {"answer", "flows": [...]}
//   GET  /metrics, /healthz
#pragma once

#include <functional>

#include "control/api_server.h"
#include "control/commands.h"

namespace dnsdirector::control {

/// Runs work on the event loop's thread.
using PostToLoop = std::function<void(std::function<void()>)>;

[[nodiscard]] ApiHandler command_handler(Commands& commands, PostToLoop post_to_loop);
/// /metrics and /healthz only.
[[nodiscard]] ApiHandler public_handler(Commands& commands, PostToLoop post_to_loop);

}  // namespace dnsdirector::control
