// SPDX-License-Identifier: Apache-2.0
#include "probe/http_probe.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>

#include "probe/clock.h"

namespace dnsdirector::probe {
namespace {

using core::Failure;

/// Of a status line with all interim replies before it.
constexpr std::size_t longest_start = 8192;

bool is_digit(char character) {
    return character >= '0' && character <= '9';
}

/// "HTTP/1.1 200 OK", without its line end: the status, or nothing.
std::optional<unsigned> parse_status_line(std::string_view line) {
    constexpr std::string_view start = "HTTP/1.";
    constexpr std::size_t status_at = start.size() + 2;
    constexpr std::size_t shortest = status_at + 3;
    if (line.size() < shortest || !line.starts_with(start) || !is_digit(line[start.size()]) ||
        line[start.size() + 1] != ' ' || (line.size() > shortest && line[shortest] != ' '))
        return std::nullopt;
    unsigned status = 0;
    for (const char digit : line.substr(status_at, 3)) {
        if (!is_digit(digit)) return std::nullopt;
        status = 10 * status + static_cast<unsigned>(digit - '0');
    }
    return status < 100 ? std::nullopt : std::optional(status);
}

/// Where the first lines can still become a status line.
bool may_become_status_line(std::string_view start) {
    constexpr std::string_view wanted = "HTTP/1.";
    return wanted.starts_with(start.substr(0, wanted.size()));
}

using Ranges = std::vector<std::pair<std::uint16_t, std::uint16_t>>;

const Ranges& passing(const core::HttpCheck::Url& url) {
    static const Ranges success{{200, 299}};
    return url.statuses.empty() ? success : url.statuses;
}

std::string text_of(const Ranges& ranges) {
    std::string text;
    for (const auto& [from, to] : ranges) {
        if (!text.empty()) text += ", ";
        text += from == to ? fmt::format("{}", from) : fmt::format("{} to {}", from, to);
    }
    return text;
}

}  // namespace

std::string http_request(const core::HttpCheck::Url& url, const Endpoint& target) {
    constexpr std::uint16_t http_port = 80;
    std::string host = url.virtual_host;
    if (host.empty() && target.port == http_port)
        host = target.address.is_v4() ? target.address.to_string()
                                      : "[" + target.address.to_string() + "]";
    if (host.empty()) host = target.to_string();
    return fmt::format(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: dnsdirector\r\nAccept: */*\r\n"
        "Connection: close\r\n\r\n",
        url.path, host);
}

HttpStatus find_http_status(std::string_view received) {
    using State = HttpStatus::State;
    const bool too_long = received.size() > longest_start;
    while (true) {
        const std::size_t end = received.find('\n');
        if (end == std::string_view::npos) {
            const bool hopeless = too_long || !may_become_status_line(received);
            return {hopeless ? State::malformed : State::incomplete, 0};
        }
        std::string_view line = received.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        const std::optional<unsigned> status = parse_status_line(line);
        if (!status) return {State::malformed, 0};
        if (*status >= 200) return {State::found, *status};
        const std::size_t blank = received.find("\r\n\r\n");
        if (blank == std::string_view::npos)
            return {too_long ? State::malformed : State::incomplete, 0};
        received.remove_prefix(blank + 4);
    }
}

Result<std::unique_ptr<Probe>> HttpProbe::make(Environment& environment, std::uint64_t token,
                                               const Endpoint& target, const core::HttpCheck& check,
                                               const core::CheckTiming& timing) {
    if (check.urls.empty()) return fail("an HTTP check without a URL");
    Result<Path> path = make_path(target, check.via);
    if (!path) return tl::unexpected(path.error());
    return std::unique_ptr<Probe>(
        new HttpProbe(environment, token, target, std::move(*path), check, timing));
}

HttpProbe::HttpProbe(Environment& environment, std::uint64_t token, const Endpoint& target,
                     Path path, core::HttpCheck check, const core::CheckTiming& timing)
    : RetryingProbe(environment, token, timing),
      target_(target),
      path_(std::move(path)),
      check_(std::move(check)),
      socket_(environment.sockets) {}

void HttpProbe::end() {
    socket_.close();
    at_ = 0;
}

Probe::Progress HttpProbe::begin_try(TimePoint /*now*/) {
    return connect();
}

Probe::Progress HttpProbe::connect() {
    request_ = http_request(url(), target_);
    unsent_ = request_;
    received_.clear();
    if (Progress failed = socket_.open(Protocol::tcp, path_)) return fail_with(std::move(*failed));
    if (Progress failed = send_rest()) return failed;
    const std::uint32_t events = unsent_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT;
    if (Progress failed = socket_.watch(environment_.epoll, token_, events))
        return fail_with(std::move(*failed));
    return std::nullopt;
}

Probe::Progress HttpProbe::send_rest() {
    while (!unsent_.empty()) {
        const ssize_t sent = ::send(socket_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && (errno == EAGAIN || errno == ENOTCONN)) return std::nullopt;
        if (sent < 0) return fail_with(outcome_of(errno, Stage::tcp));
        unsent_.remove_prefix(static_cast<std::size_t>(sent));
    }
    return std::nullopt;
}

Probe::Progress HttpProbe::look() {
    if (Progress failed = send_rest()) return failed;
    auto& buffer = environment_.buffer;
    while (true) {
        const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && (errno == EAGAIN || errno == ENOTCONN)) return std::nullopt;
        if (got < 0) return fail_with(outcome_of(errno, Stage::tcp));
        if (got == 0)
            return fail_with({Failure::answer,
                              received_.empty() ? "connection closed without an answer"
                                                : "connection closed in the middle of the status",
                              since_try()});
        received_.append(reinterpret_cast<const char*>(buffer.data()),
                         static_cast<std::size_t>(got));
        const HttpStatus found = find_http_status(received_);
        if (found.state == HttpStatus::State::malformed)
            return fail_with({Failure::answer, "malformed reply: not HTTP", since_try()});
        if (found.state == HttpStatus::State::found) return judge(found.status);
    }
}

Probe::Progress HttpProbe::judge(unsigned status) {
    const Ranges& ranges = passing(url());
    const bool passes = std::ranges::any_of(
        ranges, [&](const auto& range) { return range.first <= status && status <= range.second; });
    if (!passes)
        return fail_with({Failure::answer,
                          fmt::format("status {}, expected {}", status, text_of(ranges)),
                          since_try()});
    if (at_ + 1 == check_.urls.size()) return pass();
    ++at_;
    more_time(now());
    return connect();
}

std::string HttpProbe::in_words(std::string reason) const {
    return check_.urls.size() == 1 ? reason : fmt::format("{}: {}", url().path, reason);
}

Probe::Progress HttpProbe::fail_with(Outcome outcome) {
    outcome.reason = in_words(std::move(outcome.reason));
    return finish(std::move(outcome));
}

Outcome HttpProbe::unanswered() const {
    Outcome outcome = RetryingProbe::unanswered();
    outcome.reason = in_words(std::move(outcome.reason));
    return outcome;
}

}  // namespace dnsdirector::probe
