// SPDX-License-Identifier: Apache-2.0
#include "fuzz/fake_network.h"

#include <sys/epoll.h>
#include <sys/uio.h>

// After the others, which it leans on.
#include <linux/errqueue.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace dnsdirector::fuzz {
namespace {

constexpr int first_descriptor = 1 << 20;  // no real one is as large

Network& net() {
    return Network::instance();
}

int fail_with(int error) {
    errno = error;
    return -1;
}

SocketAddress address_of(const void* name) {
    SocketAddress address;
    const auto* any = static_cast<const sockaddr*>(name);
    std::memcpy(&address, name, any->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof address);
    return address;
}

Octets gathered(const msghdr& header) {
    Octets bytes;
    for (std::size_t i = 0; i < header.msg_iovlen; ++i) {
        const auto* from = static_cast<const std::uint8_t*>(header.msg_iov[i].iov_base);
        bytes.insert(bytes.end(), from, from + header.msg_iov[i].iov_len);
    }
    return bytes;
}

std::size_t scatter(const Datagram& datagram, msghdr& header) {
    const std::size_t size = std::min(datagram.bytes.size(), header.msg_iov[0].iov_len);
    std::copy_n(datagram.bytes.data(), size,
                static_cast<std::uint8_t*>(header.msg_iov[0].iov_base));
    std::memcpy(header.msg_name, &datagram.from, datagram.from.size());
    header.msg_namelen = datagram.from.size();
    return size;
}

}  // namespace

Network& Network::instance() {
    static Network network;
    return network;
}

void Network::reset() {
    *this = {};
    next_ = first_descriptor;
}

int Network::open(Socket::Kind kind) {
    sockets_[next_].kind = kind;
    return next_++;
}

Socket* Network::find(int descriptor) {
    const auto found = sockets_.find(descriptor);
    return found == sockets_.end() ? nullptr : &found->second;
}

bool Network::send_fails() {
    if (failing_sends == 0) return false;
    --failing_sends;
    errno = failure;
    return true;
}

std::uint32_t Network::ready(const Socket& socket) {
    std::uint32_t events = 0;
    if (!socket.in.empty() || !socket.accepted.empty() || !socket.come.empty() || socket.ended)
        events |= EPOLLIN;
    if (socket.kind == Socket::Kind::stream && !socket.connecting && socket.room != 0)
        events |= EPOLLOUT;
    events &= socket.watched;
    if (!socket.errors.empty()) events |= EPOLLERR;
    if (socket.broken) events |= EPOLLERR | EPOLLHUP;
    return events;
}

}  // namespace dnsdirector::fuzz

// ---- in the place of the C library's -------------------------------------------------

using dnsdirector::fuzz::Octets;
using dnsdirector::fuzz::Socket;

