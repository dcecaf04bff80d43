// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/too_big.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "dataplane/xdp/keys.h"

namespace dnsdirector::dataplane::xdp {

Result<std::unique_ptr<TooBig>> TooBig::open(int ring, WaysOf ways_of, Rate rate) {
    std::unique_ptr<TooBig> opened{new TooBig{std::move(ways_of), rate}};
    opened->left_ = rate.burst;
    // Protocol 0: it sends, and no frame is copied to it.
    opened->socket_ = Fd{socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!opened->socket_)
        return fail_errno(
            "ICMP errors that say how big an answer may be cannot be copied to the servers: no raw "
            "socket (that needs CAP_NET_RAW)",
            errno);
    opened->ring_.reset(ring_buffer__new(ring, on_message, opened.get(), nullptr));
    opened->epoll_ = Fd{epoll_create1(EPOLL_CLOEXEC)};
    if (!opened->ring_ || !opened->epoll_)
        return fail_errno("cannot read the ICMP errors that the kernel program hands over", errno);
    opened->listen(true);
    return opened;
}

void TooBig::listen(bool on) const {
    epoll_event event{};
    event.events = EPOLLIN;
    (void)epoll_ctl(epoll_.get(), on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
                    ring_buffer__epoll_fd(ring_.get()), &event);
}

void TooBig::earn(TimePoint now) {
    const std::chrono::duration<double> since = now - earned_at_;
    left_ = std::min(rate_.burst, left_ + std::max(0.0, since.count()) * rate_.per_second);
    earned_at_ = now;
}

/// A ring that stays full costs the program one look, and is counted there.
void TooBig::on_readable(TimePoint now) {
    if (paused_until_) return;
    earn(now);
    (void)ring_buffer__consume(ring_.get());
    if (left_ > 0) return;
    const std::chrono::duration<double> wait{(1 - left_) / rate_.per_second};
    paused_until_ = now + std::chrono::duration_cast<Nanoseconds>(wait);
    listen(false);
}

void TooBig::on_deadline(TimePoint now) {
    if (!paused_until_ || now < *paused_until_) return;
    paused_until_.reset();
    listen(true);
    on_readable(now);
}

/// Below 0: libbpf takes no more out of the ring for now.
int TooBig::on_message(void* self, void* data, std::size_t size) {
    auto& me = *static_cast<TooBig*>(self);
    if (size == sizeof(abi::too_big)) me.copy(*static_cast<const abi::too_big*>(data));
    return me.left_ > 0 ? 0 : -1;
}

void TooBig::copy(const abi::too_big& message) {
    const auto key = service_key(message.address, message.where);
    if (!key || message.bytes > abi::TOO_BIG_BYTES_MAX) return;
    const std::vector<Hop> ways = ways_of_(*key);
    // A server that lacks the service IP sends it back: it must not come round again.
    if (std::any_of(ways.begin(), ways.end(), [&](const Hop& way) {
            return std::memcmp(way.server.data(), message.source_mac, way.server.size()) == 0;
        }))
        return;
    const std::span<const std::uint8_t> packet{message.packet, message.bytes};
    for (const Hop& way : ways) {
        const std::vector<std::uint8_t> frame = frame_to(way, key->address.family(), packet);
        sockaddr_ll to{};
        to.sll_family = AF_PACKET;
        to.sll_ifindex = static_cast<int>(way.ifindex);
        if (sendto(socket_.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to),
                   sizeof to) < 0)
            spdlog::debug("an ICMP error for {} could not be copied to a server: {}",
                          key->to_string(), std::strerror(errno));
    }
    left_ -= static_cast<double>(std::max<std::size_t>(ways.size(), 1));
}

}  // namespace dnsdirector::dataplane::xdp
