// SPDX-License-Identifier: Apache-2.0
//
// Packets as a hostile network may send them, several in a row over the same maps,
// to the kernel program compiled for user space (tests/packets/host.h). Held: no
// byte is touched beside the frame and the maps' elements; what is not forwarded is
// not changed; what is forwarded keeps all but its MACs, goes to a server that
// there is, and was sent to a service IP; every drop is counted under one reason.
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

namespace {

using namespace dnsdirector;
using packets::Frame;

constexpr std::uint8_t to_the_director = 1;  ///< the frame's first bytes are made so
constexpr std::uint8_t time_passes = 2;      ///< a minute between two frames

void require(bool held) {
    if (!held) std::abort();
}

bool is_server(const Frame& frame) {
    if (frame.size() < 6) return false;
    for (const core::ServiceForwarding& service : fuzz::services())
        for (const core::Destination& each : service.destinations) {
            const IpAddress& address = each.server.address;
            const packets::Mac mac = packets::server_mac(address.bytes()[address.size() - 1]);
            if (each.weight != 0 && std::equal(mac.begin(), mac.end(), frame.begin())) return true;
        }
    return false;
}

/// Where an untagged frame says that it goes.
bool to_a_service_ip(const Frame& frame) {
    const bool v4 = frame[12] == 0x08 && frame[13] == 0x00;
    const std::size_t at = v4 ? 30 : 38, size = v4 ? 4 : 16;
    return frame.size() >= at + size &&
           std::any_of(fuzz::services().begin(), fuzz::services().end(), [&](const auto& service) {
               const IpAddress& address = service.key.address;
               return address.is_v4() == v4 &&
                      std::memcmp(address.bytes().data(), frame.data() + at, size) == 0;
           });
}

void check(const Frame& in, const packets::host::Outcome& outcome) {
    std::uint64_t counted = 0;
    for (const auto& [reason, count] : outcome.reasons)
        counted += count;
    require(outcome.handed_over <= 1);
    if (outcome.verdict == XDP_TX || outcome.verdict == XDP_REDIRECT) {
        require(counted == 0 && outcome.handed_over == 0);
        require(outcome.frame.size() == in.size() && is_server(outcome.frame));
        require(std::equal(in.begin() + 12, in.end(), outcome.frame.begin() + 12));
        require(to_a_service_ip(in));
        return;
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
