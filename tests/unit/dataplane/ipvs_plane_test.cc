// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <linux/ip_vs.h>
#include <netinet/in.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "dataplane/ipvs/ipvs.h"
#include "dataplane/ipvs/surroundings.h"
#include "dataplane/ipvs/translate.h"
#include "unit/dataplane/ipvs_fake.h"

namespace dnsdirector::dataplane {
namespace {

using core::ForwardingMethod;
using core::Scheduler;
using namespace std::chrono_literals;

IpAddress ip(const char* text) {
    return *IpAddress::parse(text);
}
const core::ServiceKey key{ip("192.0.2.53"), 53, Protocol::udp};
const Endpoint first{ip("203.0.113.11"), 53};
const Endpoint second{ip("203.0.113.12"), 53};

class IpvsPlane : public testing::Test {
protected:
    IpvsPlane()
        : journal_(std::filesystem::temp_directory_path() /
                   ("dnsdirector-ipvs-" + std::to_string(getpid()))) {
        std::filesystem::remove(journal_);
    }
    ~IpvsPlane() override { std::filesystem::remove(journal_); }

    std::unique_ptr<DataPlane> start() {
        auto plane = make_ipvs(std::make_unique<FakeTable>(kernel_), journal_);
        EXPECT_TRUE(plane) << plane.error().message;
        return std::move(*plane);
    }
    static core::Forwarding wish(std::vector<core::Destination> destinations,
                                 Scheduler scheduler = Scheduler::wrr) {
        core::ServiceForwarding service{key, scheduler};
        service.ipvs.one_packet = true;
        service.destinations = std::move(destinations);
        return {{key, service}};
    }
    static Result<void> bring(DataPlane& plane, const core::Forwarding& desired) {
        const auto actual = plane.read();
        return plane.apply(core::diff(*actual, desired));
    }
    FakeKernel::Entry& entry() { return kernel_.table.at(ipvs::id_of(key)); }
    void count(std::size_t server, std::uint64_t packets) {
        entry().destinations.at(server).stats.packets_in = packets;
        entry().destinations.at(server).stats.bytes_in = packets * 60;
    }
    /// Somebody else's, as ipvsadm would make it.
    void make_foreign(const char* address) {
        netlink::IpvsService service;
        service.id = {Family::ipv4, 0, IPPROTO_TCP, ip(address), 80};
        service.scheduler = "dh";
        kernel_.table[service.id].service = service;
    }

