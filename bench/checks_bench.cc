// SPDX-License-Identifier: Apache-2.0
//
// What checks cost: CPU per check over UDP and TCP next to a `dig` run by fork
// against the same server in the same run; and ten thousand servers at one
// second: share of a core, and how late rounds start next to a bare timer
// thread. The server is a process of its own. JSON on standard output.
//
// usage: checks_bench [SECONDS [SERVERS [DIGS]]]     default 10 10000 60
#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "checks_rig.h"

namespace dnsdirector {
namespace {

using bench::answer_tcp;
using bench::answer_udp;
using bench::clock_seconds;
using bench::cpu_seconds;
using bench::drive;
using probe::Prober;
using probe::ProberStatistics;

// ---- the server -------------------------------------------------------------

constexpr std::size_t batch = 64;

[[noreturn]] void serve(int udp, int tcp) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int epoll = ::epoll_create1(0);
    const auto watch = [&](int descriptor) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = descriptor;
        ::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
    };
    watch(udp);
    watch(tcp);
    while (true) {
        std::array<epoll_event, batch> events;
        const int count = ::epoll_wait(epoll, events.data(), batch, -1);
        for (int i = 0; i < count; ++i) {
            const int descriptor = events[static_cast<std::size_t>(i)].data.fd;
            if (descriptor == udp) {
                answer_udp<sockaddr_in>(udp);
            } else if (descriptor != tcp) {
                answer_tcp(descriptor);
            } else if (const int accepted = ::accept4(tcp, nullptr, nullptr, SOCK_NONBLOCK);
                       accepted >= 0) {
                watch(accepted);
            }
        }
    }
}

struct Server {
    pid_t pid = -1;
    std::uint16_t port = 0;
};

Server start_server() {
    const int udp = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int tcp = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    const int room = 8 << 20;
    ::setsockopt(udp, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    ::setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0)
        ::setsockopt(udp, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_ANY);
    socklen_t size = sizeof any;
    auto* address = reinterpret_cast<sockaddr*>(&any);
    if (::bind(udp, address, size) != 0 || ::getsockname(udp, address, &size) != 0 ||
        ::bind(tcp, address, size) != 0 || ::listen(tcp, 1024) != 0) {
        fmt::print(stderr, "checks_bench: no port for the server: {}\n", std::strerror(errno));
        std::exit(1);
    }
    Server server{::fork(), ntohs(any.sin_port)};
    if (server.pid == 0) serve(udp, tcp);
    ::close(udp);
    ::close(tcp);
    return server;
}

// ---- measuring --------------------------------------------------------------

constexpr std::uint32_t few = 44;

/// Buckets as in ProberStatistics: bucket i counts what is below 2^i microseconds.
using Lateness = std::array<std::uint64_t, 32>;

std::uint64_t below_micros(const Lateness& lateness, double part) {
    std::uint64_t all = 0, seen = 0;
    for (const std::uint64_t count : lateness)
        all += count;
    for (std::size_t bucket = 0; bucket < lateness.size(); ++bucket) {
        seen += lateness[bucket];
        if (static_cast<double>(seen) >= part * static_cast<double>(all))
            return std::uint64_t{1} << bucket;
    }
    return 0;
}

std::string json(const Lateness& lateness) {
    std::string counts;
    for (const std::uint64_t count : lateness)
        counts += (counts.empty() ? "" : ", ") + std::to_string(count);
    return fmt::format(
        R"({{"p50_below_us": {}, "p99_below_us": {}, "p999_below_us": {}, "max_below_us": {}, )"
        R"("below_power_of_two_us": [{}]}})",
        below_micros(lateness, 0.5), below_micros(lateness, 0.99), below_micros(lateness, 0.999),
        below_micros(lateness, 1), counts);
}

