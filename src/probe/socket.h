// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <optional>

#include "base/address.h"
#include "base/result.h"
#include "core/check.h"
#include "probe/descriptor.h"
#include "probe/probe.h"

namespace dnsdirector::probe {

/// An endpoint as the kernel takes it.
class SocketAddress {
public:
    explicit SocketAddress(const Endpoint& endpoint);
    [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&any_); }
    [[nodiscard]] socklen_t size() const { return size_; }
    [[nodiscard]] int family() const { return any_.v6.sin6_family; }

private:
    union {
        sockaddr_in v4;
        sockaddr_in6 v6;
    } any_{};
    socklen_t size_;
};

/// Where a probe's packets go, where they come from and how they leave.
struct Path {
    SocketAddress target;
    std::optional<SocketAddress> source;  ///< address or port or both
    std::string source_text;              ///< for reasons
    bool fixed_port = false;
    std::string interface;   ///< core::Via's
    std::uint32_t mark = 0;  ///< core::Via's
};
/// Errors: a source that is not of the target's family.
[[nodiscard]] Result<Path> make_path(const Endpoint& target, const core::Via& via);

/// A connected socket that counts in the budget, close-on-exec and non-blocking.
class Socket {
public:
    explicit Socket(SocketBudget& budget) : budget_(budget) {}
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket() { close(); }

    /// Opens, binds and connects (TCP: begins to); nothing when all went well.
    /// UDP is connected too, so that ICMP errors arrive, foreign senders do not,
    /// and the port is random (RFC 5452).
    std::optional<Outcome> open(Protocol protocol, const Path& path);
    /// The same for any socket(2): `kind` SOCK_DGRAM with `protocol` IPPROTO_ICMP …
    std::optional<Outcome> open(int kind, int protocol, const Path& path);
    void close();
    [[nodiscard]] bool is_open() const { return descriptor_.open(); }
    [[nodiscard]] int get() const { return descriptor_.get(); }

    /// Edge-triggered events for `token` from now on.
    std::optional<Outcome> watch(int epoll, std::uint64_t token, std::uint32_t events) const;

private:
    /// Source, interface and mark; before connect, since the route depends on them.
    std::optional<Outcome> prepare(int kind, const Path& path) const;

    SocketBudget& budget_;
    Descriptor descriptor_;
};

/// How far a question got when an error was reported.
enum class Stage : std::uint8_t {
    own,  ///< nothing has left this machine
    udp,  ///< something has been sent over UDP
    tcp,  ///< likewise over TCP, at least the request for a connection
};

/// What an error of connect, send or receive says about the server: a refusal
/// that came over the network is an answer; what our own machine objects to is
/// local; a host that nobody could reach is as silent as one that is off.
[[nodiscard]] Outcome outcome_of(int error, Stage stage);

}  // namespace dnsdirector::probe