    FakeKernel kernel_;
    std::string journal_;
};

TEST_F(IpvsPlane, applies_the_differences_and_reads_them_back) {
    auto plane = start();
    const auto desired = wish({{first, 2}, {second, 1}});
    ASSERT_TRUE(bring(*plane, desired));
    EXPECT_EQ(plane->read(), desired);
    EXPECT_EQ(entry().service.scheduler, "wrr");
    EXPECT_EQ(entry().service.flags, std::uint32_t{IP_VS_SVC_F_ONEPACKET});
    kernel_.calls.clear();
    ASSERT_TRUE(bring(*plane, wish({{first, 3}})));
    EXPECT_EQ(kernel_.calls,
              (std::vector<std::string>{"edit 203.0.113.11", "remove 203.0.113.12"}));
    kernel_.calls.clear();
    ASSERT_TRUE(bring(*plane, wish({{first, 3}})));
    EXPECT_TRUE(kernel_.calls.empty());
}

TEST_F(IpvsPlane, leaves_alone_what_others_made_also_at_its_end) {
    make_foreign("198.51.100.1");
    auto plane = start();
    EXPECT_EQ(plane->read(), core::Forwarding{});
    ASSERT_TRUE(bring(*plane, wish({{first, 1}})));
    EXPECT_EQ(plane->counters()->foreign, std::vector<std::string>{"198.51.100.1:80/tcp"});
    ASSERT_TRUE(plane->detach());
    EXPECT_EQ(kernel_.table.size(), 1U);
    EXPECT_FALSE(std::filesystem::exists(journal_));
}

TEST_F(IpvsPlane, takes_over_what_the_configuration_names) {
    auto plane = start();
    ASSERT_TRUE(bring(*plane, wish({{first, 1}})));
    std::filesystem::remove(journal_);  // as if somebody else had made it
    plane = start();
    EXPECT_EQ(plane->read(), core::Forwarding{});
    core::Configuration configuration;
    configuration.services.emplace_back().key = key;
    plane->expect(configuration);
    EXPECT_EQ(plane->read(), wish({{first, 1}}));
}

TEST_F(IpvsPlane, gives_back_what_it_took_over_for_a_configuration_that_was_refused) {
    auto plane = start();
    ASSERT_TRUE(bring(*plane, wish({{first, 1}, {second, 4}}, Scheduler::lc)));
    const FakeKernel::Entry before = entry();
    std::filesystem::remove(journal_);  // as if somebody else had made it
    plane = start();
    core::Configuration configuration;
    configuration.services.emplace_back().key = key;
    plane->expect(configuration);
    const Endpoint third{ip("203.0.113.13"), 53};
    ASSERT_TRUE(bring(*plane, wish({{first, 7}, {third, 1}})));
    EXPECT_NE(entry().service, before.service);
    plane->expect({});
    EXPECT_EQ(entry().service, before.service);
    EXPECT_EQ(entry().destinations, before.destinations);
    EXPECT_EQ(plane->read(), core::Forwarding{});
    EXPECT_EQ(plane->counters()->foreign, std::vector<std::string>{"192.0.2.53:53/udp"});

    plane->expect(configuration);
    ASSERT_TRUE(bring(*plane, wish({{first, 7}})));
    ASSERT_TRUE(plane->detach());
    EXPECT_EQ(entry().service, before.service) << "at the end, too";
    EXPECT_EQ(entry().destinations, before.destinations);
}

TEST_F(IpvsPlane, keeps_what_it_took_over_for_a_configuration_that_is_in_force) {
    auto plane = start();
    ASSERT_TRUE(bring(*plane, wish({{first, 1}})));
    std::filesystem::remove(journal_);
    plane = start();
    core::Configuration configuration;
    configuration.services.emplace_back().key = key;
    plane->expect(configuration);
    ASSERT_TRUE(bring(*plane, wish({{first, 7}})));
    plane->accept();
    plane->expect({});
    EXPECT_EQ(plane->read(), wish({{first, 7}})) << "ours, whatever the next one says";
    ASSERT_TRUE(plane->detach());
    EXPECT_TRUE(kernel_.table.empty());
}

TEST_F(IpvsPlane, a_scheduler_that_is_missing_is_known_before_anything_is_changed) {
    auto plane = start();
    kernel_.missing_scheduler = "mh";
    core::Configuration configuration;
    configuration.services.resize(2);
    configuration.services[0].key = key;
    configuration.services[1].key = {ip("192.0.2.54"), 53, Protocol::tcp};
    configuration.services[1].scheduler = Scheduler::mh;
    const auto able = plane->check(configuration);
    ASSERT_FALSE(able);
    EXPECT_EQ(able.error().message,
              "192.0.2.54:53/tcp: this kernel has no scheduler mh; run `modprobe ip_vs_mh`");
    EXPECT_TRUE(kernel_.calls.empty());
    kernel_.missing_scheduler = "";
    EXPECT_TRUE(plane->check(configuration));
}

TEST_F(IpvsPlane, believes_no_dump_that_others_changes_tore) {
    auto plane = start();
    const auto desired = wish({{first, 1}, {second, 1}});
    ASSERT_TRUE(bring(*plane, desired));
    std::vector<std::string> said;
    plane->on_disturbed = [&](const std::string& what) { said.push_back(what); };
    kernel_.torn_dumps = 1;
    plane->on_deadline(*plane->deadline());
    kernel_.twofold_dumps = 2;
    plane->on_deadline(*plane->deadline());
    EXPECT_TRUE(said.empty()) << said.front();
    kernel_.torn_dumps = 1;
    EXPECT_EQ(start()->read(), desired) << "nor at a start";
}

TEST_F(IpvsPlane, says_once_that_the_table_cannot_be_read_and_goes_on_when_it_can) {
    auto plane = start();
    const auto desired = wish({{first, 1}});
    ASSERT_TRUE(bring(*plane, desired));
    std::vector<std::string> said;
    plane->on_disturbed = [&](const std::string& what) { said.push_back(what); };
    const auto look = [&] { plane->on_deadline(*plane->deadline()); };
    kernel_.unloaded = true;
    look();
    look();
    ASSERT_EQ(said.size(), 1U);
    EXPECT_NE(said[0].find("cannot read the IPVS table"), std::string::npos) << said[0];
    EXPECT_FALSE(plane->read());
    kernel_.unloaded = false;  // loaded again, and empty
    kernel_.table.clear();
    look();
    EXPECT_EQ(said.size(), 2U);
    ASSERT_TRUE(bring(*plane, desired));
    EXPECT_EQ(plane->read(), desired);
}

TEST_F(IpvsPlane, a_change_costs_the_same_in_a_table_of_any_size) {
    const auto cost = [&](int services) {
        kernel_ = {};
        std::filesystem::remove(journal_);
        auto plane = start();
        core::Forwarding desired;
        for (int i = 0; i < services; ++i) {
            core::ServiceForwarding service{
                {ip(("2001:db8::" + std::to_string(i + 1)).c_str()), 53, Protocol::udp}};
            for (int j = 0; j < 100; ++j)
                service.destinations.push_back(
                    {{ip(("2001:db8:1::" + std::to_string(1000 + j)).c_str()), 53}, 1});
            desired.emplace(service.key, service);
        }
        EXPECT_TRUE(bring(*plane, desired));
        kernel_.calls.clear();
        kernel_.dumped_servers = 0;
        const core::ServiceForwarding& service = desired.begin()->second;
        const core::Change out =
            core::RemoveDestination{service.key, service.destinations[50].server};
        const core::Change back = core::AddDestination{service.key, service.destinations[50]};
        EXPECT_TRUE(plane->apply(std::span(&out, 1)));
        EXPECT_TRUE(plane->apply(std::span(&back, 1)));
        EXPECT_EQ(kernel_.calls.size(), 2U);
        return kernel_.dumped_servers;
    };
    const std::size_t small = cost(1);
    EXPECT_EQ(small, 200U) << "its service's counters, before and after";
    EXPECT_EQ(cost(100), small);
}

TEST_F(IpvsPlane, knows_after_a_crash_what_is_its_own) {
    {
        auto plane = start();
        ASSERT_TRUE(bring(*plane, wish({{first, 1}})));
    }  // no detach
    make_foreign("198.51.100.1");
    auto plane = start();
    EXPECT_EQ(plane->read(), wish({{first, 1}}));
    // A configuration without it: it goes, the other one stays.
    ASSERT_TRUE(bring(*plane, {}));
    EXPECT_EQ(kernel_.table.size(), 1U);
}

TEST_F(IpvsPlane, forgets_a_journal_of_another_boot) {
    {
        auto plane = start();
        ASSERT_TRUE(bring(*plane, wish({{first, 1}})));
    }
    std::ofstream{journal_} << "dnsdirector ipvs 1 another\nown udp 192.0.2.53 53 0\n";
    EXPECT_EQ(start()->read(), core::Forwarding{});
}

TEST_F(IpvsPlane, notices_within_a_second_what_somebody_else_changed) {
    auto plane = start();
    ASSERT_TRUE(bring(*plane, wish({{first, 1}, {second, 1}})));
    std::vector<std::string> said;
    plane->on_disturbed = [&](const std::string& what) { said.push_back(what); };
    const auto look = [&] {
        const TimePoint at = *plane->deadline();
        plane->on_deadline(at);
        EXPECT_LE(*plane->deadline() - at, 1s);
    };
    look();
    EXPECT_TRUE(said.empty());
    entry().destinations[0].weight = 9;
    look();
    ASSERT_EQ(said.size(), 1U);
    EXPECT_EQ(said[0],
              "somebody else changed the IPVS table: 192.0.2.53:53/udp: real server "
              "203.0.113.11:53 weight 1 -> 9");
    look();
    EXPECT_EQ(said.size(), 1U) << "said once";
    ASSERT_TRUE(bring(*plane, wish({{first, 1}, {second, 1}})));
    kernel_.table.clear();
    look();
    ASSERT_EQ(said.size(), 2U);
    EXPECT_EQ(said[1],
              "somebody else changed the IPVS table: 192.0.2.53:53/udp: service removed, with 2 "
              "real servers");
    ASSERT_TRUE(bring(*plane, wish({{first, 1}, {second, 1}})));
    EXPECT_EQ(entry().destinations.size(), 2U);
}

TEST_F(IpvsPlane, repairs_schedulers_flags_and_methods_that_it_has_no_words_for) {
    auto plane = start();
    const auto desired = wish({{first, 1}});
    ASSERT_TRUE(bring(*plane, desired));
    entry().service.scheduler = "lblc";
    entry().destinations[0].method = IP_VS_CONN_F_LOCALNODE;
    EXPECT_NE(plane->read(), desired);
    ASSERT_TRUE(bring(*plane, desired));
    EXPECT_EQ(plane->read(), desired);
    entry().service.persistence_engine = "sip";
    entry().destinations[0].method = IP_VS_CONN_F_TUNNEL;
    entry().destinations[0].tunnel_type = IP_VS_CONN_F_TUNNEL_TYPE_GUE;
    ASSERT_TRUE(bring(*plane, desired));
    EXPECT_EQ(plane->read(), desired);
    entry().service.flags |= IP_VS_SVC_F_SCHED3;
    ASSERT_TRUE(bring(*plane, desired));
    EXPECT_EQ(entry().service.flags, std::uint32_t{IP_VS_SVC_F_ONEPACKET});
}

TEST_F(IpvsPlane, finds_the_same_after_a_start_when_every_server_is_gone) {
    core::ServiceForwarding service{key, Scheduler::wlc, ForwardingMethod::nat};
    const core::Forwarding desired{{key, service}};
    auto plane = start();
    ASSERT_TRUE(bring(*plane, desired));
    EXPECT_EQ(plane->read(), desired) << "the kernel has no method of a service";
}

TEST_F(IpvsPlane, counts_on_when_a_server_goes_and_comes_back) {
    auto plane = start();
    ASSERT_TRUE(bring(*plane, wish({{first, 1}, {second, 1}})));
    const auto total = [&] { return plane->counters()->servers.at({key, first}).packets; };
    count(0, 100);
    EXPECT_EQ(total(), 100U);
    count(0, 130);
    ASSERT_TRUE(bring(*plane, wish({{second, 1}})));
    EXPECT_EQ(total(), 130U) << "read before it went, and kept";
    ASSERT_TRUE(bring(*plane, wish({{first, 1}, {second, 1}})));
    EXPECT_EQ(total(), 130U);
    count(1, 7);  // the fake puts it last
    EXPECT_EQ(total(), 137U);
    entry().destinations[1].stats = {};  // ipvsadm -Z
    EXPECT_EQ(total(), 137U);
    plane = nullptr;
    plane = start();
    EXPECT_EQ(total(), 137U) << "over a crash";
}

TEST_F(IpvsPlane, counts_on_with_what_the_kernels_trash_kept) {
    kernel_.keeps_trash = true;
    auto plane = start();
    ASSERT_TRUE(bring(*plane, wish({{first, 1}})));
    count(0, 50);
    ASSERT_TRUE(bring(*plane, wish({})));
    ASSERT_TRUE(bring(*plane, wish({{first, 1}})));
    count(0, 60);  // came back with its 50
    EXPECT_EQ(plane->counters()->servers.at({key, first}).packets, 60U);
    EXPECT_EQ(plane->counters()->servers.at({key, first}).bytes, 3600U);
}

TEST_F(IpvsPlane, one_services_refusal_does_not_keep_it_from_the_others) {
    auto plane = start();
    kernel_.missing_scheduler = "mh";
    auto desired = wish({{first, 1}});
    core::ServiceForwarding other{{ip("192.0.2.54"), 53, Protocol::tcp}, Scheduler::mh};
    desired.emplace(other.key, other);
    const core::ServiceKey third{ip("192.0.2.52"), 53, Protocol::tcp};
    desired.emplace(third, core::ServiceForwarding{third, Scheduler::rr});
    const auto done = bring(*plane, desired);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().message,
              "192.0.2.54:53/tcp: this kernel has no scheduler mh; run `modprobe ip_vs_mh`");
    EXPECT_EQ(kernel_.table.size(), 2U);
    kernel_.refuse = EPERM;
    const auto refused = bring(*plane, desired);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("CAP_NET_ADMIN"), std::string::npos);
}

