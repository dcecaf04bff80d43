// SPDX-License-Identifier: Apache-2.0
//
// The interfaces that the program is attached to: what they are, and their driver.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "doctor/drivers.h"
#include "doctor/judges.h"

namespace dnsdirector::doctor {
namespace {

using core::XdpMode;

std::vector<std::string> names_of(const Machine& machine) {
    std::vector<std::string> names;
    for (const Interface& interface : machine.interfaces)
        if (!interface.link.loopback) names.push_back(interface.link.name);
    return names;
}

void state_of(Scene& scene, const netlink::Link& link) {
    if (link.loopback || link.mac == netlink::Mac{})
        return scene.fail("interface", link.name,
                          "has no MAC addresses: direct routing needs Ethernet",
                          "another interface in the director block");
    if (!link.up)
        return scene.fail("interface", link.name, "is down",
                          "ip link set dev " + link.name + " up");
    if (!link.running)
        return scene.fail("interface", link.name, "has no carrier",
                          "the cable, the switch's port, or the other end: ethtool " + link.name);
    scene.ok("interface", link.name, "is up");
}

void interface(Scene& scene) {
    const Machine& machine = scene.machine();
    for (const std::string& name : scene.configuration().director.interfaces)
        if (machine.interface(name) == nullptr)
            scene.fail(
                "interface", name,
                fmt::format("does not exist; there are: {}", fmt::join(names_of(machine), ", ")),
                "interface with one of these in the director block");
    for (const Interface* each : scene.attached())
        state_of(scene, each->link);
    if (scene.attached().empty() && scene.configuration().director.interfaces.empty())
        scene.unknown("interface", "",
                      scene.has_file() ? "none leads to a real server" : "none is up",
                      "interface NAME in the director block");
}

/// Members of bonds and bridges, and devices on top of others.
void stacking(Scene& scene) {
    for (const Interface* each : scene.attached()) {
        const netlink::Link& link = each->link;
        if (const Interface* master = scene.machine().interface(link.master)) {
            if (master->link.kind == "bond")
                scene.fail(
                    "stacking", link.name,
                    "is a member of " + master->link.name + ", and what it receives is the bond's",
                    "interface " + master->link.name + " in the director block");
            else
                scene.warn("stacking", link.name,
                           "is a port of the " + master->link.kind + " " + master->link.name +
                               ": only frames for its own MAC (" + netlink::to_string(link.mac) +
                               ") are forwarded, not those for the MAC of " + master->link.name,
                           "the service IP's route or address on an interface of its own; or "
                           "interface " +
                               master->link.name + " with xdp_mode generic");
            continue;
        }
        const DeviceKind* kind = device_kind(link.kind);
        if (kind == nullptr) continue;
        const bool usable = scene.configuration().director.xdp_mode == XdpMode::generic &&
                            (kind->name == "bridge" || kind->name == "macvlan");
        if (usable)
            scene.ok("stacking", link.name, std::string{kind->what});
        else
            scene.warn("stacking", link.name, std::string{kind->what}, std::string{kind->mend});
    }
}

/// How the program would be attached, as attachments.cc decides it.
bool wants_native(const Scene& scene, const Interface& interface) {
    const XdpMode mode = scene.configuration().director.xdp_mode;
    return mode == XdpMode::native ||
           (mode == XdpMode::automatic && interface.settings.driver != "veth");
}

/// Nothing where neither the kernel nor the table knows.
std::optional<bool> has_native(const Interface& interface) {
    if (interface.xdp_features) return (*interface.xdp_features & netlink::xdp_basic) != 0;
    if (const Driver* known = driver(interface.settings.driver)) return known->native;
    return std::nullopt;
}

/// What native mode sends by a veth arrives only where the other end has an XDP program or GRO,
/// which since Linux 6.3 this end tells as what it can transmit (veth_set_xdp_features()).
void veth_of(Scene& scene, const Interface& interface) {
    const std::string& name = interface.link.name;
    constexpr const char* mend =
        "on the machine of the other end: ip link set dev PEER xdpdrv obj xdp_pass.o sec xdp";
    if (scene.configuration().director.xdp_mode == XdpMode::automatic)
        return scene.warn("native-xdp", name,
                          "veth: xdp_mode auto takes generic mode, which is slower",
                          "xdp_mode native, once its peer has an XDP program (XDP_PASS)");
    if (!interface.xdp_features)
        return scene.unknown(
            "native-xdp", name,
            "veth: native mode loses every packet unless the peer's end has an XDP "
            "program, which this kernel does not tell",
            mend);
    if ((*interface.xdp_features & netlink::xdp_transmit) == 0)
        return scene.fail("native-xdp", name,
                          "veth: its peer has no XDP program: what native mode forwards is lost "
                          "without a trace",
                          mend);
    scene.ok("native-xdp", name, "veth, whose peer takes what native mode sends");
}

void native_of(Scene& scene, const Interface& interface) {
    const std::string& name = interface.link.name;
    const std::string& driver_name = interface.settings.driver;
    const XdpMode mode = scene.configuration().director.xdp_mode;
    if (mode == XdpMode::generic)
        return scene.ok("native-xdp", name, "generic mode, as configured");
    const std::string by = "driver " + (driver_name.empty() ? "unknown" : driver_name);
    const Driver* known = driver(driver_name);
    const std::string condition{known != nullptr ? known->condition : ""};
    if (driver_name == "veth") return veth_of(scene, interface);
    const auto native = has_native(interface);
    if (!native)
        return scene.unknown("native-xdp", name, by + ": whether it has native XDP is not known",
                             "xdp_mode auto tries it, and status says what it took");
    if (*native)
        return scene.ok(
            "native-xdp", name,
            by + " has native XDP" + (condition.empty() ? "" : "; it needs " + condition));
    if (mode == XdpMode::native)
        return scene.fail("native-xdp", name, by + " has no native XDP, and the start is refused",
                          "xdp_mode auto, or a card whose driver has it (Intel, NVIDIA, Broadcom, "
                          "virtio)");
    scene.warn("native-xdp", name,
               by + " has no native XDP: generic mode will be used, which is several times slower",
               "a card whose driver has it (Intel, NVIDIA, Broadcom, virtio), or xdp_mode generic "
               "to accept it");
}

void native_xdp(Scene& scene) {
    for (const Interface* each : scene.attached())
        native_of(scene, *each);
}

void xdp_program(Scene& scene) {
    for (const Interface* each : scene.attached()) {
        const std::string& name = each->link.name;
        const std::uint32_t id = each->link.xdp_program_id;
        if (id == 0) {
            scene.ok("xdp-program", name, "no XDP program is attached");
        } else if (!each->program || !*each->program) {
            scene.unknown("xdp-program", name,
                          fmt::format("an XDP program (id {}) is attached; whose it is was not "
                                      "told to this user",
                                      id),
                          "sudo dnsdirector doctor");
        } else if (!(*each->program)->director) {
            scene.fail(
                "xdp-program", name,
                fmt::format("another XDP program ({}, id {}) is attached: the start is refused",
                            (*each->program)->name, id),
                "ip link set dev " + name + " xdp off, or end the program that holds it");
        } else if (scene.machine().run.director_answers) {
            scene.ok("xdp-program", name, "the forwarding program is attached");
        } else {
            // Of a director that was killed, which the next start adopts, or of another one.
            scene.ok("xdp-program", name,
                     fmt::format("a forwarding program of dnsdirector (id {}) is attached", id));
        }
    }
}

void receive_offloads(Scene& scene) {
    for (const Interface* each : scene.attached()) {
        const std::string& name = each->link.name;
        const auto& settings = each->settings;
        if (!settings.lro && !settings.gro) {
            scene.unknown("receive-offloads", name, "GRO and LRO are not told",
                          "ethtool -k " + name);
        } else if (settings.lro.value_or(false) && wants_native(scene, *each)) {
            scene.warn("receive-offloads", name,
                       "LRO is on: many drivers refuse native XDP with it",
                       "ethtool -K " + name + " lro off");
        } else if (settings.gro.value_or(false) && !wants_native(scene, *each)) {
            scene.ok("receive-offloads", name,
                     "GRO is on; the director switches it off for generic mode, and on again at "
                     "its end");
        } else {
            scene.ok("receive-offloads", name, "merge no packets before XDP sees them");
        }
    }
}

void vlan_offload(Scene& scene) {
    for (const Interface* each : scene.attached()) {
        const std::string& name = each->link.name;
        std::vector<std::string> above;
        for (const Interface& other : scene.machine().interfaces)
            if (other.link.lower == each->link.index && other.link.vlan_id != 0)
                above.push_back(other.link.name);
        if (each->settings.rx_vlan.value_or(false) && !above.empty())
            scene.warn("vlan-offload", name,
                       "the card takes VLAN tags off before native XDP sees the frames, so that "
                       "those for " +
                           few_of(above) + " look untagged",
                       "ethtool -K " + name + " rxvlan off");
        else
            scene.ok("vlan-offload", name,
                     above.empty() ? "no VLAN interfaces on it" : "tags arrive with their frames");
    }
}

void queues_of(Scene& scene, const Interface& interface) {
    const auto& channels = interface.settings.channels;
    const unsigned cpus = scene.machine().cpus;
    const std::string& name = interface.link.name;
    if (!channels || !interface.link.kind.empty())
        return scene.ok("queues", name,
                        channels ? fmt::format("{} to receive", channels->receive)
                                 : "the device has no queues to set");
    if (cpus > 1 && channels->receive == 1 && channels->most_receive > 1)
        return scene.warn(
            "queues", name,
            fmt::format("one receive queue of {}: one CPU does all the work of {}",
                        channels->most_receive, cpus),
            fmt::format("ethtool -L {} combined {}", name, std::min(cpus, channels->most_receive)));
    const std::uint32_t wanted =
        interface.settings.driver == "virtio_net" ? channels->receive + cpus : cpus;
    if (wants_native(scene, interface) && channels->most_transmit < wanted)
        return scene.warn(
            "queues", name,
            fmt::format("native XDP sends on a queue of each CPU, {} wanted, {} there: "
                        "they are shared under a lock, or native mode is refused",
                        wanted, channels->most_transmit),
            interface.settings.driver == "virtio_net"
                ? fmt::format("queues={} for the card on the host", 2 * cpus)
                : fmt::format("a card with {} queues, or xdp_mode generic", wanted));
    scene.ok("queues", name,
             fmt::format("{} to receive, {} to send, {} CPUs", channels->receive,
                         channels->most_transmit, cpus));
}

void queues(Scene& scene) {
    for (const Interface* each : scene.attached())
        queues_of(scene, *each);
}

void interrupts(Scene& scene) {
    for (const Interface* each : scene.attached()) {
        const auto& all = each->interrupts;
        if (all.size() < 2 || scene.machine().cpus < 2) continue;
        const bool one_cpu = std::ranges::all_of(all, [&](const Interrupt& interrupt) {
            return interrupt.cpus.size() == 1 && interrupt.cpus == all.front().cpus;
        });
        if (one_cpu)
            scene.warn(
                "interrupts", each->link.name,
                fmt::format("all {} interrupts are served by CPU {}: one CPU does all the work",
                            all.size(), all.front().cpus.front()),
                fmt::format("apt install irqbalance, or by hand: echo 1 > "
                            "/proc/irq/{}/smp_affinity_list",
                            all[1].number));
        else
            scene.ok("interrupts", each->link.name, fmt::format("{} are spread", all.size()));
    }
}

/// XDP's room in a page of 4,096 bytes, less the headers (drivers differ by some bytes).
constexpr std::uint32_t most_native_mtu = 3498;

void mtu(Scene& scene) {
    for (const Interface* each : scene.attached()) {
        const netlink::Link& link = each->link;
        if (link.mtu > most_native_mtu && wants_native(scene, *each)) {
            scene.warn(
                "mtu", link.name,
                fmt::format("{} bytes: most drivers refuse native XDP above about 3,500", link.mtu),
                "ip link set dev " + link.name + " mtu 1500");
            continue;
        }
        const Interface* narrow = nullptr;
        for (const int index : scene.server_interfaces()) {
            const Interface* other = scene.machine().interface(index);
            if (other != nullptr && other->link.mtu < link.mtu) narrow = other;
        }
        if (narrow != nullptr)
            scene.warn("mtu", link.name,
                       fmt::format("{} bytes, and {} that leads to servers has {}: larger packets "
                                   "are lost",
                                   link.mtu, narrow->link.name, narrow->link.mtu),
                       fmt::format("ip link set dev {} mtu {}", narrow->link.name, link.mtu));
        else
            scene.ok("mtu", link.name, fmt::format("{} bytes", link.mtu));
    }
}

constexpr Judge judges[] = {
    {"interface", "the interfaces are there, up, and Ethernet", Judge::an_xdp_plane, interface},
    {"stacking", "no member of a bond or bridge, no macvlan or tunnel device", Judge::an_xdp_plane,
     stacking},
    {"native-xdp", "whether the driver runs the program itself", Judge::an_xdp_plane, native_xdp},
    {"xdp-program", "no other XDP program in the place", Judge::an_xdp_plane, xdp_program},
    {"receive-offloads", "GRO and LRO", Judge::an_xdp_plane, receive_offloads},
    {"vlan-offload", "VLAN tags that the card hides", Judge::an_xdp_plane, vlan_offload},
    {"queues", "receive queues for the CPUs, transmit queues for XDP", Judge::an_xdp_plane, queues},
    {"interrupts", "of the queues, on several CPUs", Judge::a_forwarding_plane, interrupts},
    {"mtu", "small enough for native XDP, equal on the way to servers", Judge::an_xdp_plane, mtu},
};

}  // namespace

std::span<const Judge> interface_judges() {
    return judges;
}

}  // namespace dnsdirector::doctor
