// SPDX-License-Identifier: Apache-2.0
#include "config/build.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "config/assembly.h"

namespace dnsdirector::config {
namespace {

/// Names are for commands and for reference, so one means one thing.
template <typename DraftType>
void check_names(const std::vector<DraftType>& drafts, std::string_view what,
                 Diagnostics& diagnostics) {
    std::unordered_map<std::string_view, Position> names;
    for (const DraftType& draft : drafts) {
        if (draft.name.empty()) continue;
        const auto [first, fresh] = names.emplace(draft.name, draft.position);
        if (!fresh)
            diagnostics.error(draft.position,
                              "the {} `{}` is declared a second time; the first is at {}", what,
                              draft.name, diagnostics.where(first->second));
    }
}

void check_use(const Drafts& drafts, Diagnostics& diagnostics) {
    std::unordered_set<std::string_view> used;
    for (const ClusterDraft& cluster : drafts.clusters) {
        for (const CheckDraft& check : cluster.checks)
            used.insert(check.reference);
        for (const ServerDraft& server : cluster.servers)
            for (const CheckDraft& check : server.checks)
                used.insert(check.reference);
    }
    for (const CheckDraft& check : drafts.real_server_machine.checks)
        used.insert(check.reference);
    for (const CheckDraft& check : drafts.checks)
        if (!check.faulty && !used.contains(check.name))
            diagnostics.warning(check.position,
                                "no dns_cluster uses the check `{}`; `check {}` in one does",
                                check.name, check.name);
}

}  // namespace

core::Configuration build(const Drafts& drafts, const Files& files, Diagnostics& diagnostics,
                          Places& places) {
    check_names(drafts.clusters, "dns_cluster", diagnostics);
    check_names(drafts.checks, "check", diagnostics);
    check_names(drafts.groups, "virtual_server_group", diagnostics);
    check_names(drafts.track_files, "track_file", diagnostics);
    Assembly assembly(drafts, files, diagnostics);
    // Both lists are in the order of the text; the services shall be so too.
    auto cluster = drafts.clusters.begin();
    auto server = drafts.virtual_servers.begin();
    while (cluster != drafts.clusters.end() || server != drafts.virtual_servers.end()) {
        const bool cluster_next =
            server == drafts.virtual_servers.end() ||
            (cluster != drafts.clusters.end() && cluster->position.order < server->position.order);
        if (cluster_next)
            build_cluster(*cluster++, assembly);
        else
            build_virtual_server(*server++, assembly);
    }
    if (drafts.real_server_machine.present)
        build_real_server_machine(drafts.real_server_machine, assembly);
    if (drafts.bgp.present) build_bgp(drafts.bgp, assembly);
    // A name that is misspelt somewhere would be said twice.
    if (diagnostics.errors() == 0) check_use(drafts, diagnostics);
    core::Configuration configuration = assembly.finish();
    places = assembly.take_places();
    return configuration;
}

}  // namespace dnsdirector::config
