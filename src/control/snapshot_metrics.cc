// SPDX-License-Identifier: Apache-2.0
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <iterator>
#include <limits>

#include "control/snapshot.h"

namespace dnsdirector::control {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<std::pair<std::string, std::string>>;

class Families {
public:
    MetricFamily& add(const char* name, const char* help, MetricType type) {
        MetricFamily& family = list_.emplace_back();
        family.name = std::string("dnsdirector_") + name;
        family.help = help;
        family.type = type;
        return family;
    }
    [[nodiscard]] const std::vector<MetricFamily>& list() const { return list_; }

private:
    std::vector<MetricFamily> list_;
};

void put(MetricFamily& family, const Labels& labels, double value) {
    ClientMetric metric;
    for (const auto& [name, text] : labels)
        metric.label.push_back({name, text});
    if (family.type == MetricType::Counter)
        metric.counter.value = value;
    else
        metric.gauge.value = value;
    family.metric.push_back(std::move(metric));
}

Labels labels_of(const ServiceSnapshot& service) {
    return {{"cluster", service.cluster},
            {"service", service.key.fwmark != 0 ? service.key.to_string()
                                                : service.key.endpoint().to_string()},
            {"protocol", std::string(to_string(service.key.protocol))}};
}

Labels labels_of(const ServiceSnapshot& service, const ServerSnapshot& server) {
    Labels labels = labels_of(service);
    labels.emplace_back("name", server.name);
    labels.emplace_back("server", server.endpoint.to_string());
    return labels;
}

/// One metric of every service, or of every real server.
struct ServiceMetric {
    const char* name;
    const char* help;
    MetricType type;
    double (*value)(const ServiceSnapshot&);
};
struct ServerMetric {
    const char* name;
    const char* help;
    MetricType type;
    double (*value)(const ServerSnapshot&);
};

double number(std::uint64_t value) {
    return static_cast<double>(value);
}

const ServiceMetric service_metrics[] = {
    {"service_packets_total", "Packets handed to real servers", MetricType::Counter,
     [](const ServiceSnapshot& s) { return number(s.count.packets); }},
    {"service_bytes_total", "Bytes handed to real servers, as received", MetricType::Counter,
     [](const ServiceSnapshot& s) { return number(s.count.bytes); }},
    {"service_quorum_met", "1 while the quorum is met", MetricType::Gauge,
     [](const ServiceSnapshot& s) { return s.quorum.met ? 1.0 : 0.0; }},
    {"service_servers_up", "Real servers that are up and not drained", MetricType::Gauge,
     [](const ServiceSnapshot& s) { return number(s.quorum.servers_up); }},
    {"service_sorry_server_in_use", "1 while the sorry server gets the packets", MetricType::Gauge,
     [](const ServiceSnapshot& s) { return s.sorry && s.sorry->decision.in_use ? 1.0 : 0.0; }},
    {"service_sorry_server_packets_total", "Packets handed to the sorry server",
     MetricType::Counter,
     [](const ServiceSnapshot& s) { return s.sorry ? number(s.sorry->count.packets) : 0.0; }},
};

const ServerMetric server_metrics[] = {
    {"real_server_packets_total", "Packets handed to this server", MetricType::Counter,
     [](const ServerSnapshot& s) { return number(s.count.packets); }},
    {"real_server_bytes_total", "Bytes handed to this server, as received", MetricType::Counter,
     [](const ServerSnapshot& s) { return number(s.count.bytes); }},
    {"real_server_up", "1 while its checks pass", MetricType::Gauge,
     [](const ServerSnapshot& s) { return s.decision.health == core::Health::up ? 1.0 : 0.0; }},
    {"real_server_drained", "1 while drained by the operator", MetricType::Gauge,
     [](const ServerSnapshot& s) { return s.decision.drained ? 1.0 : 0.0; }},
    {"real_server_effective_weight", "Weight after checks, drains and slow start",
     MetricType::Gauge,
     [](const ServerSnapshot& s) { return number(s.decision.effective_weight); }},
    {"real_server_transitions_total", "Changes between up and down", MetricType::Counter,
     [](const ServerSnapshot& s) { return number(s.decision.transitions); }},
};

/// The prober's powers of two, in seconds.
void put_lateness(MetricFamily& family, const probe::ProberStatistics& checks) {
    ClientMetric metric;
    std::uint64_t sum = 0;
    for (unsigned i = 0; i < std::size(checks.lateness); ++i) {
        sum += checks.lateness[i];
        ClientMetric::Bucket bucket;
        bucket.cumulative_count = sum;
        bucket.upper_bound = static_cast<double>(std::uint64_t{1} << i) / 1e6;
        metric.histogram.bucket.push_back(bucket);
    }
    metric.histogram.bucket.back().upper_bound = std::numeric_limits<double>::infinity();
    metric.histogram.sample_count = sum;
    // How late each was is not kept, only in which bucket: no sum can be given.
    metric.histogram.sample_sum = std::numeric_limits<double>::quiet_NaN();
    family.metric.push_back(std::move(metric));
}

void put_memory(Families& families, const MemorySnapshot& memory) {
    MetricFamily& now = families.add(
        "memory_bytes", "Memory taken: by the kernel's tables, by the process", MetricType::Gauge);
    put(now, {{"of", "kernel"}}, number(dataplane::total(memory.tables)));
    put(now, {{"of", "process"}}, number(memory.resident));
    MetricFamily& predicted =
        families.add("memory_predicted_bytes", "The same as predicted from the configuration",
                     MetricType::Gauge);
    put(predicted, {{"of", "kernel"}}, number(dataplane::total(memory.predicted_tables)));
    put(predicted, {{"of", "process"}}, number(memory.predicted_process));
}

struct FlowMetric {
    const char* name;
    const char* help;
    MetricType type;
    std::uint64_t dataplane::FlowCounts::* value;
};
constexpr FlowMetric flow_metrics[] = {
    {"flows_max", "Room for remembered TCP flows", MetricType::Gauge, &dataplane::FlowCounts::most},
    {"flows_remembered", "Remembered TCP flows, sampled", MetricType::Gauge,
     &dataplane::FlowCounts::remembered},
    {"flows_learnt_total", "TCP flows that were remembered for good", MetricType::Counter,
     &dataplane::FlowCounts::learnt},
    {"flows_young_total", "TCP flows that were remembered on trial", MetricType::Counter,
     &dataplane::FlowCounts::young},
    {"flows_full_total", "Packets of TCP flows for which there was no room", MetricType::Counter,
     &dataplane::FlowCounts::full},
    {"flows_capped_total", "Packets of TCP flows that came too fast after others",
     MetricType::Counter, &dataplane::FlowCounts::capped},
    {"flows_previous_total", "Packets sent as before a change, their TCP flow being unknown",
     MetricType::Counter, &dataplane::FlowCounts::previous},
    {"flows_moved_total", "TCP flows whose server was gone", MetricType::Counter,
     &dataplane::FlowCounts::moved},
};

void put_flows(Families& families, const dataplane::FlowCounts& flows) {
    if (flows.most == 0) return;
    for (const FlowMetric& metric : flow_metrics)
        put(families.add(metric.name, metric.help, metric.type), {}, number(flows.*metric.value));
}

/// One series for each state of each service IP, of which one is 1.
void put_announcements(Families& families, const std::vector<AnnouncementSnapshot>& announcements) {
    using core::AnnouncementState;
    MetricFamily& states =
        families.add("announcement_state", "How the service IP is announced: the state that is 1",
                     MetricType::Gauge);
    MetricFamily& transitions =
        families.add("announcement_transitions_total", "Changes of the service IP's announcement",
                     MetricType::Counter);
    for (const AnnouncementSnapshot& each : announcements) {
        const std::string service_ip = each.service_ip.to_string();
        for (const AnnouncementState state :
             {AnnouncementState::announced, AnnouncementState::degraded,
              AnnouncementState::draining, AnnouncementState::withdrawn})
            put(states, {{"service_ip", service_ip}, {"state", std::string(to_string(state))}},
                each.decision.state == state ? 1 : 0);
        put(transitions, {{"service_ip", service_ip}}, number(each.decision.transitions));
    }
}

struct NeighborMetric {
    const char* name;
    const char* help;
    MetricType type;
    double (*value)(const announce::NeighborSession&);
};
const NeighborMetric neighbor_metrics[] = {
    {"bgp_session_up", "1 while the session with the neighbor is established", MetricType::Gauge,
     [](const announce::NeighborSession& n) { return n.established() ? 1.0 : 0.0; }},
    {"bgp_session_flaps_total", "Times that the session was lost", MetricType::Counter,
     [](const announce::NeighborSession& n) { return number(n.flaps); }},
    {"bgp_prefixes_told", "Service IPs that the neighbor is told of", MetricType::Gauge,
     [](const announce::NeighborSession& n) { return number(n.told.size()); }},
    {"bgp_prefixes_accepted", "Prefixes accepted from the neighbor; should be 0", MetricType::Gauge,
     [](const announce::NeighborSession& n) { return number(n.accepted); }},
    {"bgp_neighbor_problems", "What is not as it should be with the neighbor; status says it",
     MetricType::Gauge,
     [](const announce::NeighborSession& n) { return number(n.problems.size()); }},
};

void put_bgp(Families& families, const announce::DaemonState& state) {
    put(families.add("bgp_daemon_answers", "1 while the routing daemon answers", MetricType::Gauge),
        {{"daemon", state.daemon}}, state.answering ? 1 : 0);
    put(families.add("bgp_daemon_well", "1 while it answers and nothing is wrong with it",
                     MetricType::Gauge),
        {{"daemon", state.daemon}}, state.answering && state.problem.empty() ? 1 : 0);
    for (const NeighborMetric& metric : neighbor_metrics) {
        MetricFamily& family = families.add(metric.name, metric.help, metric.type);
        for (const announce::NeighborSession& each : state.neighbors)
            put(family, {{"neighbor", each.address.to_string()}, {"description", each.description}},
                metric.value(each));
    }
}

/// What the agent of a real server keeps.
void put_real_server(Families& families, const realserver::KeeperState& state) {
    MetricFamily& held =
        families.add("realserver_service_ip_held", "1 while the interface has the service IP",
                     MetricType::Gauge);
    for (const realserver::HeldServiceIp& each : state.service_ips)
        put(held, {{"service_ip", each.address.to_string()}}, each.held ? 1 : 0);
    MetricFamily& withdrawn =
        families.add("realserver_service_ip_withdrawn",
                     "1 while it is kept from outside, since no DNS process passes its checks",
                     MetricType::Gauge);
    for (const realserver::HeldServiceIp& each : state.service_ips)
        put(withdrawn, {{"service_ip", each.address.to_string()}}, each.withheld ? 1 : 0);
    put(families.add("realserver_well", "1 while the machine is as the file wants it",
                     MetricType::Gauge),
        {}, state.well ? 1 : 0);
    put(families.add("realserver_repairs_total", "Changes of others that were undone",
                     MetricType::Counter),
        {}, number(state.repairs));
    MetricFamily& packets =
        families.add("realserver_rule_packets_total",
                     "Packets that the rules of a process have seen", MetricType::Counter);
    MetricFamily& bytes =
        families.add("realserver_rule_bytes_total", "Bytes that the rules of a process have seen",
                     MetricType::Counter);
    for (const realserver::RuleCounter& each : state.counters.processes) {
        const Labels labels = {{"process", each.process},
                               {"protocol", std::string(to_string(each.protocol))},
                               {"way", std::string(to_string(each.way))}};
        put(packets, labels, number(each.packets));
        put(bytes, labels, number(each.bytes));
    }
    put(families.add("realserver_tunnel_packets_refused_total",
                     "Packets of tunnels that tunnel_from does not take", MetricType::Counter),
        {}, number(state.counters.refused_tunnels));
}

}  // namespace

