// SPDX-License-Identifier: Apache-2.0
#include "unit/dataplane/proxy/servers.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstring>
#include <stdexcept>

#include "unit/support/unused_port.h"

namespace dnsdirector::dataplane::proxy::testing {
namespace {

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

sockaddr_in of(const Endpoint& endpoint) {
    return loopback(endpoint.port);
}

int open_socket(int type, std::uint16_t port) {
    const int socket = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
    const int on = 1;
    // Over UDP two clients might get the same port by it.
    if (type == SOCK_STREAM) setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address = loopback(port);
    if (bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        close(socket);
        return -1;
    }
    return socket;
}

/// False where it is not whole, or none.
bool strip_header(Octets& bytes) {
    constexpr std::ptrdiff_t size = 16 + 12;
    if (bytes.size() < size || bytes[0] != 0x0D || bytes[12] != 0x21 || bytes[15] != 12)
        return false;
    bytes.erase(bytes.begin(), bytes.begin() + size);
    return true;
}

thread_local Endpoint peer_of_query;

bool readable(int socket, int timeout_ms) {
    pollfd poll_of{socket, POLLIN, 0};
    return poll(&poll_of, 1, timeout_ms) == 1;
}

}  // namespace

Endpoint last_peer() {
    return peer_of_query;
}

Octets framed(const Octets& message) {
    Octets bytes = {static_cast<std::uint8_t>(message.size() >> 8),
                    static_cast<std::uint8_t>(message.size() & 0xff)};
    bytes.insert(bytes.end(), message.begin(), message.end());
    return bytes;
}

Octets answer_to(const Octets& query, std::uint8_t rcode, std::size_t padding) {
    Octets answer = query;
    answer[2] |= 0x80;
    answer[3] = rcode;
    answer.insert(answer.end(), padding, 0x5a);
    return answer;
}

FakeServer::Behaviour answers_with(std::uint8_t rcode, std::size_t padding) {
    return [=](const Octets& query) -> std::vector<Octets> {
        return {answer_to(query, rcode, padding)};
    };
}

bool eventually(const std::function<bool()>& condition) {
    for (int i = 0; i < 1000; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
}

// ---- server ---------------------------------------------------------------------

FakeServer::FakeServer(Behaviour behaviour, std::uint16_t port)
    : behaviour_(std::move(behaviour)), port_(port != 0 ? port : support::unused_port()) {
    udp_ = open_socket(SOCK_DGRAM, port_);
    tcp_ = open_socket(SOCK_STREAM, port_);
    const int large = 4 << 20;
    setsockopt(udp_, SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
    if (udp_ < 0 || tcp_ < 0 || listen(tcp_, 128) != 0) throw std::runtime_error("no server");
    thread_ = std::thread([this] { run(); });
}

FakeServer::~FakeServer() {
    stop_ = true;
    thread_.join();
    close(udp_);
    close(tcp_);
    for (const Connection& connection : open_)
        close(connection.socket);
}

Endpoint FakeServer::endpoint() const {
    return {*IpAddress::parse("127.0.0.1"), port_};
}

void FakeServer::run() {
    while (!stop_) {
        std::vector<pollfd> polled = {{udp_, POLLIN, 0}, {tcp_, POLLIN, 0}};
        for (const Connection& connection : open_)
            polled.push_back({connection.socket, POLLIN, 0});
        if (poll(polled.data(), polled.size(), 20) <= 0) continue;
        if (polled[0].revents != 0) serve_udp();
        std::vector<Connection> still;
        for (std::size_t i = 0; i < open_.size(); ++i)
            if (polled[i + 2].revents == 0 || serve_tcp(open_[i]))
                still.push_back(std::move(open_[i]));
            else
                close(open_[i].socket);
        open_ = std::move(still);
        if (polled[1].revents != 0) {
            ++connections_;
            open_.push_back({accept(tcp_, nullptr, nullptr), {}});
        }
    }
}

void FakeServer::serve_udp() {
    Octets query(65536);
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    const ssize_t got = recvfrom(udp_, query.data(), query.size(), MSG_DONTWAIT,
                                 reinterpret_cast<sockaddr*>(&peer), &size);
    if (got < 0) return;
    query.resize(static_cast<std::size_t>(got));
    if (header_ && !strip_header(query)) return;
    ++asked_;
    std::array<std::uint8_t, 4> address{};
    std::memcpy(address.data(), &peer.sin_addr, address.size());
    peer_of_query = {IpAddress::from_v4(address), ntohs(peer.sin_port)};
    for (const Octets& answer : behaviour_(query))
        sendto(udp_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&peer), size);
}

bool FakeServer::serve_tcp(Connection& connection) {
    std::array<std::uint8_t, 65536> buffer{};
    const ssize_t got = recv(connection.socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got <= 0) return false;
    connection.bytes.insert(connection.bytes.end(), buffer.begin(), buffer.begin() + got);
    if (header_ && !connection.headed && !(connection.headed = strip_header(connection.bytes)))
        return true;
    std::vector<Octets> answers;
    while (connection.bytes.size() >= 2) {
        const std::size_t size =
            static_cast<std::size_t>(connection.bytes[0] << 8 | connection.bytes[1]);
        if (connection.bytes.size() < 2 + size) break;
        const Octets query(connection.bytes.begin() + 2,
                           connection.bytes.begin() + 2 + static_cast<std::ptrdiff_t>(size));
        connection.bytes.erase(connection.bytes.begin(),
                               connection.bytes.begin() + 2 + static_cast<std::ptrdiff_t>(size));
        ++asked_;
        for (Octets& answer : behaviour_(query))
            answers.push_back(std::move(answer));
    }
    if (reverse_) std::reverse(answers.begin(), answers.end());
    for (const Octets& answer : answers) {
        const Octets bytes = framed(answer);
        ::send(connection.socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (close_after_ != 0 && ++connection.answers >= close_after_) return false;
    }
    return true;
}

// ---- clients --------------------------------------------------------------------

UdpClient::UdpClient(const Endpoint& service) : socket_(open_socket(SOCK_DGRAM, 0)) {
    const sockaddr_in address = of(service);
    connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

UdpClient::~UdpClient() {
    close(socket_);
}

void UdpClient::send(const Octets& message) const {
    if (::send(socket_, message.data(), message.size(), 0) < 0)
        throw std::runtime_error("cannot send");
}

std::optional<Octets> UdpClient::receive(int timeout_ms) const {
    if (!readable(socket_, timeout_ms)) return std::nullopt;
    Octets message(65536);
    const ssize_t got = recv(socket_, message.data(), message.size(), 0);
    if (got < 0) return std::nullopt;
    message.resize(static_cast<std::size_t>(got));
    return message;
}

TcpClient::TcpClient(const Endpoint& service)
    : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_in address = of(service);
    connected_ = connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

TcpClient::~TcpClient() {
    close(socket_);
}

void TcpClient::write(const Octets& bytes) const {
    std::size_t at = 0;
    while (at < bytes.size()) {
        const ssize_t sent = ::send(socket_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
        if (sent <= 0) return;
        at += static_cast<std::size_t>(sent);
    }
}

void TcpClient::send(const Octets& message) const {
    write(framed(message));
}

bool TcpClient::fill(std::size_t size, int timeout_ms) {
    while (bytes_.size() < size) {
        if (!readable(socket_, timeout_ms)) return false;
        std::array<std::uint8_t, 65536> buffer{};
        const ssize_t got = recv(socket_, buffer.data(), buffer.size(), 0);
        if (got <= 0) return false;
        bytes_.insert(bytes_.end(), buffer.begin(), buffer.begin() + got);
    }
    return true;
}

std::optional<Octets> TcpClient::receive(int timeout_ms) {
    if (!fill(2, timeout_ms)) return std::nullopt;
    const std::size_t size = static_cast<std::size_t>(bytes_[0] << 8 | bytes_[1]);
    if (!fill(2 + size, timeout_ms)) return std::nullopt;
    Octets message(bytes_.begin() + 2, bytes_.begin() + 2 + static_cast<std::ptrdiff_t>(size));
    bytes_.erase(bytes_.begin(), bytes_.begin() + 2 + static_cast<std::ptrdiff_t>(size));
    return message;
}

bool TcpClient::closed(int timeout_ms) {
    if (!readable(socket_, timeout_ms)) return false;
    std::uint8_t byte = 0;
    return recv(socket_, &byte, 1, MSG_PEEK) <= 0;
}

void TcpClient::shut_writing() const {
    shutdown(socket_, SHUT_WR);
}

}  // namespace dnsdirector::dataplane::proxy::testing