/// A thread that only sleeps until each millisecond and notes how late it is.
class BareTimer {
public:
    BareTimer() : thread_([this] { work(); }) {}
    Lateness finish() {
        stop_ = true;
        thread_.join();
        return lateness_;
    }

private:
    void work() {
        constexpr long interval = 1'000'000, second = 1'000'000'000;
        timespec due{}, now{};
        ::clock_gettime(CLOCK_MONOTONIC, &due);
        while (!stop_) {
            due.tv_nsec += interval;
            if (due.tv_nsec >= second) {
                due.tv_nsec -= second;
                ++due.tv_sec;
            }
            ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr);
            ::clock_gettime(CLOCK_MONOTONIC, &now);
            const auto late = static_cast<std::uint64_t>((now.tv_sec - due.tv_sec) * 1'000'000 +
                                                         (now.tv_nsec - due.tv_nsec) / 1000);
            ++lateness_[std::min<std::size_t>(31, static_cast<std::size_t>(std::bit_width(late)))];
        }
    }

    std::atomic<bool> stop_{false};
    Lateness lateness_{};
    std::thread thread_;
};

struct Measured {
    double cpu = 0, wall = 0;
    std::uint64_t rounds = 0, failures = 0;
    Lateness lateness{};

    [[nodiscard]] double micros_a_check() const {
        return cpu * 1e6 / static_cast<double>(std::max<std::uint64_t>(rounds, 1));
    }
    [[nodiscard]] std::string json_text() const {
        return fmt::format(
            R"({{"rounds": {}, "failures": {}, "seconds": {:.3f}, "cpu_seconds": {:.4f}, )"
            R"("cpu_us_per_check": {:.2f}, "core_share": {:.4f}, "lateness": {}}})",
            rounds, failures, wall, cpu, micros_a_check(), cpu / wall, json(lateness));
    }
};

core::DnsCheck dns_check(Protocol transport) {
    return {.name = "www.example.com", .type = 1, .transport = transport, .fail_on = {2, 5}};
}

core::DigCheck dig_check() {
    return {.name = "www.example.com.", .edns = core::Edns{}};
}

/// `servers` checks at one-second intervals for `duration`, after a warm-up in
/// which all sockets are opened.
Measured run_checks(std::uint32_t servers, const core::Check::What& what, std::uint16_t port,
                    double duration) {
    std::unique_ptr<Prober> prober = std::move(Prober::create({}).value());
    Measured measured;
    bool counting = false;
    prober->on_verdict = [&](probe::CheckId, const core::Verdict& verdict) {
        if (!counting) return;
        ++measured.rounds;
        measured.failures += verdict.passed() ? 0 : 1;
    };
    for (std::uint32_t i = 0; i < servers; ++i) {
        core::Check check;
        check.target = {IpAddress::from_v4({127, 1, static_cast<std::uint8_t>(i >> 8),
                                            static_cast<std::uint8_t>(i & 255)}),
                        port};
        check.what = what;
        prober->add(i, check, false);
    }
    drive(*prober, clock_seconds() + 2.5);

    const ProberStatistics before = prober->statistics();
    counting = true;
    const double cpu = cpu_seconds(RUSAGE_THREAD);
    const double start = clock_seconds();
    drive(*prober, start + duration);
    measured.cpu = cpu_seconds(RUSAGE_THREAD) - cpu;
    measured.wall = clock_seconds() - start;
    for (std::size_t i = 0; i < measured.lateness.size(); ++i)
        measured.lateness[i] = prober->statistics().lateness[i] - before.lateness[i];
    return measured;
}

