// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "probe/probe.h"

namespace dnsdirector::probe {

/// Has a datagram socket report every ICMP error, also those that RFC 1122,
/// 4.1.3.3 calls soft, with who sent it (ip(7), ipv6(7): IP_RECVERR).
/// `family` is AF_INET or AF_INET6.
void report_icmp_errors(int socket, int family);

/// What a failed receive on such a socket means: the ICMP error that lies in its
/// error queue, else `error`. Unreachable by the word of another machine is a
/// refusal; by our own, which got no answer to ARP or neighbour discovery, it is
/// silence. Nothing where the error says nothing of the server (fragmentation).
[[nodiscard]] std::optional<Outcome> outcome_of_icmp(int socket, int error);

/// An error that was received as a packet, so that another machine sent it.
struct IcmpReport {
    bool v6 = false;
    std::uint8_t type = 0, code = 0;
    IpAddress by;
};
/// What it means, as above.
[[nodiscard]] std::optional<Outcome> outcome_of_icmp(const IcmpReport& report);

}  // namespace dnsdirector::probe
