// SPDX-License-Identifier: Apache-2.0
#include "announce/control_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "announce/control_protocol.h"

namespace dnsdirector::announce {
namespace {

/// A daemon that never ends its reply shall not take the memory of the machine.
constexpr std::size_t longest_reply = std::size_t{64} << 20;

class Conversation {
public:
    Conversation(std::string path, Nanoseconds patience)
        : path_(std::move(path)), until_(std::chrono::steady_clock::now() + patience) {}
    ~Conversation() {
        if (socket_ >= 0) ::close(socket_);
    }
    Conversation(const Conversation&) = delete;
    Conversation& operator=(const Conversation&) = delete;

    Result<void> open();
    Result<void> send(std::string_view text);
    /// What has come when `whole` says that it is all.
    template <typename Whole>
    Result<std::string> receive(Whole whole);

private:
    Result<void> wait(short events);

    std::string path_;
    std::chrono::steady_clock::time_point until_;
    int socket_ = -1;
};

Result<void> Conversation::open() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof address.sun_path)
        return fail("the path of the socket {} is too long", path_);
    std::copy(path_.begin(), path_.end(), address.sun_path);
    socket_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket_ < 0) return fail_errno("cannot make a Unix socket", errno);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        return {};
    const int error = errno;
    if (error == ENOENT || error == ECONNREFUSED)
        return fail("no routing daemon listens at {} ({}); is it running, and is that its socket?",
                    path_, std::strerror(error));
    if (error == EACCES)
        return fail("this user may not talk to the routing daemon at {}; run it as root", path_);
    return fail_errno("cannot connect to " + path_, error);
}

Result<void> Conversation::wait(short events) {
    const auto left = std::chrono::ceil<Milliseconds>(until_ - std::chrono::steady_clock::now());
    pollfd waiting{socket_, events, 0};
    const int ready =
        ::poll(&waiting, 1, static_cast<int>(std::max<Milliseconds::rep>(left.count(), 0)));
    if (ready > 0 || (ready < 0 && errno == EINTR)) return {};
    if (ready < 0) return fail_errno("cannot wait for " + path_, errno);
    return fail("the routing daemon at {} does not answer: it hangs, or is busy", path_);
}

Result<void> Conversation::send(std::string_view text) {
    while (!text.empty()) {
        const ssize_t length = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
        if (length >= 0) {
            text.remove_prefix(static_cast<std::size_t>(length));
            continue;
        }
        if (errno != EAGAIN && errno != EINTR) return fail_errno("cannot write to " + path_, errno);
        if (auto waited = wait(POLLOUT); !waited) return waited;
    }
    return {};
}

template <typename Whole>
Result<std::string> Conversation::receive(Whole whole) {
    std::string text;
    char buffer[65536];
    while (!whole(text)) {
        const ssize_t length = ::recv(socket_, buffer, sizeof buffer, 0);
        if (length == 0) return fail("the routing daemon at {} hung up within its reply", path_);
        if (length < 0 && errno != EAGAIN && errno != EINTR)
            return fail_errno("cannot read from " + path_, errno);
        if (length > 0)
            text.append(buffer, static_cast<std::size_t>(length));
        else if (auto waited = wait(POLLIN); !waited)
            return tl::unexpected(waited.error());
        if (text.size() > longest_reply)
            return fail("the reply of the routing daemon at {} has no end", path_);
    }
    return text;
}

}  // namespace

Result<std::string> ask_bird(const std::string& socket, const std::string& command,
                             Nanoseconds patience) {
    Conversation bird(socket, patience);
    if (auto opened = bird.open(); !opened) return tl::unexpected(opened.error());
    if (auto greeting = bird.receive(bird_reply_is_whole); !greeting) return greeting;
    if (auto sent = bird.send(command + "\n"); !sent) return tl::unexpected(sent.error());
    auto said = bird.receive(bird_reply_is_whole);
    if (!said) return said;
    auto reply = bird_reply(*said);
    if (!reply)
        return fail("what is said at {} is no reply of BIRD: {}", socket, reply.error().message);
    if (!reply->error.empty()) return fail("BIRD refuses `{}`: {}", command, reply->error);
    return std::move(reply->text);
}

Result<std::string> ask_frr(const std::string& socket, const std::string& command,
                            Nanoseconds patience) {
    Conversation daemon(socket, patience);
    if (auto opened = daemon.open(); !opened) return tl::unexpected(opened.error());
    std::string reply;
    for (const std::string& each : {std::string("enable"), command}) {
        if (auto sent = daemon.send(std::string_view(each.c_str(), each.size() + 1)); !sent)
            return tl::unexpected(sent.error());
        auto said = daemon.receive(frr_reply_is_whole);
        if (!said) return said;
        FrrReply taken = frr_reply(*said);
        if (taken.status != 0) return fail("FRR at {} refuses `{}`: {}", socket, each, taken.text);
        reply = std::move(taken.text);
    }
    return reply;
}

}  // namespace dnsdirector::announce
