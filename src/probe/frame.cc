// SPDX-License-Identifier: Apache-2.0
#include "probe/frame.h"

#include <netinet/in.h>

#include <algorithm>

namespace dnsdirector::probe {
namespace {

using dns::read16;

constexpr std::size_t v4_header = 20, v6_header = 40, udp_header = 8, tcp_header = 20;
constexpr std::size_t icmp_header = 8, fragment_header = 8, max_segment_option = 4;
constexpr std::uint8_t tunnel_hops = 64;

std::uint32_t read32(dns::Bytes bytes, std::size_t at) {
    return static_cast<std::uint32_t>(read16(bytes, at)) << 16 | read16(bytes, at + 2);
}

/// Writes on from where it is.
class Pen {
public:
    explicit Pen(std::uint8_t* at) : at_(at) {}
    Pen& u8(unsigned value) {
        *at_++ = static_cast<std::uint8_t>(value);
        return *this;
    }
    Pen& u16(std::size_t value) {
        return u8(static_cast<unsigned>(value >> 8) & 0xFFU)
            .u8(static_cast<unsigned>(value) & 0xFFU);
    }
    Pen& u32(std::uint32_t value) { return u16(value >> 16).u16(value & 0xFFFFU); }
    Pen& bytes(dns::Bytes from) {
        at_ = std::copy(from.begin(), from.end(), at_);
        return *this;
    }
    Pen& address(const IpAddress& address) {
        return bytes(dns::Bytes(address.bytes()).first(address.size()));
    }

private:
    std::uint8_t* at_;
};

// ---- checksums (RFC 1071) -------------------------------------------------------

std::uint64_t sum_of(dns::Bytes bytes) {
    std::uint64_t sum = 0;
    std::size_t at = 0;
    for (; at + 1 < bytes.size(); at += 2)
        sum += read16(bytes, at);
    if (at < bytes.size()) sum += static_cast<std::uint64_t>(bytes[at]) << 8;
    return sum;
}

std::uint16_t folded(std::uint64_t sum) {
    while (sum > 0xFFFF)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

/// With the pseudo-header of RFC 9293, 3.1 and RFC 8200, 8.1; 0 where the sum in it is right.
std::uint16_t transport_checksum(const IpAddress& from, const IpAddress& to, unsigned protocol,
                                 dns::Bytes message) {
    return folded(sum_of(dns::Bytes(from.bytes()).first(from.size())) +
                  sum_of(dns::Bytes(to.bytes()).first(to.size())) + protocol + message.size() +
                  sum_of(message));
}

// ---- writing --------------------------------------------------------------------

std::size_t ip_header_size(const IpAddress& address) {
    return address.is_v4() ? v4_header : v6_header;
}

void write_ip(std::uint8_t* at, const IpAddress& from, const IpAddress& to, unsigned protocol,
              std::size_t payload, unsigned hops) {
    Pen pen(at);
    if (from.is_v6()) {
        pen.u32(0x60000000).u16(payload).u8(protocol).u8(hops).address(from).address(to);
        return;
    }
    // Whole and not to be fragmented, so that the identification may be 0 (RFC 6864).
    constexpr std::size_t dont_fragment = 0x4000;
    pen.u8(0x45).u8(0).u16(v4_header + payload).u16(0).u16(dont_fragment);
    pen.u8(hops).u8(protocol).u16(0).address(from).address(to);
    Pen(at + 10).u16(folded(sum_of({at, v4_header})));
}

/// Puts the IP headers in front of the `size` bytes behind them in the buffer, whose checksum
/// belongs at `sum_at`.
dns::Bytes wrap(const PacketPath& path, unsigned protocol, std::size_t size, std::size_t sum_at,
                PacketBuffer& buffer) {
    const IpAddress &from = path.source.address, &to = path.destination.address;
    const std::size_t header = ip_header_size(from);
    const std::size_t inner = path.tunnel_to ? header : 0;
    std::uint8_t* const message = buffer.data() + inner + header;
    const std::uint16_t sum = transport_checksum(from, to, protocol, {message, size});
    // UDP: 0 would say that there is none (RFC 768).
    Pen(message + sum_at).u16(sum == 0 && protocol == IPPROTO_UDP ? 0xFFFF : sum);
    write_ip(buffer.data() + inner, from, to, protocol, size, hops_to_live);
    if (path.tunnel_to)
        write_ip(buffer.data(), from, *path.tunnel_to, from.is_v4() ? IPPROTO_IPIP : IPPROTO_IPV6,
                 header + size, tunnel_hops);
    return {buffer.data(), inner + header + size};
}

std::uint8_t* message_in(const PacketPath& path, PacketBuffer& buffer) {
    return buffer.data() + ip_header_size(path.source.address) * (path.tunnel_to ? 2 : 1);
}

// ---- reading --------------------------------------------------------------------

struct IpPacket {
    IpAddress from, to;
    unsigned protocol = 0;
    dns::Bytes payload;
    bool fragment = false;
    bool later_fragment = false;
};

IpAddress address_at(dns::Bytes packet, std::size_t at, bool v4) {
    std::array<std::uint8_t, 4> four{};
    std::array<std::uint8_t, 16> sixteen{};
    if (v4) {
        std::copy_n(packet.begin() + static_cast<std::ptrdiff_t>(at), 4, four.begin());
        return IpAddress::from_v4(four);
    }
    std::copy_n(packet.begin() + static_cast<std::ptrdiff_t>(at), 16, sixteen.begin());
    return IpAddress::from_v6(sixteen);
}

/// `quoted`: it may end before its length says so.
std::optional<IpPacket> read_v4(dns::Bytes packet, bool quoted) {
    if (packet.size() < v4_header) return std::nullopt;
    const std::size_t header = std::size_t{4} * (packet[0] & 0x0FU);
    const std::size_t total = read16(packet, 2);
    if (header < v4_header || packet.size() < header || total < header) return std::nullopt;
    if (!quoted && (packet.size() < total || folded(sum_of(packet.first(header))) != 0))
        return std::nullopt;
    const std::size_t end = std::min(total, packet.size());  // behind it there is padding
    IpPacket read;
    read.from = address_at(packet, 12, true);
    read.to = address_at(packet, 16, true);
    read.protocol = packet[9];
    read.payload = packet.subspan(header, end - header);
    read.fragment = (read16(packet, 6) & 0x3FFFU) != 0;
    read.later_fragment = (read16(packet, 6) & 0x1FFFU) != 0;
    return read;
}

std::optional<IpPacket> read_v6(dns::Bytes packet, bool quoted) {
    if (packet.size() < v6_header) return std::nullopt;
    const std::size_t total = v6_header + read16(packet, 4);
    if (!quoted && packet.size() < total) return std::nullopt;
    const std::size_t end = std::min(total, packet.size());
    IpPacket read;
    read.from = address_at(packet, 8, false);
    read.to = address_at(packet, 24, false);
    read.protocol = packet[6];
    read.payload = packet.subspan(v6_header, end - v6_header);
    if (read.protocol == IPPROTO_FRAGMENT && read.payload.size() >= fragment_header) {
        read.fragment = true;
        read.later_fragment = (read16(read.payload, 2) & 0xFFF8U) != 0;
        read.protocol = read.payload[0];
        read.payload = read.payload.subspan(fragment_header);
    }
    return read;
}

std::optional<IpPacket> read_ip(dns::Bytes packet, bool quoted) {
    if (packet.empty()) return std::nullopt;
    const unsigned version = packet[0] >> 4;
    if (version == 4) return read_v4(packet, quoted);
    if (version == 6) return read_v6(packet, quoted);
    return std::nullopt;
}

std::uint16_t read_max_segment(dns::Bytes options) {
    for (std::size_t at = 0; at < options.size();) {
        const std::uint8_t kind = options[at];
        if (kind == 0) return 0;
        if (kind == 1) {
            ++at;
            continue;
        }
        if (at + 1 >= options.size() || options[at + 1] < 2) return 0;
        const std::size_t size = options[at + 1];
        if (kind == 2 && size == max_segment_option && at + size <= options.size())
            return read16(options, at + 2);
        at += size;
    }
    return 0;
}

bool read_udp(const IpPacket& ip, Incoming& out) {
    if (ip.payload.size() < udp_header) return false;
    const std::size_t length = read16(ip.payload, 4);
    if (length < udp_header || (!ip.fragment && length > ip.payload.size())) return false;
    out.kind = Incoming::Kind::datagram;
    out.protocol = Protocol::udp;
    out.payload = ip.payload.first(std::min(length, ip.payload.size())).subspan(udp_header);
    return true;
}

bool read_tcp(const IpPacket& ip, Incoming& out) {
    if (ip.payload.size() < tcp_header) return false;
    const std::size_t header = std::size_t{4} * (ip.payload[12] >> 4);
    if (header < tcp_header || header > ip.payload.size()) return false;
    out.kind = Incoming::Kind::segment;
    out.protocol = Protocol::tcp;
    out.tcp.sequence = read32(ip.payload, 4);
    out.tcp.acknowledgement = read32(ip.payload, 8);
    out.tcp.flags = ip.payload[13];
    out.tcp.window = read16(ip.payload, 14);
    out.tcp.max_segment = read_max_segment(ip.payload.subspan(tcp_header, header - tcp_header));
    out.payload = ip.payload.subspan(header);
    return true;
}

/// Only what UDP covers of a datagram counts, and 0 says that there is no sum (not in IPv6).
bool sum_is_wrong(const IpPacket& ip, const Incoming& read) {
    dns::Bytes covered = ip.payload;
    if (read.protocol == Protocol::udp) {
        covered = covered.first(udp_header + read.payload.size());
        if (read16(covered, 6) == 0) return ip.from.is_v6();
    }
    return transport_checksum(ip.from, ip.to, ip.protocol, covered) != 0;
}

/// The packet in an ICMP error, the inner one where it went by a tunnel.
std::optional<Incoming> read_error(const IpPacket& ip) {
    if (ip.fragment || ip.payload.size() < icmp_header + v4_header) return std::nullopt;
    std::optional<IpPacket> quoted = read_ip(ip.payload.subspan(icmp_header), true);
    const bool tunnelled =
        quoted && (quoted->protocol == IPPROTO_IPIP || quoted->protocol == IPPROTO_IPV6);
    if (tunnelled) quoted = read_ip(quoted->payload, true);
    // 8 bytes are quoted at least (RFC 792): ports, and TCP's sequence number.
    if (!quoted || quoted->later_fragment || quoted->payload.size() < udp_header)
        return std::nullopt;
    const bool udp = quoted->protocol == IPPROTO_UDP;
    if (!udp && quoted->protocol != IPPROTO_TCP) return std::nullopt;
    Incoming out;
    out.kind = Incoming::Kind::error;
    out.protocol = udp ? Protocol::udp : Protocol::tcp;
    out.source = {quoted->from, read16(quoted->payload, 0)};
    out.destination = {quoted->to, read16(quoted->payload, 2)};
    if (udp)
        out.payload = quoted->payload.subspan(udp_header);
    else
        out.tcp.sequence = read32(quoted->payload, 4);
    out.icmp_type = ip.payload[0];
    out.icmp_code = ip.payload[1];
    out.tunnelled = tunnelled;
    out.reported_by = ip.from;
    return out;
}

}  // namespace

dns::Bytes write_udp(const PacketPath& path, dns::Bytes payload, PacketBuffer& buffer) {
    payload = payload.first(std::min(payload.size(), largest_payload));
    const std::size_t size = udp_header + payload.size();
    Pen(message_in(path, buffer))
        .u16(path.source.port)
        .u16(path.destination.port)
        .u16(size)
        .u16(0)
        .bytes(payload);
    return wrap(path, IPPROTO_UDP, size, 6, buffer);
}

dns::Bytes write_tcp(const PacketPath& path, const TcpFields& fields, dns::Bytes payload,
                     PacketBuffer& buffer) {
    payload = payload.first(std::min(payload.size(), largest_payload));
    const std::size_t header = tcp_header + (fields.max_segment != 0 ? max_segment_option : 0);
    Pen pen(message_in(path, buffer));
    pen.u16(path.source.port).u16(path.destination.port);
    pen.u32(fields.sequence).u32(fields.acknowledgement);
    pen.u8(static_cast<unsigned>(header / 4) << 4).u8(fields.flags).u16(fields.window);
    pen.u16(0).u16(0);
    if (fields.max_segment != 0) pen.u8(2).u8(max_segment_option).u16(fields.max_segment);
    pen.bytes(payload);
    return wrap(path, IPPROTO_TCP, header + payload.size(), 16, buffer);
}

std::optional<Incoming> read_packet(dns::Bytes packet, bool summed) {
    const std::optional<IpPacket> ip = read_ip(packet, false);
    if (!ip || ip->later_fragment) return std::nullopt;
    if (ip->protocol == (ip->from.is_v4() ? unsigned{IPPROTO_ICMP} : unsigned{IPPROTO_ICMPV6}))
        return read_error(*ip);
    Incoming out;
    if (ip->protocol == IPPROTO_UDP ? !read_udp(*ip, out)
                                    : ip->protocol != IPPROTO_TCP || !read_tcp(*ip, out))
        return std::nullopt;
    out.source = {ip->from, read16(ip->payload, 0)};
    out.destination = {ip->to, read16(ip->payload, 2)};
    out.fragment = ip->fragment;
    out.checksum_wrong = !summed && !ip->fragment && sum_is_wrong(*ip, out);
    return out;
}

}  // namespace dnsdirector::probe
