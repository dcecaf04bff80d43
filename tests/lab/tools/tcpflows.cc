// SPDX-License-Identifier: Apache-2.0
// Long-lived TCP connections to a DNS server, each with a query every so often,
// and what became of every connection. Prints one JSON line at the end.
//
//   tcpflows --target ADDRESS [--port 53] --connections N --every MS --seconds N
//            [--name NAME] [--timeout MS]
//
// A connection is broken when it is reset or closed before the end, or when a
// query on it gets no answer in time (retransmissions included; 5000). Nobody
// opens it again. Who serves it is taken from NSID; one that is answered by two
// servers counts as broken, too. SIGINT ends it early. Output: opened, queries,
// answers, servers {NAME: connections}, broken [{server, at_ms, why}],
// unopened (the handshake failed).
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "dnswire.h"

namespace {

using dnswire::Address;
using dnswire::Bytes;

volatile std::sig_atomic_t stop = 0;

std::int64_t now_ms() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1'000'000;
}

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "tcpflows: %s: %s\n", what.c_str(), std::strerror(errno));
    std::exit(1);
}

struct Options {
    std::string target, name = "www.example.com";
    unsigned port = 53, connections = 100, every = 50, seconds = 10, timeout = 5000;
};

struct Connection {
    int fd = -1;
    bool established = false;
    std::int64_t asked_at = -1, next_at = 0;  // asked_at: a query is under way since
    std::uint16_t id = 0;
    std::string server;
    Bytes in;
};

struct Broken {
    std::string server;
    std::int64_t at;
    std::string why;
};

class Flows {
public:
    explicit Flows(Options options) : o_(std::move(options)), all_(o_.connections) {
        target_ = Address::parse(o_.target, o_.port);
        if (target_.length == 0) fail(o_.target + " is no address");
        poll_ = epoll_create1(EPOLL_CLOEXEC);
    }

    void run() {
        std::signal(SIGINT, [](int) { stop = 1; });
        std::signal(SIGTERM, [](int) { stop = 1; });
        start_ = now_ms();
        // A few at a time: a listener's queue is short.
        std::size_t opened = 0;
        while (!stop && now_ms() < start_ + o_.seconds * 1000LL) {
            for (int i = 0; i < 20 && opened < all_.size(); ++i)
                open(opened++);
            epoll_event events[64];
            const int n = epoll_wait(poll_, events, 64, 5);
            for (int i = 0; i < n; ++i)
                handle(all_[events[i].data.u32]);
            const std::int64_t time = now_ms();
            for (Connection& c : all_) {
                if (c.fd < 0) continue;
                if (c.asked_at >= 0 && time > c.asked_at + o_.timeout)
                    end(c, c.established ? "no answer" : "no handshake");
                else if (c.established && c.asked_at < 0 && time >= c.next_at)
                    ask(c, time);
            }
        }
    }

