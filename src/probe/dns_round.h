// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "core/model.h"
#include "dns/reply.h"
#include "probe/probe.h"

namespace dnsdirector::probe {

/// The rounds of a DNS question, whatever carries it. A try that gets nothing within
/// `timeout` is followed by the next one; a reply to any try of the round counts; an answer
/// that is wrong, a refusal or an error of our own ends the round at once, since asking again
/// would not make it less so.
class DnsRound : public Probe {
public:
    Progress start(TimePoint now) final;
    Progress on_event(TimePoint now) final;
    Progress on_timeout(TimePoint now) final;
    void abandon() final;

protected:
    struct Try {
        std::uint16_t id = 0;
        TimePoint sent;
    };
    static constexpr std::size_t max_tries = 10;

    DnsRound(Environment& environment, const core::DnsCheck& check, const core::CheckTiming& timing,
             dns::Query query, dns::Criteria criteria);

    // What carries it.
    virtual std::uint16_t new_id() { return environment_.ids.next(); }
    virtual Progress send_udp() = 0;
    virtual Progress begin_tcp() = 0;
    /// Takes what has come; out of a round, too.
    virtual Progress look() = 0;
    /// A moment of its own within a try (wake_at) has come.
    virtual Progress on_timer(TimePoint /*now*/) { return std::nullopt; }
    /// Ends the present try's connection, if there is one.
    virtual void end_tcp() = 0;
    virtual void end_round(bool passed) = 0;
    /// The verdict where there was no answer.
    [[nodiscard]] virtual Outcome silence() const;

    Progress take_datagram(dns::Bytes reply);
    /// A message of the present try's connection.
    Progress take_message(dns::Bytes reply);
    Progress connection_closed();
    Progress finish(Outcome outcome);
    [[nodiscard]] bool in_round() const { return in_round_; }
    [[nodiscard]] Try& present_try() { return asked_[asked_count_ - 1]; }
    [[nodiscard]] bool is_first_try() const { return asked_count_ == 1; }
    [[nodiscard]] std::uint32_t ignored() const { return ignored_; }
    void count_ignored();
    /// on_timer() is wanted then, where the try has not ended before.
    void wake_at(std::optional<TimePoint> time) {
        wake_ = time && *time < try_end_ ? *time : try_end_;
    }

    Environment& environment_;
    dns::Query query_;
    dns::Criteria criteria_;

private:
    Progress next_try(TimePoint now);
    /// What a reply means for the round; `current` is the try that it would answer.
    Progress take(dns::Bytes reply, const Try& current, Protocol transport);
    /// The outcome of a reply that was judged, `reply` kept where it failed.
    [[nodiscard]] Outcome outcome_of(dns::Judged judged, dns::Bytes reply, Nanoseconds took) const;

    Nanoseconds timeout_;
    std::size_t tries_;
    Nanoseconds max_time_;  ///< 0: no limit
    bool in_round_ = false;
    TimePoint try_end_;
    std::array<Try, max_tries> asked_;
    std::size_t asked_count_ = 0;
    std::uint32_t ignored_ = 0;  ///< replies in this round
};

}  // namespace dnsdirector::probe
