// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/shared_flows.h"

#include <bpf/bpf.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include "dataplane/xdp/base_counts.h"

namespace dnsdirector::dataplane::xdp {
namespace {

struct FlowMap {
    MapId id;
    std::string Description::Flows::* pin;
};
const std::array<FlowMap, 4> flow_maps{{{MapId::flows, &Description::Flows::established},
                                        {MapId::young_flows, &Description::Flows::young},
                                        {MapId::flow_control, &Description::Flows::control},
                                        {MapId::flow_states, &Description::Flows::states}}};

std::string pin_of(const Predecessor& predecessor, const FlowMap& map) {
    return predecessor.directory() + "/" + *predecessor.description().flows.*map.pin;
}

/// Why its flows are of no use here; "": they are.
Result<std::string> misfit(const Predecessor& predecessor, const Maps& maps) {
    if (!predecessor.description().flows || !predecessor.description().tables)
        return std::string{"its version does not say where they are"};
    for (const FlowMap& map : flow_maps) {
        const std::string path = pin_of(predecessor, map);
        const Fd theirs{bpf_obj_get(path.c_str())};
        if (!theirs) return fail_errno("cannot open the pinned BPF map " + path, errno);
        const auto their_info = info_of(theirs.get(), path);
        const auto own_info = info_of(maps.fd(map.id), Maps::name(map.id));
        if (!their_info) return tl::unexpected(their_info.error());
        if (!own_info) return tl::unexpected(own_info.error());
        if (their_info->type != own_info->type || their_info->value_size != own_info->value_size)
            return path + " has another format";
        if (their_info->max_entries < own_info->max_entries)
            return std::string{"max_flows asks for more room than they have"};
    }
    return std::string{};
}

}  // namespace

bool has_flows_of(const Maps& maps, const Predecessor& predecessor) {
    if (!predecessor.description().flows || !predecessor.description().tables) return false;
    return std::all_of(flow_maps.begin(), flow_maps.end(), [&](const FlowMap& map) {
        const Fd theirs{bpf_obj_get(pin_of(predecessor, map).c_str())};
        const auto id = theirs ? map_id(theirs.get()) : Result<std::uint32_t>{0U};
        const auto own = map_id(maps.fd(map.id));
        return id && own && *id == *own;
    });
}

Result<void> share_flows(const std::vector<Predecessor>& predecessors, Maps& maps) {
    const Predecessor* source = source_among(predecessors);
    if (!maps.remembers_flows() || source == nullptr || !source->forwards() ||
        holds_links(maps.directory_of_pins()) || has_flows_of(maps, *source))
        return {};
    if (source->description().layout == 1) return {};  // which remembered none
    const auto why = misfit(*source, maps);
    if (!why) return tl::unexpected(why.error());
    if (!why->empty()) {
        spdlog::warn("TCP flows that {} remembers are lost, and may move: {}", source->directory(),
                     *why);
        return {};
    }
    for (const FlowMap& map : flow_maps)
        if (auto done = maps.use_instead(map.id, pin_of(*source, map)); !done) return done;
    return {};
}

}  // namespace dnsdirector::dataplane::xdp