TEST_F(IpvsPlane, a_journal_that_somebody_removed_is_made_again) {
    auto plane = start();
    ASSERT_TRUE(bring(*plane, wish({{first, 1}})));
    std::filesystem::remove(journal_);
    (void)plane->read();
    EXPECT_TRUE(std::filesystem::exists(journal_));
    plane = nullptr;
    EXPECT_EQ(start()->read(), wish({{first, 1}}));
}

TEST_F(IpvsPlane, says_who_gets_a_packet_where_that_can_be_known) {
    auto plane = start();
    ASSERT_TRUE(bring(*plane, wish({{first, 3}, {second, 1}})));
    const Flow flow{{ip("198.51.100.10"), 4242}, key};
    const auto choice = plane->choose(flow);
    ASSERT_TRUE(choice);
    EXPECT_EQ(choice->by, Choice::By::rotation);
    EXPECT_EQ(choice->slots, 4U);
    ASSERT_TRUE(bring(*plane, wish({{first, 0}})));
    EXPECT_EQ(plane->choose(flow)->by, Choice::By::nobody);
    ASSERT_TRUE(bring(*plane, wish({{first, 1}}, Scheduler::sed)));
    EXPECT_EQ(plane->choose(flow)->by, Choice::By::load);
    ASSERT_TRUE(bring(*plane, wish({{first, 1}}, Scheduler::sh)));
    EXPECT_FALSE(plane->choose(flow));
}

