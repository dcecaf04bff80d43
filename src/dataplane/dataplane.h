// SPDX-License-Identifier: Apache-2.0
//
// One interface, several implementations (xdp, ipvs, proxy, none). The engine
// asks what is there, compares, and applies changes; it never knows which one
// it talks to. A plane decides nothing about health or weights.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/event_source.h"
#include "base/result.h"
#include "core/forwarding.h"
#include "dataplane/memory.h"

namespace dnsdirector::dataplane {

struct Count {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;  ///< as received on the wire
};

/// What a server has at the moment, where the plane keeps flows.
struct Connections {
    std::uint32_t active = 0;      ///< established TCP
    std::uint32_t inactive = 0;    ///< all others: TCP coming or going, UDP until it times out
    std::uint32_t persistent = 0;  ///< clients that persistence keeps there

    friend bool operator==(const Connections&, const Connections&) = default;
};

/// TCP flows that the plane remembers by itself. `most` 0: none.
struct FlowCounts {
    std::uint64_t most = 0;        ///< configured
    std::uint64_t remembered = 0;  ///< now; sampled, so about
    // Totals.
    std::uint64_t learnt = 0;    ///< flows that were remembered for good
    std::uint64_t young = 0;     ///< flows that were remembered on trial
    std::uint64_t full = 0;      ///< packets whose flow found no room
    std::uint64_t capped = 0;    ///< packets whose flow came too fast after others
    std::uint64_t previous = 0;  ///< packets sent as before a change, their flow being unknown
    std::uint64_t moved = 0;     ///< flows whose server was gone
};

/// Totals since the service or server was first seen; they outlive the daemon.
struct Counters {
    std::map<core::ServiceKey, Count> services;
    std::map<std::pair<core::ServiceKey, Endpoint>, Count> servers;
    std::map<std::string, std::uint64_t> drops;  ///< packets not forwarded, by reason
    std::map<std::pair<core::ServiceKey, Endpoint>, Connections> connections;
    std::vector<std::string> foreign;  ///< services in the same table that others made
    FlowCounts flows;
    /// Of a proxy: what happened to queries beside an answer of the first server, by what.
    std::map<std::string, std::uint64_t> events;
};

/// A client's packets to a service.
struct Flow {
    Endpoint client;
    core::ServiceKey service;
};

/// Where they go, by what the plane holds now.
struct Choice {
    enum class By : std::uint8_t {
        not_a_service,  ///< the plane does not touch these packets
        nobody,         ///< a service in which no server has work
        flow_hash,      ///< of addresses and ports: this flow's server is `server`
        source_hash,    ///< of the client's address: this client's server is `server`
        remembered,     ///< the flow is known: `server` has it, `by_table` would get a new one
        previous,       ///< not known, and so taken for older than a change a moment ago:
                        ///< `server` has it, `by_table` would get a new one
        rotation,       ///< every packet anew, by turns: `shares` says how often whom
        load,           ///< by how busy the servers are; known to the plane alone
    };
    struct Share {
        Endpoint server;
        std::uint32_t slots = 0;  ///< of the table's
    };
    By by = By::not_a_service;
    std::optional<Endpoint> server;    ///< by a hash or by memory
    std::optional<Endpoint> by_table;  ///< by the hash, where memory says `server`; nobody: none
    std::uint32_t slot = 0;            ///< of the table, from 0; by a hash
    std::uint32_t slots = 0;           ///< of the whole table
    std::vector<Share> shares;         ///< in the order of their endpoints
};

struct AttachedInterface {
    std::string name;
    std::string mode;     ///< "native", "generic"; "down" while it is not attached
    std::string warning;  ///< why it is not what was asked for; "" when it is
};

/// A server that the configuration knows, and how packets are to be handed to it.
struct TrackedServer {
    core::ServiceKey service;
    Endpoint server;
    core::ForwardingMethod method = core::ForwardingMethod::dr;

