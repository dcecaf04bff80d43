// SPDX-License-Identifier: Apache-2.0
//
// Checks through the service IP against servers in another namespace, while this one holds the
// service IP, too, and checks the sources of packets strictly.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <fstream>
#include <sstream>
#include <thread>

#include "probe/descriptor.h"
#include "probe/prober.h"
#include "probe/socket.h"
#include "unit/probe/checks.h"
#include "unit/probe/drive.h"
#include "unit/probe/responder.h"
#include "unit/support/network_namespace.h"
#include "unit/support/wait.h"

namespace dnsdirector::probe {
namespace {

using core::Failure;
using support::ip;
using support::NetworkNamespace;
using support::sysctl;
using test::Recorder;
using test::Responder;

constexpr const char* service_v4 = "192.0.2.53";
constexpr const char* service_v6 = "2001:db8::53";
constexpr const char* server_v4 = "203.0.113.11";
constexpr const char* server_v6 = "2001:db8:1::11";

std::string with_prefix(const char* service) {
    return std::string(service) + (service == service_v4 ? "/32" : "/128");
}

void hold(const char* service) {
    support::add_to_lo(with_prefix(service));
}

void let_go(const char* service) {
    ip("addr del " + with_prefix(service) + " dev lo");
}

void hold_service_ips() {
    hold(service_v4);
    hold(service_v6);
}

/// Link-local addresses that can be used at once: neighbours are asked from them.
void without_duplicate_detection() {
    for (const char* name : {"accept_dad", "dad_transmits"})
        sysctl(std::string("net/ipv6/conf/default/") + name, "0");
}

/// The director here, a server there: 203.0.113.1 and .11, 2001:db8:1::1 and ::11.
void connect_server(const NetworkNamespace& there, bool director_holds) {
    without_duplicate_detection();
    {
        const NetworkNamespace::Visit visit{there};
        without_duplicate_detection();
        // As every real server must have it: else it asks for us in the service IP's name.
        sysctl("net/ipv4/conf/all/arp_announce", "2");
    }
    ip("link set lo up");
    ip("link add k0 type veth peer name k1 netns " + there.path());
    ip("addr add 203.0.113.1/24 dev k0");
    ip("addr add 2001:db8:1::1/64 dev k0 nodad");
    ip("link set k0 up");
    for (const char* name : {"all", "k0"})
        sysctl(std::string("net/ipv4/conf/") + name + "/rp_filter", "1");
    for (const char* family : {"ipv4", "ipv6"})
        sysctl(std::string("net/") + family + "/neigh/k0/retrans_time_ms", "250");
    if (director_holds) hold_service_ips();
    {
        const NetworkNamespace::Visit visit{there};
        ip("link set lo up");
        ip("addr add 203.0.113.11/24 dev k1");
        ip("addr add 2001:db8:1::11/64 dev k1 nodad");
        ip("link set k1 up");
        for (const char* name : {"net/ipv4/icmp_ratemask", "net/ipv6/icmp/ratemask"})
            sysctl(name, "0");
        hold_service_ips();
    }
    // IPv6 takes a moment to listen on a link that has just come up.
    Recorder recorder;
    const core::Check ping =
        test::check_of({*IpAddress::parse(server_v6), 0}, core::PingCheck{}, Milliseconds{500});
    EXPECT_TRUE(support::eventually([&] { return recorder.ask(ping).passed(); }));
    ip("neigh flush dev k0");
}

core::Check through_check(const char* server, const char* service, std::uint16_t port,
                          Protocol transport) {
    core::DnsCheck dns;
    dns.name = "www.example.com";
    dns.type = 1;
    dns.transport = transport;
    dns.fail_on = {2, 5};
    dns.via.service_ip = IpAddress::parse(service);
    return test::check_of({*IpAddress::parse(server), port}, dns, Milliseconds{500}, 2);
}

struct Where {
    const char *server, *service, *any;
};
constexpr Where both_families[] = {{server_v4, service_v4, "0.0.0.0"},
                                   {server_v6, service_v6, "::"}};

std::unique_ptr<Responder> responder_at(const NetworkNamespace& there, const char* address,
                                        test::Answer answer = test::right,
                                        Responder::Tcp how = Responder::Tcp::answers) {
    const NetworkNamespace::Visit visit{there};
    return std::make_unique<Responder>(answer, answer, how, address);
}

/// Of this machine's TCP.
std::uint64_t resets_sent() {
    std::ifstream file("/proc/thread-self/net/snmp");
    std::string names, values;
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("Tcp:")) (names.empty() ? names : values) = line;
    std::istringstream name(names), value(values);
    for (std::string word, number; name >> word && value >> number;)
        if (word == "OutRsts") return std::stoull(number);
    return ~0ULL;
}

TEST(ThroughProbe, AsksAServerForTheServiceIp) {
    for (const bool director_holds : {true, false}) {
        DNSDIRECTOR_NEEDS_NAMESPACE(there);
        DNSDIRECTOR_NEEDS_NAMESPACE(here);
        connect_server(there, director_holds);
        for (const Where& where : both_families) {
            const auto server = responder_at(there, where.service);
            Recorder recorder;
            for (const Protocol transport : {Protocol::udp, Protocol::tcp}) {
                // The very first packet waits for the neighbour entry.
                core::Check check =
                    through_check(where.server, where.service, server->endpoint().port, transport);
                check.timing.timeout = Seconds{5};
                const auto verdict = recorder.ask(check);
                EXPECT_EQ(verdict.reason, "") << where.server << " " << to_string(transport);
                EXPECT_TRUE(verdict.passed());
                EXPECT_GT(verdict.rtt.count(), 0);
            }
            EXPECT_EQ(server->udp_queries(), 1);
            EXPECT_EQ(server->tcp_queries(), 1);
        }
        EXPECT_EQ(resets_sent(), 0) << "the kernel answered for us";
    }
}

TEST(ThroughProbe, SeesThatAServerLostTheServiceIp) {
    DNSDIRECTOR_NEEDS_NAMESPACE(there);
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    connect_server(there, true);
    for (const Where& where : both_families) {
        const auto server = responder_at(there, where.service);
        const auto own = responder_at(there, where.server);
        Recorder recorder;
        for (const Protocol transport : {Protocol::udp, Protocol::tcp}) {
            const core::Check check =
                through_check(where.server, where.service, server->endpoint().port, transport);
            EXPECT_TRUE(recorder.ask(check).passed());
            {
                const NetworkNamespace::Visit visit{there};
                let_go(where.service);
            }
            const auto verdict = recorder.ask(check);
            // IPv6 hosts say so.
            EXPECT_EQ(verdict.reason, where.server == server_v4
                                          ? "timeout"
                                          : "the server does not hold 2001:db8::53: network "
                                            "unreachable, says 2001:db8:1::11");
            EXPECT_FALSE(verdict.passed());
            core::Check plain = check;
            plain.target = own->endpoint();
            std::get<core::DnsCheck>(plain.what).via = {};
            EXPECT_TRUE(recorder.ask(plain).passed());
            {
                const NetworkNamespace::Visit visit{there};
                hold(where.service);
            }
            EXPECT_TRUE(recorder.ask(check).passed());
        }
    }
}

TEST(ThroughProbe, SeesThatAServerSendsThePacketOn) {
    DNSDIRECTOR_NEEDS_NAMESPACE(beyond);
    DNSDIRECTOR_NEEDS_NAMESPACE(there);
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    connect_server(there, true);
    {
        const NetworkNamespace::Visit visit{there};
        ip("link add b0 type veth peer name b1 netns " + beyond.path());
        ip("addr add 198.51.100.1/24 dev b0");
        ip("addr add 2001:db8:2::1/64 dev b0 nodad");
        ip("link set b0 up");
        sysctl("net/ipv4/ip_forward", "1");
        sysctl("net/ipv6/conf/all/forwarding", "1");
        let_go(service_v4);
        let_go(service_v6);
        ip(std::string("route add ") + service_v4 + " via 198.51.100.2");
        ip(std::string("-6 route add ") + service_v6 + " via 2001:db8:2::2");
    }
    {
        const NetworkNamespace::Visit visit{beyond};
        ip("link set lo up");
        ip("addr add 198.51.100.2/24 dev b1");
        ip("addr add 2001:db8:2::2/64 dev b1 nodad");
        ip("link set b1 up");
        sysctl("net/ipv4/ip_forward", "1");
        sysctl("net/ipv6/conf/all/forwarding", "1");
        ip("route add default via 198.51.100.1");
        ip("-6 route add default via 2001:db8:2::1");
    }
    Recorder recorder;
    for (const Where& where : both_families) {
        const core::Check check = through_check(where.server, where.service, 53, Protocol::udp);
        core::Verdict verdict;
        // A link that has just come up loses its first packets.
        EXPECT_TRUE(support::eventually([&] {
            verdict = recorder.ask(check);
            return verdict.reason != "timeout" && !verdict.reason.starts_with("no neighbour");
        }));
        EXPECT_EQ(verdict.failure, Failure::refused);
        const std::string router = where.server == server_v4 ? "198.51.100.2" : "2001:db8:2::2";
        EXPECT_EQ(verdict.reason, "the server does not hold " + std::string(where.service) +
                                      ": it sent the packet on, says " + router);
    }
}

TEST(ThroughProbe, NamesAReplyFromAnotherAddress) {
    DNSDIRECTOR_NEEDS_NAMESPACE(there);
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    connect_server(there, true);
    for (const Where& where : both_families) {
        // Without a look at where a question came to, the system chooses the source.
        const auto server = responder_at(there, where.any);
        const std::uint16_t port = server->endpoint().port;
        Recorder recorder;
        const auto verdict =
            recorder.ask(through_check(where.server, where.service, port, Protocol::udp));
        EXPECT_EQ(verdict.failure, Failure::answer);
        const Endpoint own{*IpAddress::parse(where.server), port};
        const Endpoint service{*IpAddress::parse(where.service), port};
        EXPECT_EQ(verdict.reason,
                  "answered from " + own.to_string() + " instead of " + service.to_string());
        // TCP cannot go wrong in this way.
        EXPECT_TRUE(
            recorder.ask(through_check(where.server, where.service, port, Protocol::tcp)).passed());
    }
}

TEST(ThroughProbe, PassesOverRepliesThatAreNotToItsQuestion) {
    DNSDIRECTOR_NEEDS_NAMESPACE(there);
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    connect_server(there, true);
    const auto forged = [](const test::Bytes& query) {
        test::Bytes wrong_id = test::reply_to(query, 2), wrong_question = test::reply_to(query, 2);
        wrong_id[0] ^= 1;
        wrong_question[13] = 'x';
        return test::Replies{wrong_id, wrong_question, test::Bytes{1}, test::Bytes{}};
    };
    const auto liar = responder_at(there, service_v4, forged);
    const auto server = responder_at(there, service_v4, [&](const test::Bytes& query) {
        test::Replies replies = forged(query);
        replies.push_back(test::reply_to(query));
        return replies;
    });
    Recorder recorder;
    EXPECT_EQ(
        recorder.ask(through_check(server_v4, service_v4, server->endpoint().port, Protocol::udp))
            .reason,
        "");
    core::Check check = through_check(server_v4, service_v4, liar->endpoint().port, Protocol::udp);
    check.timing.tries = 1;
    const auto verdict = recorder.ask(check);
    EXPECT_EQ(verdict.failure, Failure::silence);
    EXPECT_EQ(verdict.reason, "timeout; 1 reply ignored: wrong ID or question");
}

TEST(ThroughProbe, IsRefusedWhereNobodyListens) {
    DNSDIRECTOR_NEEDS_NAMESPACE(there);
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    connect_server(there, true);
    Recorder recorder;
    for (const Where& where : both_families)
        for (const Protocol transport : {Protocol::udp, Protocol::tcp}) {
            const auto verdict =
                recorder.ask(through_check(where.server, where.service, 53, transport));
            EXPECT_EQ(verdict.failure, Failure::refused) << verdict.reason;
            EXPECT_EQ(verdict.reason, "connection refused");
        }
}

TEST(ThroughProbe, SaysWhoDoesNotAnswerItsNeighbours) {
    DNSDIRECTOR_NEEDS_NAMESPACE(there);
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    connect_server(there, true);
    Recorder recorder;
    for (const Protocol transport : {Protocol::udp, Protocol::tcp}) {
        const auto v4 = recorder.ask(through_check("203.0.113.99", service_v4, 53, transport));
        EXPECT_EQ(v4.failure, Failure::silence);
        EXPECT_EQ(v4.reason, "no neighbour entry for 203.0.113.99 on k0: no ARP answer");
        const auto v6 = recorder.ask(through_check("2001:db8:1::99", service_v6, 53, transport));
        EXPECT_EQ(v6.reason, "no neighbour entry for 2001:db8:1::99 on k0: no ND answer");
    }
    ip("route add 198.51.100.0/24 via 203.0.113.11");
    const auto routed = recorder.ask(through_check("198.51.100.7", service_v4, 53, Protocol::udp));
    EXPECT_EQ(routed.failure, Failure::local);
    EXPECT_EQ(routed.reason,
              "cannot send: 198.51.100.7 is behind gateway 203.0.113.11: direct routing (lb_kind "
              "DR) needs it on the same network");
    const auto nowhere = recorder.ask(through_check("192.0.2.99", service_v4, 53, Protocol::udp));
    EXPECT_EQ(nowhere.failure, Failure::local);
    EXPECT_NE(nowhere.reason.find("192.0.2.99"), std::string::npos) << nowhere.reason;
}

TEST(ThroughProbe, FollowsAServerToAnotherMac) {
    DNSDIRECTOR_NEEDS_NAMESPACE(there);
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    connect_server(there, true);
    const auto server = responder_at(there, service_v4);
    core::Check check =
        through_check(server_v4, service_v4, server->endpoint().port, Protocol::udp);
    check.timing.every = Milliseconds{100};
    Recorder recorder;
    recorder.prober->add(1, check, true);
    ASSERT_TRUE(recorder.wait_for(3));
    EXPECT_TRUE(recorder.verdicts.back().verdict.passed());
    {
        const NetworkNamespace::Visit visit{there};
        ip("link set k1 address 02:00:00:00:00:77");
    }
    ip("neigh replace 203.0.113.11 dev k0 lladdr 02:00:00:00:00:77 nud reachable");
    recorder.verdicts.clear();
    EXPECT_TRUE(test::drive(*recorder.prober, [&] {
        return !recorder.verdicts.empty() && recorder.verdicts.back().verdict.passed();
    }));
    // The route is gone, and comes back.
    ip("addr del 203.0.113.1/24 dev k0");
    EXPECT_TRUE(test::drive(*recorder.prober, [&] {
        return recorder.verdicts.back().verdict.failure == Failure::local;
    }));
    ip("addr add 203.0.113.1/24 dev k0");
    EXPECT_TRUE(
        test::drive(*recorder.prober, [&] { return recorder.verdicts.back().verdict.passed(); }));
}

TEST(ThroughProbe, AsksAgainOverTcpWhatWasTruncated) {
    DNSDIRECTOR_NEEDS_NAMESPACE(there);
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    connect_server(there, true);
    const NetworkNamespace::Visit visit{there};
    const Responder server(
        test::truncated,
        [](const test::Bytes& query) {
            test::Bytes reply = test::reply_to(query);
            reply.resize(60'000);
            return test::Replies{reply};
        },
        Responder::Tcp::answers, service_v4);
    const NetworkNamespace::Visit back{here};
    Recorder recorder;
    core::Check check = through_check(server_v4, service_v4, server.endpoint().port, Protocol::udp);
    check.timing.every = Milliseconds{50};
    recorder.prober->add(1, check, true);
    // One connection after the other, each ended in order.
    ASSERT_TRUE(recorder.wait_for(5));
    for (const auto& each : recorder.verdicts)
        EXPECT_EQ(each.verdict.reason, "");
    EXPECT_GE(server.tcp_queries(), 5);
    std::get<core::DnsCheck>(check.what).on_truncated = core::OnTruncated::fail;
    recorder.prober->remove(1);
    EXPECT_EQ(recorder.ask(check).failure, Failure::answer);
}

TEST(ThroughProbe, BearsConnectionsThatEndEarly) {
    DNSDIRECTOR_NEEDS_NAMESPACE(there);
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    connect_server(there, true);
    struct Case {
        Responder::Tcp how;
        const char* reason;
    };
    for (const Case& each :
         {Case{Responder::Tcp::closes, "connection closed without an answer"},
          Case{Responder::Tcp::resets, "connection reset"}, Case{Responder::Tcp::in_pieces, ""}}) {
        const auto server = responder_at(there, service_v6, test::right, each.how);
        Recorder recorder;
        EXPECT_EQ(
            recorder
                .ask(through_check(server_v6, service_v6, server->endpoint().port, Protocol::tcp))
                .reason,
            each.reason);
    }
}

// Its side of a connection stays for a minute (TIME-WAIT), while our few ports come round.
TEST(ThroughProbe, ConnectsAgainToAServerThatClosesFirst) {
    DNSDIRECTOR_NEEDS_NAMESPACE(there);
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    connect_server(there, true);
    for (const Where& where : both_families) {
        const auto server = responder_at(there, where.service, test::right, Responder::Tcp::closes);
        core::Check check =
            through_check(where.server, where.service, server->endpoint().port, Protocol::tcp);
        check.timing.every = Milliseconds{10};
        check.timing.timeout = Seconds{5};
        check.timing.tries = 1;
        Recorder recorder;
        recorder.prober->add(1, check, true);
        ASSERT_TRUE(recorder.wait_for(100, Milliseconds{20000}));
        for (const auto& each : recorder.verdicts)
            EXPECT_EQ(each.verdict.reason, "connection closed without an answer");
    }
}

TEST(ThroughProbe, AsksThisMachineItselfBySockets) {
    DNSDIRECTOR_NEEDS_NAMESPACE(there);
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    connect_server(there, true);
    for (const auto& [own, service] :
         {std::pair{"203.0.113.1", service_v4}, std::pair{"2001:db8:1::1", service_v6}}) {
        const Responder server(test::right, test::right, Responder::Tcp::answers, service);
        Recorder recorder;
        for (const Protocol transport : {Protocol::udp, Protocol::tcp})
            EXPECT_TRUE(recorder.ask(through_check(own, service, server.endpoint().port, transport))
                            .passed());
    }
}

/// Takes tunnels' outer headers off in user space, since not every kernel can.
class TunnelEnd {
public:
    explicit TunnelEnd(bool v4)
        : v4_(v4),
          in_(::socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC,
                       v4 ? IPPROTO_IPIP : IPPROTO_IPV6)),
          out_(::socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW)),
          thread_([this] { work(); }) {}
    ~TunnelEnd() {
        stop_ = true;
        thread_.join();
    }
    [[nodiscard]] int packets() const { return packets_; }

private:
    void work() {
        while (!stop_) {
            pollfd one{in_.get(), POLLIN, 0};
            if (::poll(&one, 1, 20) != 1) continue;
            std::array<std::uint8_t, 2048> data{};
            const ssize_t got = ::recv(in_.get(), data.data(), data.size(), 0);
            const std::size_t outer = v4_ ? 20 : 0;
            if (got <= static_cast<ssize_t>(outer)) continue;
            ++packets_;
            const SocketAddress service({*IpAddress::parse(v4_ ? service_v4 : service_v6), 0});
            ::sendto(out_.get(), data.data() + outer, static_cast<std::size_t>(got) - outer, 0,
                     service.get(), service.size());
        }
    }

