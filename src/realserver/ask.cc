// SPDX-License-Identifier: Apache-2.0
#include "realserver/ask.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <random>
#include <span>
#include <vector>

#include "core/mnemonics.h"
#include "dns/reply.h"
#include "realserver/descriptor.h"

namespace dnsdirector::realserver {
namespace {

using Outcome = Asked::Outcome;
using Clock = std::chrono::steady_clock;

class KernelAddress {
public:
    KernelAddress() = default;
    explicit KernelAddress(const Endpoint& endpoint) {
        const auto& bytes = endpoint.address.bytes();
        if (endpoint.address.is_v4()) {
            any_.v4.sin_family = AF_INET;
            any_.v4.sin_port = htons(endpoint.port);
            std::memcpy(&any_.v4.sin_addr, bytes.data(), sizeof any_.v4.sin_addr);
            size_ = sizeof any_.v4;
        } else {
            any_.v6.sin6_family = AF_INET6;
            any_.v6.sin6_port = htons(endpoint.port);
            std::memcpy(&any_.v6.sin6_addr, bytes.data(), sizeof any_.v6.sin6_addr);
        }
    }
    [[nodiscard]] Endpoint endpoint() const {
        if (any_.v4.sin_family == AF_INET) {
            std::array<std::uint8_t, 4> bytes{};
            std::memcpy(bytes.data(), &any_.v4.sin_addr, bytes.size());
            return {IpAddress::from_v4(bytes), ntohs(any_.v4.sin_port)};
        }
        std::array<std::uint8_t, 16> bytes{};
        std::memcpy(bytes.data(), &any_.v6.sin6_addr, bytes.size());
        return {IpAddress::from_v6(bytes), ntohs(any_.v6.sin6_port)};
    }
    [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&any_); }
    [[nodiscard]] socklen_t* size() { return &size_; }
    [[nodiscard]] int family() const { return any_.v4.sin_family; }

private:
    union {
        sockaddr_in v4;
        sockaddr_in6 v6;
    } any_{};
    socklen_t size_ = sizeof any_;
};

/// False once the deadline has passed.
bool wait_until(int socket, short events, Clock::time_point deadline) {
    const auto left = std::chrono::ceil<Milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) return false;
    pollfd watched{socket, events, 0};
    return poll(&watched, 1, static_cast<int>(left.count())) > 0;
}

class Asker {
public:
    Asker(const Question& question, dns::Query query, dns::Criteria criteria, Asked& asked)
        : question_(question),
          query_(std::move(query)),
          criteria_(std::move(criteria)),
          asked_(asked) {}

    void over_udp();
    void over_tcp();

private:
    void prepare();
    void end(Outcome outcome, std::string trouble) {
        asked_.outcome = outcome;
        asked_.trouble = std::move(trouble);
    }
    void end_with_errno(int error);
    /// -1: the outcome says why.
    int open_socket(int kind);
    /// Whether that was the reply.
    bool take(dns::Bytes reply);
    /// One datagram after the other until the reply; false: none within the time.
    bool await_datagram(int socket, Clock::time_point deadline);
    bool move_all(int socket, std::span<std::uint8_t> bytes, bool in, Clock::time_point deadline);

    const Question& question_;
    dns::Query query_;
    dns::Criteria criteria_;
    Asked& asked_;
    std::uint16_t id_ = 0;
    std::random_device random_;
};

void Asker::prepare() {
    id_ = static_cast<std::uint16_t>(random_());
    query_.set_id(id_);
    if (query_.has_random_label())
        query_.set_label(std::uint64_t{random_()} << 32 | std::uint64_t{random_()});
}

void Asker::end_with_errno(int error) {
    if (error == ECONNREFUSED) return end(Outcome::refused, "nothing listens there");
    if (error == ECONNRESET || error == EPIPE)
        return end(Outcome::wrong, "the connection was closed without an answer");
    end(Outcome::impossible, std::strerror(error));
}

