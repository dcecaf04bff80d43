// SPDX-License-Identifier: Apache-2.0
#include "probe/dig_probe.h"

#include <fmt/core.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>

#include "probe/clock.h"

namespace dnsdirector::probe {
namespace {

using core::Failure;
using dns::DigReading;

constexpr int status_fatal = 1, status_no_reply = 9;
constexpr std::uint32_t lookup_limit = 64;  // LOOKUP_LIMIT, dighost.h
/// What libisc's connect timer has on top (isc__nmsocket_timer_restart).
constexpr Nanoseconds connect_grace = Milliseconds{10};

/// As a DnsProbe's: a UDP socket serves 8 to 23 rounds.
unsigned rounds_of_a_socket(IdSource& ids) {
    return 8U + ids.next() % 16U;
}

/// A refusal counts as silence does; what is our own fault stays so.
Outcome no_reply(Outcome outcome) {
    if (outcome.failure != Failure::local) outcome.failure = Failure::silence;
    return outcome;
}

}  // namespace

Result<std::unique_ptr<DigProbe>> DigProbe::make(Environment& environment, std::uint64_t token,
                                                 const Endpoint& target,
                                                 const core::DigCheck& check,
                                                 const core::CheckTiming& timing) {
    Result<dns::DigQuery> query = dns::DigQuery::make(check);
    if (!query) return tl::unexpected(query.error());
    Result<Path> path = make_path(target, check.via);
    if (!path) return tl::unexpected(path.error());
    return std::unique_ptr<DigProbe>(
        new DigProbe(environment, token, std::move(*path), check, timing, std::move(*query)));
}

DigProbe::DigProbe(Environment& environment, std::uint64_t token, Path path,
                   const core::DigCheck& check, const core::CheckTiming& timing,
                   dns::DigQuery query)
    : environment_(environment),
      token_(token),
      path_(std::move(path)),
      timing_(timing),
      tcp_timeout_(check.tcp_timeout > Nanoseconds{0} ? check.tcp_timeout : timing.timeout),
      tcp_first_(check.tcp),
      ignore_truncation_(check.ignore_truncation),
      // A port of the configuration is others', too.
      keep_udp_(check.via.source_port == 0),
      query_(std::move(query)),
      udp_(environment.sockets) {}

// ---- a round ------------------------------------------------------------------

Probe::Progress DigProbe::start(TimePoint now) {
    in_round_ = true;
    over_tcp_ = tcp_first_;
    bad_cookie_seen_ = false;
    tries_left_ = std::max(timing_.tries, 1U);
    asked_anew_ = 0;
    ignored_ = 0;
    dns::ClientCookie cookie;
    for (std::size_t at = 0; at < cookie.size(); at += 2) {
        const std::uint16_t random = environment_.ids.next();
        cookie[at] = static_cast<std::uint8_t>(random >> 8U);
        cookie[at + 1] = static_cast<std::uint8_t>(random);
    }
    query_.set_client_cookie(cookie);
    return ask(now);
}

Probe::Progress DigProbe::ask(TimePoint now) {
    query_.set_id(environment_.ids.next());
    return over_tcp_ ? begin_tcp(now) : send_udp(now);
}

Probe::Progress DigProbe::count_anew() {
    if (++asked_anew_ <= lookup_limit) return std::nullopt;
    const int status = connected_ ? status_fatal : status_no_reply;
    return fail_round(status, {Failure::silence, "asked anew too often", {}});
}

Probe::Progress DigProbe::ask_again(TimePoint now, Outcome outcome) {
    if (tries_left_ <= 1) return fail_round(status_no_reply, no_reply(std::move(outcome)));
    --tries_left_;
    if (Progress end = count_anew()) return end;
    return ask(now);
}

Probe::Progress DigProbe::on_event(TimePoint now) {
    if (!in_round_ || !over_tcp_) return read_udp(now);
    return tcp_ && tcp_->active() ? drive_tcp(tcp_->advance(), now) : std::nullopt;
}

Probe::Progress DigProbe::on_timeout(TimePoint now) {
    // The reply may have come in time and we are late to look.
    if (Progress outcome = on_event(now)) return outcome;
    if (wake_ > now) return std::nullopt;  // that look began another try
    if (!over_tcp_) return next_udp(now, {Failure::silence, "timeout", {}});
    tcp_->end();
    return ask_again(now, {Failure::silence, "timeout", {}});
}

Probe::Progress DigProbe::pass(TimePoint now, std::uint16_t rcode) {
    exit_status_ = 0;
    end_round(true);
    return Outcome{Failure::none, {}, std::chrono::duration_cast<Microseconds>(now - sent_), rcode};
}

Probe::Progress DigProbe::fail_round(int status, Outcome outcome) {
    exit_status_ = status;
    end_round(false);
    if (ignored_ > 0 && outcome.failure == Failure::silence)
        outcome.reason += fmt::format("; {} {} ignored: wrong ID or question", ignored_,
                                      ignored_ == 1 ? "reply" : "replies");
    return outcome;
}

void DigProbe::end_round(bool passed) {
    in_round_ = false;
    last_round_id_ = query_.id();
    if (tcp_) tcp_->end();
    if (!udp_.is_open()) return;
    // One that a try has failed on may still get what was meant for that try.
    if (!passed || over_tcp_ || !keep_udp_ || --rounds_left_ == 0 ||
        !environment_.sockets.may_keep())
        udp_.close();
}

// ---- UDP ------------------------------------------------------------------------

std::optional<Outcome> DigProbe::open_udp() {
    if (std::optional<Outcome> failed = udp_.open(Protocol::udp, path_)) return failed;
    if (std::optional<Outcome> failed = udp_.watch(environment_.epoll, token_, EPOLLIN)) {
        udp_.close();
        return failed;
    }
    rounds_left_ = rounds_of_a_socket(environment_.ids);
    return std::nullopt;
}

Probe::Progress DigProbe::send_udp(TimePoint now) {
    const dns::Bytes message = query_.message();
    const auto send = [&] {
        return ::send(udp_.get(), message.data(), message.size(), MSG_NOSIGNAL);
    };
    sent_ = now;
    connected_ = false;
    not_sent_.reset();
    ++environment_.statistics.sent;
    wake_ = now + timing_.timeout;
    if (udp_.is_open()) {
        if (send() >= 0) return std::nullopt;
        udp_.close();  // the path has changed, or an ICMP error is left from before
    }
    if (std::optional<Outcome> failed = open_udp()) return ask_again(now, std::move(*failed));
    // dig waits nevertheless; so the verdict comes when its would.
    if (send() < 0) not_sent_ = outcome_of(errno, Stage::own);
    return std::nullopt;
}

Probe::Progress DigProbe::next_udp(TimePoint now, Outcome outcome) {
    udp_.close();
    if (not_sent_) outcome = std::move(*not_sent_);
    if (tries_left_ <= 1) return fail_round(status_no_reply, no_reply(std::move(outcome)));
    --tries_left_;
    return send_udp(now);
}

Probe::Progress DigProbe::read_udp(TimePoint now) {
    auto& buffer = environment_.buffer;
    while (udp_.is_open()) {
        const ssize_t got = ::recv(udp_.get(), buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return std::nullopt;
        if (got < 0) {
            const int error = errno;
            if (in_round_) return next_udp(now, outcome_of(error, Stage::udp));
            udp_.close();  // a refusal of what was answered already: of no round
            return std::nullopt;
        }
        const dns::Bytes reply(buffer.data(), static_cast<std::size_t>(got));
        if (!in_round_) {
            ++environment_.statistics.ignored_replies;
            continue;
        }
        if (Progress outcome = take_udp(reply, now)) return outcome;
        if (over_tcp_) return std::nullopt;
    }
    return std::nullopt;
}

Probe::Progress DigProbe::take_udp(dns::Bytes reply, TimePoint now) {
    const dns::DigRead read = dns::read_as_dig(reply, query_, !ignore_truncation_, true);
    switch (read.reading) {
        case DigReading::done:
        case DigReading::unreadable: return pass(now, read.rcode);
        case DigReading::truncated:
            over_tcp_ = true;
            if (!read.cookie.empty()) query_.set_whole_cookie(read.cookie);
            break;
        case DigReading::bad_cookie:
            over_tcp_ = std::exchange(bad_cookie_seen_, true);
            query_.set_whole_cookie(read.cookie);
            break;
        case DigReading::not_it:
        case DigReading::other_opcode:
        case DigReading::other_question:
            ++environment_.statistics.ignored_replies;
            // A second answer to the round before: dig's socket would not have got it.
            if (reply.size() >= 2 && dns::read16(reply, 0) == last_round_id_) return std::nullopt;
            ++ignored_;
            wake_ = now + timing_.timeout;
            return std::nullopt;
    }
    udp_.close();
    if (Progress end = count_anew()) return end;
    return ask(now);
}

// ---- TCP ------------------------------------------------------------------------

Probe::Progress DigProbe::begin_tcp(TimePoint now) {
    if (!tcp_) tcp_ = std::make_unique<TcpExchange>(environment_, token_);
    sent_ = now;
    connected_ = false;
    ++environment_.statistics.sent;
    wake_ = now + tcp_timeout_ + connect_grace;
    return drive_tcp(tcp_->begin(path_, query_.framed()), now);
}

Probe::Progress DigProbe::drive_tcp(TcpExchange::State state, TimePoint now) {
    if (!connected_ && tcp_->sent()) {
        connected_ = true;
        wake_ = now + tcp_timeout_;
    }
    while (state == TcpExchange::State::reply) {
        if (Progress outcome = take_tcp(tcp_->reply(), now)) return outcome;
        if (ignored_ > most_ignored_over_tcp)
            return fail_round(9, {Failure::silence, "no reply to the question", {}});
        tcp_->drop_reply();
        state = tcp_->advance();
    }
    if (state == TcpExchange::State::pending) return std::nullopt;
    const bool closed = state == TcpExchange::State::closed;
    Outcome outcome = closed ? Outcome{Failure::silence, "connection closed without an answer", {}}
                             : tcp_->outcome();
    tcp_->end();
    return ask_again(now, std::move(outcome));
}

Probe::Progress DigProbe::take_tcp(dns::Bytes reply, TimePoint now) {
    const dns::DigRead read = dns::read_as_dig(reply, query_, false, false);
    if (read.reading != DigReading::other_opcode) return pass(now, read.rcode);
    ++environment_.statistics.ignored_replies;
    ++ignored_;
    wake_ = now + tcp_timeout_;
    return std::nullopt;
}

}  // namespace dnsdirector::probe
