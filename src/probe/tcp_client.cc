// SPDX-License-Identifier: Apache-2.0
#include "probe/tcp_client.h"

#include <algorithm>
#include <utility>

namespace dnsdirector::probe {
namespace {

/// RFC 9293, 3.7.1: where the option is absent.
constexpr std::uint16_t standard_max_segment = 536;

/// How far `a` is behind `b`, modulo 2^32.
std::int32_t distance(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::int32_t>(a - b);
}

}  // namespace

void TcpClient::begin(std::uint32_t first_number, dns::Bytes message, std::uint16_t max_segment,
                      TimePoint now) {
    *this = TcpClient{};
    state_ = State::connecting;
    first_ = acknowledged_ = first_number;
    message_ = message.first(std::min(message.size(), longest_message));
    max_segment_ = max_segment;
    send(TcpFields::syn, first_);
    wait_ = first_wait;
    timer_ = now + wait_;
}

std::uint16_t TcpClient::window() const {
    const std::size_t left = room - std::min(room, received().size() + early_size_);
    return static_cast<std::uint16_t>(std::min<std::size_t>(left, 65535));
}

/// Behind all that was sent.
std::uint32_t TcpClient::end_number() const {
    const auto size = static_cast<std::uint32_t>(message_.size());
    if (state_ == State::connecting) return first_ + 1;
    return first_ + 1 + size + (state_ == State::finishing || state_ == State::finished ? 1 : 0);
}

void TcpClient::send(std::uint8_t flags, std::uint32_t sequence, dns::Bytes payload) {
    TcpFields fields;
    fields.sequence = sequence;
    fields.flags = flags;
    if ((flags & TcpFields::ack) != 0) fields.acknowledgement = awaited_;
    if ((flags & TcpFields::rst) == 0) fields.window = window();
    if ((flags & TcpFields::syn) != 0) fields.max_segment = max_segment_;
    output_.push_back({fields, payload});
}

void TcpClient::send_message(std::size_t from) {
    const std::size_t most = std::clamp<std::size_t>(server_max_segment_, 64, largest_payload);
    for (std::size_t at = from; at < message_.size(); at += most) {
        const dns::Bytes part = message_.subspan(at, std::min(most, message_.size() - at));
        const bool last = at + part.size() == message_.size();
        send(static_cast<std::uint8_t>(TcpFields::ack | (last ? TcpFields::psh : 0)),
             first_ + 1 + static_cast<std::uint32_t>(at), part);
    }
    acknowledge_ = false;
}

void TcpClient::take(const TcpFields& fields, dns::Bytes payload, TimePoint now) {
    switch (state_) {
        case State::idle: return;
        case State::connecting: return take_handshake(fields, now);
        case State::broken:
            // A server that still believes in it.
            if (fields.has(TcpFields::ack) && !fields.has(TcpFields::rst))
                send(TcpFields::rst, fields.acknowledgement);
            return;
        case State::established:
        case State::finishing:
        case State::finished: break;
    }
    if (fields.has(TcpFields::rst)) return take_reset(fields);
    if (fields.has(TcpFields::syn)) {  // our answer to it was lost
        acknowledge_ = true;
        return;
    }
    if (!fields.has(TcpFields::ack)) return;
    take_acknowledgement(fields, now);
    take_payload(fields.sequence, payload, fields.has(TcpFields::fin));
}

void TcpClient::take_handshake(const TcpFields& fields, TimePoint now) {
    if (!fields.has(TcpFields::ack)) return;
    if (fields.acknowledgement != first_ + 1) return clear_earlier(fields);
    if (fields.has(TcpFields::rst)) return break_off(Fault::refused);
    if (!fields.has(TcpFields::syn)) return;
    state_ = State::established;
    acknowledged_ = first_ + 1;
    server_first_ = awaited_ = fields.sequence + 1;
    server_max_segment_ = fields.max_segment != 0 ? fields.max_segment : standard_max_segment;
    send_message(0);
    wait_ = first_wait;
    timer_ = now + wait_;
}

/// RFC 9293, 3.5.2: the server still has an earlier connection of this port (TIME-WAIT, where it
/// closed first) and answers our SYN for that. A reset ends it; without a second SYN the server
/// would hear of this one after `first_wait` only. Once, so that nobody can have us send more.
void TcpClient::clear_earlier(const TcpFields& fields) {
    if (fields.has(TcpFields::rst) || std::exchange(cleared_earlier_, true)) return;
    send(TcpFields::rst, fields.acknowledgement);
    send(TcpFields::syn, first_);
}

/// RFC 5961, 3.2: another number than the awaited one may be a stranger's guess; if it is not,
/// what it provokes has the server say it again, rightly.
void TcpClient::take_reset(const TcpFields& fields) {
    if (fields.sequence == awaited_) return break_off(Fault::reset);
    const std::int32_t ahead = distance(fields.sequence, awaited_);
    if (ahead > 0 && ahead < std::int32_t{window()}) acknowledge_ = true;
}

void TcpClient::take_acknowledgement(const TcpFields& fields, TimePoint now) {
    if (distance(fields.acknowledgement, acknowledged_) <= 0 ||
        distance(fields.acknowledgement, end_number()) > 0)
        return;
    acknowledged_ = fields.acknowledgement;
    wait_ = first_wait;
    const bool all =
        distance(acknowledged_, first_ + 1) >= static_cast<std::int32_t>(message_.size());
    timer_ = all ? std::nullopt : std::optional(now + wait_);
}

void TcpClient::take_payload(std::uint32_t sequence, dns::Bytes payload, bool fin) {
    if (payload.empty() && !fin) return;
    acknowledge_ = true;
    const std::uint32_t end = sequence + static_cast<std::uint32_t>(payload.size());
    std::int32_t ahead = distance(sequence, awaited_);
    // Beyond the window, or of long ago; it is told what is awaited.
    if (server_done_ || ahead > 65535 || ahead < -65536) return;
    if (ahead <= 0) {
        const auto known = static_cast<std::size_t>(-ahead);
        append(payload.subspan(std::min(known, payload.size())));
        join_early();
    } else if (!payload.empty() && state_ == State::established &&
               early_size_ + payload.size() <= 65535) {
        auto& place = early_[sequence - server_first_];
        if (place.size() < payload.size()) {
            early_size_ += payload.size() - place.size();
            place.assign(payload.begin(), payload.end());
        }
    }
    if (fin) fin_at_ = end;
    if (fin_at_ && *fin_at_ == awaited_) {
        ++awaited_;
        server_done_ = true;
        if (state_ == State::finishing) state_ = State::finished;
    }
}

void TcpClient::append(dns::Bytes payload) {
    awaited_ += static_cast<std::uint32_t>(payload.size());
    // Once we have sent our FIN, nobody wants it any more.
    if (state_ == State::established)
        received_.insert(received_.end(), payload.begin(), payload.end());
}

/// What came too early and now is in time.
void TcpClient::join_early() {
    while (!early_.empty()) {
        const auto first = early_.begin();
        const std::uint32_t sequence = server_first_ + first->first;
        const std::int32_t ahead = distance(sequence, awaited_);
        if (ahead > 0) return;
        const auto known = static_cast<std::size_t>(-ahead);
        const std::vector<std::uint8_t> bytes = std::move(first->second);
        early_size_ -= bytes.size();
        early_.erase(first);
        append(dns::Bytes(bytes).subspan(std::min(known, bytes.size())));
    }
}

void TcpClient::on_timer(TimePoint now) {
    if (!timer_ || now < *timer_) return;
    wait_ *= 2;
    timer_ = now + wait_;
    if (state_ == State::connecting) return send(TcpFields::syn, first_);
    const std::int32_t arrived = distance(acknowledged_, first_ + 1);
    send_message(static_cast<std::size_t>(std::max(arrived, std::int32_t{0})));
}

void TcpClient::finish() {
    if (state_ != State::established) return abort();
    const std::uint32_t number = end_number();
    state_ = server_done_ ? State::finished : State::finishing;
    send(TcpFields::fin | TcpFields::ack, number);
    acknowledge_ = false;
    timer_.reset();
    // Bytes that nobody will ask for.
    received_.clear();
    dropped_ = 0;
    early_.clear();
    early_size_ = 0;
}

void TcpClient::abort() {
    if (state_ == State::established || state_ == State::finishing)
        send(TcpFields::rst | TcpFields::ack, end_number());
    if (state_ != State::idle && state_ != State::finished) break_off(Fault::given_up);
}

void TcpClient::break_off(Fault fault) {
    state_ = State::broken;
    if (fault_ == Fault::none) fault_ = fault;
    timer_.reset();
    acknowledge_ = false;
}

void TcpClient::drop(std::size_t size) {
    dropped_ += std::min(size, received_.size() - dropped_);
    if (dropped_ < received_.size() / 2) return;
    received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(dropped_));
    dropped_ = 0;
}

std::vector<TcpClient::Segment> TcpClient::take_output() {
    if (acknowledge_) send(TcpFields::ack, end_number());
    acknowledge_ = false;
    return std::exchange(output_, {});
}

}  // namespace dnsdirector::probe
