// SPDX-License-Identifier: Apache-2.0
#include "probe/tcp_exchange.h"

#include <sys/epoll.h>

#include <cerrno>

#include "dns/message.h"

namespace dnsdirector::probe {
namespace {

constexpr std::size_t length_size = 2;

/// Whether the bytes begin with a whole message.
bool whole(std::span<const std::uint8_t> bytes) {
    return bytes.size() >= length_size && bytes.size() >= length_size + dns::read16(bytes, 0);
}

}  // namespace

TcpExchange::State TcpExchange::fail_with(Outcome outcome) {
    outcome_ = std::move(outcome);
    return State::failed;
}

ssize_t TcpExchange::write(std::span<const std::uint8_t> bytes) {
    return ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

ssize_t TcpExchange::read(std::span<std::uint8_t> into) {
    return ::recv(socket_.get(), into.data(), into.size(), 0);
}

Outcome TcpExchange::outcome_of_error(int error) const {
    return outcome_of(error, Stage::tcp);
}

TcpExchange::State TcpExchange::begin(const Path& path, std::span<const std::uint8_t> framed) {
    unsent_ = framed;
    partial_.clear();
    dropped_ = 0;
    reply_in_buffer_ = false;
    reply_ = {};
    if (std::optional<Outcome> failed = socket_.open(Protocol::tcp, path))
        return fail_with(std::move(*failed));
    if (!prepare()) return fail_with(outcome_of_error(errno));
    // On a short path the connection stands already: that saves a round through epoll.
    if (const State state = send_rest(); state == State::failed) return state;
    const std::uint32_t events = unsent_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT;
    if (std::optional<Outcome> failed = socket_.watch(environment_.epoll, token_, events))
        return fail_with(std::move(*failed));
    return State::pending;
}

TcpExchange::State TcpExchange::send_rest() {
    while (!unsent_.empty()) {
        const ssize_t sent = write(unsent_);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && (errno == EAGAIN || errno == ENOTCONN)) return State::pending;
        if (sent < 0) return fail_with(outcome_of_error(errno));
        unsent_ = unsent_.subspan(static_cast<std::size_t>(sent));
    }
    return State::pending;
}

TcpExchange::State TcpExchange::receive() {
    auto& buffer = environment_.buffer;
    while (true) {
        if (whole(waiting())) {
            reply_ = waiting().subspan(length_size, dns::read16(waiting(), 0));
            return State::reply;
        }
        const ssize_t got = read(buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return State::pending;
        if (got < 0) return fail_with(outcome_of_error(errno));
        if (got == 0) return State::closed;
        const std::span<const std::uint8_t> bytes(buffer.data(), static_cast<std::size_t>(got));
        // Less than a message is left over: moved once for each read, not for each reply.
        partial_.erase(partial_.begin(), partial_.begin() + static_cast<std::ptrdiff_t>(dropped_));
        dropped_ = 0;
        if (partial_.empty() && whole(bytes)) {
            reply_ = bytes.subspan(length_size, dns::read16(bytes, 0));
            // What follows, should this one be ignored.
            const auto behind = bytes.subspan(length_size + reply_.size());
            partial_.assign(behind.begin(), behind.end());
            reply_in_buffer_ = true;
            return State::reply;
        }
        partial_.insert(partial_.end(), bytes.begin(), bytes.end());
    }
}

TcpExchange::State TcpExchange::advance() {
    if (const State state = send_rest(); state == State::failed || !unsent_.empty()) return state;
    return receive();
}

void TcpExchange::drop_reply() {
    if (!reply_in_buffer_ && !waiting().empty()) dropped_ += length_size + reply_.size();
    reply_in_buffer_ = false;
    reply_ = {};
}

}  // namespace dnsdirector::probe
