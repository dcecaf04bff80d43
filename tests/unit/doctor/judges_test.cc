// SPDX-License-Identifier: Apache-2.0
//
// Each judge with a machine that is well, and with the same one that has one thing wrong.
#include "doctor/judges.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/neighbour.h>

#include <algorithm>
#include <functional>

namespace dnsdirector::doctor {
namespace {

using core::Configuration;
using core::DataPlaneKind;
using core::XdpMode;

IpAddress ip(const char* text) {
    return IpAddress::parse(text).value();
}

std::map<std::string, long> settings_of_a_healthy_machine() {
    std::map<std::string, long> settings;
    for (const std::string where : {"all", "lo", "eth0", "eth1"})
        for (const std::string name : {"rp_filter", "arp_ignore", "arp_announce"})
            settings["ipv4/conf/" + where + "/" + name] = 0;
    settings["ipv4/vs/expire_nodest_conn"] = 1;
    settings["ipv4/vs/conntrack"] = 0;
    settings["ipv4/ping_group_range"] = 0;
    return settings;
}

struct Case {
    Configuration configuration;
    Machine machine;
    std::map<std::string, long> settings = settings_of_a_healthy_machine();
    std::map<std::string, bool> modules = {{"ip_vs", true}, {"ip_vs_wrr", true}};

