// SPDX-License-Identifier: Apache-2.0
//
// The machine as the judges see it: a value, filled by read_machine() or by a test.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "core/model.h"
#include "dataplane/xdp/survey.h"
#include "netlink/devices.h"
#include "netlink/netlink.h"

namespace dnsdirector::doctor {

/// An interrupt of a queue.
struct Interrupt {
    unsigned number = 0;
    std::string name;            ///< "eth0-TxRx-0", "virtio0-input.0"
    std::vector<unsigned> cpus;  ///< that may serve it (effective affinity)
};

struct Interface {
    netlink::Link link;
    netlink::DeviceSettings settings;
    std::optional<std::uint64_t> xdp_features;  ///< netlink::XdpFeature; absent before Linux 6.3
    std::vector<Interrupt> interrupts;          ///< none found: none, or not told
    /// Of link.xdp_program_id; absent where none is attached.
    std::optional<Result<dataplane::LoadedProgram>> program;
};

/// How packets get to a real server.
struct Way {
    Result<netlink::Route> route = netlink::Route{};
    std::optional<netlink::Neighbour>
        neighbour;  ///< of the server itself, on the route's interface
};

struct RunPlace {
    std::string path;
    bool exists = false;
    bool writable = false;  ///< it, or the nearest directory above it
    bool world_writable = false;
    bool director_answers = false;  ///< a director runs with it
};

struct IpvsModules {
    bool loaded = false;
    /// Of modules that are loaded or built in, or that modprobe would find; absent where
    /// neither is told (no /lib/modules for this kernel).
    std::function<std::optional<bool>(const std::string& module)> available;
};

/// What the bgp block needs; empty without one.
struct Announcing {
    std::string tun_problem;     ///< why /dev/net/tun cannot be opened; "" when it can
    std::string daemon_program;  ///< "" when it is not installed
    std::string daemon_socket;   ///< its control socket's path
    bool daemon_answers = false;
    std::map<IpAddress, Way> ways;  ///< to the neighbours
};

struct Machine {
    std::string kernel;              ///< uname -r
    unsigned cpus = 1;               ///< online
    std::uint64_t capabilities = 0;  ///< effective ones of this process, bits of linux/capability.h
    std::optional<std::uint64_t> memory_available;  ///< bytes
    std::vector<Interface> interfaces;
    std::vector<netlink::InterfaceAddress> addresses;
    std::map<IpAddress, Way> ways;  ///< of the configuration's real servers
    std::optional<netlink::NeighbourTables> neighbour_tables;
    std::optional<int> default_route;  ///< ifindex of IPv4's, main table
    Result<dataplane::ProgramTrial> trial = dataplane::ProgramTrial{};
    std::string pin_dir;
    Result<dataplane::PinPlace> pins = dataplane::PinPlace{};
    RunPlace run;
    std::vector<Endpoint> listening;  ///< TCP, of this network namespace
    /// A number below /proc/sys/net, by its path there; nothing where it is not.
    std::function<std::optional<long>(const std::string& path)> setting;
    IpvsModules ipvs;
    Announcing announcing;

    [[nodiscard]] const Interface* interface(int index) const;
    [[nodiscard]] const Interface* interface(const std::string& name) const;
    [[nodiscard]] bool holds(const IpAddress& address) const;
};

struct Places {
    std::string run_dir;
    std::string pin_dir;
    bool director_answers = false;
};

/// Reads everything of the calling thread's network namespace. `configuration` null: no
/// servers to look for. Errors: the kernel gives no netlink socket at all; whatever else
/// cannot be read is absent in the result.
[[nodiscard]] Result<Machine> read_machine(const core::Configuration* configuration,
                                           const Places& places);

}  // namespace dnsdirector::doctor
