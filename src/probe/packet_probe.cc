// SPDX-License-Identifier: Apache-2.0
#include "probe/packet_probe.h"

#include <fmt/core.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include <algorithm>
#include <utility>

#include "probe/clock.h"
#include "probe/icmp_error.h"
#include "probe/socket.h"

namespace dnsdirector::probe {
namespace {

using core::Failure;

constexpr std::size_t length_bytes = 2;

/// What fits in a packet of the server's without fragments.
std::uint16_t max_segment_of(const Way& way) {
    const std::uint32_t headers = way.source().is_v4() ? 40 : 60;
    return static_cast<std::uint16_t>(std::clamp<std::uint32_t>(way.mtu(), 576, 9000) - headers);
}

/// By direct routing no router is on the way: who says it is the server, or whom it sent the
/// packet to.
bool is_unreachable(const Incoming& error) {
    return error.source.address.is_v4()
               ? error.icmp_type == ICMP_UNREACH && error.icmp_code <= ICMP_UNREACH_HOST
               : error.icmp_type == ICMP6_DST_UNREACH &&
                     (error.icmp_code == ICMP6_DST_UNREACH_NOROUTE ||
                      error.icmp_code == ICMP6_DST_UNREACH_ADDR);
}

bool is_out_of_hops(const Incoming& error) {
    return error.icmp_code == 0 &&
           error.icmp_type ==
               (error.source.address.is_v4() ? int{ICMP_TIMXCEED} : int{ICMP6_TIME_EXCEEDED});
}

}  // namespace

Result<std::unique_ptr<PacketProbe>> PacketProbe::make(
    Environment& environment, std::uint64_t token, std::shared_ptr<Through> through,
    std::shared_ptr<Way> way, const Endpoint& server, const core::DnsCheck& check,
    const core::CheckTiming& timing) {
    Result<dns::Query> query = dns::Query::make(check);
    if (!query) return tl::unexpected(query.error());
    Result<dns::Criteria> criteria = dns::Criteria::make(check);
    if (!criteria) return tl::unexpected(criteria.error());
    return std::unique_ptr<PacketProbe>(new PacketProbe(environment, token, std::move(through),
                                                        std::move(way), server, check, timing,
                                                        std::move(*query), std::move(*criteria)));
}

PacketProbe::PacketProbe(Environment& environment, std::uint64_t token,
                         std::shared_ptr<Through> through, std::shared_ptr<Way> way,
                         const Endpoint& server, const core::DnsCheck& check,
                         const core::CheckTiming& timing, dns::Query query, dns::Criteria criteria)
    : DnsRound(environment, check, timing, std::move(query), std::move(criteria)),
      token_(token),
      through_(std::move(through)),
      way_(std::move(way)),
      source_(check.via.source) {
    path_.destination = {*check.via.service_ip, server.port};
    if (check.via.tunnel) path_.tunnel_to = server.address;
}

PacketProbe::~PacketProbe() {
    PacketProbe::end_round(false);
    if (!connection_) return;
    tcp_.abort();
    send_segments();
    through_->exchange().forget(*connection_);
}

std::uint16_t PacketProbe::new_id() {
    if (criteria_.transport != Protocol::udp) return DnsRound::new_id();
    const auto question = through_->exchange().await_datagram(*this);
    questions_[question_count_++] = question;
    return question.id;
}

// ---- sending ------------------------------------------------------------------

Probe::Progress PacketProbe::send_by(Protocol transport) {
    waiting_.reset();
    const Way& way = through_->ways().prepare(*way_, token_);
    switch (way.state()) {
        case Way::State::open: break;
        case Way::State::resolving: waiting_ = transport; return std::nullopt;
        case Way::State::impossible: return finish({Failure::local, way.reason(), {}});
        case Way::State::local:
            return finish({Failure::local, "cannot send: the server is this machine now", {}});
    }
    path_.source.address = source_.value_or(way.source());
    return transport == Protocol::udp ? send_datagram() : connect();
}

Probe::Progress PacketProbe::send_datagram() {
    PacketBuffer buffer;
    path_.source.port = questions_[question_count_ - 1].port;
    const dns::Bytes packet = write_udp(path_, query_.message(), buffer);
    const int error = through_->exchange().send(way_->interface(), way_->mac(), packet);
    if (error != 0) return finish(probe::outcome_of(error, Stage::own));
    ++environment_.statistics.sent;
    return std::nullopt;
}

Probe::Progress PacketProbe::connect() {
    if (connection_) {  // the last one's server may not have ended it
        tcp_.abort();
        send_segments();
        through_->exchange().forget(*connection_);
    }
    connection_ = through_->exchange().await_segments(*this);
    const TimePoint time = now();
    tcp_.begin(connection_->first_number, query_.framed(), max_segment_of(*way_), time);
    if (const int error = send_segments(); error != 0)
        return finish(probe::outcome_of(error, Stage::own));
    ++environment_.statistics.sent;
    wake_at(tcp_.timer());
    return std::nullopt;
}

int PacketProbe::send_segments() {
    PacketBuffer buffer;
    if (connection_) path_.source.port = connection_->port;
    for (const TcpClient::Segment& segment : tcp_.take_output()) {
        if (way_->state() != Way::State::open) continue;
        const dns::Bytes packet = write_tcp(path_, segment.fields, segment.payload, buffer);
        const int error = through_->exchange().send(way_->interface(), way_->mac(), packet);
        if (error != 0) return error;
    }
    return 0;
}

Probe::Progress PacketProbe::on_timer(TimePoint now) {
    tcp_.on_timer(now);
    send_segments();
    wake_at(tcp_.timer());
    return std::nullopt;
}

// ---- receiving ----------------------------------------------------------------

bool PacketProbe::take(const Incoming& packet, TimePoint now) {
    const bool look_at_it = in_round();
    Progress progress;
    if (packet.kind == Incoming::Kind::error)
        progress = take_error(packet);
    else if (packet.destination.address != path_.source.address)
        ignore("sent to another address");
    else if (packet.checksum_wrong)
        ignore("wrong checksum");
    else if (packet.protocol == Protocol::udp)
        progress = take_reply(packet);
    else
        progress = take_segment(packet, now);
    if (progress) pending_ = std::move(progress);
    return look_at_it;
}

void PacketProbe::ignore(const char* why) {
    count_ignored();
    ignored_why_ = why;
}

Probe::Progress PacketProbe::wrong_source(const Endpoint& source) {
    return finish({Failure::answer,
                   fmt::format("answered from {} instead of {}", source.to_string(),
                               path_.destination.to_string()),
                   {}});
}

Probe::Progress PacketProbe::take_reply(const Incoming& packet) {
    const bool elsewhere = packet.source != path_.destination;
    if (in_round() && (elsewhere || packet.fragment)) {
        // As much of a proof that it is the reply as judging asks for.
        if (!dns::begins_with_question(packet.payload, query_.question())) {
            ignore("wrong ID or question");
            return std::nullopt;
        }
        if (elsewhere) return wrong_source(packet.source);
        return finish({Failure::answer,
                       "answered in fragments, which are not put together here: "
                       "ask with a smaller edns buffer",
                       {}});
    }
    const std::uint32_t before = ignored();
    Progress progress = take_datagram(packet.payload);
    if (ignored() > before) ignored_why_ = "wrong ID or question";
    return progress;
}

Probe::Progress PacketProbe::take_segment(const Incoming& packet, TimePoint now) {
    if (packet.source != path_.destination) {
        const bool answer = in_round() && tcp_.state() == TcpClient::State::connecting &&
                            packet.tcp.has(TcpFields::syn) && packet.tcp.has(TcpFields::ack);
        return answer ? wrong_source(packet.source) : std::nullopt;
    }
    tcp_.take(packet.tcp, packet.payload, now);
    Progress progress;
    if (in_round()) progress = read_connection();
    // A new try may have begun, on a connection of its own.
    send_segments();
    if (in_round()) wake_at(tcp_.timer());
    return progress;
}

Probe::Progress PacketProbe::read_connection() {
    if (tcp_.fault() == TcpClient::Fault::refused)
        return finish({Failure::refused, "connection refused", {}});
    if (tcp_.fault() == TcpClient::Fault::reset)
        return finish({Failure::refused, "connection reset", {}});
    while (true) {
        const dns::Bytes received = tcp_.received();
        if (received.size() < length_bytes) break;
        const std::size_t size = dns::read16(received, 0);
        if (received.size() < length_bytes + size) break;
        if (Progress outcome = take_message(received.subspan(length_bytes, size))) return outcome;
        tcp_.drop(length_bytes + size);
    }
    return tcp_.server_is_done() ? connection_closed() : std::nullopt;
}

bool PacketProbe::is_concerned_by(const Incoming& packet) const {
    return connection_ && packet.destination.port == connection_->port &&
           packet.destination.address == path_.source.address &&
           packet.source == path_.destination &&
           (packet.tcp.has(TcpFields::rst) ? packet.tcp.sequence == tcp_.awaited_number()
                                           : tcp_.state() == TcpClient::State::connecting);
}

Probe::Progress PacketProbe::take_error(const Incoming& packet) {
    if (!in_round() || packet.destination != path_.destination ||
        packet.source.address != path_.source.address)
        return std::nullopt;
    if (packet.tunnelled && packet.reported_by == path_.tunnel_to)
        return finish({Failure::refused,
                       fmt::format("no tunnel ends there, says {}", packet.reported_by.to_string()),
                       {}});
    if (is_out_of_hops(packet) && !packet.tunnelled)
        return finish(
            {Failure::refused,
             fmt::format("the server does not hold {}: it sent the packet on, says {}",
                         path_.destination.address.to_string(), packet.reported_by.to_string()),
             {}});
    auto outcome = outcome_of_icmp(
        {!path_.source.address.is_v4(), packet.icmp_type, packet.icmp_code, packet.reported_by});
    if (!outcome) return std::nullopt;
    if (is_unreachable(packet) && !packet.tunnelled)
        outcome->reason = fmt::format("the server does not hold {}: {}",
                                      path_.destination.address.to_string(), outcome->reason);
    return finish(std::move(*outcome));
}

Probe::Progress PacketProbe::look() {
    if (pending_) return std::exchange(pending_, std::nullopt);
    if (!waiting_ || !in_round() || way_->state() == Way::State::resolving) return std::nullopt;
    present_try().sent = now();
    return send_by(*waiting_);
}

// ---- ends ---------------------------------------------------------------------

/// The connection stays ours until the next one, to answer the server's part of its end.
void PacketProbe::end_tcp() {
    waiting_.reset();
    if (!connection_) return;
    if (tcp_.state() == TcpClient::State::connecting ||
        tcp_.state() == TcpClient::State::established)
        tcp_.finish();
    send_segments();
}

void PacketProbe::end_round(bool /*passed*/) {
    end_tcp();
    for (std::size_t at = 0; at < question_count_; ++at)
        through_->exchange().forget(questions_[at]);
    question_count_ = 0;
    ignored_why_ = nullptr;
    pending_.reset();
}

Outcome PacketProbe::silence() const {
    if (waiting_) return {Failure::silence, way_->reason(), {}};
    if (ignored() == 0 || ignored_why_ == nullptr) return DnsRound::silence();
    return {Failure::silence,
            fmt::format("timeout; {} {} ignored: {}", ignored(),
                        ignored() == 1 ? "reply" : "replies", ignored_why_),
            {}};
}

}  // namespace dnsdirector::probe
