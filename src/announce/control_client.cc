// SPDX-License-Identifier: Apache-2.0
#include "announce/control_client.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "announce/control_protocol.h"

namespace dnsdirector::announce {

ControlClient::ControlClient(int epoll, std::uint32_t token, Language language, std::string daemon,
                             std::string path)
    : epoll_(epoll),
      token_(token),
      language_(language),
      daemon_(std::move(daemon)),
      path_(std::move(path)) {}

void ControlClient::close() {
    // The kernel takes a closed socket out of the epoll instance.
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
    unanswered_.clear();
    reply_.clear();
}

tl::unexpected<Error> ControlClient::failed(Error error) {
    close();
    return tl::unexpected(std::move(error));
}

Result<void> ControlClient::connect() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof address.sun_path)
        return fail("the path of {}'s socket is too long: {}", daemon_, path_);
    std::copy(path_.begin(), path_.end(), address.sun_path);
    socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket_ < 0) return fail_errno("cannot make a Unix socket", errno);
    // A Unix socket connects at once or not at all.
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const int error = errno;
        if (error == ENOENT) return fail("{} does not run: there is no socket {}", daemon_, path_);
        if (error == ECONNREFUSED)
            return fail("{} does not run: nobody listens at {}", daemon_, path_);
        if (error == EACCES || error == EPERM)
            return fail("the director may not talk to {} at {}; it needs the group of that socket",
                        daemon_, path_);
        if (error == EAGAIN)
            return fail("{} does not answer at {}: it hangs, or is busy", daemon_, path_);
        return fail_errno("cannot connect to " + path_, error);
    }
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP;
    event.data.u32 = token_;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, socket_, &event) != 0)
        return fail_errno("cannot wait for " + path_, errno);
    return {};
}

Result<void> ControlClient::send() {
    const std::string& text = unanswered_.front();
    if (text.empty()) return {};
    // It was idle, so that there is room for a line of a few hundred bytes.
    const ssize_t length = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
    if (length == std::ssize(text)) return {};
    if (length < 0 && (errno == EPIPE || errno == ECONNRESET))
        return fail("{} at {} hung up: it ended, or was ended", daemon_, path_);
    return fail("{} does not answer at {}: it hangs, or is busy", daemon_, path_);
}

void ControlClient::ask(const std::string& command, TimePoint deadline) {
    deadline_ = deadline;
    refused_.reset();
    reply_.clear();
    const bool fresh = !connected();
    const auto opened = fresh ? connect() : Result<void>{};
    if (fresh) unanswered_.push_back(language_ == Language::bird ? "" : std::string("enable\0", 7));
    unanswered_.push_back(command + (language_ == Language::bird ? '\n' : '\0'));
    const auto sent = opened ? send() : opened;
    if (!sent) refused_ = sent.error();
}

bool ControlClient::is_whole() const {
    return language_ == Language::bird ? bird_reply_is_whole(reply_) : frr_reply_is_whole(reply_);
}

/// All that there is to read now, or up to the end of one reply.
Result<void> ControlClient::receive() {
    char buffer[65536];
    while (connected()) {
        const ssize_t length = ::recv(socket_, buffer, sizeof buffer, 0);
        if (length < 0 && errno == EINTR) continue;
        if (length < 0 && errno == EAGAIN) return {};
        if (length < 0 && errno != ECONNRESET) return fail_errno("cannot read " + path_, errno);
        if (length <= 0) return fail("{} at {} hung up: it ended, or was ended", daemon_, path_);
        reply_.append(buffer, static_cast<std::size_t>(length));
        if (!busy()) return fail("{} at {} says what it was not asked for", daemon_, path_);
        if (reply_.size() > longest_reply)
            return fail("the reply of {} at {} has no end", daemon_, path_);
        if (is_whole()) return {};
    }
    return {};
}

std::optional<Result<std::string>> ControlClient::work(TimePoint now) {
    if (refused_) {
        const Error error = *std::exchange(refused_, std::nullopt);
        return failed(error);
    }
    while (connected()) {
        if (auto received = receive(); !received) return failed(received.error());
        if (!busy()) return std::nullopt;
        if (!is_whole()) break;
        std::string reply = std::exchange(reply_, {});
        unanswered_.erase(unanswered_.begin());
        if (!busy()) return Result<std::string>(std::move(reply));
        if (auto sent = send(); !sent) return failed(sent.error());
    }
    if (busy() && now >= deadline_)
        return failed(
            Error{fmt::format("{} does not answer at {}: it hangs, or is busy", daemon_, path_)});
    return std::nullopt;
}

}  // namespace dnsdirector::announce