TEST(IpvsTranslation, leads_there_and_back_for_everything_that_can_be_wished_for) {
    const core::ServiceKey keys[] = {key,
                                     {ip("2001:db8::53"), 53, Protocol::tcp},
                                     {ip("192.0.2.53"), 0, Protocol::tcp},
                                     {IpAddress{}, 0, Protocol::udp, 7},
                                     {ip("::"), 0, Protocol::udp, 7}};
    for (const core::ServiceKey& each : keys) {
        EXPECT_EQ(ipvs::key_of(ipvs::id_of(each)), each) << each.to_string();
        for (const Scheduler scheduler :
             {Scheduler::wrr, Scheduler::rr, Scheduler::mh, Scheduler::sh, Scheduler::wlc,
              Scheduler::lc, Scheduler::sed, Scheduler::nq})
            for (const bool flag : {false, true}) {
                const bool hashes = scheduler == Scheduler::sh || scheduler == Scheduler::mh;
                core::AddService service{each, scheduler, ForwardingMethod::dr, flag && hashes};
                service.ipvs.one_packet = flag;
                service.ipvs.fallback = !flag && hashes;
                service.ipvs.persistence_timeout = flag ? 0 : 60;
                service.ipvs.persistence_prefix = flag ? 0 : 24;
                auto in_kernel = ipvs::service_of(service);
                in_kernel.flags |= IP_VS_SVC_F_HASHED;  // the kernel's own
                const auto found = ipvs::forwarding_of(each, in_kernel);
                EXPECT_EQ(found.scheduler, scheduler);
                EXPECT_EQ(found.other_hash, service.other_hash);
                EXPECT_EQ(found.ipvs, service.ipvs);
            }
    }
    for (const auto method : {ForwardingMethod::dr, ForwardingMethod::tun, ForwardingMethod::nat}) {
        const core::Destination one{first, 7, method, {100, 50}};
        EXPECT_EQ(ipvs::destination_of(ipvs::destination_of(one)), one);
    }
    EXPECT_FALSE(ipvs::key_of({Family::ipv4, 0, IPPROTO_SCTP, ip("192.0.2.53"), 53}));
}

