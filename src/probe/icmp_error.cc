// SPDX-License-Identifier: Apache-2.0
#include "probe/icmp_error.h"

#include <fmt/core.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "probe/socket.h"

namespace dnsdirector::probe {
namespace {

using core::Failure;

/// What a type and code say (RFC 792, RFC 1812 5.2.7.1, RFC 4443 3.1). The
/// first line that fits counts; code any: what no other line names.
constexpr int any = -1;
enum class By : std::uint8_t { server, router };
struct Meaning {
    int origin, type, code;
    By by;
    Failure failure;
    const char* words;
};
constexpr int v4 = SO_EE_ORIGIN_ICMP, v6 = SO_EE_ORIGIN_ICMP6;
constexpr const char* filtered = "filtered on the way";
constexpr Meaning meanings[] = {
    {v4, ICMP_UNREACH, ICMP_UNREACH_PORT, By::server, Failure::refused, "connection refused"},
    {v4, ICMP_UNREACH, ICMP_UNREACH_PROTOCOL, By::server, Failure::refused, "protocol unreachable"},
    {v4, ICMP_UNREACH, ICMP_UNREACH_NET, By::router, Failure::refused, "network unreachable"},
    {v4, ICMP_UNREACH, ICMP_UNREACH_NEEDFRAG, By::router, Failure::none, ""},
    {v4, ICMP_UNREACH, ICMP_UNREACH_NET_PROHIB, By::router, Failure::refused, filtered},
    {v4, ICMP_UNREACH, ICMP_UNREACH_HOST_PROHIB, By::router, Failure::refused, filtered},
    {v4, ICMP_UNREACH, ICMP_UNREACH_FILTER_PROHIB, By::router, Failure::refused, filtered},
    {v4, ICMP_UNREACH, any, By::router, Failure::refused, "host unreachable"},
    {v4, ICMP_TIMXCEED, any, By::router, Failure::silence, "lost on the way: TTL exceeded"},
    {v6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOPORT, By::server, Failure::refused,
     "connection refused"},
    {v6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOROUTE, By::router, Failure::refused,
     "network unreachable"},
    {v6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADDR, By::router, Failure::refused,
     "host unreachable"},
    {v6, ICMP6_DST_UNREACH, any, By::router, Failure::refused, filtered},
    {v6, ICMP6_TIME_EXCEEDED, any, By::router, Failure::silence,
     "lost on the way: hop limit exceeded"},
    {v6, ICMP6_PARAM_PROB, ICMP6_PARAMPROB_NEXTHEADER, By::server, Failure::refused,
     "protocol unreachable"},
};

const Meaning* meaning_of(int origin, int type, int code) {
    for (const Meaning& meaning : meanings)
        if (meaning.origin == origin && meaning.type == type &&
            (meaning.code == any || meaning.code == code))
            return &meaning;
    return nullptr;
}

Outcome said_by(const Meaning& meaning, const IpAddress& by) {
    return {meaning.failure, fmt::format("{}, says {}", meaning.words, by.to_string()), {}};
}

std::optional<IpAddress> address_of(const sockaddr* address) {
    if (address->sa_family == AF_INET) {
        std::array<std::uint8_t, 4> bytes{};
        std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, 4);
        return IpAddress::from_v4(bytes);
    }
    if (address->sa_family != AF_INET6) return std::nullopt;
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, 16);
    return IpAddress::from_v6(bytes);
}

std::optional<IpAddress> own_address(int socket) {
    sockaddr_storage own{};
    socklen_t size = sizeof own;
    auto* address = reinterpret_cast<sockaddr*>(&own);
    if (::getsockname(socket, address, &size) != 0) return std::nullopt;
    return address_of(address);
}

Outcome explain(int socket, const Meaning& meaning, const sock_extended_err& error) {
    const std::optional<IpAddress> by = address_of(SO_EE_OFFENDER(&error));
    if (meaning.by == By::server || !by) return {meaning.failure, meaning.words, {}};
    if (by == own_address(socket))
        return {Failure::silence,
                fmt::format("host unreachable: no answer to {}",
                            error.ee_origin == v4 ? "ARP" : "neighbour discovery"),
                {}};
    return said_by(meaning, *by);
}

}  // namespace

void report_icmp_errors(int socket, int family) {
    const int on = 1;
    if (family == AF_INET)
        ::setsockopt(socket, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
    else
        ::setsockopt(socket, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
}

std::optional<Outcome> outcome_of_icmp(int socket, int error) {
    alignas(cmsghdr) std::array<char, 512> control;
    std::array<char, 128> packet;
    iovec data{packet.data(), packet.size()};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(socket, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return outcome_of(error, Stage::udp);
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
         part = CMSG_NXTHDR(&message, part)) {
        const bool queued = (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) ||
                            (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR);
        if (!queued) continue;
        const auto* extended = reinterpret_cast<const sock_extended_err*>(CMSG_DATA(part));
        if (extended->ee_origin == SO_EE_ORIGIN_LOCAL)
            return outcome_of(static_cast<int>(extended->ee_errno), Stage::own);
        const Meaning* meaning =
            meaning_of(extended->ee_origin, extended->ee_type, extended->ee_code);
        if (meaning == nullptr || meaning->failure == Failure::none) return std::nullopt;
        return explain(socket, *meaning, *extended);
    }
    return outcome_of(error, Stage::udp);
}

std::optional<Outcome> outcome_of_icmp(const IcmpReport& report) {
    const Meaning* meaning = meaning_of(report.v6 ? v6 : v4, report.type, report.code);
    if (meaning == nullptr || meaning->failure == Failure::none) return std::nullopt;
    if (meaning->by == By::server) return Outcome{meaning->failure, meaning->words, {}};
    return said_by(*meaning, report.by);
}

}  // namespace dnsdirector::probe