extern "C" {

int __real_close(int descriptor);
int __real_epoll_ctl(int epoll, int how, int descriptor, epoll_event* event);

int __wrap_socket(int, int type, int) {
    using dnsdirector::fuzz::net;
    return net().open((type & SOCK_DGRAM) != 0 ? Socket::Kind::datagram : Socket::Kind::stream);
}

int __wrap_bind(int, const sockaddr*, socklen_t) {
    return 0;
}

int __wrap_setsockopt(int, int, int, const void*, socklen_t) {
    return 0;
}

int __wrap_close(int descriptor) {
    auto& net = dnsdirector::fuzz::net();
    if (net.find(descriptor) == nullptr) return __real_close(descriptor);
    net.close(descriptor);
    return 0;
}

int __wrap_epoll_ctl(int epoll, int how, int descriptor, epoll_event* event) {
    Socket* socket = dnsdirector::fuzz::net().find(descriptor);
    if (socket == nullptr) return __real_epoll_ctl(epoll, how, descriptor, event);
    socket->watched = event->events;
    socket->tag = event->data.u64;
    return 0;
}

ssize_t __wrap_getrandom(void* buffer, size_t size, unsigned) {
    std::uint64_t& x = dnsdirector::fuzz::net().random;
    auto* bytes = static_cast<std::uint8_t*>(buffer);
    for (size_t i = 0; i < size; ++i) {  // an LCG's high byte
        x = x * 6364136223846793005U + 1442695040888963407U;
        bytes[i] = static_cast<std::uint8_t>(x >> 56);
    }
    return static_cast<ssize_t>(size);
}

int __wrap_connect(int descriptor, const sockaddr* to, socklen_t) {
    auto& net = dnsdirector::fuzz::net();
    if (net.no_route) return dnsdirector::fuzz::fail_with(ENETUNREACH);
    Socket& socket = *net.find(descriptor);
    socket.peer = dnsdirector::fuzz::address_of(to);
    socket.connecting = true;
    if (net.on_connect) net.on_connect(descriptor);
    return dnsdirector::fuzz::fail_with(EINPROGRESS);
}

int __wrap_accept4(int descriptor, sockaddr* peer, socklen_t* size, int) {
    auto& net = dnsdirector::fuzz::net();
    auto& accepted = net.find(descriptor)->accepted;
    if (accepted.empty()) return dnsdirector::fuzz::fail_with(EAGAIN);
    const int connection = accepted.front();
    accepted.pop_front();
    const auto& from = net.find(connection)->peer;
    std::memcpy(peer, &from, from.size());
    *size = from.size();
    return connection;
}

int __wrap_recvmmsg(int descriptor, mmsghdr* headers, unsigned count, int, timespec*) {
    auto& in = dnsdirector::fuzz::net().find(descriptor)->in;
    if (in.empty()) return dnsdirector::fuzz::fail_with(EAGAIN);
    unsigned done = 0;
    for (; done < count && !in.empty(); ++done, in.pop_front())
        headers[done].msg_len =
            static_cast<unsigned>(dnsdirector::fuzz::scatter(in.front(), headers[done].msg_hdr));
    return static_cast<int>(done);
}

int __wrap_sendmmsg(int descriptor, mmsghdr* headers, unsigned count, int) {
    auto& net = dnsdirector::fuzz::net();
    for (unsigned i = 0; i < count; ++i) {
        if (net.send_fails()) return i != 0 ? static_cast<int>(i) : -1;
        net.on_datagram(descriptor, dnsdirector::fuzz::address_of(headers[i].msg_hdr.msg_name),
                        dnsdirector::fuzz::gathered(headers[i].msg_hdr));
    }
    return static_cast<int>(count);
}

ssize_t __wrap_sendto(int descriptor, const void* bytes, size_t size, int, const sockaddr* to,
                      socklen_t) {
    auto& net = dnsdirector::fuzz::net();
    if (net.send_fails()) return -1;
    const auto* from = static_cast<const std::uint8_t*>(bytes);
    net.on_datagram(descriptor, dnsdirector::fuzz::address_of(to), Octets(from, from + size));
    return static_cast<ssize_t>(size);
}

/// Of the error queue alone.
ssize_t __wrap_recvmsg(int descriptor, msghdr* header, int) {
    auto& errors = dnsdirector::fuzz::net().find(descriptor)->errors;
    if (errors.empty()) return dnsdirector::fuzz::fail_with(EAGAIN);
    const std::size_t size = dnsdirector::fuzz::scatter(errors.front(), *header);
    const bool v4 = errors.front().from.is_v4();
    errors.pop_front();
    cmsghdr* part = CMSG_FIRSTHDR(header);
    part->cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
    part->cmsg_type = v4 ? IP_RECVERR : IPV6_RECVERR;
    part->cmsg_len = CMSG_LEN(sizeof(sock_extended_err));
    sock_extended_err error{};
    error.ee_errno = ECONNREFUSED;
    std::memcpy(CMSG_DATA(part), &error, sizeof error);
    header->msg_controllen = CMSG_SPACE(sizeof error);
    return static_cast<ssize_t>(size);
}

ssize_t __wrap_recv(int descriptor, void* buffer, size_t size, int) {
    auto& net = dnsdirector::fuzz::net();
    Socket& socket = *net.find(descriptor);
    if (socket.broken) return dnsdirector::fuzz::fail_with(ECONNRESET);
    if (socket.come.empty() && !socket.ended) return dnsdirector::fuzz::fail_with(EAGAIN);
    const std::size_t taken = std::min({size, socket.come.size(), net.chunk});
    std::copy_n(socket.come.data(), taken, static_cast<std::uint8_t*>(buffer));
    socket.come.erase(socket.come.begin(), socket.come.begin() + static_cast<long>(taken));
    return static_cast<ssize_t>(taken);
}

ssize_t __wrap_send(int descriptor, const void* bytes, size_t size, int) {
    auto& net = dnsdirector::fuzz::net();
    Socket& socket = *net.find(descriptor);
    if (socket.broken) return dnsdirector::fuzz::fail_with(EPIPE);
    const std::size_t taken = std::min(size, socket.room);
    if (taken == 0) return dnsdirector::fuzz::fail_with(EAGAIN);
    if (socket.room != SIZE_MAX) socket.room -= taken;
    net.on_bytes(descriptor, static_cast<const std::uint8_t*>(bytes), taken);
    return static_cast<ssize_t>(taken);
}

}  // extern "C"
