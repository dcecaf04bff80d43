// SPDX-License-Identifier: Apache-2.0
//
// core/ is the pure heart: the configuration as typed values, the health of
// checks, the operator's overrides, and the functions that make of them what
// should be forwarded. It does no I/O, reads no clock (time is an argument) and
// knows neither Asio nor the kernel.
//
// This header holds the configuration: what config/ produces from a file and
// everything else reads. Two files with the same meaning give equal values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/time.h"

namespace dnsdirector::core {

/// 0 to 65535, as in IPVS. 0: checked, but no new work.
using Weight = std::uint32_t;
inline constexpr Weight max_weight = 65535;

enum class Scheduler : std::uint8_t { wrr, rr, mh, sh, wlc, lc, sed, nq };
enum class ForwardingMethod : std::uint8_t { dr, tun, nat };
enum class DataPlaneKind : std::uint8_t { xdp, ipvs, proxy, none };
enum class XdpMode : std::uint8_t { automatic, native, generic };
enum class OnAllDown : std::uint8_t { hold, empty };

[[nodiscard]] std::string_view to_string(Scheduler scheduler);      ///< "wrr" …
[[nodiscard]] std::string_view to_string(ForwardingMethod method);  ///< "dr" …
[[nodiscard]] std::string_view to_string(DataPlaneKind kind);       ///< "xdp" …
[[nodiscard]] std::string_view to_string(XdpMode mode);             ///< "auto" …
[[nodiscard]] std::string_view to_string(OnAllDown policy);         ///< "hold" …

// ---- checks -----------------------------------------------------------------

/// What to do with a reply whose TC bit is set, over UDP.
enum class OnTruncated : std::uint8_t { ask_over_tcp, pass, fail };

/// One DNS question to one server over one transport.
struct DnsCheck {
    std::string name = ".";   ///< presentation form, absolute, lower case kept as written
    std::uint16_t type = 6;   ///< RR TYPE number (RFC 1035); 6 is SOA
    std::uint16_t klass = 1;  ///< CLASS number; 1 is IN
    Protocol transport = Protocol::udp;
    std::optional<IpAddress> source;  ///< of the target's family
    bool recursion_desired = true;
    OnTruncated on_truncated = OnTruncated::ask_over_tcp;
    std::vector<std::uint16_t> fail_on;  ///< RCODEs that are failures, sorted
    std::optional<std::uint16_t> expect_rcode;
    /// Record data in presentation form; one of them must be among the answers.
    /// Empty: any answer will do.
    std::vector<std::string> expect_answers;

    friend auto operator<=>(const DnsCheck&, const DnsCheck&) = default;
    friend bool operator==(const DnsCheck&, const DnsCheck&) = default;
};

/// MISC_CHECK: a command whose exit status is the verdict (0 passes).
struct ScriptCheck {
    std::vector<std::string> arguments;  ///< argv; arguments[0] is an absolute path
    std::string stdout_to;               ///< file that a `>` redirection named; "" is /dev/null
    std::string stderr_to;               ///< likewise; "&1" follows stdout
    std::string user;                    ///< "" is the director's `script_user`

    friend auto operator<=>(const ScriptCheck&, const ScriptCheck&) = default;
    friend bool operator==(const ScriptCheck&, const ScriptCheck&) = default;
};

struct CheckTiming {
    Nanoseconds every = Seconds{1};           ///< start to start; 50 ms to 1 day
    Nanoseconds timeout = Milliseconds{500};  ///< for one try
    std::uint32_t tries = 2;                  ///< per round, 1 to 10
    std::uint32_t rise = 2;                   ///< passed rounds in a row until up
    std::uint32_t fall = 2;                   ///< failed rounds in a row until down
    /// Zero: the first rounds run at once and back to back (native form). Else
    /// the first one starts 1 s plus a random part of it after the start
    /// (keepalived's `warmup`).
    Nanoseconds warmup{0};

