// SPDX-License-Identifier: Apache-2.0
#include "unit/probe/responder.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

#include "probe/socket.h"
#include "unit/support/unused_port.h"

namespace dnsdirector::probe::test {
namespace {

bool bind_to(int socket, const Endpoint& endpoint) {
    const SocketAddress where(endpoint);
    return ::bind(socket, where.get(), where.size()) == 0;
}

std::uint16_t port_of(int socket) {
    sockaddr_in6 where{};  // the port lies at the same place in both families
    socklen_t size = sizeof where;
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&where), &size);
    return ntohs(where.sin6_port);
}

bool wait_readable(int socket) {
    pollfd one{socket, POLLIN, 0};
    return ::poll(&one, 1, 2000) == 1;
}

}  // namespace

Bytes reply_to(const Bytes& query, std::uint8_t rcode) {
    Bytes reply = query;
    reply[2] |= 0x80;
    reply[3] = static_cast<std::uint8_t>((reply[3] & 0xF0) | rcode);
    return reply;
}

Replies right(const Bytes& query) {
    return {reply_to(query)};
}

Replies truncated(const Bytes& query) {
    Bytes reply = reply_to(query);
    reply[2] |= 0x02;
    return {reply};
}

Responder::Responder(Answer udp, Answer tcp, Tcp how, const char* address)
    : udp_answer_(std::move(udp)), tcp_answer_(std::move(tcp)), how_(how) {
    endpoint_.address = *IpAddress::parse(address);
    const int family = SocketAddress(endpoint_).family();
    // A port that is free for both: UDP's choice, until TCP can have it too.
    for (int attempt = 0; attempt < 50 && tcp_ < 0; ++attempt) {
        udp_ = ::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        tcp_ = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (bind_to(udp_, {endpoint_.address, 0}) &&
            bind_to(tcp_, {endpoint_.address, port_of(udp_)}) && ::listen(tcp_, 64) == 0)
            break;
        ::close(udp_);
        ::close(tcp_);
        tcp_ = -1;
    }
    if (tcp_ < 0) throw std::runtime_error("no port for a test server");
    endpoint_.port = port_of(udp_);
    stop_ = ::eventfd(0, EFD_CLOEXEC);
    thread_ = std::thread([this] { serve(); });
}

Responder::~Responder() {
    const std::uint64_t one = 1;
    if (::write(stop_, &one, sizeof one) == sizeof one) thread_.join();
    for (const int descriptor : {udp_, tcp_, stop_})
        ::close(descriptor);
}

void Responder::serve() {
    while (true) {
        std::array<pollfd, 3> wait{{{udp_, POLLIN, 0}, {tcp_, POLLIN, 0}, {stop_, POLLIN, 0}}};
        if (::poll(wait.data(), wait.size(), -1) < 0) continue;
        if (wait[2].revents != 0) return;
        if (wait[0].revents != 0) serve_udp();
        if (wait[1].revents != 0) serve_tcp();
    }
}

void Responder::serve_udp() {
    Bytes query(4096);
    sockaddr_in6 client{};
    socklen_t size = sizeof client;
    auto* from = reinterpret_cast<sockaddr*>(&client);
    const ssize_t got = ::recvfrom(udp_, query.data(), query.size(), MSG_DONTWAIT, from, &size);
    if (got < 0) return;
    query.resize(static_cast<std::size_t>(got));
    ++udp_queries_;
    if (!udp_answer_) return;
    for (const Bytes& reply : udp_answer_(query))
        ::sendto(udp_, reply.data(), reply.size(), 0, from, size);
}

void Responder::serve_tcp() {
    const int connection = ::accept4(tcp_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) return;
    Bytes query(4096);
    ssize_t got = 0;
    if (wait_readable(connection)) got = ::recv(connection, query.data(), query.size(), 0);
    if (got > 2) {
        ++tcp_queries_;
        query.resize(static_cast<std::size_t>(got));
        query.erase(query.begin(), query.begin() + 2);
        if (how_ == Tcp::resets) {
            const linger reset{1, 0};
            ::setsockopt(connection, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        }
        const bool answers = how_ == Tcp::answers || how_ == Tcp::in_pieces;
        for (Bytes reply : answers&& tcp_answer_ ? tcp_answer_(query) : Replies{}) {
            reply.insert(reply.begin(), {static_cast<std::uint8_t>(reply.size() >> 8),
                                         static_cast<std::uint8_t>(reply.size())});
            const std::size_t piece = how_ == Tcp::in_pieces ? 1 : reply.size();
            for (std::size_t at = 0; at < reply.size(); at += piece) {
                ::send(connection, reply.data() + at, piece, MSG_NOSIGNAL);
                if (piece == 1) std::this_thread::sleep_for(std::chrono::microseconds(200));
            }
        }
        // Stay until the other side is done, so that nothing sent is cut off.
        if (answers && wait_readable(connection)) ::recv(connection, query.data(), query.size(), 0);
    }
    ::close(connection);
}

Endpoint closed_port(const char* address) {
    return {*IpAddress::parse(address), support::unused_port()};
}

}  // namespace dnsdirector::probe::test
