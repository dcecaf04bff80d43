// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the XDP plane share: a place for pins, and a network of
// namespaces with a client, a director and two servers on one bridge.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/dataplane.h"
#include "unit/support/network_namespace.h"

namespace dnsdirector::dataplane::test {

/// A directory on the machine's bpffs, removed with what is in it at the end.
class PinDir {
public:
    PinDir();
    ~PinDir();
    PinDir(const PinDir&) = delete;
    PinDir& operator=(const PinDir&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] bool exists() const;
    /// Why BPF can't be used here; "" when it can.
    [[nodiscard]] const std::string& obstacle() const { return obstacle_; }

private:
    std::string path_;
    std::string obstacle_;
};

/// A UDP socket, opened in the namespace of the calling thread and at home there
/// wherever the thread goes.
class UdpSocket {
public:
    explicit UdpSocket(const Endpoint& bound);
    ~UdpSocket();
    UdpSocket(UdpSocket&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }

    void send(const std::string& data, const Endpoint& to) const;
    struct Datagram {
        std::string data;
        Endpoint from;
    };
    [[nodiscard]] std::optional<Datagram> receive() const;  ///< what is there

private:
    int fd_;
};

/// Addresses: the client is .7, the director .1, servers .11 and .12 of
/// 203.0.113.0/24 and 2001:db8:1::/64; the service IPs are held by the servers.
class Network {
public:
    Network();

    /// Gives the director its eth0 (again); the thread is in its namespace.
    void plug_in_director();

    support::NetworkNamespace client;
    support::NetworkNamespace director;
    std::vector<std::unique_ptr<support::NetworkNamespace>> servers;

    static const Endpoint service4;  ///< 192.0.2.53:53
    static const Endpoint service6;  ///< [2001:db8::53]:53
    static Endpoint server4(int number) {
        return *Endpoint::parse("203.0.113.1" + std::to_string(number + 1) + ":53");
    }
    static Endpoint server6(int number) {
        return *Endpoint::parse("[2001:db8:1::1" + std::to_string(number + 1) + "]:53");
    }

private:
    void plug(const support::NetworkNamespace& there, const std::string& port);

    support::NetworkNamespace switch_;
};

}  // namespace dnsdirector::dataplane::test

/// Skips (or fails, when DNSDIRECTOR_STRICT=1) where there is no BPF.
#define DNSDIRECTOR_NEEDS_BPF(name)                                        \
    const ::dnsdirector::dataplane::test::PinDir name;                     \
    if (!(name).obstacle().empty()) {                                      \
        if (::dnsdirector::support::strict()) FAIL() << (name).obstacle(); \
        GTEST_SKIP() << (name).obstacle();                                 \
    }                                                                      \
    static_assert(true, "needs a semicolon")
