// SPDX-License-Identifier: Apache-2.0
//
// A server and a client on loopback, for tests of the proxy plane.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "base/address.h"
#include "unit/dataplane/proxy/messages.h"

namespace dnsdirector::dataplane::proxy::testing {

/// Answers what it is asked over UDP and TCP at one port of 127.0.0.1, in the way it is told.
class FakeServer {
public:
    /// Messages to send for a query, in order; none: silence.
    using Behaviour = std::function<std::vector<Octets>(const Octets& query)>;

    explicit FakeServer(Behaviour behaviour, std::uint16_t port = 0);
    ~FakeServer();
    FakeServer(const FakeServer&) = delete;
    FakeServer& operator=(const FakeServer&) = delete;

    [[nodiscard]] Endpoint endpoint() const;
    [[nodiscard]] int asked() const { return asked_; }
    [[nodiscard]] int connections() const { return connections_; }
    /// Every TCP connection is closed after so many answers; 0: never.
    void close_after(int answers) { close_after_ = answers; }
    /// A header of the PROXY protocol (28 bytes, IPv4) comes first, or nothing is answered.
    void take_header() { header_ = true; }
    /// Answers of one read are written in reverse order.
    void reverse() { reverse_ = true; }

private:
    struct Connection {
        int socket;
        Octets bytes;
        int answers = 0;
        bool headed = false;  ///< its header has come
    };
    void run();
    void serve_udp();
    bool serve_tcp(Connection& connection);

    Behaviour behaviour_;
    std::uint16_t port_ = 0;
    int udp_ = -1;
    int tcp_ = -1;
    std::atomic<bool> stop_{false};
    std::atomic<int> asked_{0};
    std::atomic<int> connections_{0};
    std::atomic<int> close_after_{0};
    std::atomic<bool> reverse_{false};
    std::atomic<bool> header_{false};
    std::vector<Connection> open_;
    std::thread thread_;
};

/// The answer NOERROR (or another status) with this many more bytes behind it.
[[nodiscard]] Octets answer_to(const Octets& query, std::uint8_t rcode = 0,
                               std::size_t padding = 0);
[[nodiscard]] FakeServer::Behaviour answers_with(std::uint8_t rcode, std::size_t padding = 0);

/// Who sent the query that a Behaviour is just asked about (over UDP).
[[nodiscard]] Endpoint last_peer();

class UdpClient {
public:
    explicit UdpClient(const Endpoint& service);
    ~UdpClient();
    UdpClient(const UdpClient&) = delete;
    UdpClient& operator=(const UdpClient&) = delete;

    void send(const Octets& message) const;
    /// Nothing when none comes in time.
    [[nodiscard]] std::optional<Octets> receive(int timeout_ms = 5000) const;
    std::optional<Octets> ask(const Octets& message, int timeout_ms = 5000) const {
        send(message);
        return receive(timeout_ms);
    }

private:
    int socket_;
};

class TcpClient {
public:
    explicit TcpClient(const Endpoint& service);
    ~TcpClient();
    TcpClient(const TcpClient&) = delete;
    TcpClient& operator=(const TcpClient&) = delete;

    /// As it stands, without a length.
    void write(const Octets& bytes) const;
    void send(const Octets& message) const;
    /// Nothing when the connection ends, or no message comes in time.
    [[nodiscard]] std::optional<Octets> receive(int timeout_ms = 5000);
    [[nodiscard]] bool closed(int timeout_ms = 5000);
    [[nodiscard]] bool connected() const { return connected_; }
    void shut_writing() const;

private:
    bool fill(std::size_t size, int timeout_ms);
    int socket_;
    bool connected_ = false;
    Octets bytes_;
};

[[nodiscard]] Octets framed(const Octets& message);

/// Until it holds; false when it did not in five seconds.
[[nodiscard]] bool eventually(const std::function<bool()>& condition);

}  // namespace dnsdirector::dataplane::proxy::testing
