// SPDX-License-Identifier: Apache-2.0
//
// What a check through the service IP costs next to one to the server's own address, by the
// same prober over the same wire in the same run: CPU per check, UDP and TCP, at one second's
// interval. And what its packet filter costs a client's packet that the kernel is handed: the
// same flood of datagrams with such a check and without.
//
// usage: through_bench [SECONDS [SERVERS [PACKETS]]]     default 10 10000 1000000
// Needs root: network namespaces of its own.
#include <fmt/core.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "checks_rig.h"
#include "private_network.h"

namespace dnsdirector {
namespace {

using bench::answer_tcp;
using bench::answer_udp;
using bench::clock_seconds;
using bench::cpu_seconds;
using bench::drive;

constexpr const char* service = "2001:db8::53";
constexpr const char* far_mac = "02:00:00:00:00:02";
constexpr std::uint16_t dns_port = 53, idle_port = 9;

[[noreturn]] void give_up(const std::string& what) {
    fmt::print(stderr, "through_bench: {}: {}\n", what, std::strerror(errno));
    std::exit(1);
}

// ---- the servers ------------------------------------------------------------------

[[noreturn]] void serve() {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int udp = ::socket(AF_INET6, SOCK_DGRAM, 0);
    const int tcp = ::socket(AF_INET6, SOCK_STREAM, 0);
    const int on = 1, room = 8 << 20;
    ::setsockopt(udp, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    // The servers' addresses are a route to lo, and none that lo has.
    ::setsockopt(udp, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
    ::setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(dns_port);
    const auto* address = reinterpret_cast<const sockaddr*>(&any);
    if (::bind(udp, address, sizeof any) != 0 || ::bind(tcp, address, sizeof any) != 0 ||
        ::listen(tcp, 4096) != 0)
        give_up("no port for the servers");
    std::vector<pollfd> wait{{udp, POLLIN, 0}, {tcp, POLLIN, 0}};
    while (true) {
        ::poll(wait.data(), wait.size(), -1);
        if (wait[0].revents != 0) answer_udp<sockaddr_in6>(udp);
        for (std::size_t at = 2; at < wait.size(); ++at)
            if (wait[at].revents != 0) answer_tcp(wait[at].fd);
        std::erase_if(wait, [](const pollfd& one) {
            return (one.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
        });
        if (wait[1].revents != 0)
            if (const int one = ::accept4(tcp, nullptr, nullptr, SOCK_NONBLOCK); one >= 0)
                wait.push_back({one, POLLIN, 0});
    }
}

// ---- the wire ---------------------------------------------------------------------

std::string server_address(std::uint32_t number) {
    return fmt::format("2001:db8:1::{:x}", 0x100 + number);
}

void run_ip(const std::string& lines) {
    if (const auto done = bench::ip_batch(lines); !done) {
        fmt::print(stderr, "through_bench: {}\n", done.error().message);
        std::exit(1);
    }
}

/// A process in a namespace of its own, which `act` begins in when the wire is there.
template <typename Act>
pid_t start_far(const Act& act) {
    std::array<int, 2> ready{}, go{};
    if (::pipe(ready.data()) != 0 || ::pipe(go.data()) != 0) give_up("no pipe");
    const pid_t pid = ::fork();
    char byte = 0;
    if (pid == 0) {
        if (::unshare(CLONE_NEWNET) != 0) give_up("no network namespace");
        if (::write(ready[1], &byte, 1) != 1 || ::read(go[0], &byte, 1) != 1) std::exit(1);
        run_ip(
            fmt::format("link set lo up\nlink set far0 address {} up\n"
                        "addr add 2001:db8:2::2/64 dev far0 nodad\n"
                        "addr add {}/128 dev lo nodad\n"
                        "route add local 2001:db8:1::/64 dev lo\n",
                        far_mac, service));
        if (::write(ready[1], &byte, 1) != 1) std::exit(1);
        act();
        std::exit(0);
    }
    if (::read(ready[0], &byte, 1) != 1) give_up("the servers did not start");
    run_ip(
        fmt::format("link add near0 type veth peer name far0 netns {}\n"
                    "link set near0 up\naddr add 2001:db8:2::1/64 dev near0 nodad\n"
                    "route add 2001:db8:1::/64 dev near0\n",
                    pid));
    if (::write(go[1], &byte, 1) != 1 || ::read(ready[0], &byte, 1) != 1)
        give_up("the servers did not start");
    return pid;
}

void add_neighbours(std::uint32_t servers) {
    std::string lines;
    for (std::uint32_t i = 0; i < servers; ++i)
        lines += fmt::format("neigh replace {} lladdr {} dev near0 nud permanent\n",
                             server_address(i), far_mac);
    run_ip(lines);
}

// ---- checks -----------------------------------------------------------------------

std::unique_ptr<probe::Prober> prober_of(std::uint32_t servers, Protocol transport, bool through) {
    std::unique_ptr<probe::Prober> prober = std::move(probe::Prober::create({}).value());
    for (std::uint32_t i = 0; i < servers; ++i) {
        core::Check check;
        check.target = {*IpAddress::parse(server_address(i)), dns_port};
        core::DnsCheck what{
            .name = "www.example.com", .type = 1, .transport = transport, .fail_on = {2, 5}};
        if (through) what.via.service_ip = IpAddress::parse(service);
        check.what = what;
        prober->add(i, check, false);
    }
    return prober;
}

struct Measured {
    double cpu = 0, wall = 0;
    std::uint64_t rounds = 0, failures = 0;
    std::string reason;
    [[nodiscard]] double micros() const {
        return cpu * 1e6 / static_cast<double>(std::max<std::uint64_t>(rounds, 1));
    }
};

/// After a warm-up in which all sockets are opened and all ways are found.
Measured run_checks(std::uint32_t servers, Protocol transport, bool through, double duration) {
    const auto prober = prober_of(servers, transport, through);
    Measured measured;
    bool counting = false;
    prober->on_verdict = [&](probe::CheckId, const core::Verdict& verdict) {
        if (!counting) return;
        ++measured.rounds;
        if (verdict.passed()) return;
        ++measured.failures;
        measured.reason = verdict.reason;
    };
    drive(*prober, clock_seconds() + 2.5);
    counting = true;
    const double cpu = cpu_seconds(), start = clock_seconds();
    drive(*prober, start + duration);
    measured.cpu = cpu_seconds() - cpu;
    measured.wall = clock_seconds() - start;
    return measured;
}

// ---- the filter -------------------------------------------------------------------

/// A port that drops what it gets without keeping it.
int sink() {
    const int socket = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(idle_port);
    const int least = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
    if (::bind(socket, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0)
        give_up("no port to flood");
    return socket;
}

/// CPU in nanoseconds of a datagram sent by the far side, received here: over a veth pair the
/// receiver's part is done by the sender's processor.
double flood_nanos(int order, int answer, int packets) {
    double nanos = 0;
    if (::write(order, &packets, sizeof packets) != sizeof packets ||
        ::read(answer, &nanos, sizeof nanos) != sizeof nanos)
        give_up("the flood did not come");
    return nanos;
}

void flood(int order, int answer) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int socket = ::socket(AF_INET6, SOCK_DGRAM, 0);
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(idle_port);
    const auto near = IpAddress::parse("2001:db8:2::1");
    std::memcpy(&to.sin6_addr, near->bytes().data(), 16);
    ::connect(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    std::array<std::uint8_t, 40> data{};
    for (int packets = 0; ::read(order, &packets, sizeof packets) == sizeof packets;) {
        const double cpu = cpu_seconds();
        for (int i = 0; i < packets; ++i)
            ::send(socket, data.data(), data.size(), 0);
        const double nanos = (cpu_seconds() - cpu) * 1e9 / packets;
        if (::write(answer, &nanos, sizeof nanos) != sizeof nanos) return;
    }
}

struct FilterCost {
    double without = 0, with = 0;
};

/// The smallest of several turns, taken by turns.
FilterCost filter_cost(int order, int answer, int packets) {
    constexpr int turns = 7;
    FilterCost cost{1e18, 1e18};
    const int socket = sink();
    static_cast<void>(flood_nanos(order, answer, packets / turns));
    for (int turn = 0; turn < turns; ++turn) {
        cost.without = std::min(cost.without, flood_nanos(order, answer, packets / turns));
        const auto prober = prober_of(1, Protocol::udp, true);
        drive(*prober, clock_seconds() + 0.1);
        cost.with = std::min(cost.with, flood_nanos(order, answer, packets / turns));
    }
    ::close(socket);
    return cost;
}

std::string json(const Measured& measured) {
    return fmt::format(R"({{"rounds": {}, "failures": {}, "cpu_us_per_check": {:.2f}, )"
                       R"("core_share": {:.4f}}})",
                       measured.rounds, measured.failures, measured.micros(),
                       measured.cpu / measured.wall);
}

int run(double duration, std::uint32_t servers, int packets) {
    if (::unshare(CLONE_NEWNET) != 0) give_up("no network namespace (needs root)");
    run_ip("link set lo up\n");
    std::array<int, 2> order{}, answer{};
    if (::pipe(order.data()) != 0 || ::pipe(answer.data()) != 0) give_up("no pipe");
    const pid_t far = start_far([&] {
        if (::fork() == 0) flood(order[0], answer[1]);
        serve();
    });
    add_neighbours(servers);
    const std::uint32_t connections = std::max(servers / 10, 1U);
    const Measured own_udp = run_checks(servers, Protocol::udp, false, duration);
    const Measured udp = run_checks(servers, Protocol::udp, true, duration);
    const Measured own_tcp = run_checks(connections, Protocol::tcp, false, duration);
    const Measured tcp = run_checks(connections, Protocol::tcp, true, duration);
    const FilterCost filter = filter_cost(order[1], answer[0], packets);
    ::kill(far, SIGKILL);
    ::waitpid(far, nullptr, 0);
    fmt::print(stderr,
               "UDP, {} servers: to the own address {:.1f} us of CPU, through the service IP "
               "{:.1f} us ({:.2f} times), {:.1f}% of a core\n"
               "TCP, {} servers: to the own address {:.1f} us, through the service IP {:.1f} us "
               "({:.2f} times)\n"
               "a packet for others: {:.0f} ns without the filter, {:.0f} ns with it\n",
               servers, own_udp.micros(), udp.micros(), udp.micros() / own_udp.micros(),
               100 * udp.cpu / udp.wall, connections, own_tcp.micros(), tcp.micros(),
               tcp.micros() / own_tcp.micros(), filter.without, filter.with);
    for (const Measured* each : {&own_udp, &udp, &own_tcp, &tcp})
        if (each->failures > 0)
            fmt::print(stderr, "{} of {} failed: {}\n", each->failures, each->rounds, each->reason);
    fmt::print(
        "{{\"servers\": {},\n \"own_udp\": {},\n \"through_udp\": {},\n \"own_tcp\": {},\n"
        " \"through_tcp\": {},\n \"packet_ns_without\": {:.1f},\n \"packet_ns_with\": {:.1f}}}\n",
        servers, json(own_udp), json(udp), json(own_tcp), json(tcp), filter.without, filter.with);
    // One in a hundred may be late on a machine that others use, too.
    const auto works = [](const Measured& each) {
        return each.rounds > 0 && each.failures * 100 <= each.rounds;
    };
    return works(udp) && works(tcp) ? 0 : 1;
}

}  // namespace
}  // namespace dnsdirector

int main(int argc, char** argv) {
    const double duration = argc > 1 ? std::atof(argv[1]) : 10;
    const int servers = argc > 2 ? std::atoi(argv[2]) : 10000;
    const int packets = argc > 3 ? std::atoi(argv[3]) : 1'000'000;
    if (duration < 1 || duration > 600 || servers < 1 || servers > 60000 || packets < 7) {
        fmt::print(stderr, "usage: through_bench [SECONDS [SERVERS [PACKETS]]]\n");
        return 2;
    }
    return dnsdirector::run(duration, static_cast<std::uint32_t>(servers), packets);
}
