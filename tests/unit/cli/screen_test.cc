// SPDX-License-Identifier: Apache-2.0
#include "cli/screen.h"

#include <gtest/gtest.h>

namespace dnsdirector::cli {
namespace {

TEST(Screen, NumbersKeepThreeDigits) {
    EXPECT_EQ(short_number(0), "0");
    EXPECT_EQ(short_number(999), "999");
    EXPECT_EQ(short_number(1234), "1.23k");
    EXPECT_EQ(short_number(18200), "18.2k");
    EXPECT_EQ(short_number(999'600), "1.00M");
    EXPECT_EQ(short_number(3'410'000), "3.41M");
}

TEST(Screen, TimesReadAtAGlance) {
    EXPECT_EQ(short_rtt(180), "0.18 ms");
    EXPECT_EQ(short_rtt(12'400), "12 ms");
    EXPECT_EQ(short_rtt(1'200'000), "1.20 s");
    EXPECT_EQ(age("2026-01-01T00:00:00.000Z", "2026-01-01T00:00:12.000Z"), "12s");
    EXPECT_EQ(age("2026-01-01T00:00:00.000Z", "2026-01-01T05:00:00.000Z"), "5h");
    EXPECT_EQ(age("", "2026-01-01T05:00:00.000Z"), "");
}

TEST(Screen, SurvivesWhatItDoesNotKnow) {
    EXPECT_NE(render_status(nlohmann::json::object(), false).find("dnsdirector"),
              std::string::npos);
}

TEST(Screen, ShowsWhyAServerIsOut) {
    const auto status = nlohmann::json::parse(R"({
        "version": "1", "at": "2026-01-01T00:01:00.000Z",
        "services": [{"address": "2001:db8::53", "port": 53, "protocol": "udp",
            "scheduler": "wrr", "forwarding": "dr", "cluster": "resolvers",
            "quorum": {"required": 1, "up": 1, "met": true},
            "real_servers": [{"name": "ns2", "address": "2001:db8:1::2", "port": 53,
                "weight": 2, "effective_weight": 0, "state": "down", "held": false,
                "since": "2026-01-01T00:00:30.000Z", "reason": "SERVFAIL",
                "counters": {"packets": 12}, "checks": []}]}]})");
    const std::string screen = render_status(status, false);
    EXPECT_NE(screen.find("[2001:db8::53]:53/udp"), std::string::npos);
    EXPECT_NE(screen.find("SERVFAIL"), std::string::npos);
    EXPECT_NE(screen.find("30s"), std::string::npos);
    EXPECT_NE(screen.find("0 of 2"), std::string::npos);
    EXPECT_EQ(screen.find("\033["), std::string::npos);
    EXPECT_NE(render_status(status, true).find("\033[31mdown"), std::string::npos);
}

TEST(Screen, ShowsTheSlowestOfTheChecksThatPassed) {
    const auto status = nlohmann::json::parse(R"({"services": [{"real_servers": [{"checks": [
        {"last": {"result": "ok", "rtt_us": 180}}, {"last": {"result": "ok", "rtt_us": 420}},
        {"last": null}]}]}]})");
    EXPECT_NE(render_status(status, false).find("ok 0.42 ms"), std::string::npos);
}

TEST(Screen, ShowsWhatARealServersAgentKeeps) {
    const auto status = nlohmann::json::parse(R"({
        "version": "1", "at": "2026-01-01T00:01:00.000Z",
        "realserver": {"interface": "lo", "well": false, "repairs": 3,
            "service_ips": [{"address": "192.0.2.53", "held": true, "withdrawn": false},
                            {"address": "192.0.2.54", "held": true, "withdrawn": true},
                            {"address": "192.0.2.55", "held": false, "withdrawn": false}],
            "problems": ["interface eth7 does not exist"],
            "last_repairs": [{"at": "2026-01-01T00:00:48.000Z", "what": "added 192.0.2.53/32 to lo"}],
            "rules": [{"process": "bind1", "protocol": "udp", "way": "queries", "packets": 18200},
                      {"process": "bind1", "protocol": "tcp", "way": "queries", "packets": 40}]}})");
    const std::string screen = render_status(status, false);
    for (const char* line :
         {"real server  192.0.2.53 held, 192.0.2.54 WITHDRAWN, 192.0.2.55 MISSING on lo  NOT as "
          "the file says\n",
          "  interface eth7 does not exist\n",
          "  3 repaired, the last 12s ago: added 192.0.2.53/32 to lo\n",
          "  process bind1  packets in 18.2k udp, 40 tcp  out 0 udp, 0 tcp"})
        EXPECT_NE(screen.find(line), std::string::npos) << line << "\n" << screen;
}

}  // namespace
}  // namespace dnsdirector::cli
