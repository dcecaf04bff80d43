// SPDX-License-Identifier: Apache-2.0
//
// What operators can ask of a running director, as functions on the event
// loop's thread. api.cc turns HTTP requests into calls of these.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "control/flow.h"
#include "control/snapshot.h"
#include "control/standing.h"
#include "control/target.h"

namespace dnsdirector::control {

struct Drained {
    std::vector<TargetMatch> matches;
    std::vector<std::string> warnings;  ///< services that have no server left
};

class Commands {
public:
    virtual ~Commands() = default;

    [[nodiscard]] virtual Snapshot snapshot() = 0;
    [[nodiscard]] virtual const std::string& config_path() const = 0;
    /// Chooses the configuration's conditional lines; "": the host name does.
    [[nodiscard]] virtual std::string config_id() const { return {}; }
    /// All or nothing; the lines say what changed.
    virtual Result<std::vector<std::string>> reload(config::Loaded loaded) = 0;
    virtual Result<std::vector<std::string>> plan(const config::Loaded& loaded) = 0;
    /// What was matched; an error when nothing was.
    virtual Result<Drained> drain(const Target& target, bool drained) = 0;
    virtual Result<Drained> drain_all(bool drained) = 0;
    /// How each service IP is announced.
    virtual std::map<IpAddress, core::AnnouncementState> announced() = 0;
    /// The operator's word on a service IP: not to be announced, or again as its servers' health
    /// says. Returns how it is announced then; an error when it is no service IP.
    virtual Result<std::string> withdraw(const IpAddress& service_ip, bool withdrawn) = 0;
    /// How the servers and services stand that the target means; an error when
    /// there are none.
    virtual Result<Standings> why(const Target& target) = 0;
    /// Where a client's packets go; at least one answer.
    virtual std::vector<FlowAnswer> follow(const FlowQuestion& question) = 0;
};

}  // namespace dnsdirector::control
