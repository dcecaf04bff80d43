// SPDX-License-Identifier: Apache-2.0
//
// Packets as anybody may send them to the ports of the checks through a service IP: a row of
// them, each with its length in two bytes in front, the first byte's low bit saying whether
// checksums count. Held: reading ends and reads nothing outside; the payload lies within the
// packet; what the TCP client then says is a piece of its own message, in its own numbers; and
// it keeps no more than its window.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "probe/frame.h"
#include "probe/tcp_client.h"

namespace {

using namespace dnsdirector;
using probe::TcpClient;

constexpr std::uint32_t first_number = 0xFFFFFC00;
constexpr std::size_t most_kept = 140'000;

void require(bool held) {
    if (!held) std::abort();
}

bool within(dns::Bytes part, dns::Bytes whole) {
    return part.empty() || (part.data() >= whole.data() &&
                            part.data() + part.size() <= whole.data() + whole.size());
}

void look_at_output(TcpClient& client, dns::Bytes message) {
    for (const TcpClient::Segment& segment : client.take_output()) {
        require(within(segment.payload, message));
        probe::PacketBuffer buffer;
        const probe::PacketPath path{{IpAddress::from_v4({203, 0, 113, 1}), 20001},
                                     {IpAddress::from_v4({192, 0, 2, 53}), 53},
                                     {}};
        const auto read =
            probe::read_packet(write_tcp(path, segment.fields, segment.payload, buffer), false);
        require(read && !read->checksum_wrong && read->tcp == segment.fields);
        // A bare reset, of a connection that was given up or of an earlier one, has the number
        // that the server named.
        if (segment.fields.flags != probe::TcpFields::rst)
            require(segment.fields.sequence - first_number < TcpClient::numbers);
    }
}

void feed(TcpClient& client, const probe::Incoming& packet, TimePoint now, dns::Bytes message) {
    client.take(packet.tcp, packet.payload, now);
    require(client.received().size() <= most_kept);
    if (packet.payload.size() % 7 == 3) client.drop(packet.payload.size());
    if (packet.payload.size() % 11 == 5) client.finish();
    client.on_timer(now);
    look_at_output(client, message);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) return 0;
    const bool summed = (data[0] & 1U) != 0;
    const std::vector<std::uint8_t> message(40 + data[0]);
    TcpClient client;
    client.begin(first_number, message, 1460, TimePoint{});
    look_at_output(client, message);
    TimePoint now{};
    for (std::size_t at = 1; at + 2 <= size;) {
        const std::size_t length =
            std::min<std::size_t>(std::size_t{data[at]} << 8 | data[at + 1], size - at - 2);
        // A copy of exact size, so that reading one byte too far is seen.
        const std::vector<std::uint8_t> packet(data + at + 2, data + at + 2 + length);
        at += 2 + length;
        now += Milliseconds{50};
        const auto read = probe::read_packet(packet, summed);
        if (!read) continue;
        require(within(read->payload, packet));
        require(read->source.address.family() == read->destination.address.family() ||
                read->kind == probe::Incoming::Kind::error);
        if (read->kind == probe::Incoming::Kind::segment && !read->checksum_wrong)
            feed(client, *read, now, message);
    }
    return 0;
}
