// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>
#include <set>

#include "control/snapshot.h"

namespace dnsdirector::control {
namespace {

using json = nlohmann::ordered_json;

json count(const dataplane::Count& count) {
    return {{"packets", count.packets}, {"bytes", count.bytes}};
}

json check(const CheckSnapshot& check) {
    json entry = {{"kind", check.kind},
                  {"what", check.what},
                  {"state", core::to_string(check.health)},
                  {"shared_by", check.shared_by}};
    if (check.native) entry["native"] = true;
    if (check.weight) entry["weight"] = *check.weight;
    if (check.weight_change != 0) entry["weight_change"] = check.weight_change;
    if (check.any_verdict) {
        entry["last"] = {{"result", check.last.passed() ? "ok" : check.last.reason},
                         {"failure", core::to_string(check.last.failure)},
                         {"rtt_us", check.last.rtt.count()},
                         {"at", to_rfc3339(check.last.wall_at)}};
    } else {
        entry["last"] = nullptr;
    }
    return entry;
}

json real_server(const ServerSnapshot& server) {
    const core::ServerDecision& decision = server.decision;
    json checks = json::array();
    for (const CheckSnapshot& entry : server.checks)
        checks.push_back(check(entry));
    json entry = {{"name", server.name},
                  {"address", server.endpoint.address.to_string()},
                  {"port", server.endpoint.port},
                  {"weight", decision.configured_weight},
                  {"effective_weight", decision.effective_weight},
                  {"state", core::to_string(decision.state)},
                  {"health", core::to_string(decision.health)},
                  {"drained", decision.drained},
                  {"held", decision.held},
                  {"reachable", decision.reachable},
                  {"since", to_rfc3339(decision.wall_since)},
                  {"transitions", decision.transitions},
                  {"reason", decision.reason},
                  {"counters", count(server.count)},
                  {"packets_per_second", server.packets_per_second},
                  {"checks", checks}};
    if (server.connections)
        entry["connections"] = {{"active", server.connections->active},
                                {"inactive", server.connections->inactive},
                                {"persistent", server.connections->persistent}};
    return entry;
}

/// Listed apart: it has no checks, and counts for no quorum.
json sorry_server(const std::optional<SorrySnapshot>& sorry) {
    if (!sorry) return nullptr;
    return {{"address", sorry->endpoint.address.to_string()},
            {"port", sorry->endpoint.port},
            {"in_use", sorry->decision.in_use},
            {"effective_weight", sorry->decision.in_use ? 1 : 0},
            {"reachable", sorry->decision.reachable},
            {"reason", sorry->decision.reason},
            {"counters", count(sorry->count)},
            {"packets_per_second", sorry->packets_per_second}};
}

json lateness(const probe::ProberStatistics& checks) {
    json list = json::array();
    for (const probe::LateRounds& late : checks.late)
        list.push_back({{"at", to_rfc3339(late.at)},
                        {"worst_us", std::chrono::duration_cast<Microseconds>(late.worst).count()},
                        {"rounds", late.rounds}});
    json buckets = json::array();
    for (const std::uint64_t count : checks.lateness)
        buckets.push_back(count);
    return {{"buckets_log2_us", buckets}, {"over_100ms", list}};
}

json service(const ServiceSnapshot& service, bool announced) {
    json servers = json::array();
    for (const ServerSnapshot& server : service.servers)
        servers.push_back(real_server(server));
    json entry = {{"cluster", service.cluster.empty() ? json(nullptr) : json(service.cluster)},
                  {"group", service.group.empty() ? json(nullptr) : json(service.group)},
                  {"address", service.key.address.to_string()},
                  {"port", service.key.port},
                  {"protocol", to_string(service.key.protocol)},
                  {"scheduler", core::to_string(service.scheduler)},
                  {"forwarding", core::to_string(service.method)},
                  {"quorum",
                   {{"required", service.quorum.required},
                    {"up", service.quorum.up},
                    {"servers_up", service.quorum.servers_up},
                    {"met", service.quorum.met}}},
                  {"announced", announced},
                  {"counters", count(service.count)},
                  {"packets_per_second", service.packets_per_second},
                  {"sorry_server", sorry_server(service.sorry)},
                  {"real_servers", servers}};
    // It has neither address nor port.
    if (service.key.fwmark != 0) entry["fwmark"] = service.key.fwmark;
    return entry;
}

/// Of one service IP; those that it is, or would be, told of it.
json told_neighbors(const Snapshot& snapshot, const IpAddress& service_ip) {
    json list = json::array();
    if (!snapshot.bgp) return list;
    for (const announce::NeighborSession& neighbor : snapshot.bgp->neighbors) {
        if (!neighbor.carries[static_cast<std::size_t>(service_ip.family())]) continue;
        const announce::ToldPrefix* told = neighbor.told_of(service_ip);
        list.push_back(
            {{"address", neighbor.address.to_string()},
             {"description", neighbor.description},
             {"session", neighbor.session},
             {"told", told != nullptr},
             {"med", told != nullptr && told->med ? json(*told->med) : json(nullptr)},
             {"since", told != nullptr ? json(to_rfc3339(told->since)) : json(nullptr)}});
    }
    return list;
}

json neighbor(const announce::NeighborSession& neighbor) {
    json told = json::array();
    for (const announce::ToldPrefix& each : neighbor.told)
        told.push_back({{"prefix", fmt::format("{}/{}", each.prefix.to_string(),
                                               each.prefix.host_prefix_length())},
                        {"med", each.med ? json(*each.med) : json(nullptr)},
                        {"communities",
                         each.communities ? json(each.communities->to_string()) : json(nullptr)},
                        {"since", to_rfc3339(each.since)}});
    return {{"address", neighbor.address.to_string()},
            {"description", neighbor.description},
            {"session", neighbor.session},
            {"since", neighbor.since ? json(to_rfc3339(*neighbor.since)) : json(nullptr)},
            {"flaps", neighbor.flaps},
            {"accepted", neighbor.accepted},
            {"bfd", neighbor.bfd.empty() ? json(nullptr) : json(neighbor.bfd)},
            {"last_error", neighbor.last_error},
            {"problems", neighbor.problems},
            {"told", told}};
}

/// null without a bgp block.
json bgp(const std::optional<announce::DaemonState>& state) {
    if (!state) return nullptr;
    json neighbors = json::array();
    for (const announce::NeighborSession& each : state->neighbors)
        neighbors.push_back(neighbor(each));
    return {{"daemon", state->daemon},           {"socket", state->socket},
            {"answering", state->answering},     {"problem", state->problem},
            {"since", to_rfc3339(state->since)}, {"neighbors", neighbors}};
}

json announcements(const Snapshot& snapshot) {
    json list = json::array();
    for (const AnnouncementSnapshot& each : snapshot.announcements) {
        const core::AnnouncementDecision& decision = each.decision;
        json entry = {{"prefix", fmt::format("{}/{}", each.service_ip.to_string(),
                                             each.service_ip.host_prefix_length())},
                      {"state", core::to_string(decision.state)},
                      {"reason", decision.reason},
                      {"since", to_rfc3339(decision.wall_since)},
                      {"transitions", decision.transitions},
                      {"bgp", each.told},
                      {"med", each.attributes ? json(each.attributes->med) : json(nullptr)},
                      {"communities",
                       each.attributes ? json(each.attributes->communities.to_string()) : json("")},
                      {"neighbors", told_neighbors(snapshot, each.service_ip)}};
        list.push_back(std::move(entry));
    }
    return list;
}

json memory(const MemorySnapshot& memory) {
    std::map<std::string, std::uint64_t> predicted;
    for (const dataplane::TableMemory& table : memory.predicted_tables)
        predicted[table.name] = table.bytes;
    json tables = json::array();
    for (const dataplane::TableMemory& table : memory.tables)
        tables.push_back({{"name", table.name},
                          {"predicted_bytes", predicted[table.name]},
                          {"bytes", table.bytes}});
    return {{"kernel",
             {{"predicted_bytes", dataplane::total(memory.predicted_tables)},
              {"bytes", dataplane::total(memory.tables)},
              {"tables", tables}}},
            {"process",
             {{"predicted_bytes", memory.predicted_process}, {"resident_bytes", memory.resident}}}};
}

/// null where the plane remembers none by itself.
json flows(const dataplane::FlowCounts& flows) {
    if (flows.most == 0) return nullptr;
    return {{"max", flows.most},          {"remembered", flows.remembered},
            {"learnt", flows.learnt},     {"young", flows.young},
            {"full", flows.full},         {"capped", flows.capped},
            {"previous", flows.previous}, {"moved", flows.moved}};
}

json text_list(const std::vector<std::string>& lines) {
    json list = json::array();
    for (const std::string& line : lines)
        list.push_back(line);
    return list;
}

/// What the agent of a real server keeps.
json real_server_machine(const realserver::KeeperState& state) {
    json service_ips = json::array();
    for (const realserver::HeldServiceIp& each : state.service_ips)
        service_ips.push_back({{"address", each.address.to_string()},
                               {"held", each.held},
                               {"withdrawn", each.withheld}});
    json repairs = json::array();
    for (const realserver::Repair& each : state.last_repairs)
        repairs.push_back({{"at", to_rfc3339(each.at)}, {"what", each.what}});
    json rules = json::array();
    for (const realserver::RuleCounter& each : state.counters.processes)
        rules.push_back({{"process", each.process},
                         {"protocol", to_string(each.protocol)},
                         {"way", to_string(each.way)},
                         {"packets", each.packets},
                         {"bytes", each.bytes}});
    return {{"interface", state.interface},
            {"service_ips", service_ips},
            {"well", state.well},
            {"problems", text_list(state.problems)},
            {"notes", text_list(state.notes)},
            {"looks", state.looks},
            {"looked_at", to_rfc3339(state.looked_at)},
            {"repairs", state.repairs},
            {"last_repairs", repairs},
            {"rules", rules},
            {"tunnel_packets_refused", state.counters.refused_tunnels},
            {"rules_error", state.counters_error}};
}

}  // namespace

std::string to_json(const Snapshot& snapshot) {
    json interfaces = json::array();
    for (const dataplane::AttachedInterface& interface : snapshot.interfaces)
        interfaces.push_back(
            {{"name", interface.name}, {"mode", interface.mode}, {"warning", interface.warning}});
    json drops = json::object();
    for (const auto& [reason, packets] : snapshot.drops)
        drops[reason] = packets;
    json events = json::object();
    for (const auto& [what, queries] : snapshot.events)
        events[what] = queries;
    std::set<IpAddress> withdrawn;
    for (const AnnouncementSnapshot& each : snapshot.announcements)
        if (!core::route_of(each.decision.state)) withdrawn.insert(each.service_ip);
    // A firewall mark has no address that could be announced.
    const bool leaving = snapshot.all_drained || snapshot.stopping;
    json services = json::array();
    for (const ServiceSnapshot& entry : snapshot.services) {
        json each = service(entry, entry.key.fwmark != 0 ? entry.quorum.met && !leaving
                                                         : !withdrawn.contains(entry.key.address));
        if (snapshot.kind == core::DataPlaneKind::proxy) each["forwarding"] = "proxy";
        services.push_back(std::move(each));
    }

    json root = {
        {"version", snapshot.version},
        {"at", to_rfc3339(snapshot.at)},
        {"started_at", to_rfc3339(snapshot.started_at)},
        {"config",
         {{"path", snapshot.config_path},
          {"loaded_at", to_rfc3339(snapshot.loaded_at)},
          {"generation", snapshot.generation},
          {"last_error", snapshot.last_error ? json(*snapshot.last_error) : json(nullptr)}}},
        {"dataplane",
         {{"kind", core::to_string(snapshot.kind)},
          {"interfaces", interfaces},
          {"drops", drops},
          {"flows", flows(snapshot.flows)},
          {"events", events},
          {"warnings", snapshot.plane_warnings},
          {"foreign_services", snapshot.foreign},
          {"error", snapshot.counters_error}}},
        {"checks",
         {{"rounds", snapshot.checks.rounds},
          {"queries_sent", snapshot.checks.sent},
          {"ignored_replies", snapshot.checks.ignored_replies},
          {"scripts_run", snapshot.checks.scripts},
          {"lateness", lateness(snapshot.checks)}}},
        {"hooks",
         {{"started", snapshot.hooks.started},
          {"failed", snapshot.hooks.failed},
          {"dropped", snapshot.hooks.dropped},
          {"waiting", snapshot.hooks.waiting},
          {"running", snapshot.hooks.running}}},
        {"engine",
         {{"last_verdict_to_table_us",
           std::chrono::duration_cast<Microseconds>(snapshot.last_verdict_to_table).count()},
          {"worst_verdict_to_table_us",
           std::chrono::duration_cast<Microseconds>(snapshot.worst_verdict_to_table).count()}}},
        {"memory", memory(snapshot.memory)},
        {"all_drained", snapshot.all_drained},
        {"services", services},
        {"announcements", announcements(snapshot)},
        {"bgp", bgp(snapshot.bgp)}};
    if (snapshot.real_server) root["realserver"] = real_server_machine(*snapshot.real_server);
    // Reasons may carry bytes that a server or script sent.
    return root.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace dnsdirector::control
