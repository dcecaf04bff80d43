// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "core/model.h"
#include "probe/dns_round.h"
#include "probe/tcp_exchange.h"

namespace dnsdirector::probe {

/// Asks one DNS question over UDP, TCP or TLS, by the kernel's sockets.
class DnsProbe final : public DnsRound {
public:
    /// `token` marks this probe's events. Errors: Query::make's and Criteria::make's.
    static Result<std::unique_ptr<Probe>> make(Environment& environment, std::uint64_t token,
                                               const Endpoint& target, const core::DnsCheck& check,
                                               const core::CheckTiming& timing);

private:
    DnsProbe(Environment& environment, std::uint64_t token, Path path, const core::DnsCheck& check,
             const core::CheckTiming& timing, dns::Query query, dns::Criteria criteria);

    Progress send_udp() override;
    Progress begin_tcp() override;
    Progress look() override;
    void end_tcp() override;
    void end_round(bool passed) override;
    [[nodiscard]] Outcome silence() const override;

    Progress read_udp();
    Progress drive_tcp(TcpExchange::State state);

    std::uint64_t token_;
    Path path_;
    bool tls_;
    Socket udp_;
    std::unique_ptr<TcpExchange> tcp_;  ///< made when first needed, then kept
    unsigned rounds_left_ = 0;          ///< until udp_ is renewed
};

}  // namespace dnsdirector::probe