    Interface& eth0() { return machine.interfaces[1]; }
    Interface& eth1() { return machine.interfaces[2]; }
    core::Service& service() { return configuration.services.front(); }
    Way& way(const char* address) { return machine.ways.at(ip(address)); }
};

Interface hardware(int index, const std::string& name) {
    Interface interface;
    interface.link.index = index;
    interface.link.name = name;
    interface.link.mac = {2, 0, 0, 0, 0, static_cast<std::uint8_t>(index)};
    interface.link.mtu = 1500;
    interface.link.up = interface.link.running = true;
    interface.settings = {"ice", true, false, true, netlink::DeviceSettings::Channels{4, 4, 8, 8}};
    interface.xdp_features = netlink::xdp_basic | netlink::xdp_redirect | netlink::xdp_transmit;
    interface.interrupts = {{30, "ice-eth-0", {0}}, {31, "ice-eth-1", {1}}};
    return interface;
}

/// Clients on eth0, servers on eth1; xdp, native by `auto`.
Case healthy() {
    Case it;
    it.configuration.director.interfaces = {"eth0", "eth1"};
    core::Service& service = it.configuration.services.emplace_back();
    service.key = {ip("192.0.2.53"), 53, Protocol::udp};
    core::Check check;
    check.target = {ip("203.0.113.11"), 53};
    check.what = core::DnsCheck{.via = {.source = ip("203.0.113.1")}};
    it.configuration.checks = {check};
    for (const char* address : {"203.0.113.11", "203.0.113.12"})
        service.real_servers.push_back({address, {ip(address), 53}, 1, {0}});
    it.configuration.director.http_listen = Endpoint{ip("203.0.113.1"), 9353};

    Machine& machine = it.machine;
    machine.kernel = "6.1.0-28-amd64";
    machine.cpus = 4;
    machine.capabilities = ~std::uint64_t{0};
    machine.memory_available = std::uint64_t{4} << 30;
    Interface lo;
    lo.link = {
        .index = 1, .name = "lo", .mtu = 65536, .up = true, .running = true, .loopback = true};
    machine.interfaces = {lo, hardware(2, "eth0"), hardware(3, "eth1")};
    machine.addresses = {
        {1, ip("127.0.0.1"), 8}, {2, ip("198.51.100.1"), 24}, {3, ip("203.0.113.1"), 24}};
    for (const char* address : {"203.0.113.11", "203.0.113.12"}) {
        Way& way = machine.ways[ip(address)];
        way.route = netlink::Route{netlink::Route::Type::unicast, 3, std::nullopt, std::nullopt};
        way.neighbour =
            netlink::Neighbour{3, ip(address), netlink::Mac{2, 1}, false, false, NUD_REACHABLE};
    }
    machine.neighbour_tables = {{20, 1024}, {20, 1024}};
    machine.default_route = 2;
    machine.trial = dataplane::ProgramTrial{7000, true};
    machine.pin_dir = "/sys/fs/bpf/dnsdirector";
    machine.pins = dataplane::PinPlace{"/sys/fs/bpf", true, true};
    machine.run = {"/run/dnsdirector", true, true, false, false};
    machine.ipvs.loaded = true;

    core::Bgp& bgp = it.configuration.bgp.emplace();
    bgp.neighbors.emplace_back().address = ip("198.51.100.254");
    machine.announcing.daemon_program = "/usr/sbin/bird";
    machine.announcing.daemon_socket = "/run/dnsdirector/bird.ctl";
    machine.announcing.daemon_answers = true;
    machine.announcing.ways[ip("198.51.100.254")].route =
        netlink::Route{netlink::Route::Type::unicast, 2, std::nullopt, std::nullopt};
    return it;
}

Findings findings_of(Case it) {
    it.machine.setting = [&it](const std::string& path) -> std::optional<long> {
        const auto found = it.settings.find(path);
        return found == it.settings.end() ? std::nullopt : std::optional{found->second};
    };
    it.machine.ipvs.available = [&it](const std::string& module) -> std::optional<bool> {
        const auto found = it.modules.find(module);
        return found == it.modules.end() ? std::nullopt : std::optional{found->second};
    };
    return judge(&it.configuration, it.machine);
}

std::string text_of(const Findings& findings) {
    std::string text;
    for (const Finding& each : findings)
        text += fmt::format("{} {} {}: {}; {}\n", to_string(each.level), each.check, each.about,
                            each.text, each.mend);
    return text;
}

TEST(Doctor, FindsNothingOnAMachineThatIsWell) {
    for (const DataPlaneKind plane :
         {DataPlaneKind::xdp, DataPlaneKind::ipvs, DataPlaneKind::none}) {
        Case it = healthy();
        it.configuration.director.dataplane = plane;
        for (const Finding& finding : findings_of(it))
            EXPECT_EQ(finding.level, Level::ok) << text_of({finding});
    }
}

TEST(Doctor, LooksAtEveryRowOfEveryTable) {
    std::set<std::string> said;
    for (const DataPlaneKind plane : {DataPlaneKind::xdp, DataPlaneKind::ipvs}) {
        Case it = healthy();
        it.configuration.director.dataplane = plane;
        for (const Finding& finding : findings_of(it))
            said.insert(finding.check);
    }
    for (const Interface& each : {hardware(9, "eth9")}) {  // stacking says nothing of plain devices
        Case it = healthy();
        it.machine.interfaces.push_back(each);
        it.eth0().link.kind = "macvlan";
        for (const Finding& finding : findings_of(it))
            said.insert(finding.check);
    }
    for (const auto& judges :
         {machine_judges(), place_judges(), interface_judges(), network_judges(), server_judges()})
        for (const Judge& each : judges)
            EXPECT_TRUE(said.contains(std::string{each.check})) << each.check;
}

struct Fault {
    std::string name;
    std::function<void(Case&)> put_in;
    Level level;
    std::string check;
    std::string about;
    std::string text;  ///< part of it
    std::string mend;  ///< part of it
};

class Faults : public testing::TestWithParam<Fault> {};

TEST_P(Faults, AreTheOnlyFindingWithTheirMend) {
    const Fault& fault = GetParam();
    Case it = healthy();
    fault.put_in(it);
    const Findings findings = findings_of(it);
    Findings found;
    std::ranges::copy_if(findings, std::back_inserter(found),
                         [](const Finding& each) { return each.level != Level::ok; });
    ASSERT_EQ(found.size(), 1U) << text_of(findings);
    EXPECT_EQ(found.front().level, fault.level) << text_of(found);
    EXPECT_EQ(found.front().check, fault.check);
    EXPECT_EQ(found.front().about, fault.about);
    EXPECT_NE(found.front().text.find(fault.text), std::string::npos) << text_of(found);
    EXPECT_NE(found.front().mend.find(fault.mend), std::string::npos) << text_of(found);
    EXPECT_FALSE(found.front().mend.empty());
    EXPECT_EQ(any_trouble(findings), fault.level >= Level::warn);
}

netlink::Route by_gateway() {
    return {netlink::Route::Type::unicast, 3, ip("203.0.113.254"), std::nullopt};
}
void ipvs(Case& it) {
    it.configuration.director.dataplane = DataPlaneKind::ipvs;
}

const Fault faults[] = {
    {"old_kernel", [](Case& it) { it.machine.kernel = "5.10.0"; }, Level::fail, "kernel", "",
     "older than 5.15", "install a newer kernel"},
    {"kernel_without_managed_neighbours", [](Case& it) { it.machine.kernel = "5.15.3"; },
     Level::warn, "kernel", "", "every few seconds", "5.16"},
    {"odd_kernel", [](Case& it) { it.machine.kernel = "odd"; }, Level::unknown, "kernel", "", "odd",
     "uname"},
    {"verifier",
     [](Case& it) {
         it.machine.trial = tl::unexpected(Error{"the kernel refuses it: R1 invalid"});
     },
     Level::fail, "program", "", "R1 invalid", "newer kernel"},
    {"no_jit", [](Case& it) { it.machine.trial->jit = false; }, Level::warn, "program", "",
     "interprets", "bpf_jit_enable=1"},
    {"no_net_admin",
     [](Case& it) { it.machine.capabilities &= ~(std::uint64_t{1} << CAP_NET_ADMIN); }, Level::fail,
     "capabilities", "", "lacks CAP_NET_ADMIN (forwarding", "root"},
    {"ping_without_right",
     [](Case& it) {
         it.configuration.checks.front().what = core::PingCheck{};
         it.settings["ipv4/ping_group_range"] = 1;
         it.machine.capabilities &= ~(std::uint64_t{1} << CAP_NET_RAW);
     },
     Level::fail, "capabilities", "", "CAP_NET_RAW (PING_CHECK)", "root"},
    {"transparent_without_right",
     [](Case& it) {
         it.configuration.director.dataplane = DataPlaneKind::proxy;
         it.service().real_servers.front().transparent = true;
         it.machine.capabilities &=
             ~(std::uint64_t{1} << CAP_NET_ADMIN | std::uint64_t{1} << CAP_NET_RAW);
     },
     Level::fail, "capabilities", "", "CAP_NET_ADMIN (asking servers from clients' addresses",
     "root"},
    {"script_user",
     [](Case& it) {
         it.configuration.checks.front().what = core::ScriptCheck{};
         it.machine.capabilities &= ~(std::uint64_t{1} << CAP_SETUID);
     },
     Level::fail, "capabilities", "", "CAP_SETUID", "root"},
    {"low_port",
     [](Case& it) {
         it.configuration.director.http_listen->port = 80;
         it.machine.capabilities &= ~(std::uint64_t{1} << CAP_NET_BIND_SERVICE);
     },
     Level::fail, "capabilities", "", "CAP_NET_BIND_SERVICE", "root"},
    {"little_memory", [](Case& it) { it.machine.memory_available = 10'000'000; }, Level::fail,
     "memory", "", "10.0 MB are free", "check-config --memory"},
    {"no_bpffs", [](Case& it) { it.machine.pins->bpffs = false; }, Level::fail, "bpffs",
     "/sys/fs/bpf/dnsdirector", "BPF file system", "mount -t bpf bpf /sys/fs/bpf"},
    {"no_bpffs_elsewhere",
     [](Case& it) {
         it.machine.pin_dir = "/srv/pins/a";
         it.machine.pins = dataplane::PinPlace{"/srv/pins", false, true};
     },
     Level::fail, "bpffs", "/srv/pins/a", "BPF file system", "mount -t bpf bpf /srv/pins"},
    {"pins_of_root", [](Case& it) { it.machine.pins->writable = false; }, Level::fail, "bpffs",
     "/sys/fs/bpf/dnsdirector", "may not make pins", "root"},
    {"run_dir_of_everybody", [](Case& it) { it.machine.run.world_writable = true; }, Level::warn,
     "run-dir", "/run/dnsdirector", "everybody may write", "chmod 0755 /run/dnsdirector"},
    {"run_dir_of_others", [](Case& it) { it.machine.run.writable = false; }, Level::fail, "run-dir",
     "/run/dnsdirector", "may not write", "--run-dir"},
    {"run_dir_too_long", [](Case& it) { it.machine.run.path = "/" + std::string(120, 'x'); },
     Level::fail, "run-dir", "/" + std::string(120, 'x'), "too long", "at most 98 bytes"},
    {"http_taken", [](Case& it) { it.machine.listening = {{ip("0.0.0.0"), 9353}}; }, Level::fail,
     "http", "203.0.113.1:9353", "another program listens", "sport = :9353"},
    {"http_elsewhere",
     [](Case& it) { it.configuration.director.http_listen->address = ip("203.0.113.2"); },
     Level::fail, "http", "203.0.113.2:9353", "no address of this machine", "ip addr"},
    {"check_source",
     [](Case& it) {
         std::get<core::DnsCheck>(it.configuration.checks[0].what).via.source = ip("203.0.113.9");
     },
     Level::fail, "check-source", "203.0.113.9", "1 checks", "ip addr add 203.0.113.9/24"},
    {"interface_missing",
     [](Case& it) { it.configuration.director.interfaces.emplace_back("eth7"); }, Level::fail,
     "interface", "eth7", "there are: eth0, eth1", "director block"},
    {"interface_down", [](Case& it) { it.eth0().link.up = false; }, Level::fail, "interface",
     "eth0", "down", "ip link set dev eth0 up"},
    {"no_carrier", [](Case& it) { it.eth0().link.running = false; }, Level::fail, "interface",
     "eth0", "no carrier", "ethtool eth0"},
    {"no_mac", [](Case& it) { it.eth0().link.mac = {}; }, Level::fail, "interface", "eth0",
     "no MAC", "another interface"},
    {"bond_member",
     [](Case& it) {
         it.machine.interfaces.push_back(hardware(9, "bond0"));
         it.machine.interfaces.back().link.kind = "bond";
         it.eth0().link.master = 9;
     },
     Level::fail, "stacking", "eth0", "member of bond0", "interface bond0"},
    {"bridge_port",
     [](Case& it) {
         it.machine.interfaces.push_back(hardware(9, "br0"));
         it.machine.interfaces.back().link.kind = "bridge";
         it.eth0().link.master = 9;
     },
     Level::warn, "stacking", "eth0", "port of the bridge br0", "interface br0"},
    {"macvlan", [](Case& it) { it.eth0().link.kind = "macvlan"; }, Level::warn, "stacking", "eth0",
     "generic XDP only", "xdp_mode generic"},
    {"tun", [](Case& it) { it.eth0().link.kind = "tun"; }, Level::warn, "stacking", "eth0",
     "tap device", "own interface"},
    {"no_native_auto", [](Case& it) { it.eth0().xdp_features = 0; }, Level::warn, "native-xdp",
     "eth0", "generic mode will be used", "xdp_mode generic"},
    {"no_native_forced",
     [](Case& it) {
         it.configuration.director.xdp_mode = XdpMode::native;
         it.eth0().xdp_features.reset();
         it.eth0().settings.driver = "e1000e";
     },
     Level::fail, "native-xdp", "eth0", "e1000e has no native XDP", "xdp_mode auto"},
    {"driver_not_known",
     [](Case& it) {
         it.eth0().xdp_features.reset();
         it.eth0().settings.driver = "quux";
     },
     Level::unknown, "native-xdp", "eth0", "quux", "xdp_mode auto"},
    {"veth_auto", [](Case& it) { it.eth0().settings.driver = "veth"; }, Level::warn, "native-xdp",
     "eth0", "generic mode", "xdp_mode native"},
    {"veth_native_to_a_deaf_peer",
     [](Case& it) {
         it.configuration.director.xdp_mode = XdpMode::native;
         it.eth0().settings.driver = "veth";
         it.eth0().xdp_features = netlink::xdp_basic | netlink::xdp_redirect;
     },
     Level::fail, "native-xdp", "eth0", "peer has no XDP program", "xdp_pass"},
    {"veth_native_not_told",
     [](Case& it) {
         it.configuration.director.xdp_mode = XdpMode::native;
         it.eth0().settings.driver = "veth";
         it.eth0().xdp_features.reset();
     },
     Level::unknown, "native-xdp", "eth0", "loses every packet", "xdp_pass"},
    {"other_program",
     [](Case& it) {
         it.eth0().link.xdp_program_id = 42;
         it.eth0().program = dataplane::LoadedProgram{"xdp_filter", false};
     },
     Level::fail, "xdp-program", "eth0", "xdp_filter, id 42", "ip link set dev eth0 xdp off"},
    {"program_not_told",
     [](Case& it) {
         it.eth0().link.xdp_program_id = 42;
         it.eth0().program = tl::unexpected(Error{"EPERM"});
     },
     Level::unknown, "xdp-program", "eth0", "id 42", "sudo"},
    {"lro", [](Case& it) { it.eth0().settings.lro = true; }, Level::warn, "receive-offloads",
     "eth0", "LRO is on", "ethtool -K eth0 lro off"},
    {"vlan_tags_hidden",
     [](Case& it) {
         it.machine.interfaces.push_back(hardware(9, "eth0.105"));
         it.machine.interfaces.back().link.lower = 2;
         it.machine.interfaces.back().link.vlan_id = 105;
     },
     Level::warn, "vlan-offload", "eth0", "eth0.105", "ethtool -K eth0 rxvlan off"},
    {"one_queue", [](Case& it) { it.eth0().settings.channels->receive = 1; }, Level::warn, "queues",
     "eth0", "one receive queue of 8", "ethtool -L eth0 combined 4"},
    {"few_transmit_queues", [](Case& it) { it.eth0().settings.channels = {2, 2, 2, 2}; },
     Level::warn, "queues", "eth0", "4 wanted, 2 there", "xdp_mode generic"},
    {"virtio_queues",
     [](Case& it) {
         it.eth0().settings.driver = "virtio_net";
         it.eth0().settings.channels = {4, 4, 4, 4};
     },
     Level::warn, "queues", "eth0", "8 wanted, 4 there", "queues=8"},
    {"interrupts_on_one_cpu", [](Case& it) { it.eth0().interrupts[1].cpus = {0}; }, Level::warn,
     "interrupts", "eth0", "served by CPU 0", "/proc/irq/31/smp_affinity_list"},
    {"large_mtu",
     [](Case& it) {
         it.eth0().link.mtu = it.eth1().link.mtu = 3400;
         it.eth0().link.mtu = 9000;
     },
     Level::warn, "mtu", "eth0", "9000 bytes", "mtu 1500"},
    {"narrow_to_servers", [](Case& it) { it.eth1().link.mtu = 1400; }, Level::warn, "mtu", "eth0",
     "eth1 that leads to servers has 1400", "ip link set dev eth1 mtu 1500"},
    {"service_interface_missing",
     [](Case& it) { it.configuration.director.service_interface = "svc0"; }, Level::fail,
     "service-interface", "svc0", "does not exist", "service_interface lo"},
    {"lo_down", [](Case& it) { it.machine.interfaces[0].link.up = false; }, Level::fail,
     "service-interface", "lo", "is down", "ip link set dev lo up"},
    {"arp_ignore_of_real_servers",
     [](Case& it) {
         it.service().key.address = ip("198.51.100.53");
         it.settings["ipv4/conf/all/arp_ignore"] = 1;
     },
     Level::fail, "arp", "198.51.100.53", "arp_ignore=1",
     "sysctl -w net.ipv4.conf.all.arp_ignore=0"},
    {"ipv6_on_lo",
     [](Case& it) {
         it.service().key.address = ip("2001:db8:c::53");
         it.machine.addresses.push_back({2, ip("2001:db8:c::1"), 64});
     },
     Level::fail, "arp", "2001:db8:c::53", "ND only", "service_interface eth0"},
    {"rp_filter_strict_and_another_way_back",
     [](Case& it) {
         it.settings["ipv4/conf/eth0/rp_filter"] = 1;
         it.machine.default_route = 3;
     },
     Level::warn, "reverse-path", "eth0", "way back to clients is by eth1",
     "sysctl -w net.ipv4.conf.eth0.rp_filter=2"},
    {"rp_filter_of_all_and_no_way_back",
     [](Case& it) {
         ipvs(it);
         it.settings["ipv4/conf/all/rp_filter"] = 1;
         it.machine.default_route.reset();
     },
     Level::fail, "reverse-path", "eth0", "no default route",
     "sysctl -w net.ipv4.conf.all.rp_filter=2"},
    {"small_neighbour_table", [](Case& it) { it.machine.neighbour_tables->arp = {1020, 1020}; },
     Level::fail, "neighbour-table", "IPv4", "room for 1020",
     "net.ipv4.neigh.default.gc_thresh3=4096"},
    {"ipvs_missing",
     [](Case& it) {
         ipvs(it);
         it.machine.ipvs.loaded = false;
         it.modules["ip_vs"] = false;
     },
     Level::fail, "ipvs-module", "", "no IPVS", "CONFIG_IP_VS"},
    {"ipvs_not_told",
     [](Case& it) {
         ipvs(it);
         it.machine.ipvs.loaded = false;
         it.modules.erase("ip_vs");
     },
     Level::fail, "ipvs-module", "", "not loaded", "modprobe ip_vs"},
    {"ipvs_scheduler_missing",
     [](Case& it) {
         ipvs(it);
         it.service().scheduler = core::Scheduler::mh;
         it.modules["ip_vs_mh"] = false;
     },
     Level::fail, "ipvs-scheduler", "ip_vs_mh", "does not have", "another lb_algo"},
    {"ipvs_sysctl",
     [](Case& it) {
         ipvs(it);
         it.settings["ipv4/vs/expire_nodest_conn"] = 0;
     },
     Level::warn, "ipvs-settings", "", "dropped in silence",
     "sysctl -w net.ipv4.vs.expire_nodest_conn=1"},
    {"ip_forward_for_nat",
     [](Case& it) {
         ipvs(it);
         it.service().method = core::ForwardingMethod::nat;
         it.settings["ipv4/ip_forward"] = 0;
     },
     Level::warn, "ipvs-settings", "", "lb_kind NAT", "sysctl -w net.ipv4.ip_forward=1"},
    {"no_route", [](Case& it) { it.way("203.0.113.12").route = tl::unexpected(Error{"no route"}); },
     Level::fail, "route", "203.0.113.12", "no route", "ip route add"},
    {"blackhole",
     [](Case& it) { it.way("203.0.113.12").route->type = netlink::Route::Type::other; },
     Level::fail, "route", "203.0.113.12", "nowhere", "ip route get 203.0.113.12"},
    {"gateway", [](Case& it) { it.way("203.0.113.12").route = by_gateway(); }, Level::fail,
     "gateway", "203.0.113.12", "behind gateway 203.0.113.254", "lb_kind TUN"},
    {"gateway_ipvs",
     [](Case& it) {
         ipvs(it);
         it.way("203.0.113.12").route = by_gateway();
     },
     Level::fail, "gateway", "203.0.113.12", "direct routing", "TUN or NAT"},
    {"silent_neighbour",
     [](Case& it) {
         it.way("203.0.113.12").neighbour->mac.reset();
         it.way("203.0.113.12").neighbour->failed = true;
     },
     Level::fail, "neighbour", "203.0.113.12", "no ARP answer on eth1", "VLAN"},
    {"neighbour_not_asked", [](Case& it) { it.way("203.0.113.12").neighbour.reset(); },
     Level::unknown, "neighbour", "203.0.113.12", "nobody has asked", "ping -c1 203.0.113.12"},
    {"no_tun", [](Case& it) { it.machine.announcing.tun_problem = "No such file or directory"; },
     Level::fail, "tun", "/dev/net/tun", "does not start", "modprobe tun"},
    {"bird_is_not_installed",
     [](Case& it) {
         it.machine.announcing.daemon_answers = false;
         it.machine.announcing.daemon_program.clear();
     },
     Level::fail, "routing-daemon", "bird", "not installed", "apt install bird2"},
    {"bird_does_not_run", [](Case& it) { it.machine.announcing.daemon_answers = false; },
     Level::warn, "routing-daemon", "bird", "nobody is told", "systemctl start dnsdirector-bird"},
    {"no_route_to_a_bgp_neighbour",
     [](Case& it) {
         it.machine.announcing.ways[ip("198.51.100.254")].route =
             tl::unexpected(Error{"no route to 198.51.100.254"});
     },
     Level::fail, "bgp-neighbor", "198.51.100.254", "no route", "ip route add"},
    {"bgp_neighbour_behind_a_gateway",
     [](Case& it) { it.machine.announcing.ways[ip("198.51.100.254")].route = by_gateway(); },
     Level::warn, "bgp-neighbor", "198.51.100.254", "behind the gateway", "multihop 2"},
    {"bgp_source_is_not_ours",
     [](Case& it) { it.configuration.bgp->neighbors[0].source = ip("198.51.100.9"); }, Level::fail,
     "bgp-neighbor", "198.51.100.254", "198.51.100.9 is no address of this machine", "`source`"},
    {"egress_not_attached",
     [](Case& it) {
         it.configuration.director.interfaces = {"eth0"};
         it.eth1().xdp_features = netlink::xdp_basic;
     },
     Level::warn, "egress", "eth1", "not among", "interface eth1"},
};

INSTANTIATE_TEST_SUITE_P(Doctor, Faults, testing::ValuesIn(faults),
                         [](const auto& test) { return test.param.name; });

TEST(Doctor, AUserWithoutRightsIsToldOnceAndWhatWasNotTried) {
    Case it = healthy();
    it.machine.capabilities = 0;
    it.machine.trial = tl::unexpected(Error{"Operation not permitted"});
    const Findings findings = findings_of(it);
    EXPECT_EQ(std::ranges::count(findings, Level::fail, &Finding::level), 1) << text_of(findings);
    EXPECT_EQ(std::ranges::count(findings, Level::unknown, &Finding::level), 1);
}

TEST(Doctor, ADirectorThatRunsIsNoTrouble) {
    Case it = healthy();
    it.machine.run.director_answers = true;
    it.machine.run.writable = false;
    it.machine.listening = {{ip("203.0.113.1"), 9353}};
    it.machine.memory_available = 1;
    it.eth0().link.xdp_program_id = 42;
    it.eth0().program = dataplane::LoadedProgram{"director", true};
    EXPECT_FALSE(any_trouble(findings_of(it))) << text_of(findings_of(it));
}

TEST(Doctor, ATunnelMayLeadThroughAGateway) {
    Case it = healthy();
    ipvs(it);
    it.service().method = core::ForwardingMethod::tun;
    it.way("203.0.113.12").route = by_gateway();
    EXPECT_FALSE(any_trouble(findings_of(it))) << text_of(findings_of(it));
}

TEST(Doctor, AVlanDeviceIsLookedAtByTheDeviceBelowIt) {
    Case it = healthy();
    it.machine.interfaces.push_back(hardware(9, "eth1.105"));
    it.machine.interfaces.back().link.kind = "vlan";
    it.machine.interfaces.back().link.lower = 3;
    it.machine.interfaces.back().link.vlan_id = 105;
    it.machine.interfaces.back().settings.driver = "802.1Q VLAN Support";
    it.machine.interfaces.back().xdp_features = 0;
    it.eth1().settings.rx_vlan = false;
    it.configuration.director.interfaces = {"eth0", "eth1.105"};
    for (auto& [address, way] : it.machine.ways)
        way.route->out_interface = 9;
    EXPECT_FALSE(any_trouble(findings_of(it))) << text_of(findings_of(it));
    it.eth1().settings.lro = true;
    EXPECT_NE(text_of(findings_of(it)).find("warn receive-offloads eth1:"), std::string::npos);
}

TEST(Doctor, AThousandServersWithOneTroubleAreOneLine) {
    Case it = healthy();
    for (int i = 1; i <= 1000; ++i) {
        const IpAddress address = ip(fmt::format("2001:db8:1::{:x}", i).c_str());
        it.service().real_servers.push_back({"", {address, 53}, 1, {}});
        it.machine.ways[address].route = by_gateway();
    }
    const Findings findings = findings_of(it);
    EXPECT_EQ(std::ranges::count(findings, Level::fail, &Finding::level), 1) << text_of(findings);
    EXPECT_NE(text_of(findings).find("2001:db8:1::3 and 997 more"), std::string::npos);
}

TEST(Doctor, LooksAtTheMachineAloneWithoutAFile) {
    Case it = healthy();
    it.machine.setting = [&it](const std::string& path) -> std::optional<long> {
        const auto found = it.settings.find(path);
        return found == it.settings.end() ? std::nullopt : std::optional{found->second};
    };
    it.machine.ways.clear();
    EXPECT_FALSE(any_trouble(judge(nullptr, it.machine)));
    it.eth1().settings.lro = true;
    it.machine.pins->bpffs = false;
    const Findings findings = judge(nullptr, it.machine);
    EXPECT_EQ(
        std::ranges::count_if(findings, [](const Finding& f) { return f.level >= Level::warn; }), 2)
        << text_of(findings);
}

}  // namespace
}  // namespace dnsdirector::doctor
