// SPDX-License-Identifier: Apache-2.0
#include "unit/dataplane/xdp_lab.h"

#include <arpa/inet.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace dnsdirector::dataplane::test {
namespace {

socklen_t fill(sockaddr_storage& storage, const Endpoint& endpoint) {
    if (endpoint.address.is_v4()) {
        auto& address = reinterpret_cast<sockaddr_in&>(storage);
        address.sin_family = AF_INET;
        address.sin_port = htons(endpoint.port);
        std::memcpy(&address.sin_addr, endpoint.address.bytes().data(), 4);
        return sizeof address;
    }
    auto& address = reinterpret_cast<sockaddr_in6&>(storage);
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(endpoint.port);
    std::memcpy(&address.sin6_addr, endpoint.address.bytes().data(), 16);
    return sizeof address;
}

Endpoint endpoint_of(const sockaddr_storage& storage) {
    if (storage.ss_family == AF_INET) {
        const auto& address = reinterpret_cast<const sockaddr_in&>(storage);
        std::array<std::uint8_t, 4> bytes{};
        std::memcpy(bytes.data(), &address.sin_addr, 4);
        return {IpAddress::from_v4(bytes), ntohs(address.sin_port)};
    }
    const auto& address = reinterpret_cast<const sockaddr_in6&>(storage);
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &address.sin6_addr, 16);
    return {IpAddress::from_v6(bytes), ntohs(address.sin6_port)};
}

void ethtool(const std::string& arguments) {
    const std::string command = "ethtool -K " + arguments + " >/dev/null 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

/// Cuts off the ways by which a lab's frames get lost or addresses come late.
void quiet(const std::string& interface) {
    support::sysctl("net/ipv6/conf/all/accept_dad", "0");
    support::sysctl("net/ipv6/conf/" + interface + "/accept_dad", "0");
    support::sysctl("net/ipv6/conf/" + interface + "/router_solicitations", "0");
    // A sender's unfinished checksums would be forwarded as they are.
    ethtool(interface + " tx off");
}

void address(const std::string& interface, const std::string& last) {
    support::ip("address add 203.0.113." + last + "/24 dev " + interface);
    support::ip("address add 2001:db8:1::" + last + "/64 dev " + interface + " nodad");
}

}  // namespace

PinDir::PinDir() {
    static int number = 0;
    path_ =
        "/sys/fs/bpf/dnsdirector-test-" + std::to_string(getpid()) + "-" + std::to_string(number++);
    struct statfs system{};
    if (statfs("/sys/fs/bpf", &system) != 0 || system.f_type != BPF_FS_MAGIC)
        obstacle_ = "/sys/fs/bpf is no BPF file system (mount -t bpf bpf /sys/fs/bpf)";
    else if (mkdir(path_.c_str(), 0700) != 0)
        obstacle_ = std::string{"no BPF without root: "} + std::strerror(errno);
    else
        rmdir(path_.c_str());
}

PinDir::~PinDir() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
}

bool PinDir::exists() const {
    return access(path_.c_str(), F_OK) == 0;
}

UdpSocket::UdpSocket(const Endpoint& bound)
    : fd_(socket(bound.address.is_v4() ? AF_INET : AF_INET6,
                 SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_storage storage{};
    const socklen_t length = fill(storage, bound);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&storage), length), 0)
        << bound.to_string() << ": " << std::strerror(errno);
}

UdpSocket::~UdpSocket() {
    if (fd_ >= 0) close(fd_);
}

void UdpSocket::send(const std::string& data, const Endpoint& to) const {
    sockaddr_storage storage{};
    const socklen_t length = fill(storage, to);
    EXPECT_EQ(
        sendto(fd_, data.data(), data.size(), 0, reinterpret_cast<sockaddr*>(&storage), length),
        static_cast<ssize_t>(data.size()))
        << std::strerror(errno);
}

std::optional<UdpSocket::Datagram> UdpSocket::receive() const {
    char buffer[2048];
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    const ssize_t got =
        recvfrom(fd_, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&storage), &length);
    if (got < 0) return std::nullopt;
    return Datagram{{buffer, static_cast<std::size_t>(got)}, endpoint_of(storage)};
}

void Network::plug(const support::NetworkNamespace& there, const std::string& port) {
    const support::NetworkNamespace::Visit visit{switch_};
    support::ip("link add " + port + " type veth peer name eth0 netns " + there.path());
    support::ip("link set " + port + " master bridge up");
    // What a native program redirects is taken in by the peer's GRO.
    ethtool(port + " gro on");
}

void Network::plug_in_director() {
    plug(director, "director");
    quiet("eth0");
    support::ip("link set eth0 up");
    address("eth0", "1");
}

const Endpoint Network::service4 = *Endpoint::parse("192.0.2.53:53");
const Endpoint Network::service6 = *Endpoint::parse("[2001:db8::53]:53");

Network::Network() {
    // Each namespace is left at once and visited where needed; they nest.
    switch_.leave();
    director.leave();
    client.leave();
    using Visit = support::NetworkNamespace::Visit;
    {
        const Visit visit{switch_};
        support::ip("link add bridge type bridge mcast_snooping 0");
        support::ip("link set bridge up");
    }
    {
        const Visit visit{director};
        support::ip("link set lo up");
        plug_in_director();
    }
    plug(client, "client");
    {
        const Visit visit{client};
        support::ip("link set lo up");
        quiet("eth0");
        support::ip("link set eth0 up");
        address("eth0", "7");
        support::ip("route add 192.0.2.0/24 via 203.0.113.1");
        support::ip("route add 2001:db8::/64 via 2001:db8:1::1");
    }
    for (int number = 0; number < 2; ++number) {
        servers.push_back(std::make_unique<support::NetworkNamespace>());
        servers.back()->leave();
        plug(*servers.back(), "server" + std::to_string(number));
        const Visit visit{*servers.back()};
        support::ip("link set lo up");
        quiet("eth0");
        support::sysctl("net/ipv4/conf/all/arp_ignore", "1");
        support::sysctl("net/ipv4/conf/all/arp_announce", "2");
        support::ip("link set eth0 up");
        address("eth0", "1" + std::to_string(number + 1));
        support::add_to_lo(service4.address.to_string() + "/32");
        support::add_to_lo(service6.address.to_string() + "/128");
    }
}

}  // namespace dnsdirector::dataplane::test