/// CPU of one dig, with what its fork costs us, when 44 are run a second; 0
/// where there is no dig.
double dig_micros(int digs, std::uint16_t port) {
    const std::string port_text = std::to_string(port);
    const std::vector<std::string> words = {"dig",       "+fail",   "+time=1", "+tries=1",
                                            "-p",        port_text, "a",       "www.example.com",
                                            "@127.0.0.1"};
    std::vector<char*> arguments;
    for (const std::string& word : words)
        arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    const double before = cpu_seconds(RUSAGE_CHILDREN) + cpu_seconds(RUSAGE_THREAD);
    int passed = 0;
    for (int i = 0; i < digs; ++i) {
        pid_t pid = 0;
        int status = 1;
        const double next = clock_seconds() + 1.0 / few;
        if (::posix_spawnp(&pid, "dig", &actions, nullptr, arguments.data(), environ) == 0)
            ::waitpid(pid, &status, 0);
        passed += status == 0 ? 1 : 0;
        const double rest = std::max(0.0, next - clock_seconds());
        ::usleep(static_cast<useconds_t>(rest * 1e6));
    }
    ::posix_spawn_file_actions_destroy(&actions);
    const double after = cpu_seconds(RUSAGE_CHILDREN) + cpu_seconds(RUSAGE_THREAD);
    return passed == digs ? (after - before) * 1e6 / digs : 0;
}

int run(double duration, std::uint32_t servers, int digs) {
    const Server server = start_server();
    const double dig_before = dig_micros(digs / 2, server.port);
    const Measured udp = run_checks(few, dns_check(Protocol::udp), server.port, duration);
    const Measured tcp = run_checks(few, dns_check(Protocol::tcp), server.port, duration);
    const Measured native = run_checks(few, dig_check(), server.port, duration);
    const double dig_after = dig_micros(digs / 2, server.port);
    const double dig = (dig_before + dig_after) / 2;
    BareTimer timer;
    const Measured many = run_checks(servers, dns_check(Protocol::udp), server.port, duration);
    const Lateness bare = timer.finish();
    const Measured many_native = run_checks(servers, dig_check(), server.port, duration);
    ::kill(server.pid, SIGKILL);
    ::waitpid(server.pid, nullptr, 0);

    fmt::print(stderr,
               "dig by fork              {:9.1f} us of CPU\n"
               "a UDP check, 44 servers  {:9.1f} us: {:.0f} times less\n"
               "a TCP check, 44 servers  {:9.1f} us: {:.0f} times less\n"
               "a dig line run natively  {:9.1f} us: {:.0f} times less; {} servers {:.1f} us\n"
               "a UDP check, {} servers {:.1f} us; {:.1f}% of a core, {} of {} failed\n"
               "lateness below, p50 p99 p99.9: {} {} {} us; a bare timer: {} {} {} us\n",
               dig, udp.micros_a_check(), dig / udp.micros_a_check(), tcp.micros_a_check(),
               dig / tcp.micros_a_check(), native.micros_a_check(), dig / native.micros_a_check(),
               servers, many_native.micros_a_check(), servers, many.micros_a_check(),
               100 * many.cpu / many.wall, many.failures, many.rounds,
               below_micros(many.lateness, 0.5), below_micros(many.lateness, 0.99),
               below_micros(many.lateness, 0.999), below_micros(bare, 0.5),
               below_micros(bare, 0.99), below_micros(bare, 0.999));
    fmt::print(
        "{{\"dig_us\": {:.1f},\n \"udp\": {},\n \"tcp\": {},\n \"native_dig\": {},\n"
        " \"many_native_dig\": {},\n \"servers\": {},\n"
        " \"many\": {},\n \"bare_timer_lateness\": {}}}\n",
        dig, udp.json_text(), tcp.json_text(), native.json_text(), many_native.json_text(), servers,
        many.json_text(), json(bare));
    return dig > 0 && udp.failures == 0 && tcp.failures == 0 && native.failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace dnsdirector

int main(int argc, char** argv) {
    const double duration = argc > 1 ? std::atof(argv[1]) : 10;
    const int servers = argc > 2 ? std::atoi(argv[2]) : 10000;
    const int digs = argc > 3 ? std::atoi(argv[3]) : 60;
    if (duration < 1 || duration > 600 || servers < 1 || servers > 60000 || digs < 2 ||
        digs > 10000) {
        fmt::print(stderr, "usage: checks_bench [SECONDS [SERVERS [DIGS]]]\n");
        return 2;
    }
    return dnsdirector::run(duration, static_cast<std::uint32_t>(servers), digs);
}
