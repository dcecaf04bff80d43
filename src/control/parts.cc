// SPDX-License-Identifier: Apache-2.0
#include "control/parts.h"

#include <spdlog/spdlog.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "control/event_driver.h"
#include "control/make_plane.h"
#include "control/overrides_store.h"
#include "control/systemd.h"

namespace dnsdirector::control {
namespace {

/// What systemd and a predecessor left: the announcements' interface, and what is a plane's.
std::pair<std::vector<int>, dataplane::Inheritance> inherit(const RunDir& run_dir) {
    std::vector<int> announcements;
    dataplane::Inheritance inheritance{
        .descriptors = {},
        .store = {.room =
                      [] {
                          const std::size_t size = store_size();
                          if (size < 2 && std::getenv("NOTIFY_SOCKET") != nullptr)
                              spdlog::info(
                                  "systemd keeps no listening sockets for us "
                                  "(FileDescriptorStoreMax= in the unit): a restart "
                                  "interrupts, but for those of a socket unit");
                          return size == 0 ? 0 : size - 1;  // one is the announcements'
                      },
                  .keep = store_more,
                  .forget = forget_descriptor},
        .journal = run_dir.file("proxy")};
    for (dataplane::NamedDescriptor& each : take_descriptors()) {
        if (each.name == announcements_name || each.name == kept_name)
            announcements.push_back(each.descriptor);
        else
            inheritance.descriptors.push_back(std::move(each));
    }
    return {std::move(announcements), std::move(inheritance)};
}

}  // namespace

Result<Parts> make_parts(const DirectorOptions& options, const core::Configuration& configuration,
                         const RunDir& run_dir) {
    Parts parts;
    const std::string overrides_path = run_dir.file("overrides.json");
    if (auto overrides = load_overrides(overrides_path)) {
        parts.overrides = std::move(*overrides);
    } else {
        // Better to forward and check without drains than not to check at all.
        spdlog::error("{}; set aside as {}.damaged, starting without drains",
                      overrides.error().message, overrides_path);
        std::error_code ignored;
        std::filesystem::rename(overrides_path, overrides_path + ".damaged", ignored);
    }

    auto socket = netlink::Socket::open();
    if (!socket) return tl::unexpected(socket.error());
    parts.netlink = std::move(*socket);
    auto monitor = netlink::Monitor::open();
    if (!monitor) return tl::unexpected(monitor.error());
    parts.monitor = std::move(*monitor);

    auto prober = probe::Prober::create({.script_user = configuration.director.script_user});
    if (!prober) return tl::unexpected(prober.error());
    parts.prober = std::move(*prober);
    auto hooks = Hooks::create({.script_user = configuration.director.script_user});
    if (!hooks) return tl::unexpected(hooks.error());
    parts.hooks = std::move(*hooks);
    auto [announcements, inheritance] = inherit(run_dir);
    auto plane = make_plane(configuration.director, options.pin_dir, run_dir.file("ipvs"),
                            std::move(inheritance));
    if (!plane) return tl::unexpected(plane.error());
    parts.plane = std::move(*plane);

    if (options.role == Role::real_server) {
        auto keeper = realserver::Keeper::open(run_dir.path(), wall_now);
        if (!keeper) return tl::unexpected(keeper.error());
        parts.keeper = std::move(*keeper);
    }

    auto routes = announce::Routes::open(std::move(announcements));
    if (!routes) return tl::unexpected(routes.error());
    parts.routes = std::move(*routes);
    auto sessions =
        announce::Sessions::create([] { return announce::Moment{monotonic_now(), wall_now()}; });
    if (!sessions) return tl::unexpected(sessions.error());
    parts.sessions = std::move(*sessions);
    return parts;
}

}  // namespace dnsdirector::control
