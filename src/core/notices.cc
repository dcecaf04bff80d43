// SPDX-License-Identifier: Apache-2.0
#include "core/notices.h"

#include <algorithm>

namespace dnsdirector::core {
namespace {

const Command* pick(const std::optional<Command>& on_up, const std::optional<Command>& on_down,
                    bool up) {
    const std::optional<Command>& command = up ? on_up : on_down;
    return command ? &*command : nullptr;
}

}  // namespace

std::vector<Notice> notices(const ServiceMemory& before, const ServiceMemory& after) {
    std::vector<Notice> list;
    auto old = before.servers.begin();
    for (const ServiceMemory::Seen& seen : after.servers) {
        while (old != before.servers.end() && old->server < seen.server)
            ++old;
        const bool known = old != before.servers.end() && old->server == seen.server;
        if (seen.told == Told::nothing || (known && old->told == seen.told)) continue;
        const bool up = seen.told == Told::up;
        if (!known && up) continue;  // in from the start
        list.push_back({seen.server, up});
    }
    if (after.quorum_told != before.quorum_told && after.quorum_told != Told::nothing)
        list.push_back({std::nullopt, after.quorum_told == Told::up});
    return list;
}

std::vector<Notice> farewell(const ServiceMemory& memory) {
    std::vector<Notice> list;
    for (const ServiceMemory::Seen& seen : memory.servers)
        if (seen.told == Told::up) list.push_back({seen.server, false});
    if (memory.quorum_told == Told::up) list.push_back({std::nullopt, false});
    return list;
}

const Command* command_for(const Service& service, const Notice& notice) {
    if (!notice.server) return pick(service.quorum_up, service.quorum_down, notice.up);
    const auto server =
        std::find_if(service.real_servers.begin(), service.real_servers.end(),
                     [&](const RealServer& one) { return one.endpoint == *notice.server; });
    if (server == service.real_servers.end()) return nullptr;
    return pick(server->notify_up, server->notify_down, notice.up);
}

}  // namespace dnsdirector::core
