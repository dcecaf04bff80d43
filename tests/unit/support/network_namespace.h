// SPDX-License-Identifier: Apache-2.0
//
// Network namespaces for unit tests. A test that needs one starts with
//
//     DNSDIRECTOR_NEEDS_NAMESPACE(here);
//
// which moves the calling thread (and what it starts) into a new, empty network
// namespace until the end of the block. Where that is not permitted the test is
// skipped with the reason; with DNSDIRECTOR_STRICT=1 it fails instead.
#pragma once

#include <gtest/gtest.h>

#include <string>

namespace dnsdirector::support {

/// DNSDIRECTOR_STRICT=1: nothing may be left out.
[[nodiscard]] bool strict();

/// A network namespace that lives as long as this object and its sockets.
/// Constructed, the calling thread is in it; destroyed, it is back.
class NetworkNamespace {
public:
    NetworkNamespace();
    ~NetworkNamespace();
    NetworkNamespace(const NetworkNamespace&) = delete;
    NetworkNamespace& operator=(const NetworkNamespace&) = delete;

    /// Why there is none; "" when there is.
    [[nodiscard]] const std::string& obstacle() const { return obstacle_; }
    /// A path to it that `ip link set … netns` takes.
    [[nodiscard]] std::string path() const;

    /// Moves the calling thread there for the block: NetworkNamespace::Visit v{other};
    class Visit {
    public:
        explicit Visit(const NetworkNamespace& there);
        ~Visit();
        Visit(const Visit&) = delete;
        Visit& operator=(const Visit&) = delete;

    private:
        int back_ = -1;
    };
    /// Leaves it for where the thread came from; the namespace stays.
    void leave();

private:
    std::string obstacle_;
    int before_ = -1;
    int own_ = -1;
};

/// Runs `ip ARGUMENTS` in the thread's namespace; a failure is a test failure.
void ip(const std::string& arguments);
/// The lines to `ip -batch`, for many commands at once.
void ip_batch(const std::string& lines);
/// Gives lo, which is up, an address with its prefix length, and waits until packets for it are
/// taken in.
void add_to_lo(const std::string& address);
/// Writes a sysctl of the thread's namespace: "net/ipv4/conf/all/arp_ignore".
void sysctl(const std::string& name, const std::string& value);

}  // namespace dnsdirector::support

#define DNSDIRECTOR_NEEDS_NAMESPACE(name)                                  \
    const ::dnsdirector::support::NetworkNamespace name;                   \
    if (!(name).obstacle().empty()) {                                      \
        if (::dnsdirector::support::strict()) FAIL() << (name).obstacle(); \
        GTEST_SKIP() << (name).obstacle();                                 \
    }                                                                      \
    static_assert(true, "needs a semicolon")
