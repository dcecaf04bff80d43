// SPDX-License-Identifier: Apache-2.0
//
// The director's state as an immutable value: taken by the event loop when
// somebody asks, turned into JSON or metrics by the API's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "announce/session_state.h"
#include "control/hook_statistics.h"
#include "core/announcement.h"
#include "core/desired.h"
#include "dataplane/dataplane.h"
#include "probe/prober.h"
#include "realserver/keeper_state.h"

namespace dnsdirector::control {

struct CheckSnapshot {
    std::string kind;     ///< as core::kind_of
    bool native = false;  ///< a dig line that is asked without dig
    std::string what;     ///< "www.example.com. A udp", a script's path
    core::Health health = core::Health::unknown;
    bool any_verdict = false;
    core::Verdict last;
    std::uint32_t shared_by = 1;         ///< services that list it
    std::optional<core::Weight> weight;  ///< what it says of the server's weight
    std::int32_t weight_change = 0;
};

struct ServerSnapshot {
    std::string name;
    Endpoint endpoint;
    core::ServerDecision decision;
    dataplane::Count count;
    double packets_per_second = 0;
    std::optional<dataplane::Connections> connections;  ///< where the plane keeps flows
    std::vector<CheckSnapshot> checks;
};

struct SorrySnapshot {
    Endpoint endpoint;
    core::SorryDecision decision;
    dataplane::Count count;
    double packets_per_second = 0;
};

struct ServiceSnapshot {
    core::ServiceKey key;
    std::string cluster;
    std::string group;
    core::Scheduler scheduler = core::Scheduler::wrr;
    core::ForwardingMethod method = core::ForwardingMethod::dr;
    core::QuorumDecision quorum;
    dataplane::Count count;
    double packets_per_second = 0;
    std::vector<ServerSnapshot> servers;
    std::optional<SorrySnapshot> sorry;
};

struct AnnouncementSnapshot {
    IpAddress service_ip;
    bool told = false;  ///< by BGP: a bgp block names it
    core::AnnouncementDecision decision;
    std::optional<core::RouteAttributes> attributes;  ///< while there is a route
};

/// Predicted by the configuration, and as it is; bytes.
struct MemorySnapshot {
    std::vector<dataplane::TableMemory> predicted_tables;
    std::vector<dataplane::TableMemory> tables;  ///< none where the plane cannot tell
    std::uint64_t predicted_process = 0;
    std::uint64_t resident = 0;
};

struct Snapshot {
    std::string version;
    WallTime at;
    WallTime started_at;
    std::string config_path;
    WallTime loaded_at;
    std::uint64_t generation = 0;
    std::optional<std::string> last_error;
    core::DataPlaneKind kind = core::DataPlaneKind::xdp;
    std::vector<dataplane::AttachedInterface> interfaces;
    std::map<std::string, std::uint64_t> drops;
    dataplane::FlowCounts flows;
    std::map<std::string, std::uint64_t> events;  ///< of a proxy (dataplane::Counters)
    std::vector<std::string> plane_warnings;
    std::vector<std::string> foreign;  ///< services in the plane's table that others made
    std::string counters_error;        ///< why counters could not be read; "" when they were
    std::vector<ServiceSnapshot> services;
    std::vector<AnnouncementSnapshot> announcements;     ///< of each service IP, sorted
    std::optional<announce::DaemonState> bgp;            ///< with a bgp block
    std::optional<realserver::KeeperState> real_server;  ///< of a real server's agent
    bool all_drained = false;
    bool stopping = false;  ///< forwarding lingers, announcements are withdrawn
    probe::ProberStatistics checks;
    HookStatistics hooks;
    MemorySnapshot memory;
    Nanoseconds last_verdict_to_table{0};
    Nanoseconds worst_verdict_to_table{0};
};

/// `status --json`, as interface.md says; additions are welcome, removals not.
[[nodiscard]] std::string to_json(const Snapshot& snapshot);

/// Prometheus text exposition format 0.0.4.
[[nodiscard]] std::string to_metrics(const Snapshot& snapshot);

}  // namespace dnsdirector::control
