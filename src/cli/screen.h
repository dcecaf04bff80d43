// SPDX-License-Identifier: Apache-2.0
//
// `status` for people: rendered from the same JSON that programs read.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace dnsdirector::cli {

/// `colour`: ANSI sequences (a terminal without NO_COLOR).
[[nodiscard]] std::string render_status(const nlohmann::json& status, bool colour);
/// The part of a real server's agent; "" from a director.
[[nodiscard]] std::string render_real_server(const nlohmann::json& status, const std::string& now);

/// The text under a key; "" when there is none.
[[nodiscard]] std::string text_of(const nlohmann::json& object, const char* key);

/// Its "address" and "port": "192.0.2.53:53", "[2001:db8::53]:53".
[[nodiscard]] std::string endpoint_of(const nlohmann::json& object);

/// "842", "18.2k", "3.41M".
[[nodiscard]] std::string short_number(double value);
/// "0.18 ms", "12 ms", "1.20 s".
[[nodiscard]] std::string short_rtt(std::int64_t microseconds);
/// Between two RFC 3339 times as the director writes them: "12s", "3m", "5h", "2d".
[[nodiscard]] std::string age(const std::string& since, const std::string& now);

}  // namespace dnsdirector::cli
