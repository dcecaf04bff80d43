// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "dataplane/proxy/socket_address.h"

namespace dnsdirector::dataplane::proxy {
namespace {

// A tenth of a second of 50,000 queries (about 800 bytes each, as the kernel counts them): as
// long as a worker may have to wait for a processor, or a successor to start.
constexpr int receive_buffer = 4 << 20;
constexpr int send_buffer = 1 << 20;
constexpr int backlog = 1024;
constexpr int fast_open_queue = 256;

void set(int socket, int level, int option, int value) {
    (void)setsockopt(socket, level, option, &value, sizeof value);
}

/// The first goes beyond the system's limit, and needs CAP_NET_ADMIN.
void set_buffer(int socket, int forced, int option, int bytes) {
    if (setsockopt(socket, SOL_SOCKET, forced, &bytes, sizeof bytes) != 0)
        set(socket, SOL_SOCKET, option, bytes);
}

std::string mend_for(int error, const core::ServiceKey& key) {
    if (error == EACCES)
        return fmt::format(
            "; ports below 1024 need CAP_NET_BIND_SERVICE (AmbientCapabilities= in the unit), or "
            "sysctl net.ipv4.ip_unprivileged_port_start={}, or another port",
            key.port);
    if (error == EADDRINUSE) return "; another program has it: `ss -lnp` shows which";
    return "";
}

int bound(const core::ServiceKey& key) {
    const bool tcp = key.protocol == Protocol::tcp;
    const int socket = tcp ? open_tcp(key.address.family()) : open_udp(key.address.family());
    if (socket < 0) return -1;
    set(socket, SOL_SOCKET, SO_REUSEPORT, 1);
    if (tcp) set(socket, SOL_SOCKET, SO_REUSEADDR, 1);
    if (key.address.is_v4())
        set(socket, IPPROTO_IP, IP_FREEBIND, 1);
    else
        set(socket, IPPROTO_IPV6, IPV6_FREEBIND, 1);
    const SocketAddress address(key.endpoint());
    if (bind(socket, &address.any, address.size()) == 0 && (!tcp || listen(socket, backlog) == 0)) {
        if (tcp) set(socket, IPPROTO_TCP, TCP_FASTOPEN, fast_open_queue);
        return socket;
    }
    const int error = errno;
    close(socket);
    errno = error;
    return -1;
}

int value_of_option(int socket, int option) {
    int value = 0;
    socklen_t size = sizeof value;
    (void)getsockopt(socket, SOL_SOCKET, option, &value, &size);
    return value;
}

void set_udp_options(int socket, bool v4) {
    // A socket unit (ReceiveBuffer=) may have given more than we are allowed to.
    if (value_of_option(socket, SO_RCVBUF) < receive_buffer)
        set_buffer(socket, SO_RCVBUFFORCE, SO_RCVBUF, receive_buffer);
    if (value_of_option(socket, SO_SNDBUF) < send_buffer)
        set_buffer(socket, SO_SNDBUFFORCE, SO_SNDBUF, send_buffer);
    // Large answers are fragmented by the interface's MTU, whatever an ICMP message (which may
    // be forged) says of the path's: RFC 9715, section 3.1 and its appendix.
    if (v4)
        set(socket, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
    else
        set(socket, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
}

}  // namespace

int open_udp(Family family) {
    const bool v4 = family == Family::ipv4;
    const int socket =
        ::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
    if (socket < 0) return -1;
    set_udp_options(socket, v4);
    if (!v4) set(socket, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    return socket;
}

void make_ours(int socket) {
    (void)fcntl(socket, F_SETFD, FD_CLOEXEC);
    (void)fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
    if (value_of_option(socket, SO_TYPE) == SOCK_STREAM) {
        set(socket, IPPROTO_TCP, TCP_FASTOPEN, fast_open_queue);
        return set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    }
    set_udp_options(socket, value_of_option(socket, SO_DOMAIN) == AF_INET);
}

int open_tcp(Family family) {
    const bool v4 = family == Family::ipv4;
    const int socket =
        ::socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (socket < 0) return -1;
    set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    if (!v4) set(socket, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    return socket;
}

Result<std::shared_ptr<Listener>> Listener::adopt(const core::ServiceKey& key,
                                                  std::vector<int> sockets, std::size_t workers,
                                                  std::size_t lent) {
    std::size_t wanted = workers;
    const auto look = [&] {
        if (key.protocol == Protocol::udp && lent == 0)
            wanted = workers * sockets_for_worker(value_of_option(sockets.front(), SO_RCVBUF));
    };
    const bool found = !sockets.empty();
    if (found) look();
    while (sockets.size() < wanted) {
        const int socket = bound(key);
        if (socket < 0 && (found || sockets.size() >= workers)) break;
        if (socket < 0) {
            const int error = errno;
            for (const int other : sockets)
                ::close(other);
            return tl::unexpected(
                Error{system_error("cannot listen on " + key.to_string(), error).message +
                      mend_for(error, key)});
        }
        sockets.push_back(socket);
        if (sockets.size() == 1) look();
    }
    return std::make_shared<Listener>(key, std::move(sockets), workers, lent);
}

std::size_t sockets_for_worker(int granted) {
    constexpr std::size_t most = 8;
    constexpr int asked = 2 * receive_buffer;  // the kernel doubles it (socket(7))
    if (granted <= 0) return 1;
    return std::min(most, static_cast<std::size_t>((asked + granted - 1) / granted));
}

std::vector<int> Listener::sockets_of(std::size_t worker) const {
    std::vector<int> of_worker = {socket(worker)};
    for (std::size_t i = worker + workers_; i < sockets_.size(); i += workers_)
        of_worker.push_back(sockets_[i]);
    return of_worker;
}

Listener::~Listener() {
    for (const int socket : sockets_)
        ::close(socket);
}

void Listener::close_door() {
    if (key_.protocol != Protocol::tcp) return;
    for (const int socket : own())
        (void)shutdown(socket, SHUT_RD);
}

}  // namespace dnsdirector::dataplane::proxy
