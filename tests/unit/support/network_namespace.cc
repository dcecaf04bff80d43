// SPDX-License-Identifier: Apache-2.0
#include "unit/support/network_namespace.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/ipv6_route.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "unit/support/wait.h"

namespace dnsdirector::support {
namespace {

// Of the thread, not of the process: unshare() and setns() move one thread.
constexpr const char* own_namespace = "/proc/thread-self/ns/net";

int open_namespace() {
    return open(own_namespace, O_RDONLY | O_CLOEXEC);
}

void enter(int fd) {
    if (setns(fd, CLONE_NEWNET) == 0) return;
    // Every further step of the test would act on the wrong network.
    std::perror("cannot change the network namespace");
    std::abort();
}

void run(const std::string& command, const std::string& input) {
    std::FILE* pipe = popen((command + " 2>&1 >/dev/null").c_str(), input.empty() ? "r" : "w");
    ASSERT_NE(pipe, nullptr) << command;
    std::string output;
    if (input.empty()) {
        char buffer[512];
        while (std::fgets(buffer, sizeof buffer, pipe) != nullptr)
            output += buffer;
    } else {
        std::fwrite(input.data(), 1, input.size(), pipe);
    }
    const int status = pclose(pipe);
    EXPECT_EQ(status, 0) << command << ": " << output;
}

/// An IPv6 address is there before its route is: the kernel adds that in a worker
/// (addrconf_dad_work() in net/ipv6/addrconf.c).
bool has_local_route(const in6_addr& address) {
    std::string wanted;
    for (const std::uint8_t byte : address.s6_addr)
        wanted += fmt::format("{:02x}", byte);
    std::ifstream routes("/proc/thread-self/net/ipv6_route");
    for (std::string line; std::getline(routes, line);) {
        if (!line.starts_with(wanted)) continue;
        std::istringstream columns(line);
        std::string flags;
        for (int column = 0; column < 9; ++column)
            columns >> flags;
        if ((std::stoul(flags, nullptr, 16) & RTF_LOCAL) != 0) return true;
    }
    return false;
}

}  // namespace

bool strict() {
    const char* value = std::getenv("DNSDIRECTOR_STRICT");
    return value != nullptr && std::strcmp(value, "1") == 0;
}

NetworkNamespace::NetworkNamespace() : before_(open_namespace()) {
    if (before_ < 0 || unshare(CLONE_NEWNET) < 0) {
        obstacle_ = std::string{"no network namespace of its own (this test needs root): "} +
                    std::strerror(errno);
        return;
    }
    own_ = open_namespace();
    if (own_ < 0) {
        obstacle_ = std::string{"cannot open the namespace just made: "} + std::strerror(errno);
        enter(before_);
    }
}

NetworkNamespace::~NetworkNamespace() {
    leave();
    if (own_ >= 0) close(own_);
}

void NetworkNamespace::leave() {
    if (before_ < 0) return;
    if (own_ >= 0) enter(before_);
    close(before_);
    before_ = -1;
}

std::string NetworkNamespace::path() const {
    return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(own_);
}

NetworkNamespace::Visit::Visit(const NetworkNamespace& there) : back_(open_namespace()) {
    enter(there.own_);
}

NetworkNamespace::Visit::~Visit() {
    enter(back_);
    close(back_);
}

void ip(const std::string& arguments) {
    run("ip " + arguments, {});
}

void ip_batch(const std::string& lines) {
    run("ip -batch -", lines);
}

void add_to_lo(const std::string& address) {
    ip("addr add " + address + " dev lo nodad");
    in6_addr v6{};
    if (inet_pton(AF_INET6, address.substr(0, address.find('/')).c_str(), &v6) != 1) return;
    EXPECT_TRUE(eventually([&] { return has_local_route(v6); })) << address;
}

void sysctl(const std::string& name, const std::string& value) {
    // /proc/sys shows the namespace of the thread that opens the file.
    std::ofstream file{"/proc/sys/" + name};
    file << value << std::flush;
    EXPECT_TRUE(file.good()) << "cannot write " << value << " to sysctl " << name;
}

}  // namespace dnsdirector::support
