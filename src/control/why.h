// SPDX-License-Identifier: Apache-2.0
//
// `why TARGET`: from how servers and services stand to sentences. Pure: the values are
// standing.h's, the words are made on the API's thread.
#pragma once

#include <string>
#include <vector>

#include "control/standing.h"

namespace dnsdirector::control {

/// The answer in one sentence: of the servers that are worst off, naming the
/// cause. "ns2 203.0.113.12:53 is OUT of resolvers/udp: SERVFAIL to
/// www.example.com. A since 14:02:11 (fall 2 reached)". `standings` is not empty.
[[nodiscard]] std::string answer_of(const std::vector<ServerStanding>& standings, WallTime now);

/// The same of one server.
[[nodiscard]] std::string sentence_of(const ServerStanding& standing, WallTime now);

/// How a service stands: its quorum, who gets its work and who is out, or its
/// sorry server where that was asked for.
[[nodiscard]] std::string sentence_of(const ServiceStanding& standing, WallTime now);

/// The first line, whatever was meant: services before servers.
[[nodiscard]] std::string answer_of(const Standings& standings, WallTime now);

/// "2", "1 or more (2 less hysteresis 1) while it is met, 3 to be met again".
[[nodiscard]] std::string needed_text(const core::Quorum& quorum);

/// What would bring it in again, or end what is unusual; "" when nothing is.
[[nodiscard]] std::string way_back(const ServerStanding& standing);

/// "fall 2 reached", "held by max_out 50%".
[[nodiscard]] std::string rule_text(const ServerStanding& standing);

/// Verdicts in runs: "47 passed, then 3 SERVFAIL".
[[nodiscard]] std::string runs_of(const std::vector<core::PastVerdict>& verdicts);

/// "resolvers/udp", or the service where it has no cluster.
[[nodiscard]] std::string service_name(const core::Service& service);

/// The machine's local time: "14:02:11", with the date where that is another day.
[[nodiscard]] std::string clock_text(WallTime time, WallTime now);

/// {"at", "answer", "services": [...], "servers": [...]}
[[nodiscard]] std::string to_json(const Standings& standings, WallTime now);

}  // namespace dnsdirector::control
