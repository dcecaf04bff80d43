// SPDX-License-Identifier: Apache-2.0
#include "probe/ping_probe.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <span>

#include "probe/icmp_error.h"

namespace dnsdirector::probe {
namespace {

using Bytes = std::span<const std::uint8_t>;

struct Numbers {
    int family, protocol;
    std::uint8_t request, reply;
};
constexpr Numbers numbers_v4{AF_INET, IPPROTO_ICMP, ICMP_ECHO, ICMP_ECHOREPLY};
constexpr Numbers numbers_v6{AF_INET6, IPPROTO_ICMPV6, ICMP6_ECHO_REQUEST, ICMP6_ECHO_REPLY};

const Numbers& numbers_of(const IpAddress& address) {
    return address.is_v4() ? numbers_v4 : numbers_v6;
}

void write16(std::uint8_t* at, unsigned value) {
    at[0] = static_cast<std::uint8_t>(value >> 8);
    at[1] = static_cast<std::uint8_t>(value);
}

/// RFC 1071.
std::uint16_t checksum(Bytes bytes) {
    std::uint32_t sum = 0;
    for (std::size_t at = 0; at + 1 < bytes.size(); at += 2)
        sum += static_cast<std::uint32_t>(bytes[at] << 8 | bytes[at + 1]);
    while (sum > 0xFFFF)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

/// The kind of socket that we may open; nothing where neither.
std::optional<int> kind_allowed(const Numbers& numbers) {
    for (const int kind : {SOCK_DGRAM, SOCK_RAW})
        if (Descriptor(::socket(numbers.family, kind | SOCK_CLOEXEC, numbers.protocol)).open())
            return kind;
    return std::nullopt;
}

/// A raw socket is shown every ICMP message of the machine: only echo replies, please.
void filter(int socket, const Numbers& numbers) {
    if (numbers.family == AF_INET) {
        const std::uint32_t unwanted = ~(1U << ICMP_ECHOREPLY);
        constexpr int icmp_filter = 1;  // ICMP_FILTER of linux/icmp.h
        ::setsockopt(socket, SOL_RAW, icmp_filter, &unwanted, sizeof unwanted);
        return;
    }
    icmp6_filter wanted{};
    ICMP6_FILTER_SETBLOCKALL(&wanted);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &wanted);
    ::setsockopt(socket, IPPROTO_ICMPV6, ICMP6_FILTER, &wanted, sizeof wanted);
}

/// What follows the IPv4 header, which raw sockets alone give us.
Bytes payload(Bytes packet, const Numbers& numbers, int kind) {
    if (numbers.family != AF_INET || kind != SOCK_RAW || packet.empty()) return packet;
    const std::size_t header = std::size_t{4} * (packet[0] & 0x0FU);
    return packet.size() < header ? Bytes{} : packet.subspan(header);
}

bool comes_from(const sockaddr_in6& sender, const IpAddress& target) {
    const auto* bytes = sender.sin6_family == AF_INET
                            ? reinterpret_cast<const std::uint8_t*>(
                                  &reinterpret_cast<const sockaddr_in&>(sender).sin_addr)
                            : sender.sin6_addr.s6_addr;
    return std::equal(bytes, bytes + target.size(), target.bytes().begin());
}

}  // namespace

Result<std::unique_ptr<Probe>> PingProbe::make(Environment& environment, std::uint64_t token,
                                               const Endpoint& target, const core::PingCheck& check,
                                               const core::CheckTiming& timing) {
    core::Via via = check.via;
    via.source_port = 0;  // would be the identifier
    Result<Path> path = make_path({target.address, 0}, via);
    if (!path) return tl::unexpected(path.error());
    const std::optional<int> kind = kind_allowed(numbers_of(target.address));
    if (!kind)
        return fail(
            "cannot ping: this takes CAP_NET_RAW, or a group of the director's in "
            "net.ipv4.ping_group_range");
    return std::unique_ptr<Probe>(
        new PingProbe(environment, token, target.address, std::move(*path), *kind, timing));
}

PingProbe::PingProbe(Environment& environment, std::uint64_t token, const IpAddress& target,
                     Path path, int kind, const core::CheckTiming& timing)
    : RetryingProbe(environment, token, timing),
      target_(target),
      path_(std::move(path)),
      kind_(kind),
      socket_(environment.sockets) {}

void PingProbe::end() {
    socket_.close();
}

void PingProbe::write_message() {
    message_ = {numbers_of(target_).request};
    write16(&message_[4], identifier_);
    write16(&message_[6], sequence_);
    for (std::size_t at = header_size; at < message_size; at += 2)
        write16(&message_[at], environment_.ids.next());
    if (target_.is_v4()) write16(&message_[2], checksum(message_));  // ICMPv6: the kernel's work
}

Probe::Progress PingProbe::begin_try(TimePoint /*now*/) {
    const Numbers& numbers = numbers_of(target_);
    if (!socket_.is_open()) {
        if (Progress failed = socket_.open(kind_, numbers.protocol, path_))
            return finish(std::move(*failed));
        report_icmp_errors(socket_.get(), numbers.family);
        if (kind_ == SOCK_RAW) filter(socket_.get(), numbers);
        if (Progress failed = socket_.watch(environment_.epoll, token_, EPOLLIN))
            return finish(std::move(*failed));
        identifier_ = environment_.ids.next();
        sequence_ = environment_.ids.next();
    }
    ++sequence_;
    write_message();
    if (::send(socket_.get(), message_.data(), message_.size(), MSG_NOSIGNAL) < 0)
        return finish(outcome_of(errno, Stage::own));
    return std::nullopt;
}

bool PingProbe::is_our_echo(Bytes message) const {
    if (message.size() != message_size || message[0] != numbers_of(target_).reply ||
        message[1] != 0)
        return false;
    // The kernel has set the identifier of a datagram socket, and looked at the reply's.
    const std::size_t first = kind_ == SOCK_RAW ? 4 : 6;
    return std::ranges::equal(message.subspan(first), Bytes(message_).subspan(first));
}

Probe::Progress PingProbe::look() {
    auto& buffer = environment_.buffer;
    while (true) {
        sockaddr_in6 sender{};
        socklen_t size = sizeof sender;
        const ssize_t got = ::recvfrom(socket_.get(), buffer.data(), buffer.size(), 0,
                                       reinterpret_cast<sockaddr*>(&sender), &size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return std::nullopt;
        if (got < 0) {
            if (Progress outcome = outcome_of_icmp(socket_.get(), errno))
                return finish(std::move(*outcome));
            continue;
        }
        const Bytes packet(buffer.data(), static_cast<std::size_t>(got));
        if (comes_from(sender, target_) && is_our_echo(payload(packet, numbers_of(target_), kind_)))
            return pass();
        // Of an earlier try, of another program (raw), or forged.
        ++environment_.statistics.ignored_replies;
    }
}

}  // namespace dnsdirector::probe
