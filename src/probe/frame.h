// SPDX-License-Identifier: Apache-2.0
//
// IP packets of UDP and TCP as bytes: written for the check through the service IP, and read
// back from whatever comes in. Nothing is sent or received here.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/address.h"
#include "dns/message.h"

namespace dnsdirector::probe {

/// RFC 9293, 3.1. What of a segment is used here.
struct TcpFields {
    static constexpr std::uint8_t fin = 0x01, syn = 0x02, rst = 0x04, psh = 0x08, ack = 0x10;
    std::uint32_t sequence = 0;
    std::uint32_t acknowledgement = 0;
    std::uint8_t flags = 0;
    std::uint16_t window = 0;
    std::uint16_t max_segment = 0;  ///< the option; 0: none

    [[nodiscard]] bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
    friend bool operator==(const TcpFields&, const TcpFields&) = default;
};

/// Of one family throughout.
struct PacketPath {
    Endpoint source;
    Endpoint destination;
    std::optional<IpAddress> tunnel_to;  ///< an outer header from source to there

    friend bool operator==(const PacketPath&, const PacketPath&) = default;
};

/// A server that holds the service IP takes a packet of any TTL; one that does not and forwards
/// packets would send it on, to the director perhaps, which would find a server that answers.
/// The second hop is for a DNS process behind the server, in a container.
inline constexpr std::uint8_t hops_to_live = 2;

/// Room for a packet with two IPv6 headers and `largest_payload` bytes.
inline constexpr std::size_t largest_payload = 600;
using PacketBuffer = std::array<std::uint8_t, 2 * 40 + 24 + largest_payload>;

/// The packet in `buffer`; `payload` is of no more than `largest_payload` bytes.
[[nodiscard]] dns::Bytes write_udp(const PacketPath& path, dns::Bytes payload,
                                   PacketBuffer& buffer);
[[nodiscard]] dns::Bytes write_tcp(const PacketPath& path, const TcpFields& fields,
                                   dns::Bytes payload, PacketBuffer& buffer);

/// A packet that was received, or one that an ICMP error quotes.
struct Incoming {
    enum class Kind : std::uint8_t { datagram, segment, error };
    Kind kind = Kind::datagram;
    Protocol protocol = Protocol::udp;  ///< of an error: of the packet that it quotes
    /// Of an error: those of the quoted packet, so that `source` is ours.
    Endpoint source, destination;
    TcpFields tcp;                ///< of an error the sequence number alone
    dns::Bytes payload;           ///< of an error as much as it quotes, perhaps nothing
    bool fragment = false;        ///< the first of several: the payload is not whole
    bool checksum_wrong = false;  ///< of UDP and TCP
    // Of an error:
    std::uint8_t icmp_type = 0, icmp_code = 0;
    bool tunnelled = false;  ///< it quotes the packet within a tunnel's
    IpAddress reported_by;
};

/// Reads an IP packet that begins with its IP header. `summed`: the checksums of UDP and TCP
/// need not be looked at, since the network card has, or the packet never was on a wire.
/// Nothing: broken, or of no kind that is awaited here.
[[nodiscard]] std::optional<Incoming> read_packet(dns::Bytes packet, bool summed);

}  // namespace dnsdirector::probe
