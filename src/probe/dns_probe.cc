// SPDX-License-Identifier: Apache-2.0
#include "probe/dns_probe.h"

#include <fmt/core.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>

#include "probe/clock.h"
#include "probe/tls_exchange.h"

namespace dnsdirector::probe {
namespace {

using core::Failure;

/// A UDP socket serves 8 to 23 rounds: a new one for each round doubles its cost
/// (25 us instead of 12, bench/checks_bench.cc), and an old port invites spoofing.
unsigned rounds_of_a_socket(IdSource& ids) {
    return 8U + ids.next() % 16U;
}

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

Result<std::unique_ptr<Probe>> DnsProbe::make(Environment& environment, std::uint64_t token,
                                              const Endpoint& target, const core::DnsCheck& check,
                                              const core::CheckTiming& timing) {
    Result<dns::Query> query = dns::Query::make(check);
    if (!query) return tl::unexpected(query.error());
    Result<dns::Criteria> criteria = dns::Criteria::make(check);
    if (!criteria) return tl::unexpected(criteria.error());
    Result<Path> path = make_path(target, check.via);
    if (!path) return tl::unexpected(path.error());
    return std::unique_ptr<Probe>(new DnsProbe(environment, token, std::move(*path), check, timing,
                                               std::move(*query), std::move(*criteria)));
}

DnsProbe::DnsProbe(Environment& environment, std::uint64_t token, Path path,
                   const core::DnsCheck& check, const core::CheckTiming& timing, dns::Query query,
                   dns::Criteria criteria)
    : environment_(environment),
      token_(token),
      path_(std::move(path)),
      timeout_(timing.timeout),
      tries_(std::clamp<std::size_t>(timing.tries, 1, max_tries)),
      max_time_(check.max_time),
      tls_(check.tls),
      query_(std::move(query)),
      criteria_(std::move(criteria)),
      udp_(environment.sockets) {}

Probe::Progress DnsProbe::start(TimePoint now) {
    in_round_ = true;
    asked_count_ = 0;
    ignored_ = 0;
    // One label for the whole round, so that late replies to earlier tries count.
    if (query_.has_random_label()) query_.set_label(random_bits(environment_.ids));
    return next_try(now);
}

Probe::Progress DnsProbe::next_try(TimePoint now) {
    Try& next = asked_[asked_count_++];
    next.id = environment_.ids.next();
    next.sent = now;
    wake_ = now + timeout_;
    query_.set_id(next.id);
    return criteria_.transport == Protocol::udp ? send_udp() : begin_tcp();
}

Probe::Progress DnsProbe::send_udp() {
    if (!udp_.is_open()) {
        if (Progress failed = udp_.open(Protocol::udp, path_)) return finish(std::move(*failed));
        if (Progress failed = udp_.watch(environment_.epoll, token_, EPOLLIN))
            return finish(std::move(*failed));
        rounds_left_ = rounds_of_a_socket(environment_.ids);
    }
    const dns::Bytes message = query_.message();
    if (::send(udp_.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0)
        return finish(probe::outcome_of(errno, asked_count_ > 1 ? Stage::udp : Stage::own));
    ++environment_.statistics.sent;
    return std::nullopt;
}

Probe::Progress DnsProbe::read_udp() {
    auto& buffer = environment_.buffer;
    while (udp_.is_open()) {
        const ssize_t got = ::recv(udp_.get(), buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return std::nullopt;
        if (got < 0) {
            const int error = errno;
            if (in_round_) return finish(probe::outcome_of(error, Stage::udp));
            udp_.close();  // a refusal of what was answered already: of no round
            return std::nullopt;
        }
        const dns::Bytes reply(buffer.data(), static_cast<std::size_t>(got));
        if (!in_round_) {
            ++environment_.statistics.ignored_replies;
            continue;
        }
        const Try* current = &asked_[asked_count_ - 1];
        for (std::size_t index = 0; index < asked_count_ && reply.size() >= 2; ++index)
            if (asked_[index].id == dns::read16(reply, 0)) current = &asked_[index];
        if (Progress outcome = take(reply, *current, Protocol::udp)) return outcome;
        if (tcp_ && tcp_->active()) return std::nullopt;
    }
    return std::nullopt;
}

Probe::Progress DnsProbe::begin_tcp() {
    if (!tcp_ && tls_) tcp_ = std::make_unique<TlsExchange>(environment_, token_);
    if (!tcp_) tcp_ = std::make_unique<TcpExchange>(environment_, token_);
    ++environment_.statistics.sent;
    return drive_tcp(tcp_->begin(path_, query_.framed()));
}

Probe::Progress DnsProbe::drive_tcp(TcpExchange::State state) {
    while (state == TcpExchange::State::reply) {
        if (Progress outcome = take(tcp_->reply(), asked_[asked_count_ - 1], Protocol::tcp))
            return outcome;
        if (ignored_ > most_ignored_over_tcp)
            return finish({Failure::answer, "only replies to other questions", {}});
        tcp_->drop_reply();
        state = tcp_->advance();
    }
    if (state == TcpExchange::State::failed) return finish(tcp_->outcome());
    if (state == TcpExchange::State::pending) return std::nullopt;
    tcp_->end();
    if (asked_count_ < tries_) return next_try(now());
    return finish({Failure::answer, "connection closed without an answer", {}});
}

Probe::Progress DnsProbe::take(dns::Bytes reply, const Try& current, Protocol transport) {
    dns::Judged judged = dns::judge(reply, query_, current.id, criteria_, transport);
    switch (judged.judgement) {
        case dns::Judgement::ignore:
            ++environment_.statistics.ignored_replies;
            ++ignored_;
            return std::nullopt;
        case dns::Judgement::truncated:
            // The same question with the same ID; what is left of the try's time is its time.
            query_.set_id(asked_[asked_count_ - 1].id);
            return begin_tcp();
        case dns::Judgement::pass:
        case dns::Judgement::fail: break;
    }
    return finish(outcome_of(std::move(judged), reply, now() - current.sent));
}

Outcome DnsProbe::outcome_of(dns::Judged judged, dns::Bytes reply, Nanoseconds took) const {
    const auto rtt = std::chrono::duration_cast<Microseconds>(took);
    const bool late = max_time_.count() > 0 && took > max_time_;
    if (judged.judgement == dns::Judgement::pass && !late)
        return {Failure::none, {}, rtt, judged.rcode};
    if (judged.judgement == dns::Judgement::pass) judged.reason = late_text(took, max_time_);
    return {Failure::answer, std::move(judged.reason), rtt, judged.rcode,
            std::make_shared<const std::vector<std::uint8_t>>(reply.begin(), reply.end())};
}

Probe::Progress DnsProbe::on_event(TimePoint /*now*/) {
    if (in_round_ && tcp_ && tcp_->active()) return drive_tcp(tcp_->advance());
    return read_udp();
}

Probe::Progress DnsProbe::on_timeout(TimePoint now) {
    // The reply may have come in time and we are late to look.
    if (Progress outcome = on_event(now)) return outcome;
    if (wake_ > now) return std::nullopt;  // that look began another try
    if (asked_count_ == tries_) return finish(silence());
    if (tcp_) tcp_->end();
    return next_try(now);
}

void DnsProbe::abandon() {
    static_cast<void>(finish(silence()));
}

Outcome DnsProbe::silence() const {
    if (tcp_ && tcp_->active() && tcp_->in_handshake())
        return {Failure::silence, "timeout in the TLS handshake", {}};
    if (ignored_ == 0) return {Failure::silence, "timeout", {}};
    return {Failure::silence,
            fmt::format("timeout; {} {} ignored: wrong ID or question", ignored_,
                        ignored_ == 1 ? "reply" : "replies"),
            {}};
}

Probe::Progress DnsProbe::finish(Outcome outcome) {
    in_round_ = false;
    if (tcp_) tcp_->end();
    const bool passed = outcome.failure == Failure::none;
    if (udp_.is_open() && (!passed || --rounds_left_ == 0 || !environment_.sockets.may_keep()))
        udp_.close();
    return outcome;
}

}  // namespace dnsdirector::probe
