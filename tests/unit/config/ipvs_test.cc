// SPDX-License-Identifier: Apache-2.0
//
// What is there under `dataplane ipvs` alone.
#include "unit/config/support.h"

namespace dnsdirector::config {
namespace {

using core::ForwardingMethod;

std::string virtual_server_of(const std::string& head, const std::string& lines,
                              const std::string& server_lines = "") {
    return "director { dataplane ipvs }\nvirtual_server " + head + " {\nlb_kind DR\n" + lines +
           "\nreal_server 203.0.113.11 53 {\n" + server_lines + "\nTCP_CHECK {\n}\n}\n}\n";
}
core::Service service_of(const std::string& head, const std::string& lines,
                         const std::string& server_lines = "") {
    return configuration_of(virtual_server_of(head, lines, server_lines)).services.at(0);
}

TEST(Ipvs, udp_is_spread_packet_by_packet_unless_something_keeps_the_flow) {
    const auto ops = [](const std::string& lines) {
        return service_of("192.0.2.53 53", lines).ipvs.one_packet;
    };
    EXPECT_TRUE(ops("lb_algo wrr"));
    EXPECT_FALSE(ops("protocol TCP"));
    EXPECT_FALSE(ops("persistence_timeout 60"));
    EXPECT_TRUE(ops("persistence_timeout 60\nops"));
    EXPECT_FALSE(service_of("192.0.2.53 53", "", "lvs_method NAT").ipvs.one_packet);
    EXPECT_TRUE(service_of("fwmark 7", "lb_algo wrr").ipvs.one_packet);
    // What counts connections would find none, and take one server for all.
    for (const char* const scheduler : {"wlc", "lc", "sed", "nq"}) {
        EXPECT_FALSE(ops(std::string("lb_algo ") + scheduler)) << scheduler;
        EXPECT_TRUE(ops(std::string("ops\nlb_algo ") + scheduler)) << scheduler;
    }
}

TEST(Ipvs, persistence_has_a_time_and_a_granularity) {
    const auto options = [](const std::string& lines) {
        return service_of("192.0.2.53 53", lines).ipvs;
    };
    EXPECT_EQ(options("persistence_timeout").persistence_timeout, 360U);
    EXPECT_EQ(options("persistence_timeout 0").persistence_timeout, 0U);
    const auto with_mask = options("persistence_granularity 255.255.255.0");
    EXPECT_EQ(with_mask.persistence_timeout, 360U);
    EXPECT_EQ(with_mask.persistence_prefix, 24);
    EXPECT_EQ(options("persistence_granularity 255.255.255.255").persistence_prefix, 0);
    says(virtual_server_of("192.0.2.53 53", "lb_algo wrr\npersistence_granularity 255.0.255.0"),
         "t.conf:5:25: error: persistence_granularity: `255.0.255.0` is no netmask, whose ones "
         "stand before its zeros, as 255.255.255.0\n");
}

TEST(Ipvs, a_service_by_mark_or_for_all_ports_has_its_servers_at_port_0) {
    const core::Service marked = service_of("fwmark 7", "lb_algo rr");
    EXPECT_EQ(marked.key.to_string(), "fwmark 7");
    EXPECT_EQ(marked.real_servers[0].endpoint.to_string(), "203.0.113.11:0");
    EXPECT_EQ(marked.real_servers[0].name, "203.0.113.11:53");
    EXPECT_EQ(service_of("fwmark 7", "ip_family inet", "lvs_method NAT")
                  .real_servers[0]
                  .endpoint.to_string(),
              "203.0.113.11:53");
    const core::Service all = service_of("192.0.2.53", "");
    EXPECT_EQ(all.key.port, 0);
    EXPECT_EQ(all.ipvs.persistence_timeout, 360U);
    const core::Configuration configuration = configuration_of(virtual_server_of("192.0.2.53", ""));
    EXPECT_EQ(configuration.checks.at(0).target.port, 53);
}

TEST(Ipvs, groups_may_hold_marks_of_both_families) {
    const core::Configuration configuration = configuration_of(
        "director { dataplane ipvs }\nvirtual_server_group g {\nfwmark 7 inet\nfwmark 7 inet6\n"
        "192.0.2.53 53\n}\nvirtual_server group g {\nlb_kind TUN\nreal_server 203.0.113.11 {\n"
        "TCP_CHECK {\n}\n}\n}\n");
    ASSERT_EQ(configuration.services.size(), 3U);
    EXPECT_EQ(configuration.services[0].key.to_string(), "fwmark 7");
    EXPECT_EQ(configuration.services[1].key.to_string(), "fwmark 7 IPv6");
    EXPECT_EQ(configuration.services[2].key.to_string(), "192.0.2.53:53/udp");
}

TEST(Ipvs, servers_may_have_their_own_method_and_thresholds) {
    const core::Service mixed =
        service_of("192.0.2.53 53", "", "lvs_method TUN\nuthreshold 100\nlthreshold 50");
    EXPECT_EQ(mixed.method, ForwardingMethod::dr);
    EXPECT_EQ(mixed.real_servers[0].method, ForwardingMethod::tun);
    EXPECT_EQ(mixed.real_servers[0].thresholds, (core::Thresholds{100, 50}));
    EXPECT_EQ(service_of("192.0.2.53 53", "", "lvs_method DR").real_servers[0].method,
              std::nullopt);
    says(virtual_server_of("192.0.2.53 53", "lb_algo wrr", "uthreshold 5\nlthreshold 6"),
         "t.conf:7:1: error: lthreshold 6 must not be more than uthreshold, 5\n");
    says(virtual_server_of("192.0.2.53 54", "lb_algo wrr"),
         "t.conf:5:13: error: real_server: direct routing keeps the port, so that port 53 must be "
         "the virtual_server's, 54\n");
}

TEST(Ipvs, tells_what_the_kernel_cannot_do) {
    says(virtual_server_of("192.0.2.53 53", "lvs_method TUN type gue port 6080"),
         "t.conf:4:1: error: lvs_method is given a second time; the first is at t.conf:3:1\n"
         "t.conf:4:12: error: TUN type gue is not supported: write TUN, which is IPIP\n");
    says(virtual_server_of("192.0.2.53 53", "lb_algo sh"),
         "t.conf:4:9: warning: lb_algo sh without sh-fallback: the clients of a server with weight "
         "0 (drained, say) get no answer; add sh-fallback\n");
    EXPECT_TRUE(service_of("192.0.2.53 53", "lb_algo sh\nflag-1").ipvs.fallback);
    EXPECT_TRUE(service_of("192.0.2.53 53", "lb_algo sh\nsh-fallback\nflag-2").other_hash);
}

TEST(Ipvs, the_native_form_has_it_all) {
    const core::Configuration configuration = configuration_of(
        "director { dataplane ipvs }\ndns_cluster c {\nservice_ip 192.0.2.53 2001:db8::53\n"
        "lb_algo sh\nlb_kind NAT\npersistence_timeout 60s\npersistence_granularity 255.255.0.0\n"
        "persistence_granularity 56\nreal_server a { address 203.0.113.11 2001:db8::11; port 5353; "
        "uthreshold 9 }\n}\n");
    ASSERT_EQ(configuration.services.size(), 4U);
    const core::Service& v4 = configuration.services[0];
    EXPECT_EQ(v4.method, ForwardingMethod::nat);
    EXPECT_FALSE(v4.ipvs.one_packet);
    EXPECT_TRUE(v4.ipvs.fallback);
    EXPECT_EQ(v4.ipvs.persistence_timeout, 60U);
    EXPECT_EQ(v4.ipvs.persistence_prefix, 16);
    EXPECT_EQ(v4.real_servers[0].endpoint.port, 5353);
    EXPECT_EQ(v4.real_servers[0].thresholds.upper, 9U);
    EXPECT_EQ(configuration.services[2].ipvs.persistence_prefix, 56);
    cluster_says("persistence_timeout 60s",
                 "t.conf:7:1: error: persistence_timeout is nothing that the xdp plane does; "
                 "remove the line, or write dataplane ipvs\n");
    cluster_says("ops off",
                 "t.conf:7:1: error: ops off: the xdp plane spreads UDP packet by packet; lb_algo "
                 "mh keeps a flow with one server\n");
}

}  // namespace
}  // namespace dnsdirector::config