    friend auto operator<=>(const CheckTiming&, const CheckTiming&) = default;
    friend bool operator==(const CheckTiming&, const CheckTiming&) = default;
};

/// How a check counts that has no verdict yet, of a server that the kernel does
/// not forward to (interface.md, "Start").
enum class Untested : std::uint8_t {
    out,  ///< native form: in after `rise` passes
    in,   ///< compatible form without `alpha`: in at once, the first failure removes it
};

/// A check is a value: equal checks are one check, however many services list it.
struct Check {
    Endpoint target;  ///< the server asked; a script knows its target itself, here it is what it
                      ///< stands for
    std::variant<DnsCheck, ScriptCheck> what;
    CheckTiming timing;
    Untested untested = Untested::out;

    friend auto operator<=>(const Check&, const Check&) = default;
    friend bool operator==(const Check&, const Check&) = default;
};

/// Index into Configuration::checks.
using CheckIndex = std::uint32_t;

// ---- services ---------------------------------------------------------------

struct ServiceKey {
    IpAddress address;
    std::uint16_t port = 53;
    Protocol protocol = Protocol::udp;

    [[nodiscard]] Endpoint endpoint() const { return {address, port}; }
    /// "192.0.2.53:53/udp", "[2001:db8::53]:53/tcp".
    [[nodiscard]] std::string to_string() const;

    friend auto operator<=>(const ServiceKey&, const ServiceKey&) = default;
    friend bool operator==(const ServiceKey&, const ServiceKey&) = default;
};

/// A real server as one service sees it: one address of the service's family.
struct RealServer {
    std::string name;  ///< "ns1"; in the compatible form "203.0.113.11:53"
    Endpoint endpoint;
    Weight weight = 1;
    std::vector<CheckIndex> checks;  ///< all must pass; none: always up

    friend bool operator==(const RealServer&, const RealServer&) = default;
};

struct Quorum {
    std::uint64_t required = 1;    ///< sum of weights
    std::uint64_t hysteresis = 0;  ///< keepalived: met from required+h, lost below required-h

    friend bool operator==(const Quorum&, const Quorum&) = default;
};

struct Service {
    ServiceKey key;
    std::string cluster;  ///< dns_cluster's name; "" in the compatible form
    Scheduler scheduler = Scheduler::wrr;
    ForwardingMethod method = ForwardingMethod::dr;
    Quorum quorum;
    OnAllDown on_all_down = OnAllDown::hold;
    std::uint32_t max_out_percent = 100;   ///< 0 to 100
    Nanoseconds slow_start{0};             ///< 0: off
    std::vector<RealServer> real_servers;  ///< in the order of the file, endpoints unique

    friend bool operator==(const Service&, const Service&) = default;
};

// ---- the whole --------------------------------------------------------------

/// Capacity of the kernel's tables; reaching one is an error of check-config.
struct Limits {
    std::uint32_t services = 4096;
    std::uint32_t real_servers = 65536;  ///< (service, server) pairs
    std::uint32_t slots = 4U << 20;      ///< of all services' tables together, twice during a swap

    friend bool operator==(const Limits&, const Limits&) = default;
};

struct DirectorSettings {
    DataPlaneKind dataplane = DataPlaneKind::xdp;
    std::vector<std::string> interfaces;  ///< where clients' packets arrive
    XdpMode xdp_mode = XdpMode::automatic;
    std::string service_interface = "lo";  ///< holds the service IPs
    std::string
        script_user;  ///< "": keepalived_script if there is such a user, else the director's
    Nanoseconds drain_time{0};            ///< forwarding lingers this long at a clean stop
    std::optional<Endpoint> http_listen;  ///< /metrics, /healthz
    Limits limits;

    friend bool operator==(const DirectorSettings&, const DirectorSettings&) = default;
};

struct Configuration {
    DirectorSettings director;
    std::vector<Check> checks;      ///< unique
    std::vector<Service> services;  ///< keys unique, in the order of the file

    friend bool operator==(const Configuration&, const Configuration&) = default;
};

}  // namespace dnsdirector::core

template <>
struct std::hash<dnsdirector::core::ServiceKey> {
    std::size_t operator()(const dnsdirector::core::ServiceKey& key) const noexcept {
        return std::hash<dnsdirector::Endpoint>{}(key.endpoint()) * 2 +
               static_cast<std::size_t>(key.protocol);
    }
};
