// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/epoll.h>

#include <cstdint>

namespace dnsdirector::dataplane::proxy {

/// What an event of a worker's epoll is about, and a number or an address (below 2^56, as
/// addresses of user space are) that says which.
enum class Watched : std::uint8_t {
    wake,
    udp_front,
    udp_back,
    tcp_front,
    tcp_client,
    tcp_server,
    bridge_end
};

[[nodiscard]] constexpr std::uint64_t make_tag(Watched what, std::uint64_t value) {
    return static_cast<std::uint64_t>(what) << 56 | value;
}
[[nodiscard]] constexpr Watched watched_by(std::uint64_t tag) {
    return static_cast<Watched>(tag >> 56);
}
[[nodiscard]] constexpr std::uint64_t value_of(std::uint64_t tag) {
    return tag & ((std::uint64_t{1} << 56) - 1);
}

inline void watch(int epoll, int descriptor, std::uint32_t events, std::uint64_t tag,
                  int how = EPOLL_CTL_ADD) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = tag;
    (void)epoll_ctl(epoll, how, descriptor, &event);
}

}  // namespace dnsdirector::dataplane::proxy