    void print() const {
        std::map<std::string, unsigned> servers;
        for (const Connection& c : all_)
            if (!c.server.empty()) ++servers[c.server];
        std::printf(
            "{\"started_ns\": %lld, \"opened\": %u, \"unopened\": %u, \"queries\": %llu, "
            "\"answers\": %llu, \"worst_ms\": %lld, \"servers\": {",
            static_cast<long long>(start_) * 1'000'000, opened_, unopened_,
            static_cast<unsigned long long>(queries_), static_cast<unsigned long long>(answers_),
            static_cast<long long>(worst_));
        const char* separator = "";
        for (const auto& [name, count] : servers) {
            std::printf("%s\"%s\": %u", separator, name.c_str(), count);
            separator = ", ";
        }
        std::printf("}, \"broken\": [");
        separator = "";
        for (const Broken& b : broken_) {
            std::printf("%s{\"server\": \"%s\", \"at_ms\": %lld, \"why\": \"%s\"}", separator,
                        b.server.c_str(), static_cast<long long>(b.at), b.why.c_str());
            separator = ", ";
        }
        std::printf("]}\n");
    }

private:
    void open(std::size_t i) {
        Connection& c = all_[i];
        c.fd = socket(target_.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (c.fd < 0) fail("socket");
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP;
        event.data.u32 = static_cast<std::uint32_t>(i);
        epoll_ctl(poll_, EPOLL_CTL_ADD, c.fd, &event);
        c.asked_at = now_ms();
        if (connect(c.fd, target_.get(), target_.length) != 0 && errno != EINPROGRESS)
            end(c, std::strerror(errno));
    }

    void ask(Connection& c, std::int64_t time) {
        Bytes q(2 + dnswire::kHeaderSize, 0);
        dnswire::set16(&q[2], ++c.id);
        q[4] = 0x01;               // RD
        dnswire::set16(&q[6], 1);  // a question
        dnswire::set16(&q[12], 1);
        const Bytes name = dnswire::encode_name(o_.name);
        q.insert(q.end(), name.begin(), name.end());
        dnswire::put16(q, dnswire::kTypeA);
        dnswire::put16(q, dnswire::kClassIn);
        dnswire::put_edns_with_nsid(q);
        dnswire::set16(&q[0], static_cast<unsigned>(q.size() - 2));
        if (send(c.fd, q.data(), q.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(q.size()))
            return end(c, std::strerror(errno));
        c.asked_at = time;
        c.next_at = time + o_.every;
        ++queries_;
    }

    void handle(Connection& c) {
        if (c.fd < 0) return;
        if (!c.established) {
            int error = 0;
            socklen_t length = sizeof error;
            getsockopt(c.fd, SOL_SOCKET, SO_ERROR, &error, &length);
            if (error != 0) return end(c, std::strerror(error));
            sockaddr_storage peer{};
            socklen_t size = sizeof peer;
            if (getpeername(c.fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return;
            c.established = true;
            c.asked_at = -1;
            c.next_at = now_ms();
            ++opened_;
        }
        std::uint8_t buffer[4096];
        for (;;) {
            const ssize_t n = recv(c.fd, buffer, sizeof buffer, 0);
            if (n == 0) return end(c, "closed");
            if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
            if (n < 0) return end(c, std::strerror(errno));
            c.in.insert(c.in.end(), buffer, buffer + n);
        }
        while (c.in.size() >= 2) {
            const std::size_t length = dnswire::get16(c.in.data());
            if (c.in.size() < 2 + length) break;
            answered(c, c.in.data() + 2, length);
            if (c.fd < 0) return;
            c.in.erase(c.in.begin(), c.in.begin() + static_cast<std::ptrdiff_t>(2 + length));
        }
    }

    void answered(Connection& c, const std::uint8_t* message, std::size_t size) {
        if (size < dnswire::kHeaderSize || dnswire::get16(message) != c.id || c.asked_at < 0)
            return end(c, "wrong answer");
        worst_ = std::max(worst_, now_ms() - c.asked_at);
        c.asked_at = -1;
        ++answers_;
        const std::string server = dnswire::nsid_of(message, size);
        if (!c.server.empty() && server != c.server) return end(c, "answered by " + server);
        c.server = server;
    }

    void end(Connection& c, const std::string& why) {
        if (c.established)
            broken_.push_back({c.server, now_ms() - start_, why});
        else
            ++unopened_;
        close(c.fd);
        c.fd = -1;
    }

    Options o_;
    Address target_;
    std::vector<Connection> all_;
    std::vector<Broken> broken_;
    int poll_ = -1;
    std::int64_t start_ = 0, worst_ = 0;
    unsigned opened_ = 0, unopened_ = 0;
    std::uint64_t queries_ = 0, answers_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    Options o;
    const std::map<std::string, unsigned*> numbers{{"--port", &o.port},
                                                   {"--connections", &o.connections},
                                                   {"--every", &o.every},
                                                   {"--seconds", &o.seconds},
                                                   {"--timeout", &o.timeout}};
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string option = argv[i];
        if (const auto number = numbers.find(option); number != numbers.end())
            *number->second = static_cast<unsigned>(std::atoi(argv[i + 1]));
        else if (option == "--target")
            o.target = argv[i + 1];
        else if (option == "--name")
            o.name = argv[i + 1];
        else
            return std::fprintf(stderr, "tcpflows: unknown option %s\n", option.c_str()), 2;
    }
    rlimit files{o.connections + 64, o.connections + 64};
    if (setrlimit(RLIMIT_NOFILE, &files) != 0) fail("setrlimit");
    Flows flows(o);
    flows.run();
    flows.print();
    return 0;
}