    friend auto operator<=>(const TrackedServer&, const TrackedServer&) = default;
    friend bool operator==(const TrackedServer&, const TrackedServer&) = default;
};

/// What stays open for the program that takes our place (re-execution).
struct KeptOverExec {
    const char* variable = nullptr;  ///< of the environment, which names `descriptor`
    int descriptor = -1;
    std::vector<int> others;  ///< that `descriptor` tells of
};

struct Capabilities {
    std::vector<core::Scheduler> schedulers;
    std::vector<core::ForwardingMethod> methods;
    bool needs_next_hop = false;  ///< unreachable_reason() means something
};

class DataPlane : public EventSource {
public:
    /// Whether this machine can do what a configuration wants, as far as that can be
    /// known beforehand; nothing is changed. An error is why it cannot, with its mend.
    [[nodiscard]] virtual Result<void> check(const core::Configuration& /*next*/) { return {}; }

    /// Told before read() which configuration comes: a plane that shares its
    /// table with others then takes over what of theirs it names. What was taken
    /// over for one that was never accepted, and is not named here, is given back
    /// as it was found.
    virtual void expect(const core::Configuration& /*next*/) {}
    /// The configuration that was expected is in force.
    virtual void accept() {}

    /// What the kernel holds now, read back from it. A service whose tables do
    /// not hold what its records say is reported with weights that cannot be
    /// wished for (or left out), so that a comparison repairs it.
    virtual Result<core::Forwarding> read() = 0;

    /// Applies changes in order. Each is idempotent. A plane may put the
    /// consecutive changes of one service into force at one stroke. An error of
    /// one service does not keep it from the others; it is returned in the end,
    /// and read() tells what holds.
    virtual Result<void> apply(std::span<const core::Change> changes) = 0;

    virtual Result<Counters> counters() = 0;

    /// Which server these packets get, read from what is in force; nothing is
    /// changed. Errors: this plane does not know, with the reason.
    [[nodiscard]] virtual Result<Choice> choose(const Flow& flow) const = 0;

    /// The servers that the configuration knows, each once: the plane resolves their next
    /// hops in the background and keeps their counters; what is not listed any
    /// more may be forgotten.
    virtual void track(std::span<const TrackedServer> servers) = 0;

    /// Why packets can't be handed to this server in this way now; "" when they
    /// can, or when this plane needs no next hop.
    [[nodiscard]] virtual std::string unreachable_reason(const Endpoint& server,
                                                         core::ForwardingMethod method) const = 0;

    /// Called from on_readable()/on_deadline() when unreachable_reason() of
    /// these servers may have changed.
    std::function<void(std::span<const IpAddress>)> on_reachability_changed;
    /// Called when the kernel's side was changed by somebody else (a link went
    /// away, an interface came back): the engine reads and repairs.
    std::function<void(const std::string& what)> on_disturbed;

    [[nodiscard]] virtual std::vector<AttachedInterface> interfaces() const = 0;
    /// What of this machine stands in the way, with its mend.
    [[nodiscard]] virtual std::vector<std::string> warnings() const { return {}; }
    /// What its tables take of the kernel's memory now; none where that cannot be told.
    [[nodiscard]] virtual std::vector<TableMemory> memory() const { return {}; }
    [[nodiscard]] virtual const Capabilities& capabilities() const = 0;

    /// A re-execution follows at once. A plane whose forwarding is not the kernel's sees to it
    /// that it goes on meanwhile. Nothing: the kernel forwards.
    [[nodiscard]] virtual std::optional<KeptOverExec> prepare_handover() { return std::nullopt; }
    /// It could not be executed: as before.
    virtual void resume() {}

    /// The process ends and systemd starts another at once (a restart). A plane whose forwarding
    /// is not the kernel's finishes what is in flight, which takes a moment at most.
    virtual void leave() {}

    /// Forwarding ends and every trace goes (a clean stop). Not called on a
    /// crash, kill -9 or re-execution: then the kernel goes on forwarding.
    virtual Result<void> detach() = 0;
};

/// What a plane of this kind can do, without making one (check-config).
[[nodiscard]] const Capabilities& capabilities_of(core::DataPlaneKind kind);

}  // namespace dnsdirector::dataplane
