// SPDX-License-Identifier: Apache-2.0
#include "control/real_server.h"

#include <gtest/gtest.h>

namespace dnsdirector::control {
namespace {

using core::Health;

const IpAddress agent_v4 = *IpAddress::parse("192.0.2.53");
const IpAddress agent_v6 = *IpAddress::parse("2001:db8::53");

core::Configuration real_servers_file() {
    core::Configuration file;
    file.director.interfaces = {"eth0"};
    core::RealServerMachine& machine = file.real_server_machine.emplace();
    machine.service_ips = {agent_v4};
    core::Service& service = file.machine_services.emplace_back();
    service.key = {agent_v4, 53, Protocol::udp};
    service.real_servers.emplace_back().name = "local";
    file.machine_checks.emplace_back();
    file.bgp.emplace();
    return file;
}

TEST(RealServerView, is_a_director_that_forwards_nothing) {
    const auto view = view_of(real_servers_file(), Role::real_server, "f.conf");
    ASSERT_TRUE(view);
    const core::Configuration& agent = view->configuration;
    EXPECT_EQ(agent.director.dataplane, core::DataPlaneKind::none);
    EXPECT_TRUE(agent.director.interfaces.empty());
    ASSERT_EQ(agent.services.size(), 1U);
    EXPECT_EQ(agent.services[0].real_servers[0].name, "local");
    EXPECT_EQ(agent.checks.size(), 1U);
    EXPECT_TRUE(agent.bgp);
    EXPECT_EQ(view->order->machine.service_ips, std::vector{agent_v4});
}

TEST(RealServerView, of_a_shared_file_leaves_the_directors_part_to_the_director) {
    core::Configuration file = real_servers_file();
    core::Service& service = file.services.emplace_back();
    service.key = {agent_v4, 53, Protocol::tcp};
    service.real_servers.emplace_back().endpoint = {*IpAddress::parse("203.0.113.11"), 53};
    const auto director = view_of(file, Role::director, "f.conf");
    ASSERT_TRUE(director);
    EXPECT_EQ(director->configuration, file);
    EXPECT_FALSE(director->order);
    const auto agent = view_of(file, Role::real_server, "f.conf");
    ASSERT_TRUE(agent);
    EXPECT_FALSE(agent->configuration.bgp);
    EXPECT_EQ(agent->configuration.services[0].key.protocol, Protocol::udp);
    EXPECT_EQ(agent->order->real_servers,
              std::vector{*IpAddress::parse("203.0.113.11")});  // tells its interface
}

TEST(RealServerView, refuses_the_other_roles_file_and_names_the_command) {
    const auto director = view_of(real_servers_file(), Role::director, "f.conf");
    ASSERT_FALSE(director);
    EXPECT_NE(director.error().message.find("dnsdirector realserver run -f f.conf"),
              std::string::npos);
    const auto agent = view_of({}, Role::real_server, "f.conf");
    ASSERT_FALSE(agent);
    EXPECT_NE(agent.error().message.find("no realserver block"), std::string::npos);
    EXPECT_TRUE(view_of({}, Role::director, "f.conf"));
}

/// UDP and TCP of one service IP, with these healths of each process.
struct Watched {
    std::vector<core::Service> services;
    std::vector<core::ServiceDecision> decisions;

    void add(const IpAddress& service_ip, Protocol protocol, const std::vector<Health>& healths) {
        core::Service& service = services.emplace_back();
        service.key = {service_ip, 53, protocol};
        core::ServiceDecision& decision = decisions.emplace_back();
        for (std::size_t i = 0; i < healths.size(); ++i) {
            service.real_servers.emplace_back().name = "p" + std::to_string(i);
            decision.servers.emplace_back().health = healths[i];
        }
    }
    [[nodiscard]] std::set<IpAddress> without_service(
        const std::set<IpAddress>& before = {}) const {
        return unserved(
            services,
            [this](std::uint32_t index) -> const core::ServiceDecision& {
                return decisions[index];
            },
            before);
    }
};

TEST(Unserved, is_a_service_ip_whose_processes_all_fail_in_some_protocol) {
    Watched watched;
    watched.add(agent_v4, Protocol::udp, {Health::up, Health::down});
    watched.add(agent_v4, Protocol::tcp, {Health::down, Health::up});
    watched.add(agent_v6, Protocol::udp, {Health::up, Health::down});
    watched.add(agent_v6, Protocol::tcp, {Health::up, Health::up});
    EXPECT_EQ(watched.without_service(), std::set{agent_v4});
}

TEST(Unserved, stays_as_it_was_while_somebody_is_not_judged_yet) {
    Watched watched;
    watched.add(agent_v4, Protocol::udp, {Health::unknown, Health::down});
    EXPECT_EQ(watched.without_service(), std::set<IpAddress>{});
    EXPECT_EQ(watched.without_service({agent_v4}), std::set{agent_v4});
    watched.decisions[0].servers.clear();  // nothing decided at all
    EXPECT_EQ(watched.without_service({agent_v4}), std::set{agent_v4});
}

TEST(Unserved, is_never_one_without_any_process) {
    Watched watched;
    watched.add(agent_v4, Protocol::udp, {});
    EXPECT_EQ(watched.without_service({agent_v4}), std::set<IpAddress>{});
}

}  // namespace
}  // namespace dnsdirector::control
