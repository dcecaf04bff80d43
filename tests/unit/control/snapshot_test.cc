// SPDX-License-Identifier: Apache-2.0
#include "control/snapshot.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "control/rates.h"

namespace dnsdirector::control {
namespace {

const core::ServiceKey key{*IpAddress::parse("2001:db8::53"), 53, Protocol::udp};
const Endpoint the_server{*IpAddress::parse("2001:db8:1::1"), 53};

Snapshot one_server() {
    Snapshot snapshot;
    snapshot.version = "1";
    ServiceSnapshot& service = snapshot.services.emplace_back();
    service.key = key;
    service.quorum = {.required = 1, .hysteresis = 0, .up = 0, .servers_up = 0, .met = false};
    ServerSnapshot& entry = service.servers.emplace_back();
    entry.name = "ns1";
    entry.endpoint = the_server;
    entry.decision.state = core::ServerState::down;
    entry.decision.health = core::Health::down;
    entry.decision.reason = "bad bytes: \xff";
    entry.checks.push_back({.kind = "dns", .what = "example.com. A udp"});
    AnnouncementSnapshot& announcement = snapshot.announcements.emplace_back();
    announcement.service_ip = key.address;
    announcement.decision.reason = "nobody is up";
    return snapshot;
}

TEST(Snapshot, JsonHoldsTheContractAndSurvivesBytesThatAreNoText) {
    const auto json = nlohmann::json::parse(to_json(one_server()));
    const auto& service = json["services"][0];
    EXPECT_EQ(service["cluster"], nullptr);
    EXPECT_EQ(service["address"], "2001:db8::53");
    EXPECT_EQ(service["forwarding"], "dr");
    EXPECT_EQ(service["real_servers"][0]["state"], "down");
    EXPECT_EQ(service["real_servers"][0]["checks"][0]["last"], nullptr);
    EXPECT_EQ(json["announcements"][0]["state"], "withdrawn");
    EXPECT_EQ(json["announcements"][0]["prefix"], "2001:db8::53/128");
    EXPECT_EQ(json["config"]["last_error"], nullptr);
}

TEST(Snapshot, SaysWhatTheRoutingDaemonDoes) {
    Snapshot snapshot = one_server();
    EXPECT_EQ(nlohmann::json::parse(to_json(snapshot))["bgp"], nullptr);
    EXPECT_EQ(to_metrics(snapshot).find("dnsdirector_bgp_"), std::string::npos);
    announce::DaemonState& bgp = snapshot.bgp.emplace();
    bgp.daemon = "BIRD";
    bgp.answering = true;
    for (const bool both : {false, true}) {
        announce::NeighborSession& neighbor = bgp.neighbors.emplace_back();
        neighbor.address = *IpAddress::parse(both ? "198.51.100.254" : "198.51.100.253");
        neighbor.carries = {true, both};
    }
    announce::NeighborSession& second = bgp.neighbors[1];
    second.session = "established";
    second.flaps = 2;
    second.told = {{snapshot.announcements[0].service_ip, 7, core::Communities{}, WallTime{}}};
    second.problems = {"it lies"};
    const auto json = nlohmann::json::parse(to_json(snapshot));
    EXPECT_EQ(json["bgp"]["answering"], true);
    EXPECT_EQ(json["bgp"]["neighbors"][0]["session"], "unknown");
    EXPECT_EQ(json["bgp"]["neighbors"][0]["since"], nullptr);
    EXPECT_EQ(json["bgp"]["neighbors"][1]["told"][0]["prefix"], "2001:db8::53/128");
    EXPECT_EQ(json["bgp"]["neighbors"][1]["problems"][0], "it lies");
    // Of an IPv6 service IP only the second one is told.
    ASSERT_EQ(json["announcements"][0]["neighbors"].size(), 1U);
    EXPECT_EQ(json["announcements"][0]["neighbors"][0]["address"], "198.51.100.254");
    EXPECT_EQ(json["announcements"][0]["neighbors"][0]["told"], true);
    EXPECT_EQ(json["announcements"][0]["neighbors"][0]["med"], 7);
    const std::string metrics = to_metrics(snapshot);
    for (const char* line :
         {"dnsdirector_bgp_daemon_answers{daemon=\"BIRD\"} 1",
          "dnsdirector_bgp_session_up{neighbor=\"198.51.100.253\",description=\"\"} 0",
          "dnsdirector_bgp_session_flaps_total{neighbor=\"198.51.100.254\",description=\"\"} 2"})
        EXPECT_NE(metrics.find(line), std::string::npos) << line << "\n" << metrics;
}

TEST(Snapshot, SaysHowAServiceIpIsAnnounced) {
    Snapshot snapshot = one_server();
    const auto json = [&] { return nlohmann::json::parse(to_json(snapshot)); };
    EXPECT_EQ(json()["announcements"][0]["reason"], "nobody is up");
    EXPECT_EQ(json()["announcements"][0]["med"], nullptr);
    EXPECT_EQ(json()["services"][0]["announced"], false);
    snapshot.announcements[0].decision.state = core::AnnouncementState::draining;
    snapshot.announcements[0].attributes = core::RouteAttributes{7, {{{64512, 1}}, {}}};
    EXPECT_EQ(json()["announcements"][0]["state"], "draining");
    EXPECT_EQ(json()["announcements"][0]["med"], 7);
    EXPECT_EQ(json()["announcements"][0]["communities"], "64512:1");
    EXPECT_EQ(json()["services"][0]["announced"], true);
    const std::string metrics = to_metrics(snapshot);
    EXPECT_NE(metrics.find("dnsdirector_announcement_state{service_ip=\"2001:db8::53\","
                           "state=\"draining\"} 1"),
              std::string::npos)
        << metrics;
}

TEST(Snapshot, MetricsNameServiceAndServer) {
    const std::string text = to_metrics(one_server());
    EXPECT_NE(text.find("dnsdirector_real_server_up{cluster=\"\",service=\"[2001:db8::53]:53\","
                        "protocol=\"udp\",name=\"ns1\",server=\"[2001:db8:1::1]:53\"} 0"),
              std::string::npos)
        << text;
}

TEST(Snapshot, TheSorryServerIsListedApart) {
    Snapshot snapshot = one_server();
    const auto service = [](const Snapshot& of) {
        return nlohmann::json::parse(to_json(of))["services"][0];
    };
    EXPECT_EQ(service(snapshot)["sorry_server"], nullptr);
    EXPECT_EQ(service(snapshot)["group"], nullptr);
    snapshot.services[0].group = "resolvers";
    snapshot.services[0].sorry = {the_server, {true, true, "quorum not met, 0 of 1"}, {7, 700}, 0};
    EXPECT_EQ(service(snapshot)["group"], "resolvers");
    EXPECT_EQ(service(snapshot)["real_servers"].size(), 1U);
    const auto sorry = service(snapshot)["sorry_server"];
    EXPECT_EQ(sorry["address"], "2001:db8:1::1");
    EXPECT_EQ(sorry["in_use"], true);
    EXPECT_EQ(sorry["effective_weight"], 1);
    EXPECT_EQ(sorry["reason"], "quorum not met, 0 of 1");
    EXPECT_EQ(sorry["counters"]["packets"], 7);
}

TEST(Snapshot, ChecksSayWhetherTheyAreSharedAndNativeAndWhatTheyMakeOfTheWeight) {
    Snapshot snapshot = one_server();
    auto& checks = snapshot.services[0].servers[0].checks;
    checks.push_back({.kind = "dig", .native = true, .shared_by = 2});
    checks.push_back({.kind = "misc", .weight = 3});
    checks.push_back({.kind = "file", .weight_change = -4});
    const auto json =
        nlohmann::json::parse(to_json(snapshot))["services"][0]["real_servers"][0]["checks"];
    EXPECT_FALSE(json[0].contains("native"));
    EXPECT_EQ(json[0]["shared_by"], 1);
    EXPECT_EQ(json[1]["native"], true);
    EXPECT_EQ(json[1]["shared_by"], 2);
    EXPECT_EQ(json[2]["weight"], 3);
    EXPECT_EQ(json[3]["weight_change"], -4);
}

TEST(Snapshot, LatenessIsAHistogramOfPrometheus) {
    Snapshot snapshot = one_server();
    snapshot.checks.lateness[4] = 2;   // below 16 us
    snapshot.checks.lateness[17] = 1;  // below 131 ms
    const std::string text = to_metrics(snapshot);
    EXPECT_NE(text.find("dnsdirector_check_lateness_seconds_bucket{le=\"1.6e-05\"} 2"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("dnsdirector_check_lateness_seconds_count 3"), std::string::npos);
    EXPECT_NE(text.find("_bucket{le=\"+Inf\"} 3"), std::string::npos);
}

TEST(Rates, AreTakenOverAFewSeconds) {
    const auto counters = [](std::uint64_t packets) {
        dataplane::Counters result;
        result.services[key] = {packets, 0};
        result.servers[{key, the_server}] = {packets, 0};
        return result;
    };
    Rates rates;
    rates.sample(counters(100), TimePoint{Seconds(10)});
    rates.sample(counters(300), TimePoint{Seconds(12)});
    Snapshot snapshot = one_server();
    rates.fill(snapshot, counters(500), TimePoint{Seconds(14)});
    EXPECT_DOUBLE_EQ(snapshot.services[0].packets_per_second, 100);
    EXPECT_DOUBLE_EQ(snapshot.services[0].servers[0].packets_per_second, 100);
    EXPECT_EQ(snapshot.services[0].servers[0].count.packets, 500U);
}

TEST(Snapshot, SaysWhatARealServersAgentKeeps) {
    Snapshot snapshot = one_server();
    EXPECT_FALSE(nlohmann::json::parse(to_json(snapshot)).contains("realserver"));
    EXPECT_EQ(to_metrics(snapshot).find("dnsdirector_realserver_"), std::string::npos);
    realserver::KeeperState& kept = snapshot.real_server.emplace();
    kept.interface = "lo";
    kept.service_ips = {{key.address, false, true}};
    kept.problems = {"interface eth7 does not exist"};
    kept.repairs = 12;
    kept.last_repairs = {{WallTime{}, "added 2001:db8::53/128 to lo"}};
    kept.counters.processes = {{"bind1", Protocol::udp, realserver::Way::queries, 5, 500}};
    const auto json = nlohmann::json::parse(to_json(snapshot))["realserver"];
    EXPECT_EQ(json["service_ips"][0]["address"], "2001:db8::53");
    EXPECT_EQ(json["service_ips"][0]["held"], false);
    EXPECT_EQ(json["service_ips"][0]["withdrawn"], true);
    EXPECT_EQ(json["well"], false);
    EXPECT_EQ(json["problems"][0], "interface eth7 does not exist");
    EXPECT_EQ(json["last_repairs"][0]["what"], "added 2001:db8::53/128 to lo");
    EXPECT_EQ(json["rules"][0]["way"], "queries");
    const std::string metrics = to_metrics(snapshot);
    for (const char* line :
         {"dnsdirector_realserver_service_ip_withdrawn{service_ip=\"2001:db8::53\"} 1",
          "dnsdirector_realserver_repairs_total 12", "dnsdirector_realserver_well 0",
          "dnsdirector_realserver_rule_packets_total{process=\"bind1\",protocol=\"udp\","
          "way=\"queries\"} 5"})
        EXPECT_NE(metrics.find(line), std::string::npos) << line << "\n" << metrics;
}

}  // namespace
}  // namespace dnsdirector::control
