// SPDX-License-Identifier: Apache-2.0
//
// Packets as a hostile network may send them, several in a row over the same maps,
// to the kernel program compiled for user space (tests/packets/host.h). Held: no
// byte is touched beside the frame and the maps' elements; what is not forwarded is
// not changed; what is forwarded was sent to a service IP, goes to a server that there
// is, and is to the last byte what the way to it makes of it; what is answered by ICMP
// had to be; every drop is counted under one reason.
//
// Input: a byte of options, then frames: length (2 bytes), bytes.
#include <linux/bpf.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "fuzz/packet_services.h"
#include "packets/host.h"
#include "packets/ways.h"

namespace {

using namespace dnsdirector;
using packets::Frame;

constexpr std::uint8_t to_the_director = 1;  ///< the frame's first bytes are made so
constexpr std::uint8_t time_passes = 2;      ///< a minute between two frames

void require(bool held) {
    if (!held) std::abort();
}

bool is_server(int number) {
    for (const core::ServiceForwarding& service : fuzz::services())
        for (const core::Destination& each : service.destinations) {
            const IpAddress& address = each.server.address;
            if (each.weight != 0 && address.bytes()[address.size() - 1] == number) return true;
        }
    return false;
}

/// What the checks need of an IP packet in a frame.
struct Network {
    explicit Network(const Frame& frame) : at(packets::network_at(frame)) {
        require(frame.size() >= at + 20);
        v4 = frame[at - 2] == 0x08 && frame[at - 1] == 0x00;
        require(v4 || (frame[at - 2] == 0x86 && frame[at - 1] == 0xdd && frame.size() >= at + 40));
        const auto from = frame.begin() + static_cast<std::ptrdiff_t>(at);
        const std::ptrdiff_t first = v4 ? 12 : 8, size = v4 ? 4 : 16;
        source.assign(from + first, from + first + size);
        destination.assign(from + first + size, from + first + 2 * size);
        time_to_live = frame[at + (v4 ? 8 : 7)];
        protocol = frame[at + (v4 ? 9 : 6)];
        const std::size_t said = at + (v4 ? 2 : 4);
        length = (std::size_t{frame[said]} << 8 | frame[said + 1]) + (v4 ? 0 : 40);
    }
    std::size_t at;
    bool v4 = false;
    Frame source;
    Frame destination;
    unsigned time_to_live = 0;
    unsigned protocol = 0;
    std::size_t length = 0;  ///< by its header's account
};

bool is_service_ip(const Network& network) {
    return std::any_of(fuzz::services().begin(), fuzz::services().end(), [&](const auto& service) {
        const IpAddress& address = service.key.address;
        return address.is_v4() == network.v4 &&
               std::equal(network.destination.begin(), network.destination.end(),
                          address.bytes().begin());
    });
}

/// RFC 1071; all ones over what holds its own checksum.
std::uint32_t sum_of(const Frame& bytes, std::size_t from, std::size_t to, std::size_t more = 0) {
    std::size_t sum = more;
    for (std::size_t i = from; i < to; ++i)
        sum += (i - from) % 2 == 0 ? std::size_t{bytes[i]} << 8 : bytes[i];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint32_t>(sum);
}

/// A frame on its way to a server: with the link header and the outer header that
/// this server's way takes, and otherwise as it was.
void check_forwarded(const Frame& in, const Frame& out) {
    require(out.size() >= 14);
    const int number = out[5];
    const Network network{in};
    require(is_server(number) && is_service_ip(network));
    require(out == packets::handed_to(number, in));
    const auto way = packets::way_to(Family::ipv4, number, 1, 1);
    require(!way.local);
    if (!way.tunnel) return;
    require(network.time_to_live > 1);
    require(network.length + (network.v4 ? 20 : 40) <= packets::tunnel_mtu);
}

/// An answer by ICMP to a packet that no tunnel takes: back where it came from, with
/// what it was about in it.
void check_answer(const Frame& in, const Frame& out, bool too_big) {
    const Network asked{in}, answer{out};
    require(is_service_ip(asked) && asked.at == answer.at && asked.v4 == answer.v4);
    require(std::equal(in.begin(), in.begin() + 6, out.begin() + 6) &&
            std::equal(in.begin() + 6, in.begin() + 12, out.begin()) &&
            std::equal(in.begin() + 12, in.begin() + static_cast<std::ptrdiff_t>(asked.at),
                       out.begin() + 12));
    const std::size_t header = asked.v4 ? 20 : 40, icmp = asked.at + header;
    if (too_big)
        require(asked.length + header > packets::tunnel_mtu);
    else
        require(asked.time_to_live <= 1);
    require(answer.source == asked.destination && answer.destination == asked.source);
    require(out.size() == answer.at + answer.length && answer.time_to_live == 64);
    require(answer.protocol == (asked.v4 ? 1 : 58));
    std::size_t pseudo = 0;
    if (asked.v4)
        require(sum_of(out, asked.at, icmp) == 0xffff);
    else
        pseudo = sum_of(out, asked.at + 8, icmp, out.size() - icmp + 58);
    require(sum_of(out, icmp, out.size(), pseudo) == 0xffff);
    const unsigned type = asked.v4 ? (too_big ? 3 : 11) : (too_big ? 2 : 3);
    require(out[icmp] == type && out[icmp + 1] == (asked.v4 && too_big ? 4 : 0));
    const std::size_t mtu = std::size_t{out[icmp + 6]} << 8 | out[icmp + 7];
    require(mtu == (too_big ? packets::tunnel_mtu - header : 0));
    const std::size_t quoted = icmp + 8;
    require(out.size() >= quoted + header + 8 && out.size() <= quoted + 504);
    require(std::equal(out.begin() + static_cast<std::ptrdiff_t>(quoted), out.end(),
                       in.begin() + static_cast<std::ptrdiff_t>(asked.at)));
}

void check(const Frame& in, const packets::host::Outcome& outcome) {
    std::uint64_t counted = 0;
    for (const auto& [reason, count] : outcome.reasons)
        counted += count;
    require(outcome.handed_over <= 1);
    if (outcome.verdict == XDP_TX || outcome.verdict == XDP_REDIRECT) {
        require(outcome.handed_over == 0 && counted <= 1);
        if (counted == 0) return check_forwarded(in, outcome.frame);
        const bool too_big = outcome.reasons.contains("tunnel_mtu");
        require(outcome.verdict == XDP_TX && (too_big || outcome.reasons.contains("tunnel_ttl")));
        return check_answer(in, outcome.frame, too_big);
    }
    require(outcome.verdict == XDP_PASS || outcome.verdict == XDP_DROP);
    require(outcome.frame == in);
    require(counted == 1 || (counted == 0 && outcome.verdict == XDP_PASS));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::uint8_t options = *data;
    std::span<const std::uint8_t> rest{data + 1, size - 1};
    static const bool served = [] {
        packets::host::serve(fuzz::services());
        return true;
    }();
    require(served);
    packets::host::forget_packets();
    std::uint64_t now = 1'000'000'000'000;
    while (rest.size() >= 2) {
        const std::size_t wanted = std::size_t{rest[0]} << 8 | rest[1];
        rest = rest.subspan(2);
        const std::size_t length =
            std::min({wanted, rest.size(), std::size_t{packets::host::frame_max}});
        Frame frame(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(length));
        rest = rest.subspan(length);
        if ((options & to_the_director) != 0 && frame.size() >= 6)
            std::copy(packets::director_mac.begin(), packets::director_mac.end(), frame.begin());
        packets::host::set_clock(now);
        if ((options & time_passes) != 0) now += 60'000'000'000;
        check(frame, packets::host::run(frame));
        (void)packets::host::take_messages();
    }
    return 0;
}
