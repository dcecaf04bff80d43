// SPDX-License-Identifier: Apache-2.0
//
// What benchmarks of checks have in common: a server that answers whatever it is asked, and a
// prober that is driven until a time.
#pragma once

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <ctime>

#include "probe/prober.h"

namespace dnsdirector::bench {

// ---- the server -------------------------------------------------------------

/// One batch of queries turned into replies in place. The control data that say
/// where a query was sent to say where its reply comes from. `Address`: sockaddr_in, sockaddr_in6.
template <typename Address>
void answer_udp(int socket) {
    constexpr std::size_t batch = 64, datagram = 1024;
    static std::array<std::array<std::uint8_t, datagram>, batch> data;
    static std::array<std::array<char, 64>, batch> control;
    std::array<Address, batch> from{};
    std::array<iovec, batch> parts{};
    std::array<mmsghdr, batch> messages{};
    for (std::size_t i = 0; i < batch; ++i) {
        parts[i] = {data[i].data(), datagram};
        messages[i].msg_hdr = {.msg_name = &from[i],
                               .msg_namelen = sizeof from[i],
                               .msg_iov = &parts[i],
                               .msg_iovlen = 1,
                               .msg_control = control[i].data(),
                               .msg_controllen = control[i].size(),
                               .msg_flags = 0};
    }
    const int count = ::recvmmsg(socket, messages.data(), batch, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < count; ++i) {
        data[static_cast<std::size_t>(i)][2] |= 0x80;
        parts[static_cast<std::size_t>(i)].iov_len = messages[static_cast<std::size_t>(i)].msg_len;
    }
    if (count > 0) ::sendmmsg(socket, messages.data(), static_cast<unsigned>(count), 0);
}

/// Closes a connection that is at its end.
inline void answer_tcp(int connection) {
    std::array<std::uint8_t, 1024> data{};
    const ssize_t got = ::recv(connection, data.data(), data.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got > 4) {
        data[4] |= 0x80;
        ::send(connection, data.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL);
        return;
    }
    ::close(connection);
}

// ---- measuring --------------------------------------------------------------

inline double seconds(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}
/// `whom`: as getrusage(2) has it.
inline double cpu_seconds(int whom = RUSAGE_THREAD) {
    rusage usage{};
    ::getrusage(whom, &usage);
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}
inline double clock_seconds() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

/// Until clock_seconds() is `until`.
inline void drive(probe::Prober& prober, double until) {
    for (double now = clock_seconds(); now < until; now = clock_seconds()) {
        double wait = until - now;
        if (const auto deadline = prober.deadline()) {
            const auto due = static_cast<double>(deadline->time_since_epoch().count()) / 1e9;
            wait = std::clamp(due - now, 0.0, wait);
        }
        const auto nanoseconds = static_cast<long>(wait * 1e9);
        const timespec time{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
        pollfd one{prober.descriptor(), POLLIN, 0};
        if (::ppoll(&one, 1, &time, nullptr) > 0)
            prober.on_readable();
        else
            prober.on_deadline(TimePoint{});
    }
}

}  // namespace dnsdirector::bench
