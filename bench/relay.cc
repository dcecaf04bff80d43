// SPDX-License-Identifier: Apache-2.0
//
// A bare relay: passes queries on to servers in turn and answers back, over UDP and TCP, and looks
// at nothing but the ID. No checks, no second try, no limit, no time-out: what it costs is what
// the kernel takes of any program that stands in between and makes one system call for each
// message. A yardstick for the proxy plane; nothing to be used.
//
//     relay THREADS SERVICE-ADDRESS SERVER-ADDRESS... (IPv4, port 53)
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <thread>
#include <vector>

namespace {

constexpr int backlog = 1024;
constexpr int receive_buffer = 4 << 20;
constexpr std::uint16_t port = 53;

[[noreturn]] void give_up(const char* what) {
    std::perror(what);
    std::_Exit(1);
}

sockaddr_in address_of(const char* text) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    if (inet_pton(AF_INET, text, &address.sin_addr) != 1) give_up(text);
    return address;
}

const sockaddr* generic(const sockaddr_in& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

void set(int socket, int level, int option, int value = 1) {
    if (setsockopt(socket, level, option, &value, sizeof value) != 0) give_up("setsockopt");
}

int opened(int type, bool nonblocking = true) {
    const int socket = ::socket(AF_INET, type | (nonblocking ? SOCK_NONBLOCK : 0), 0);
    if (socket < 0) give_up("socket");
    if (type == SOCK_STREAM) set(socket, IPPROTO_TCP, TCP_NODELAY);
    return socket;
}

int bound(int type, const sockaddr_in& address) {
    const int socket = opened(type);
    set(socket, SOL_SOCKET, SO_REUSEADDR);
    set(socket, SOL_SOCKET, SO_REUSEPORT);
    if (type == SOCK_DGRAM) set(socket, SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer);
    if (bind(socket, generic(address), sizeof address) != 0) give_up("bind");
    if (type == SOCK_STREAM && listen(socket, backlog) != 0) give_up("listen");
    return socket;
}

int connected(int type, const sockaddr_in& server) {
    const int socket = opened(type, false);
    if (connect(socket, generic(server), sizeof server) != 0) give_up("connect");
    return socket;
}

class Relay {
public:
    Relay(const sockaddr_in& service, std::span<const sockaddr_in> servers)
        : servers_(servers), idle_(servers.size()) {
        if (epoll_ < 0) give_up("epoll_create1");
        udp_ = bound(SOCK_DGRAM, service);
        watch(udp_, Kind::udp_clients);
        watch(bound(SOCK_STREAM, service), Kind::tcp_door);
        for (const sockaddr_in& server : servers) {
            udp_servers_.push_back(connected(SOCK_DGRAM, server));
            watch(udp_servers_.back(), Kind::udp_server);
        }
    }

    [[noreturn]] void run() {
        std::array<epoll_event, 64> events{};
        for (;;) {
            const int count = epoll_wait(epoll_, events.data(), events.size(), -1);
            for (int i = 0; i < count; ++i)
                on_readable(events[static_cast<std::size_t>(i)].data.fd);
        }
    }

private:
    enum class Kind : std::uint8_t { none, udp_clients, udp_server, tcp_door, client, server };
    static constexpr int nobody = -1;
    /// A TCP connection. A client's and a server's belong together while the client's lasts.
    struct End {
        Kind kind = Kind::none;
        int other = nobody;
        std::size_t server = 0;
        bool asked = false;  ///< a server's: the last that passed was the client's
    };
    struct Asked {
        sockaddr_in client;
        std::uint16_t id;
    };

    void watch(int socket, Kind kind) {
        if (ends_.size() <= static_cast<std::size_t>(socket))
            ends_.resize(static_cast<std::size_t>(socket) + 1);
        end(socket) = {kind};
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = socket;
        if (epoll_ctl(epoll_, EPOLL_CTL_ADD, socket, &event) != 0) give_up("epoll_ctl");
    }

    void on_readable(int socket) {
        switch (end(socket).kind) {
            case Kind::udp_clients: return take_query();
            case Kind::udp_server: return take_answer(socket);
            case Kind::tcp_door: return accept_one(socket);
            case Kind::client:
            case Kind::server: return pass_on(socket);
            case Kind::none: return;
        }
    }

    void take_query() {
        sockaddr_in client{};
        socklen_t length = sizeof client;
        const ssize_t size = recvfrom(udp_, message_.data(), message_.size(), 0,
                                      reinterpret_cast<sockaddr*>(&client), &length);
        if (size < 2) return;
        const std::uint16_t id = next_id_++;
        asked_[id] = {client, message_id()};
        set_message_id(id);
        (void)send(udp_servers_[turn_++ % udp_servers_.size()], message_.data(),
                   static_cast<std::size_t>(size), 0);
    }

    void take_answer(int socket) {
        const ssize_t size = recv(socket, message_.data(), message_.size(), 0);
        if (size < 2) return;
        const Asked& asked = asked_[message_id()];
        set_message_id(asked.id);
        (void)sendto(udp_, message_.data(), static_cast<std::size_t>(size), 0,
                     generic(asked.client), sizeof asked.client);
    }

    // As the bytes are: it is only given back.
    [[nodiscard]] std::uint16_t message_id() const {
        std::uint16_t id = 0;
        std::memcpy(&id, message_.data(), sizeof id);
        return id;
    }
    void set_message_id(std::uint16_t id) { std::memcpy(message_.data(), &id, sizeof id); }

    void accept_one(int door) {
        const int client = accept4(door, nullptr, nullptr, SOCK_NONBLOCK);
        if (client < 0) return;
        watch(client, Kind::client);
        pass_on(client);  // the query may be there already
    }

    void pass_on(int from) {
        const ssize_t size = recv(from, message_.data(), message_.size(), MSG_DONTWAIT);
        if (size < 0 && errno == EAGAIN) return;
        if (size <= 0) return part(from);
        const bool client = end(from).kind == Kind::client;
        if (client && end(from).other == nobody) give_server(from);
        const int to = end(from).other;
        if (to == nobody) return;
        end(client ? to : from).asked = client;
        (void)send(to, message_.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL);
    }

    void give_server(int client) {
        const std::size_t number = turn_++ % servers_.size();
        std::vector<int>& idle = idle_[number];
        int server = nobody;
        if (idle.empty()) {
            server = connected(SOCK_STREAM, servers_[number]);
            watch(server, Kind::server);
            end(server).server = number;
        } else {
            server = idle.back();
            idle.pop_back();
        }
        end(server).other = client;
        end(client).other = server;
    }

    void part(int socket) {
        const End gone = end(socket);
        forget(socket);
        if (gone.kind == Kind::server && gone.other == nobody)
            std::erase(idle_[gone.server], socket);
        if (gone.other == nobody) return;
        end(gone.other).other = nobody;
        if (gone.kind == Kind::server || end(gone.other).asked)
            forget(gone.other);
        else
            idle_[end(gone.other).server].push_back(gone.other);
    }

    void forget(int socket) {
        end(socket) = {};
        close(socket);
    }

    End& end(int socket) { return ends_[static_cast<std::size_t>(socket)]; }

    const std::span<const sockaddr_in> servers_;
    const int epoll_ = epoll_create1(0);
    int udp_ = nobody;
    std::vector<int> udp_servers_;
    std::size_t turn_ = 0;
    std::uint16_t next_id_ = 0;
    std::vector<Asked> asked_ = std::vector<Asked>(1U << 16);
    std::vector<End> ends_;
    std::vector<std::vector<int>> idle_;  ///< connections, by server
    std::array<std::uint8_t, 1U << 16> message_{};
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        std::fprintf(stderr, "usage: relay THREADS SERVICE-ADDRESS SERVER-ADDRESS...\n");
        return 2;
    }
    const sockaddr_in service = address_of(argv[2]);
    std::vector<sockaddr_in> servers;
    for (int i = 3; i < argc; ++i)
        servers.push_back(address_of(argv[i]));
    std::vector<std::thread> threads;
    for (int i = 0; i < std::atoi(argv[1]); ++i)
        threads.emplace_back([&] { Relay{service, servers}.run(); });
    for (std::thread& thread : threads)
        thread.join();
}
