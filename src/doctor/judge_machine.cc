// SPDX-License-Identifier: Apache-2.0
//
// The kernel, what it makes of the program, privileges and memory.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/capability.h>

#include <algorithm>
#include <compare>
#include <cstdio>

#include "dataplane/xdp/memory.h"
#include "doctor/judges.h"

namespace dnsdirector::doctor {
namespace {

struct Version {
    unsigned major = 0;
    unsigned minor = 0;
    friend auto operator<=>(const Version&, const Version&) = default;
};

void kernel(Scene& scene) {
    const std::string& release = scene.machine().kernel;
    Version version;
    if (std::sscanf(release.c_str(), "%u.%u", &version.major, &version.minor) != 2)
        return scene.unknown("kernel", "", "its version is not told (" + release + ")", "uname -r");
    constexpr Version least{5, 15};
    constexpr Version managed_neighbours{5, 16};
    if (version < least)
        return scene.fail("kernel", "",
                          "Linux " + release +
                              " is older than 5.15, the oldest that "
                              "dnsdirector is made for",
                          "install a newer kernel (apt install "
                          "linux-image-amd64), and boot it");
    if (version < managed_neighbours && scene.xdp())
        return scene.warn("kernel", "",
                          "Linux " + release +
                              " does not keep neighbours resolved "
                              "by itself (5.16 does): the director asks again every few seconds",
                          "a kernel of 5.16 or later, for thousands of servers");
    scene.ok("kernel", "", "Linux " + release);
}

constexpr std::uint64_t bit(unsigned capability) {
    return std::uint64_t{1} << capability;
}

bool any_check(const Scene& scene, bool (*test)(const core::Check&)) {
    return std::ranges::any_of(scene.configuration().checks, test);
}

bool forwards(const Scene& scene) {
    return scene.xdp() || scene.ipvs();
}
bool pings(const Scene& scene) {
    // 1 0, the kernel's default, is a range without any group: ping(8) sockets need the capability.
    constexpr long nobody = 1;
    return any_check(scene,
                     [](const core::Check& check) {
                         return std::holds_alternative<core::PingCheck>(check.what);
                     }) &&
           scene.machine().setting("ipv4/ping_group_range").value_or(nobody) != 0;
}
bool asks_through(const Scene& scene) {
    return any_check(scene, [](const core::Check& check) {
        const auto* dns = std::get_if<core::DnsCheck>(&check.what);
        return dns != nullptr && dns->via.service_ip;
    });
}
bool asks_as_client(const Scene& scene) {
    return std::ranges::any_of(scene.configuration().services, [](const core::Service& service) {
        return std::ranges::any_of(service.real_servers, &core::RealServer::transparent);
    });
}
bool runs_as_another_user(const Scene& scene) {
    return any_check(scene, [](const core::Check& check) {
        return std::holds_alternative<core::ScriptCheck>(check.what);
    });
}
bool low_port(const Scene& scene) {
    constexpr unsigned first_free = 1024;
    const auto& listen = scene.configuration().director.http_listen;
    return listen && listen->port < first_free;
}

/// One row for each capability (capabilities(7)) and who needs it.
struct Need {
    unsigned capability;
    const char* name;
    const char* what_for;
    bool (*needed)(const Scene& scene);
    std::uint64_t or_one_of = 0;
};
constexpr Need needs[] = {
    {CAP_NET_ADMIN, "CAP_NET_ADMIN", "forwarding and the service IPs", forwards},
    {CAP_BPF, "CAP_BPF", "the forwarding program", [](const Scene& s) { return s.xdp(); },
     bit(CAP_SYS_ADMIN)},
    {CAP_PERFMON, "CAP_PERFMON", "the forwarding program", [](const Scene& s) { return s.xdp(); },
     bit(CAP_SYS_ADMIN)},
    {CAP_NET_RAW, "CAP_NET_RAW", "PING_CHECK", pings},
    {CAP_NET_RAW, "CAP_NET_RAW", "checks through the service IP", asks_through},
    {CAP_NET_ADMIN, "CAP_NET_ADMIN", "asking servers from clients' addresses (transparent)",
     asks_as_client, bit(CAP_NET_RAW)},
    {CAP_SETUID, "CAP_SETUID", "scripts of another user", runs_as_another_user},
    {CAP_SETGID, "CAP_SETGID", "scripts of another user", runs_as_another_user},
    {CAP_KILL, "CAP_KILL", "scripts of another user", runs_as_another_user},
    {CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE", "http on a port below 1024", low_port},
};

void capabilities(Scene& scene) {
    std::vector<std::string> missing;
    std::vector<std::string> there;
    for (const Need& need : needs) {
        if (!need.needed(scene)) continue;
        const bool has =
            (scene.machine().capabilities & (bit(need.capability) | need.or_one_of)) != 0;
        if (has)
            there.emplace_back(need.name);
        else
            missing.push_back(fmt::format("{} ({})", need.name, need.what_for));
    }
    if (!missing.empty())
        return scene.fail(
            "capabilities", "",
            fmt::format("a director started by this user lacks {}", fmt::join(missing, ", ")),
            "run it as root, or by the systemd unit, which grants them; sudo "
            "dnsdirector doctor sees all");
    scene.ok("capabilities", "",
             there.empty() ? "none is needed" : fmt::format("{}", fmt::join(there, ", ")));
}

void program(Scene& scene) {
    const auto& trial = scene.machine().trial;
    constexpr std::uint64_t enough = bit(CAP_BPF) | bit(CAP_SYS_ADMIN);
    if (!trial && (scene.machine().capabilities & enough) == 0)
        return scene.unknown("program", "",
                             "whether the kernel takes the forwarding program was not tried: this "
                             "user may not load one",
                             "sudo dnsdirector doctor");
    if (!trial)
        return scene.fail(
            "program", "", trial.error().message,
            "a newer kernel, or one built with CONFIG_BPF_SYSCALL and CONFIG_XDP_SOCKETS; "
            "report it with this line");
    if (!trial->jit)
        return scene.warn("program", "",
                          "the kernel interprets the forwarding program instead of compiling it, "
                          "which takes several times as long for each packet",
                          "sysctl -w net.core.bpf_jit_enable=1");
    scene.ok("program", "",
             trial->instructions == 0
                 ? "the kernel takes the forwarding program and compiles it"
                 : fmt::format("the kernel takes the forwarding program ({} instructions verified) "
                               "and compiles it",
                               trial->instructions));
}

std::string megabytes(std::uint64_t bytes) {
    return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

void memory(Scene& scene) {
    const auto cpus = dataplane::possible_cpus();
    if (!cpus) return scene.unknown("memory", "", cpus.error().message, "");
    const auto tables = dataplane::xdp_memory(scene.configuration().director.limits, 0, *cpus);
    if (!tables) return scene.unknown("memory", "", tables.error().message, "");
    const std::uint64_t wanted = dataplane::total(*tables);
    const auto& available = scene.machine().memory_available;
    if (!available)
        return scene.unknown("memory", "", "how much is free is not told (/proc/meminfo)", "free");
    // Tables that are there already are no more to be found free.
    if (wanted > *available && !scene.machine().run.director_answers)
        return scene.fail("memory", "",
                          fmt::format("the kernel tables take {}, and {} are free",
                                      megabytes(wanted), megabytes(*available)),
                          "lower the max_ limits of the director block (dnsdirector check-config "
                          "--memory shows which table), or add memory");
    scene.ok("memory", "",
             fmt::format("{} for the kernel's tables, {} free", megabytes(wanted),
                         megabytes(*available)));
}

constexpr Judge judges[] = {
    {"kernel", "the version of the kernel", Judge::anything, kernel},
    {"program", "whether the kernel takes the forwarding program, and compiles it",
     Judge::an_xdp_plane, program},
    {"capabilities", "what this user may do of what the configuration needs", Judge::anything,
     capabilities},
    {"memory", "room for the kernel's tables", Judge::an_xdp_plane, memory},
};

}  // namespace

std::span<const Judge> machine_judges() {
    return judges;
}

}  // namespace dnsdirector::doctor
