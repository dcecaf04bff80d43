// SPDX-License-Identifier: Apache-2.0
#include "probe/dns_round.h"

#include <fmt/core.h>

#include <algorithm>

#include "probe/clock.h"
#include "probe/tcp_exchange.h"

namespace dnsdirector::probe {
namespace {

using core::Failure;

std::uint64_t random_bits(IdSource& ids) {
    std::uint64_t bits = 0;
    for (int part = 0; part < 4; ++part)
        bits = bits << 16 | ids.next();
    return bits;
}

/// In milliseconds, rounded up so that nothing is late by nothing.
std::string late_text(Nanoseconds took, Nanoseconds allowed) {
    const auto rounded = std::chrono::ceil<Milliseconds>(took);
    return fmt::format("late by {}: answered after {}, {} allowed", to_text(rounded - allowed),
                       to_text(rounded), to_text(allowed));
}

}  // namespace

DnsRound::DnsRound(Environment& environment, const core::DnsCheck& check,
                   const core::CheckTiming& timing, dns::Query query, dns::Criteria criteria)
    : environment_(environment),
      query_(std::move(query)),
      criteria_(std::move(criteria)),
      timeout_(timing.timeout),
      tries_(std::clamp<std::size_t>(timing.tries, 1, max_tries)),
      max_time_(check.max_time) {}

Probe::Progress DnsRound::start(TimePoint now) {
    in_round_ = true;
    asked_count_ = 0;
    ignored_ = 0;
    // One label for the whole round, so that late replies to earlier tries count.
    if (query_.has_random_label()) query_.set_label(random_bits(environment_.ids));
    return next_try(now);
}

Probe::Progress DnsRound::next_try(TimePoint now) {
    Try& next = asked_[asked_count_++];
    next.id = new_id();
    next.sent = now;
    wake_ = try_end_ = now + timeout_;
    query_.set_id(next.id);
    return criteria_.transport == Protocol::udp ? send_udp() : begin_tcp();
}

void DnsRound::count_ignored() {
    ++environment_.statistics.ignored_replies;
    if (in_round_) ++ignored_;
}

Probe::Progress DnsRound::take_datagram(dns::Bytes reply) {
    if (!in_round_) {
        count_ignored();
        return std::nullopt;
    }
    const Try* current = &present_try();
    for (std::size_t index = 0; index < asked_count_ && reply.size() >= 2; ++index)
        if (asked_[index].id == dns::read16(reply, 0)) current = &asked_[index];
    return take(reply, *current, Protocol::udp);
}

Probe::Progress DnsRound::take_message(dns::Bytes reply) {
    if (Progress outcome = take(reply, present_try(), Protocol::tcp)) return outcome;
    if (ignored_ > most_ignored_over_tcp)
        return finish({Failure::answer, "only replies to other questions", {}});
    return std::nullopt;
}

Probe::Progress DnsRound::connection_closed() {
    end_tcp();
    if (asked_count_ < tries_) return next_try(now());
    return finish({Failure::answer, "connection closed without an answer", {}});
}

Probe::Progress DnsRound::take(dns::Bytes reply, const Try& current, Protocol transport) {
    dns::Judged judged = dns::judge(reply, query_, current.id, criteria_, transport);
    switch (judged.judgement) {
        case dns::Judgement::ignore: count_ignored(); return std::nullopt;
        case dns::Judgement::truncated:
            // The same question with the same ID; what is left of the try's time is its time.
            query_.set_id(present_try().id);
            return begin_tcp();
        case dns::Judgement::pass:
        case dns::Judgement::fail: break;
    }
    return finish(outcome_of(std::move(judged), reply, now() - current.sent));
}

Outcome DnsRound::outcome_of(dns::Judged judged, dns::Bytes reply, Nanoseconds took) const {
    const auto rtt = std::chrono::duration_cast<Microseconds>(took);
    const bool late = max_time_.count() > 0 && took > max_time_;
    if (judged.judgement == dns::Judgement::pass && !late)
        return {Failure::none, {}, rtt, judged.rcode};
    if (judged.judgement == dns::Judgement::pass) judged.reason = late_text(took, max_time_);
    return {Failure::answer, std::move(judged.reason), rtt, judged.rcode,
            std::make_shared<const std::vector<std::uint8_t>>(reply.begin(), reply.end())};
}

Probe::Progress DnsRound::on_event(TimePoint /*now*/) {
    return look();
}

Probe::Progress DnsRound::on_timeout(TimePoint now) {
    // The reply may have come in time and we are late to look.
    if (Progress outcome = look()) return outcome;
    if (wake_ > now) return std::nullopt;  // that look began another try
    if (try_end_ > now) return on_timer(now);
    if (asked_count_ == tries_) return finish(silence());
    end_tcp();
    return next_try(now);
}

void DnsRound::abandon() {
    static_cast<void>(finish(silence()));
}

Outcome DnsRound::silence() const {
    if (ignored_ == 0) return {Failure::silence, "timeout", {}};
    return {Failure::silence,
            fmt::format("timeout; {} {} ignored: wrong ID or question", ignored_,
                        ignored_ == 1 ? "reply" : "replies"),
            {}};
}

Probe::Progress DnsRound::finish(Outcome outcome) {
    in_round_ = false;
    end_round(outcome.failure == Failure::none);
    return outcome;
}

}  // namespace dnsdirector::probe
