// SPDX-License-Identifier: Apache-2.0
// Forged TCP segments from random clients, for tests of what a flood displaces:
// bounded in number and rate, and made for the lab's own namespaces only.
//
//   tcpflood --interface NAME --to MAC --target IPV4 --kinds syn,ack,data
//            --count N --rate N [--port 53]
//
// Sources are 198.51.100.32 to .255 (RFC 5737) with any port; the kinds take
// turns, `count` in all. Checksums are right. The frames go straight to `to`, the
// director. Prints {"sent": N, "seconds": S}.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace {

volatile std::sig_atomic_t stop = 0;

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "tcpflood: %s: %s\n", what.c_str(), std::strerror(errno));
    std::exit(1);
}

double now() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

void put16(std::uint8_t* at, unsigned value) {
    at[0] = static_cast<std::uint8_t>(value >> 8);
    at[1] = static_cast<std::uint8_t>(value);
}

std::uint32_t add_up(const std::uint8_t* from, std::size_t bytes, std::uint32_t sum) {
    for (std::size_t i = 0; i + 1 < bytes; i += 2)
        sum += static_cast<std::uint32_t>(from[i] << 8 | from[i + 1]);
    return sum;
}
unsigned checksum(std::uint32_t sum) {
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

constexpr std::size_t ip_at = 14, tcp_at = 34, header = 54, data_bytes = 40;

/// A frame of `flags` with the sequence, source and checksums still to be set.
std::vector<std::uint8_t> frame_of(std::uint8_t flags, std::size_t payload, in_addr target,
                                   unsigned port) {
    std::vector<std::uint8_t> frame(header + payload);
    put16(&frame[12], ETH_P_IP);
    frame[ip_at] = 0x45;
    put16(&frame[ip_at + 2], static_cast<unsigned>(frame.size() - ip_at));
    frame[ip_at + 6] = 0x40;  // DF
    frame[ip_at + 8] = 64;
    frame[ip_at + 9] = IPPROTO_TCP;
    std::memcpy(&frame[ip_at + 16], &target, 4);
    put16(&frame[tcp_at + 2], port);
    frame[tcp_at + 12] = 0x50;
    frame[tcp_at + 13] = flags;
    put16(&frame[tcp_at + 14], 0xffff);
    return frame;
}

void forge(std::vector<std::uint8_t>& frame, std::mt19937& random) {
    const std::uint32_t one = random(), two = random(), three = random();
    const std::uint8_t source[4] = {198, 51, 100, static_cast<std::uint8_t>(32 + one % 224)};
    std::memcpy(&frame[ip_at + 12], source, 4);
    put16(&frame[ip_at + 10], 0);
    put16(&frame[ip_at + 10], checksum(add_up(&frame[ip_at], 20, 0)));
    put16(&frame[tcp_at], 1024 + (one >> 8) % 64512);
    std::memcpy(&frame[tcp_at + 4], &two, 4);
    if ((frame[tcp_at + 13] & 0x10) != 0) std::memcpy(&frame[tcp_at + 8], &three, 4);
    put16(&frame[tcp_at + 16], 0);
    const std::size_t length = frame.size() - tcp_at;
    std::uint32_t sum = add_up(&frame[ip_at + 12], 8, IPPROTO_TCP);
    sum += static_cast<std::uint32_t>(length);
    put16(&frame[tcp_at + 16], checksum(add_up(&frame[tcp_at], length, sum)));
}

}  // namespace

int main(int argc, char** argv) {
    std::map<std::string, std::string> o{{"--port", "53"}};
    for (int i = 1; i + 1 < argc; i += 2)
        o[argv[i]] = argv[i + 1];
    for (const char* needed : {"--interface", "--to", "--target", "--kinds", "--count", "--rate"})
        if (!o.contains(needed))
            return std::fprintf(stderr, "tcpflood: %s is missing\n", needed), 2;
    in_addr target{};
    std::uint8_t to[6];
    if (inet_pton(AF_INET, o["--target"].c_str(), &target) != 1 ||
        std::sscanf(o["--to"].c_str(), "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &to[0], &to[1], &to[2],
                    &to[3], &to[4], &to[5]) != 6)
        return std::fprintf(stderr, "tcpflood: --target or --to is no address\n"), 2;
    const unsigned port = static_cast<unsigned>(std::atoi(o["--port"].c_str()));
    const std::uint64_t count = std::strtoull(o["--count"].c_str(), nullptr, 10);
    const double rate = std::atof(o["--rate"].c_str());

    const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    ifreq interface{};
    std::strncpy(interface.ifr_name, o["--interface"].c_str(), IFNAMSIZ - 1);
    if (ioctl(fd, SIOCGIFHWADDR, &interface) != 0) fail(o["--interface"]);
    sockaddr_ll out{};
    out.sll_family = AF_PACKET;
    out.sll_ifindex = static_cast<int>(if_nametoindex(o["--interface"].c_str()));
    out.sll_halen = 6;
    std::memcpy(out.sll_addr, to, 6);
    std::vector<std::vector<std::uint8_t>> frames;
    for (const auto& [kind, flags, payload] :
         {std::tuple{"syn", 0x02, std::size_t{0}}, std::tuple{"ack", 0x10, std::size_t{0}},
          std::tuple{"data", 0x18, data_bytes}})
        if (o["--kinds"].find(kind) != std::string::npos) {
            frames.push_back(frame_of(static_cast<std::uint8_t>(flags), payload, target, port));
            std::memcpy(frames.back().data(), to, 6);
            std::memcpy(frames.back().data() + 6, interface.ifr_hwaddr.sa_data, 6);
        }
    if (frames.empty()) return std::fprintf(stderr, "tcpflood: no kinds\n"), 2;

    std::signal(SIGINT, [](int) { stop = 1; });
    std::signal(SIGTERM, [](int) { stop = 1; });
    std::mt19937 random{std::random_device{}()};
    const double start = now();
    std::uint64_t sent = 0;
    while (sent < count && !stop) {
        const auto due = static_cast<std::uint64_t>((now() - start) * rate) + 1;
        for (; sent < due && sent < count && !stop; ++sent) {
            std::vector<std::uint8_t>& frame = frames[sent % frames.size()];
            forge(frame, random);
            while (sendto(fd, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&out),
                          sizeof out) < 0) {
                if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR) fail("sendto");
                usleep(1000);
            }
        }
        usleep(1000);
    }
    std::printf("{\"sent\": %llu, \"seconds\": %.3f}\n", static_cast<unsigned long long>(sent),
                now() - start);
    return 0;
}