    bool v4_;
    Descriptor in_, out_;
    std::atomic<int> packets_{0};
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

TEST(ThroughProbe, GoesByATunnel) {
    DNSDIRECTOR_NEEDS_NAMESPACE(there);
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    connect_server(there, true);
    for (const Where& where : both_families) {
        const bool v4 = where.server == server_v4;
        const auto server = responder_at(there, where.service);
        Recorder recorder;
        core::Check check =
            through_check(where.server, where.service, server->endpoint().port, Protocol::udp);
        std::get<core::DnsCheck>(check.what).via.tunnel = true;
        const auto refused = recorder.ask(check);
        EXPECT_EQ(refused.failure, Failure::refused);
        EXPECT_EQ(refused.reason, std::string("no tunnel ends there, says ") + where.server);

        std::unique_ptr<TunnelEnd> end;
        {
            const NetworkNamespace::Visit visit{there};
            end = std::make_unique<TunnelEnd>(v4);
        }
        EXPECT_EQ(recorder.ask(check).reason, "");
        EXPECT_EQ(end->packets(), 1);
        std::get<core::DnsCheck>(check.what).transport = Protocol::tcp;
        EXPECT_EQ(recorder.ask(check).reason, "");
    }
}

TEST(ThroughProbe, TellsOneServerFromAnotherAmongMany) {
    DNSDIRECTOR_NEEDS_NAMESPACE(there);
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    connect_server(there, true);
    const auto server = responder_at(there, service_v4);
    std::string addresses;
    constexpr std::uint32_t count = 200;
    {
        const NetworkNamespace::Visit visit{there};
        for (std::uint32_t at = 20; at < 20 + count; ++at)
            addresses += "addr add 203.0.113." + std::to_string(at) + "/24 dev k1\n";
        support::ip_batch(addresses);
    }
    Recorder recorder;
    for (std::uint32_t at = 0; at < count; ++at)
        for (const Protocol transport : {Protocol::udp, Protocol::tcp}) {
            const std::string address = "203.0.113." + std::to_string(20 + at);
            core::Check check =
                through_check(address.c_str(), service_v4, server->endpoint().port, transport);
            check.timing.every = Milliseconds{500};
            recorder.prober->add(2 * at + (transport == Protocol::udp ? 0 : 1), check, true);
        }
    ASSERT_TRUE(recorder.wait_for(std::size_t{4} * count, Milliseconds{20000}));
    std::size_t failed = 0;
    std::string reason;
    for (const auto& each : recorder.verdicts)
        if (!each.verdict.passed()) {
            ++failed;
            reason = each.verdict.reason;
        }
    EXPECT_EQ(failed, 0U) << reason;
}

}  // namespace
}  // namespace dnsdirector::probe
