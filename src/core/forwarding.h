// SPDX-License-Identifier: Apache-2.0
//
// What a data plane forwards, as a value: wished for (desired.h) or found (DataPlane::read),
// and the changes that lead from one to the other.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "core/model.h"

namespace dnsdirector::core {

/// One real server of a service. Weight 0: no new work, but it stays known, so
/// that TCP flows and counters go on (a drained server, or weight 0).
struct Destination {
    Endpoint server;
    /// Relative to the other destinations of the service; what counts is the
    /// ratio (slow start scales all weights of a service up).
    std::uint32_t weight = 0;
    ForwardingMethod method = ForwardingMethod::dr;
    Thresholds thresholds = {};

    friend auto operator<=>(const Destination&, const Destination&) = default;
    friend bool operator==(const Destination&, const Destination&) = default;
};

/// Found in the kernel: something that no configuration can say. A comparison
/// repairs it.
inline constexpr IpvsOptions unwishable_options{.persistence_prefix = 255};

struct ServiceForwarding {
    ServiceKey key;
    Scheduler scheduler = Scheduler::wrr;
    ForwardingMethod method = ForwardingMethod::dr;
    std::vector<Destination> destinations;  ///< sorted by server, unique
    bool other_hash = false;                ///< as Service::other_hash
    IpvsOptions ipvs = {};

    friend bool operator==(const ServiceForwarding&, const ServiceForwarding&) = default;
};

using Forwarding = std::map<ServiceKey, ServiceForwarding>;

// ---- changes ----------------------------------------------------------------

struct AddService {  ///< without destinations; they follow as changes of their own
    ServiceKey key;
    Scheduler scheduler;
    ForwardingMethod method;
    bool other_hash = false;
    IpvsOptions ipvs = {};
    friend bool operator==(const AddService&, const AddService&) = default;
};
struct EditService {  ///< scheduler, method, hash or options; destinations stay
    ServiceKey key;
    Scheduler scheduler;
    ForwardingMethod method;
    bool other_hash = false;
    IpvsOptions ipvs = {};
    friend bool operator==(const EditService&, const EditService&) = default;
};
struct RemoveService {  ///< with all its destinations
    ServiceKey key;
    friend bool operator==(const RemoveService&, const RemoveService&) = default;
};
struct AddDestination {
    ServiceKey key;
    Destination destination;
    friend bool operator==(const AddDestination&, const AddDestination&) = default;
};
struct EditDestination {  ///< weight, method or thresholds
    ServiceKey key;
    Destination destination;
    friend bool operator==(const EditDestination&, const EditDestination&) = default;
};
struct RemoveDestination {
    ServiceKey key;
    Endpoint server;
    friend bool operator==(const RemoveDestination&, const RemoveDestination&) = default;
};

using Change = std::variant<AddService, EditService, RemoveService, AddDestination, EditDestination,
                            RemoveDestination>;

[[nodiscard]] const ServiceKey& service_of(const Change& change);

/// One line for people, as `plan` prints it:
/// "192.0.2.53:53/udp: real server 203.0.113.11:53 weight 1 -> 2".
/// `before` is what the change is applied to (for the old values).
[[nodiscard]] std::string describe(const Change& change, const Forwarding& before);

/// The changes that make `desired` of `actual`. Changes of one service are
/// consecutive; within it, additions and edits come before removals, so that a
/// plane that applies them one by one never has an empty service in between.
/// Applying any prefix and asking again leads to the same end.
[[nodiscard]] std::vector<Change> diff(const Forwarding& actual, const Forwarding& desired);

/// As above for one service; either side may be absent (nullptr).
[[nodiscard]] std::vector<Change> diff(const ServiceForwarding* actual,
                                       const ServiceForwarding* desired);

/// Idempotent: what is there already is not added twice, what is gone may be
/// removed again. A destination change of an unknown service is ignored.
void apply(Forwarding& forwarding, const Change& change);

}  // namespace dnsdirector::core