std::string to_metrics(const Snapshot& snapshot) {
    Families families;
    for (const ServiceMetric& metric : service_metrics) {
        MetricFamily& family = families.add(metric.name, metric.help, metric.type);
        for (const ServiceSnapshot& service : snapshot.services)
            put(family, labels_of(service), metric.value(service));
    }
    for (const ServerMetric& metric : server_metrics) {
        MetricFamily& family = families.add(metric.name, metric.help, metric.type);
        for (const ServiceSnapshot& service : snapshot.services)
            for (const ServerSnapshot& server : service.servers)
                put(family, labels_of(service, server), metric.value(server));
    }
    MetricFamily& drops = families.add("packets_not_forwarded_total",
                                       "Packets not forwarded, by reason", MetricType::Counter);
    for (const auto& [reason, packets] : snapshot.drops)
        put(drops, {{"reason", reason}}, number(packets));

    if (!snapshot.events.empty()) {
        MetricFamily& events = families.add(
            "proxy_events_total", "What the proxy did beside handing on queries and answers",
            MetricType::Counter);
        for (const auto& [what, count] : snapshot.events)
            put(events, {{"event", what}}, number(count));
    }
    put_flows(families, snapshot.flows);
    put_announcements(families, snapshot.announcements);
    if (snapshot.bgp) put_bgp(families, *snapshot.bgp);
    if (snapshot.real_server) put_real_server(families, *snapshot.real_server);
    const auto single = [&](const char* name, const char* help, MetricType type, double value) {
        put(families.add(name, help, type), {}, value);
    };
    single("config_generation", "Configurations put in force since the start", MetricType::Gauge,
           number(snapshot.generation));
    single("config_last_reload_successful", "0 after a refused reload", MetricType::Gauge,
           snapshot.last_error ? 0 : 1);
    single("check_rounds_total", "Verdicts given by checks", MetricType::Counter,
           number(snapshot.checks.rounds));
    single("check_ignored_replies_total", "Replies with a wrong ID or question",
           MetricType::Counter, number(snapshot.checks.ignored_replies));
    put_lateness(families.add("check_lateness_seconds",
                              "How late rounds of checks started against their schedule",
                              MetricType::Histogram),
                 snapshot.checks);
    single("hooks_started_total", "Notify and quorum commands started", MetricType::Counter,
           number(snapshot.hooks.started));
    single("hooks_failed_total", "Notify and quorum commands that failed", MetricType::Counter,
           number(snapshot.hooks.failed));
    single("hooks_dropped_total", "Notify and quorum commands left out", MetricType::Counter,
           number(snapshot.hooks.dropped));
    put_memory(families, snapshot.memory);
    return prometheus::TextSerializer{}.Serialize(families.list());
}

}  // namespace dnsdirector::control
