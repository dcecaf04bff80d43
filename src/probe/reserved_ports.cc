// SPDX-License-Identifier: Apache-2.0
#include "probe/reserved_ports.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <fstream>
#include <optional>
#include <utility>

namespace dnsdirector::probe {
namespace {

constexpr std::uint16_t most_ports = 32;
/// Below are services, which may start later than we do.
constexpr std::uint32_t lowest = 10240, end_of_ports = 65536;
constexpr int attempts_a_size = 64;

bool drop_everything(int socket) {
    sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    const sock_fprog program{1, &drop};
    return ::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

/// Of both families where there is IPv6. Not open, with errno, where the port is taken.
Descriptor hold(int kind, std::uint16_t port) {
    const int off = 0;
    sockaddr_in6 any{};
    socklen_t size = sizeof any;
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(port);
    Descriptor socket(::socket(AF_INET6, kind | SOCK_CLOEXEC, 0));
    if (!socket.open() && errno == EAFNOSUPPORT) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
        size = sizeof v4;
        any = {};
        reinterpret_cast<sockaddr_in&>(any) = v4;
        socket = Descriptor(::socket(AF_INET, kind | SOCK_CLOEXEC, 0));
    }
    if (!socket.open()) return socket;
    if (size == sizeof any) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (!drop_everything(socket.get()) ||
        ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&any), size) != 0 ||
        (kind == SOCK_STREAM && ::listen(socket.get(), 1) != 0))
        return {};
    return socket;
}

/// All of them or none.
std::optional<std::vector<Descriptor>> hold_all(const PortRange& range) {
    std::vector<Descriptor> sockets;
    for (unsigned port = range.first; port < unsigned{range.first} + range.count; ++port)
        for (const int kind : {SOCK_DGRAM, SOCK_STREAM}) {
            sockets.push_back(hold(kind, static_cast<std::uint16_t>(port)));
            if (!sockets.back().open()) return std::nullopt;
        }
    return sockets;
}

/// From which the kernel takes ports for whoever asks for any.
std::pair<unsigned, unsigned> kernels_own() {
    unsigned from = 32768, to = 60999;
    std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> from >> to;
    return {from, to};
}

}  // namespace

Result<ReservedPorts> ReservedPorts::reserve(IdSource& ids) {
    const auto [from, to] = kernels_own();
    int error = 0;
    for (std::uint16_t count = most_ports; count > 0; count = static_cast<std::uint16_t>(count / 2))
        for (int attempt = 0; attempt < attempts_a_size; ++attempt) {
            const std::uint32_t blocks = (end_of_ports - lowest) / count;
            const PortRange range{static_cast<std::uint16_t>(lowest + ids.next() % blocks * count),
                                  count};
            const bool among = range.first <= to && range.first + range.count > from;
            if (among && attempt < attempts_a_size / 2) continue;
            if (auto sockets = hold_all(range)) return ReservedPorts(range, std::move(*sockets));
            error = errno;
            if (error == EMFILE || error == ENFILE)
                return fail_errno("cannot keep ports for checks through service IPs", error);
        }
    return fail_errno("cannot keep a port for checks through service IPs", error);
}

}  // namespace dnsdirector::probe
