// SPDX-License-Identifier: Apache-2.0
#include "control/why.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace dnsdirector::control {
namespace {

using core::Failure;
using core::Health;
using core::Place;
using core::Rule;

const WallTime now{Seconds{1'800'000'000}};

CheckStanding failing(Failure kind, std::string reason) {
    CheckStanding check;
    core::DnsCheck dns;
    dns.name = "www.example.com.";
    dns.type = 1;
    check.check.what = dns;
    check.check.target = *Endpoint::parse("203.0.113.12:53");
    check.state.health = Health::down;
    check.state.down_kind = kind;
    check.state.down_reason = std::move(reason);
    check.state.turned_by = core::Turn::fall;
    check.needed = true;
    check.state.wall_since = check.state.down_reason_since = now;
    return check;
}

ServerStanding standing(Rule rule, std::optional<CheckStanding> check = {}) {
    ServerStanding made;
    made.service.cluster = "resolvers";
    made.service.key = {*IpAddress::parse("192.0.2.53"), 53, Protocol::udp};
    made.server.name = "ns2";
    made.server.endpoint = *Endpoint::parse("203.0.113.12:53");
    made.rule = rule;
    made.decision.configured_weight = made.decision.weight = 2;
    made.decision.health = check ? Health::down : Health::up;
    made.decision.wall_since = now;
    if (check) {
        made.checks.push_back(std::move(*check));
        made.check = 0;
    }
    return made;
}

std::string first(const ServerStanding& standing) {
    return answer_of({standing}, now);
}

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST(Why, the_first_line_names_server_service_cause_time_and_rule) {
    EXPECT_EQ(first(standing(Rule::fall, failing(Failure::answer, "SERVFAIL"))),
              "ns2 203.0.113.12:53 is OUT of resolvers/udp: SERVFAIL to www.example.com. A since " +
                  clock_text(now, now) + " (fall 2 reached)");
}

TEST(Why, each_class_of_failure_has_its_words) {
    const auto line = [](Failure kind, const char* reason) {
        return first(standing(Rule::fall, failing(kind, reason)));
    };
    EXPECT_TRUE(has(line(Failure::silence, "timeout"), "no reply to www.example.com. A: timeout"));
    EXPECT_TRUE(has(line(Failure::answer, "wrong answer: got a, expected b"),
                    "wrong answer: got a, expected b; asked www.example.com. A"));
    EXPECT_TRUE(has(line(Failure::local, "no route"), "this director cannot ask it"));
    auto gone = standing(Rule::fall, failing(Failure::silence, "timeout"));
    gone.unreachable = "no ARP answer from 203.0.113.12 on eth0";
    EXPECT_TRUE(has(first(gone), "resolvers/udp: no ARP answer from 203.0.113.12 on eth0; "));
    auto answers = standing(Rule::fall, failing(Failure::answer, "REFUSED"));
    answers.unreachable = "no ARP answer from 203.0.113.12 on eth0";
    EXPECT_FALSE(has(first(answers), "ARP")) << "who answers is there";
}

TEST(Why, every_rule_has_a_sentence_and_a_way_back_where_there_is_one) {
    struct Case {
        Rule rule;
        bool down;
        const char* says;
        const char* back;
    };
    const Case cases[] = {
        {Rule::first_failure, true, "OUT of", "2 passes in a row"},
        {Rule::refusal, true, "a refusal counts at once", "2 passes in a row"},
        {Rule::drain, false, "drained by the operator", "dnsdirector undrain ns2"},
        {Rule::drain, true, "besides: SERVFAIL", "dnsdirector undrain ns2, and 2 passes"},
        {Rule::weight_zero, false, "its weight is 0", "dnsdirector reload"},
        {Rule::max_out, true, "held by max_out 100%", "end of the hold"},
        {Rule::on_all_down, true, "held by on_all_down", "any server of the service"},
        {Rule::unreachable, false, "OUT of", "a way to it"},
        {Rule::waiting, false, "is not IN resolvers/udp yet: not tested yet", ""},
        {Rule::untested_in, false, "in until its first failure", ""},
        {Rule::slow_start, false, "slow start, step 5 of 20", "in about 45s"},
        {Rule::sorry_server, false, "the quorum is not met", "the quorum"},
        {Rule::check_weight, false, "instead of 2", ""},
        {Rule::adopted, false, "when this director started", ""},
        {Rule::no_checks, false, "has no checks", ""},
        {Rule::rise, false, "its checks pass since", ""},
    };
    for (const Case& each : cases) {
        auto made = each.down ? standing(each.rule, failing(Failure::answer, "SERVFAIL"))
                              : standing(each.rule);
        if (each.rule == Rule::weight_zero)
            made.decision.configured_weight = made.decision.weight = 0;
        made.service.slow_start = Seconds{60};
        made.decision.slow_start_step = each.rule == Rule::slow_start ? 5 : 0;
        EXPECT_TRUE(has(first(made), each.says)) << first(made);
        EXPECT_TRUE(has(way_back(made), each.back)) << way_back(made);
        EXPECT_EQ(*each.back == '\0', way_back(made).empty()) << way_back(made);
        EXPECT_NE(core::to_string(each.rule), "");
        EXPECT_NE(rule_text(made), "");
    }
}

TEST(Why, the_worst_is_told_first_and_services_alike_together) {
    auto up = standing(Rule::rise);
    auto udp = standing(Rule::fall, failing(Failure::answer, "SERVFAIL"));
    auto tcp = udp;
    tcp.service.key.protocol = Protocol::tcp;
    const std::string line = answer_of({up, udp, tcp}, now);
    EXPECT_TRUE(has(line, "is OUT of resolvers/udp and resolvers/tcp: SERVFAIL")) << line;
    EXPECT_TRUE(line.ends_with("; 1 more below")) << line;
}

TEST(Why, a_reason_that_took_over_has_its_own_time_and_the_first_one_is_named) {
    auto check = failing(Failure::silence, "timeout");
    check.state.down_reason_since = now;
    check.state.wall_since = now - Seconds{60};
    const std::string line = first(standing(Rule::fall, check));
    EXPECT_TRUE(has(line, "timeout since " + clock_text(now, now))) << line;
    EXPECT_TRUE(line.ends_with("(fall 2 reached); out since " + clock_text(now - Seconds{60}, now)))
        << line;
}

ServiceStanding service_standing(std::vector<ServerStanding> servers) {
    ServiceStanding made;
    made.service = servers.at(0).service;
    made.servers = std::move(servers);
    return made;
}

TEST(Why, a_service_ip_says_how_it_is_announced) {
    auto made = service_standing({standing(Rule::fall, failing(Failure::answer, "SERVFAIL"))});
    EXPECT_FALSE(has(answer_of(Standings{{}, {made}}, now), "192.0.2.53/32"));
    made.announcement.emplace();
    made.announcement->wall_since = now;
    made.announcement->reason = "192.0.2.53:53/tcp: quorum not met, 0 of 1";
    EXPECT_TRUE(has(answer_of(Standings{{}, {made}}, now),
                    "; 192.0.2.53/32 is withdrawn since " + clock_text(now, now) +
                        ": 192.0.2.53:53/tcp: quorum not met, 0 of 1; "));
    const auto json = nlohmann::json::parse(to_json(Standings{{}, {made}}, now));
    EXPECT_EQ(json["services"][0]["announcement"]["state"], "withdrawn");
}

TEST(Why, a_service_names_its_quorum_who_works_and_who_is_out) {
    auto up = standing(Rule::rise);
    up.server.name = "ns1";
    up.share = 1;
    auto made = service_standing({up, standing(Rule::fall, failing(Failure::answer, "SERVFAIL"))});
    made.quorum = {.required = 1, .hysteresis = 0, .up = 2, .servers_up = 1, .met = true};
    const std::string line = answer_of(Standings{{}, {made}}, now);
    EXPECT_TRUE(
        line.starts_with("resolvers/udp 192.0.2.53:53/udp: the quorum is met (servers up "
                         "weigh 2, needed 1); 1 of 2 servers get its work (ns1); ns2 "
                         "203.0.113.12:53 is OUT of resolvers/udp: SERVFAIL"))
        << line;
    EXPECT_FALSE(has(line, "more below")) << line;
}

TEST(Why, a_lost_quorum_comes_first_and_says_what_is_done_about_it) {
    auto up = standing(Rule::rise);
    up.share = 1;
    auto well = service_standing({up});
    well.quorum.met = true;
    auto lost = service_standing({standing(Rule::fall, failing(Failure::answer, "SERVFAIL"))});
    lost.service.quorum = {2, 1};
    lost.service.on_all_down = core::OnAllDown::empty;
    const auto line = [&] { return answer_of(Standings{{}, {well, lost}}, now); };
    EXPECT_TRUE(has(line(),
                    "the quorum is NOT MET (servers up weigh 0, needed 3 to be met, below "
                    "1 to be lost (quorum 2, hysteresis 1)); nobody gets its work "
                    "(on_all_down empty): queries are refused; ns2"))
        << line();
    EXPECT_TRUE(line().ends_with("; 1 more below")) << line();
    lost.service.sorry_server = core::SorryServer{*Endpoint::parse("203.0.113.200:53"), false};
    lost.sorry = core::SorryDecision{.in_use = true, .reachable = true, .reason = ""};
    EXPECT_TRUE(has(line(), "the sorry server 203.0.113.200:53 has all the work")) << line();
    lost.asked_for_sorry = true;
    EXPECT_TRUE(
        line().starts_with("the sorry server 203.0.113.200:53 of resolvers/udp "
                           "192.0.2.53:53/udp is IN USE"))
        << line();
    const auto parsed = nlohmann::json::parse(to_json(Standings{{}, {well, lost}}, now));
    EXPECT_EQ(parsed.at("servers").size(), 0U);
    EXPECT_EQ(parsed.at("services").at(1).at("quorum").at("hysteresis"), 0);
    EXPECT_EQ(parsed.at("services").at(1).at("sorry_server").at("in_use"), true);
    EXPECT_EQ(parsed.at("services").at(1).at("servers").size(), 1U);
}

TEST(Why, verdicts_are_told_in_runs) {
    std::vector<core::PastVerdict> verdicts(47);
    EXPECT_EQ(runs_of({}), "no verdict yet");
    EXPECT_EQ(runs_of(verdicts), "47 passed");
    core::PastVerdict servfail;
    servfail.failure = Failure::answer;
    servfail.reason = "SERVFAIL";
    verdicts.insert(verdicts.end(), 3, servfail);
    EXPECT_EQ(runs_of(verdicts), "47 passed, then 3 SERVFAIL");
    verdicts.clear();
    for (int i = 0; i < 10; ++i) {
        verdicts.emplace_back();
        verdicts.push_back(servfail);
    }
    EXPECT_TRUE(runs_of(verdicts).starts_with("12 earlier runs, then 1 passed, then 1 SERVFAIL"));
}

TEST(Why, times_of_other_days_have_their_date) {
    EXPECT_EQ(clock_text(now, now).size(), std::string{"14:02:11"}.size());
    EXPECT_EQ(clock_text(now - std::chrono::days{2}, now).size(),
              std::string{"2026-11-23 14:02:11"}.size());
}

TEST(Why, the_json_holds_all_of_it_whatever_bytes_a_server_sent) {
    auto made = standing(Rule::fall, failing(Failure::answer, "exit \xff\xfe"));
    core::PastVerdict verdict;
    verdict.failure = Failure::answer;
    verdict.reason = "SERVFAIL";
    verdict.reply = std::make_shared<const std::vector<std::uint8_t>>(
        std::vector<std::uint8_t>{0x12, 0x34, 0x80, 0x02, 0, 0, 0, 0, 0, 0, 0, 0});
    made.checks[0].verdicts = {verdict};
    made.decisions.push_back({now, Rule::fall, core::ServerState::down, 0, "SERVFAIL",
                              "real server 203.0.113.12:53 removed", false});
    const auto parsed = nlohmann::json::parse(to_json(Standings{{made}, {}}, now));
    const auto& server = parsed.at("servers").at(0);
    EXPECT_EQ(server.at("rule"), "fall");
    EXPECT_EQ(server.at("decisions").at(0).at("written"), "real server 203.0.113.12:53 removed");
    const auto& check = server.at("checks").at(0);
    EXPECT_TRUE(has(check.at("failing_reply").at("text"), "SERVFAIL"));
    EXPECT_TRUE(has(check.at("by_hand"), "dig @203.0.113.12 www.example.com. A"));
    EXPECT_EQ(check.at("verdicts").size(), 1U);
}

}  // namespace
}  // namespace dnsdirector::control