int Asker::open_socket(int kind) {
    KernelAddress target{asked_.target};
    const int socket = ::socket(target.family(), kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1;
    // A refusal is told to a socket that is not connected only if it asks for that.
    if (socket >= 0)
        target.family() == AF_INET ? setsockopt(socket, SOL_IP, IP_RECVERR, &on, sizeof on)
                                   : setsockopt(socket, SOL_IPV6, IPV6_RECVERR, &on, sizeof on);
    if (socket >= 0 && asked_.source) {
        KernelAddress source{{*asked_.source, 0}};
        if (bind(socket, source.get(), *source.size()) == 0) return socket;
        end_with_errno(errno);
        close(socket);
        return -1;
    }
    if (socket < 0) end_with_errno(errno);
    return socket;
}

bool Asker::take(dns::Bytes reply) {
    const dns::Judged judged = dns::judge(reply, query_, id_, criteria_, asked_.protocol);
    if (judged.judgement == dns::Judgement::ignore) return false;
    asked_.size = reply.size();
    asked_.rcode = judged.rcode;
    if (judged.judgement == dns::Judgement::truncated)
        end(Outcome::truncated, "truncated");
    else if (judged.judgement == dns::Judgement::fail)
        end(Outcome::wrong, judged.reason);
    else
        end(Outcome::answered, "");
    return true;
}

bool Asker::await_datagram(int socket, Clock::time_point deadline) {
    std::vector<std::uint8_t> buffer(dns::max_message);
    while (wait_until(socket, POLLIN, deadline)) {
        KernelAddress from;
        const ssize_t size =
            recvfrom(socket, buffer.data(), buffer.size(), 0, from.get(), from.size());
        if (size < 0) {
            if (errno == EAGAIN || errno == EINTR) continue;
            end_with_errno(errno);
            return true;
        }
        if (!take(dns::Bytes{buffer}.first(static_cast<std::size_t>(size)))) continue;
        asked_.replied_from = from.endpoint();
        return true;
    }
    return false;
}

void Asker::over_udp() {
    const Descriptor socket{open_socket(SOCK_DGRAM)};
    if (socket.get() < 0) return;
    KernelAddress target{asked_.target};
    for (unsigned attempt = 0; attempt < question_.tries; ++attempt) {
        prepare();
        const auto message = query_.message();
        if (sendto(socket.get(), message.data(), message.size(), 0, target.get(), *target.size()) <
            0)
            return end_with_errno(errno);
        if (await_datagram(socket.get(), Clock::now() + question_.timeout)) return;
    }
    end(Outcome::silent, fmt::format("no reply within {}, asked {} times",
                                     to_text(question_.timeout), question_.tries));
}

bool Asker::move_all(int socket, std::span<std::uint8_t> bytes, bool in,
                     Clock::time_point deadline) {
    while (!bytes.empty()) {
        if (!wait_until(socket, in ? POLLIN : POLLOUT, deadline)) {
            end(Outcome::silent, fmt::format("no reply within {}", to_text(question_.timeout)));
            return false;
        }
        const ssize_t moved = in ? recv(socket, bytes.data(), bytes.size(), 0)
                                 : send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (moved < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (moved <= 0) {
            end_with_errno(moved == 0 ? ECONNRESET : errno);
            return false;
        }
        bytes = bytes.subspan(static_cast<std::size_t>(moved));
    }
    return true;
}

void Asker::over_tcp() {
    const Descriptor socket{open_socket(SOCK_STREAM)};
    if (socket.get() < 0) return;
    const auto deadline = Clock::now() + question_.timeout;
    KernelAddress target{asked_.target};
    if (connect(socket.get(), target.get(), *target.size()) != 0 && errno != EINPROGRESS)
        return end_with_errno(errno);
    if (!wait_until(socket.get(), POLLOUT, deadline))
        return end(Outcome::silent,
                   fmt::format("no connection within {}", to_text(question_.timeout)));
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return end_with_errno(error);
    prepare();
    std::vector<std::uint8_t> message(query_.framed().begin(), query_.framed().end());
    if (!move_all(socket.get(), message, false, deadline)) return;
    std::array<std::uint8_t, 2> length{};
    if (!move_all(socket.get(), length, true, deadline)) return;
    message.resize(dns::read16(length, 0));
    if (!move_all(socket.get(), message, true, deadline)) return;
    if (!take(message)) end(Outcome::wrong, "what came is no reply to the question");
}

}  // namespace

Asked ask(const Question& question, const Endpoint& target, Protocol protocol,
          const std::optional<IpAddress>& source) {
    core::DnsCheck check = question.check;
    check.transport = protocol;
    check.on_truncated = core::OnTruncated::ask_over_tcp;
    if (!check.edns) check.edns = core::Edns{};
    Asked asked;
    asked.target = target;
    asked.protocol = protocol;
    asked.question = fmt::format("{} {}", check.name, core::type_name(check.type));
    asked.large = question.large;
    asked.ours = question.ours;
    asked.source = source;
    auto query = dns::Query::make(check);
    auto criteria = dns::Criteria::make(check);
    if (!query || !criteria) {
        asked.trouble = !query ? query.error().message : criteria.error().message;
        return asked;
    }
    Asker asker(question, std::move(*query), std::move(*criteria), asked);
    protocol == Protocol::udp ? asker.over_udp() : asker.over_tcp();
    return asked;
}

}  // namespace dnsdirector::realserver