TEST(IpvsTranslation, hash_flags_are_those_of_the_scheduler) {
    const auto flags = [](Scheduler scheduler, bool other_hash) {
        return ipvs::service_of(core::AddService{key, scheduler, ForwardingMethod::dr, other_hash})
            .flags;
    };
    EXPECT_EQ(flags(Scheduler::sh, false), 0U);
    EXPECT_EQ(flags(Scheduler::sh, true), std::uint32_t{IP_VS_SVC_F_SCHED_SH_PORT});
    EXPECT_EQ(flags(Scheduler::mh, false), std::uint32_t{IP_VS_SVC_F_SCHED2});
    EXPECT_EQ(flags(Scheduler::mh, true), 0U);
}

TEST(IpvsSurroundings, are_judged_by_what_the_configuration_needs) {
    std::map<std::string, long> machine = {{"ipv4/vs/expire_nodest_conn", 0},
                                           {"ipv4/vs/expire_quiescent_template", 0},
                                           {"ipv4/vs/conntrack", 0},
                                           {"ipv4/ip_forward", 0}};
    const auto read = [&](const std::string& path) -> std::optional<long> {
        const auto found = machine.find(path);
        return found == machine.end() ? std::nullopt : std::optional(found->second);
    };
    core::Configuration configuration;
    core::Service& service = configuration.services.emplace_back();
    service.key = key;
    service.ipvs.one_packet = true;
    EXPECT_TRUE(ipvs::judge_surroundings(configuration, read).empty());
    service.ipvs = {.persistence_timeout = 60};
    service.method = ForwardingMethod::nat;
    machine["ipv4/vs/conntrack"] = 1;
    const auto found = ipvs::judge_surroundings(configuration, read);
    ASSERT_EQ(found.size(), 4U);
    EXPECT_TRUE(found[0].ends_with("sysctl -w net.ipv4.vs.expire_nodest_conn=1")) << found[0];
    EXPECT_TRUE(found[1].ends_with("sysctl -w net.ipv4.vs.expire_quiescent_template=1"));
    EXPECT_TRUE(found[2].ends_with("sysctl -w net.ipv4.vs.conntrack=0"));
    EXPECT_TRUE(found[3].ends_with("sysctl -w net.ipv4.ip_forward=1"));
}

}  // namespace
}  // namespace dnsdirector::dataplane
