// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <span>

#include "base/result.h"
#include "probe/retrying_probe.h"
#include "probe/socket.h"

namespace dnsdirector::probe {

/// PING_CHECK: ICMP (RFC 792) or ICMPv6 (RFC 4443) echo. Passes when the target
/// itself sends back what was sent: identifier, sequence number and data. An
/// ICMP unreachable is a refusal.
class PingProbe : public RetryingProbe {
public:
    /// Takes an ICMP datagram socket where net.ipv4.ping_group_range lets us have
    /// one, else a raw one. Errors: neither is allowed; make_path's.
    static Result<std::unique_ptr<Probe>> make(Environment& environment, std::uint64_t token,
                                               const Endpoint& target, const core::PingCheck& check,
                                               const core::CheckTiming& timing);

private:
    /// Type, code, checksum, identifier, sequence number (RFC 792), then what
    /// nobody can guess who has not seen it.
    static constexpr std::size_t header_size = 8, message_size = header_size + 16;

    PingProbe(Environment& environment, std::uint64_t token, const IpAddress& target, Path path,
              int kind, const core::CheckTiming& timing);

    Progress begin_try(TimePoint now) override;
    Progress look() override;
    void end() override;

    void write_message();
    [[nodiscard]] bool is_our_echo(std::span<const std::uint8_t> message) const;

    IpAddress target_;
    Path path_;
    int kind_;  ///< SOCK_DGRAM: the kernel chooses the identifier; SOCK_RAW
    Socket socket_;
    std::uint16_t identifier_ = 0;
    std::uint16_t sequence_ = 0;
    std::array<std::uint8_t, message_size> message_{};
};

}  // namespace dnsdirector::probe
