// SPDX-License-Identifier: Apache-2.0
#include "probe/dns_probe.h"

#include <sys/epoll.h>

#include <cerrno>

#include "probe/tls_exchange.h"

namespace dnsdirector::probe {
namespace {

using core::Failure;

/// A UDP socket serves 8 to 23 rounds: a new one for each round doubles its cost
/// (25 us instead of 12, bench/checks_bench.cc), and an old port invites spoofing.
unsigned rounds_of_a_socket(IdSource& ids) {
    return 8U + ids.next() % 16U;
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
    : DnsRound(environment, check, timing, std::move(query), std::move(criteria)),
      token_(token),
      path_(std::move(path)),
      tls_(check.tls),
      udp_(environment.sockets) {}

Probe::Progress DnsProbe::send_udp() {
    if (!udp_.is_open()) {
        if (Progress failed = udp_.open(Protocol::udp, path_)) return finish(std::move(*failed));
        if (Progress failed = udp_.watch(environment_.epoll, token_, EPOLLIN))
            return finish(std::move(*failed));
        rounds_left_ = rounds_of_a_socket(environment_.ids);
    }
    const dns::Bytes message = query_.message();
    if (::send(udp_.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0)
        return finish(probe::outcome_of(errno, is_first_try() ? Stage::own : Stage::udp));
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
            if (in_round()) return finish(probe::outcome_of(error, Stage::udp));
            udp_.close();  // a refusal of what was answered already: of no round
            return std::nullopt;
        }
        const dns::Bytes reply(buffer.data(), static_cast<std::size_t>(got));
        if (Progress outcome = take_datagram(reply)) return outcome;
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
        if (Progress outcome = take_message(tcp_->reply())) return outcome;
        tcp_->drop_reply();
        state = tcp_->advance();
    }
    if (state == TcpExchange::State::failed) return finish(tcp_->outcome());
    if (state == TcpExchange::State::pending) return std::nullopt;
    return connection_closed();
}

Probe::Progress DnsProbe::look() {
    if (in_round() && tcp_ && tcp_->active()) return drive_tcp(tcp_->advance());
    return read_udp();
}

void DnsProbe::end_tcp() {
    if (tcp_) tcp_->end();
}

Outcome DnsProbe::silence() const {
    if (tcp_ && tcp_->active() && tcp_->in_handshake())
        return {Failure::silence, "timeout in the TLS handshake", {}};
    return DnsRound::silence();
}

void DnsProbe::end_round(bool passed) {
    end_tcp();
    if (udp_.is_open() && (!passed || --rounds_left_ == 0 || !environment_.sockets.may_keep()))
        udp_.close();
}

}  // namespace dnsdirector::probe
