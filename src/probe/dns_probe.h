// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/result.h"
#include "core/model.h"
#include "dns/reply.h"
#include "probe/tcp_exchange.h"

namespace dnsdirector::probe {

/// Asks one DNS question over UDP, TCP or TLS. Rules of a round: a try that gets
/// nothing within `timeout` is followed by the next one; a reply to any try of
/// the round counts; an answer that is wrong, a refusal or an error of our own
/// ends the round at once, since asking again would not make it less so.
class DnsProbe : public Probe {
public:
    /// `token` marks this probe's events. Errors: Query::make's and Criteria::make's.
    static Result<std::unique_ptr<Probe>> make(Environment& environment, std::uint64_t token,
                                               const Endpoint& target, const core::DnsCheck& check,
                                               const core::CheckTiming& timing);

    Progress start(TimePoint now) override;
    Progress on_event(TimePoint now) override;
    Progress on_timeout(TimePoint now) override;
    void abandon() override;

private:
    static constexpr std::size_t max_tries = 10;
    struct Try {
        std::uint16_t id = 0;
        TimePoint sent;
    };

    DnsProbe(Environment& environment, std::uint64_t token, Path path, const core::DnsCheck& check,
             const core::CheckTiming& timing, dns::Query query, dns::Criteria criteria);

    Progress next_try(TimePoint now);
    Progress send_udp();
    Progress read_udp();
    Progress begin_tcp();
    Progress drive_tcp(TcpExchange::State state);
    /// What a reply means for the round; `current` is the try that it would answer.
    Progress take(dns::Bytes reply, const Try& current, Protocol transport);
    /// The outcome of a reply that was judged, `reply` kept where it failed.
    [[nodiscard]] Outcome outcome_of(dns::Judged judged, dns::Bytes reply, Nanoseconds took) const;
    Progress finish(Outcome outcome);
    [[nodiscard]] Outcome silence() const;

    Environment& environment_;
    std::uint64_t token_;
    Path path_;
    Nanoseconds timeout_;
    std::size_t tries_;
    Nanoseconds max_time_;  ///< 0: no limit
    bool tls_;
    dns::Query query_;
    dns::Criteria criteria_;
    Socket udp_;
    std::unique_ptr<TcpExchange> tcp_;  ///< made when first needed, then kept

    bool in_round_ = false;
    std::array<Try, max_tries> asked_;
    std::size_t asked_count_ = 0;
    std::uint32_t ignored_ = 0;  ///< replies in this round
    unsigned rounds_left_ = 0;   ///< until udp_ is renewed
};

}  // namespace dnsdirector::probe
