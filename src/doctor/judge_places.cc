// SPDX-License-Identifier: Apache-2.0
//
// Directories and sockets.
#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <map>

#include "doctor/judges.h"

namespace dnsdirector::doctor {
namespace {

void bpffs(Scene& scene) {
    const Machine& machine = scene.machine();
    const std::string& where = machine.pin_dir;
    if (!machine.pins)
        return scene.unknown("bpffs", where, machine.pins.error().message,
                             "sudo dnsdirector doctor");
    if (!machine.pins->bpffs)
        return scene.fail(
            "bpffs", where,
            "does not lie on a BPF file system, where forwarding outlives the daemon",
            "mount -t bpf bpf " + (where.starts_with("/sys/fs/bpf") ? std::string{"/sys/fs/bpf"}
                                                                    : machine.pins->nearest));
    if (!machine.pins->writable)
        return scene.fail(
            "bpffs", where,
            fmt::format("this user may not make pins below {}", machine.pins->nearest),
            "run the director as root, or give the directory to its user");
    scene.ok("bpffs", where, "is on a BPF file system");
}

void run_dir(Scene& scene) {
    const RunPlace& place = scene.machine().run;
    constexpr std::size_t longest = sizeof(sockaddr_un::sun_path) - sizeof "/api.sock";
    if (place.path.size() > longest)
        return scene.fail("run-dir", place.path,
                          fmt::format("is too long for the path of the API's socket ({} bytes)",
                                      place.path.size()),
                          fmt::format("--run-dir with a path of at most {} bytes", longest));
    if (place.world_writable)
        return scene.warn("run-dir", place.path,
                          "everybody may write to it, and so replace the API's socket and the "
                          "saved drains",
                          "chmod 0755 " + place.path);
    if (place.director_answers) return scene.ok("run-dir", place.path, "a director answers there");
    if (!place.writable)
        return scene.fail("run-dir", place.path,
                          place.exists ? "this user may not write to it"
                                       : "is not there, and this user may not make it",
                          "run the director as root, or --run-dir with a directory of its user");
    scene.ok("run-dir", place.path, place.exists ? "can be written to" : "can be made");
}

bool same_socket(const Endpoint& listening, const Endpoint& wanted) {
    if (listening.port != wanted.port) return false;
    // [::] takes IPv4's packets as well, unless told otherwise.
    return listening.address == wanted.address || wanted.address.is_unspecified() ||
           (listening.address.is_unspecified() &&
            (listening.address.is_v6() || wanted.address.is_v4()));
}

void http(Scene& scene) {
    const auto& wanted = scene.configuration().director.http_listen;
    if (!wanted) return;
    const Machine& machine = scene.machine();
    const std::string about = wanted->to_string();
    if (!wanted->address.is_unspecified() && !wanted->address.is_loopback() &&
        !machine.holds(wanted->address))
        return scene.fail("http", about, "is no address of this machine",
                          "listen on one that is: ip addr");
    const bool taken = std::ranges::any_of(
        machine.listening, [&](const Endpoint& each) { return same_socket(each, *wanted); });
    if (taken && !machine.run.director_answers)
        return scene.fail(
            "http", about, "another program listens there",
            fmt::format("another port in the http block, or end the one that ss -ltnp "
                        "'sport = :{}' shows",
                        wanted->port));
    scene.ok("http", about, taken ? "the running director listens there" : "is free");
}

std::optional<IpAddress> source_of(const core::Check& check) {
    return std::visit(
        [](const auto& what) -> std::optional<IpAddress> {
            if constexpr (requires { what.via; }) return what.via.source;
            return std::nullopt;
        },
        check.what);
}

void check_source(Scene& scene) {
    std::map<IpAddress, std::size_t> sources;
    for (const core::Check& check : scene.configuration().checks)
        if (const auto source = source_of(check)) ++sources[*source];
    for (const auto& [source, checks] : sources) {
        if (scene.machine().holds(source))
            scene.ok("check-source", source.to_string(), "is an address of this machine");
        else
            scene.fail("check-source", source.to_string(),
                       fmt::format("is the source of {} checks and no address of this machine: "
                                   "they all fail",
                                   checks),
                       fmt::format("ip addr add {}/{} dev INTERFACE, or another `source`",
                                   source.to_string(), source.is_v4() ? 24 : 64));
    }
}

constexpr Judge judges[] = {
    {"bpffs", "the pin directory lies on a BPF file system", Judge::an_xdp_plane, bpffs},
    {"run-dir", "the run directory can be used, and by nobody else", Judge::anything, run_dir},
    {"http", "the HTTP server's address is ours and free", Judge::anything, http},
    {"check-source", "sources of checks are addresses of this machine", Judge::anything,
     check_source},
};

}  // namespace

std::span<const Judge> place_judges() {
    return judges;
}

}  // namespace dnsdirector::doctor
