// SPDX-License-Identifier: Apache-2.0
//
// From the words of a packet to its bytes: layers are read from left to right and
// put together from right to left, since a header knows the length of what follows.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>

#include "packets/notation.h"
#include "packets/words.h"

namespace dnsdirector::packets {
namespace {

void put16(Frame& to, std::size_t at, std::size_t value) {
    to[at] = static_cast<std::uint8_t>(value >> 8);
    to[at + 1] = static_cast<std::uint8_t>(value);
}
void put32(Frame& to, std::size_t at, std::size_t value) {
    put16(to, at, value >> 16);
    put16(to, at + 2, value & 0xffff);
}

/// RFC 1071.
std::uint32_t sum_of(const std::uint8_t* data, std::size_t size) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < size; ++i)
        sum += i % 2 == 0 ? std::uint32_t{data[i]} << 8 : data[i];
    return sum;
}
std::uint16_t folded(std::uint32_t sum) {
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

constexpr std::uint8_t udp_number = 17, tcp_number = 6, icmp_number = 1, icmp6_number = 58;

/// What has been built so far: everything behind the header that comes next.
struct Built {
    Frame bytes;
    int number = 59;    ///< IP protocol of its first header; 59: none
    int ethertype = 0;  ///< where its first header is one of a link
    /// Where a checksum over a pseudo header is still missing, in `bytes`.
    std::optional<std::size_t> checksum_at;
    std::size_t pad = 0;  ///< bytes at the end that no length counts
    int transport = 0;    ///< number for the pseudo header

    [[nodiscard]] std::size_t counted() const { return bytes.size() - pad; }
    void put_in_front(const Frame& header) {
        bytes.insert(bytes.begin(), header.begin(), header.end());
        if (checksum_at) *checksum_at += header.size();
    }
};

/// RFC 768, RFC 8200 8.1: addresses, length and protocol are summed up as well.
void finish_checksum(Built& built, const Frame& header, std::size_t addresses_at,
                     std::size_t addresses) {
    if (!built.checksum_at) return;
    const std::size_t within = built.transport == tcp_number   ? 16
                               : built.transport == udp_number ? 6
                                                               : 2;
    const std::size_t transport_at = *built.checksum_at - within;
    const std::size_t size = built.counted() - transport_at;
    std::uint32_t sum = sum_of(built.bytes.data() + transport_at, size);
    if (built.transport != icmp_number)
        sum += sum_of(header.data() + addresses_at, addresses) +
               static_cast<std::uint32_t>(built.transport) + static_cast<std::uint32_t>(size);
    std::uint16_t checksum = folded(sum);
    if (checksum == 0 && built.transport == udp_number) checksum = 0xffff;
    put16(built.bytes, *built.checksum_at, checksum);
    built.checksum_at.reset();
}

Mac mac_named(const std::string& word) {
    static const std::map<std::string, Mac> names{
        {"client", client_mac},
        {"director", director_mac},
        {"egress", egress_mac},
        {"other", {2, 0, 0, 0, 0, 9}},
        {"broadcast", {255, 255, 255, 255, 255, 255}},
    };
    if (const auto known = names.find(word); known != names.end()) return known->second;
    if (word.starts_with("server")) return server_mac(std::atoi(word.c_str() + 6));
    Mac mac{};
    unsigned bytes[6] = {};
    if (std::sscanf(word.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x", &bytes[0], &bytes[1], &bytes[2],
                    &bytes[3], &bytes[4], &bytes[5]) != 6)
        throw Wrong{"no MAC and no name of one: " + word};
    std::copy(std::begin(bytes), std::end(bytes), mac.begin());
    return mac;
}

IpAddress address_of(const std::string& word, Family family) {
    const auto address = IpAddress::parse(word);
    if (!address || address->family() != family)
        throw Wrong{fmt::format("no {} address: {}", to_string(family), word)};
    return *address;
}

// ---- layers -------------------------------------------------------------------

void eth(Layer& layer, Built& built) {
    Frame header(14);
    const auto [from, to] = layer.pair("client", "director");
    const Mac source = mac_named(from), destination = mac_named(to);
    std::copy(destination.begin(), destination.end(), header.begin());
    std::copy(source.begin(), source.end(), header.begin() + 6);
    put16(header, 12, layer.number("type", static_cast<std::size_t>(built.ethertype)));
    built.put_in_front(header);
}

void vlan(Layer& layer, Built& built) {
    Frame header(4);
    const std::size_t id = layer.positional(0);
    put16(header, 0, layer.number("pcp", 0) << 13 | layer.number("dei", 0) << 12 | id);
    put16(header, 2, layer.number("type", static_cast<std::size_t>(built.ethertype)));
    built.put_in_front(header);
    built.ethertype = static_cast<int>(layer.number("tpid", 0x8100));
}

void ip(Layer& layer, Built& built) {
    const std::size_t options = layer.number("options", 0);
    if (options % 4 != 0 || options > 40) throw Wrong{"IPv4 options have 4, 8 … 40 bytes"};
    Frame header(20 + options, 1);  // RFC 791: no operation
    std::fill(header.begin(), header.begin() + 20, 0);
    header[0] = static_cast<std::uint8_t>(layer.number("version", 4) << 4 |
                                          layer.number("ihl", header.size() / 4));
    header[1] = static_cast<std::uint8_t>(layer.number("tos", 0));
    put16(header, 2, layer.number("len", header.size() + built.counted()));
    put16(header, 4, layer.number("id", 0x1234));
    const std::size_t offset = layer.number("offset", 0);
    if (offset % 8 != 0) throw Wrong{"offsets of fragments are multiples of 8"};
    put16(header, 6,
          (layer.flag("df") ? 0x4000U : 0U) | (layer.flag("more") ? 0x2000U : 0U) | offset / 8);
    header[8] = static_cast<std::uint8_t>(layer.number("ttl", 64));
    header[9] =
        static_cast<std::uint8_t>(layer.number("proto", static_cast<std::size_t>(built.number)));
    const auto [from, to] = layer.pair();
    const IpAddress source = address_of(from, Family::ipv4);
    const IpAddress destination = address_of(to, Family::ipv4);
    std::copy_n(source.bytes().begin(), 4, header.begin() + 12);
    std::copy_n(destination.bytes().begin(), 4, header.begin() + 16);
    put16(header, 10, layer.number("checksum", folded(sum_of(header.data(), header.size()))));
    finish_checksum(built, header, 12, 8);
    built.put_in_front(header);
    built.number = 4;  // RFC 2003
    built.transport = 0;
    built.ethertype = 0x0800;
}

void ip6(Layer& layer, Built& built) {
    Frame header(40);
    put32(header, 0,
          layer.number("version", 6) << 28 | layer.number("class", 0) << 20 |
              layer.number("flow", 0));
    put16(header, 4, layer.number("len", built.counted()));
    header[6] =
        static_cast<std::uint8_t>(layer.number("next", static_cast<std::size_t>(built.number)));
    header[7] = static_cast<std::uint8_t>(layer.number("hops", 64));
    const auto [from, to] = layer.pair();
    const IpAddress source = address_of(from, Family::ipv6);
    const IpAddress destination = address_of(to, Family::ipv6);
    std::copy_n(source.bytes().begin(), 16, header.begin() + 8);
    std::copy_n(destination.bytes().begin(), 16, header.begin() + 24);
    finish_checksum(built, header, 8, 32);
    built.put_in_front(header);
    built.number = 41;  // RFC 2473
    built.transport = 0;
    built.ethertype = 0x86dd;
}

/// RFC 8200: next header, length in units of 8 bytes beyond the first.
void extension(Layer& layer, Built& built, int own_number) {
    const std::size_t size = layer.positional_or(0, 8);
    if (size < 8 || size % 8 != 0) throw Wrong{"extension headers have 8, 16 … bytes"};
    Frame header(size);
    header[0] =
        static_cast<std::uint8_t>(layer.number("next", static_cast<std::size_t>(built.number)));
    // RFC 4302: the authentication header counts in units of 4 bytes, beyond two.
    header[1] = static_cast<std::uint8_t>(
        layer.number("len", own_number == 51 ? size / 4 - 2 : size / 8 - 1));
    if (own_number == 43) {
        header[2] = static_cast<std::uint8_t>(layer.number("type", 4));
        header[3] = static_cast<std::uint8_t>(layer.number("left", 0));
    } else if (own_number != 51) {
        header[2] = 1;  // PadN over the rest
        header[3] = static_cast<std::uint8_t>(size - 4);
    }
    built.put_in_front(header);
    built.number = own_number;
}

void fragment(Layer& layer, Built& built) {
    Frame header(8);
    const std::size_t offset = layer.number("offset", 0);
    if (offset % 8 != 0) throw Wrong{"offsets of fragments are multiples of 8"};
    header[0] =
        static_cast<std::uint8_t>(layer.number("next", static_cast<std::size_t>(built.number)));
    put16(header, 2, offset | (layer.flag("more") ? 1U : 0U));
    put32(header, 4, layer.number("id", 0x12345678));
    built.put_in_front(header);
    built.number = 44;
}

void udp(Layer& layer, Built& built) {
    Frame header(8);
    const auto [from, to] = layer.pair();
    put16(header, 0, number_of(from));
    put16(header, 2, number_of(to));
    put16(header, 4, layer.number("len", 8 + built.counted()));
    const auto given = layer.optional_number("checksum");
    if (given) put16(header, 6, *given);
    built.put_in_front(header);
    built.checksum_at = given ? std::nullopt : std::optional<std::size_t>{6};
    built.number = built.transport = udp_number;
}

void tcp(Layer& layer, Built& built) {
    static const std::map<std::string, unsigned> flags{{"fin", 1}, {"syn", 2},  {"rst", 4},
                                                       {"psh", 8}, {"ack", 16}, {"urg", 32}};
    const std::size_t options = layer.number("options", 0);
    Frame header(20 + options, 1);
    std::fill(header.begin(), header.begin() + 20, 0);
    const auto [from, to] = layer.pair();
    put16(header, 0, number_of(from));
    put16(header, 2, number_of(to));
    put32(header, 4, layer.number("seq", 1));
    put32(header, 8, layer.number("ackno", 0));
    header[12] = static_cast<std::uint8_t>(layer.number("dataofs", header.size() / 4) << 4);
    for (const auto& [name, bit] : flags)
        if (layer.flag(name)) header[13] |= static_cast<std::uint8_t>(bit);
    put16(header, 14, layer.number("window", 65535));
    const auto given = layer.optional_number("checksum");
    if (given) put16(header, 16, *given);
    built.put_in_front(header);
    built.checksum_at = given ? std::nullopt : std::optional<std::size_t>{16};
    built.number = built.transport = tcp_number;
}

void icmp(Layer& layer, Built& built, std::uint8_t own_number) {
    Frame header(8);
    header[0] = static_cast<std::uint8_t>(layer.positional(0));
    header[1] = static_cast<std::uint8_t>(layer.positional_or(1, 0));
    put32(header, 4, layer.number("mtu", layer.number("rest", 0)));
    const auto given = layer.optional_number("checksum");
    if (given) put16(header, 2, *given);
    built.put_in_front(header);
    built.checksum_at = given ? std::nullopt : std::optional<std::size_t>{2};
    built.number = built.transport = own_number;
}

void data(Layer& layer, Built& built) {
    Frame bytes(layer.positional(0));
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::uint8_t>(i);
    built.put_in_front(bytes);
}

void hex(Layer& layer, Built& built) {
    const std::string digits = layer.word(0);
    if (digits.empty() || digits.size() % 2 != 0) throw Wrong{"an even number of hex digits"};
    Frame bytes;
    for (std::size_t i = 0; i < digits.size(); i += 2)
        bytes.push_back(static_cast<std::uint8_t>(number_of("0x" + digits.substr(i, 2))));
    built.put_in_front(bytes);
}

void pad(Layer& layer, Built& built) {
    built.bytes.resize(built.bytes.size() + layer.positional(0));
    built.pad = built.bytes.size();
}

using Put = std::function<void(Layer&, Built&)>;
const std::map<std::string, Put>& layers() {
    const auto extension_of = [](int number) -> Put {
        return [number](Layer& layer, Built& built) { extension(layer, built, number); };
    };
    static const std::map<std::string, Put> all{
        {"eth", eth},
        {"vlan", vlan},
        {"ip", ip},
        {"ip6", ip6},
        {"hopbyhop", extension_of(0)},
        {"routing", extension_of(43)},
        {"ah", extension_of(51)},
        {"destopts", extension_of(60)},
        {"mobility", extension_of(135)},
        {"fragment", fragment},
        {"udp", udp},
        {"tcp", tcp},
        {"icmp", [](Layer& layer, Built& built) { icmp(layer, built, icmp_number); }},
        {"icmp6", [](Layer& layer, Built& built) { icmp(layer, built, icmp6_number); }},
        {"data", data},
        {"hex", hex},
        {"pad", pad},
    };
    return all;
}

}  // namespace

Result<Frame> frame_of(std::string_view text) {
    try {
        std::vector<Layer> of_packet = layers_of(text);
        Built built;
        for (auto layer = of_packet.rbegin(); layer != of_packet.rend(); ++layer) {
            const auto put = layers().find(layer->name);
            if (put == layers().end()) throw Wrong{"no such header: " + layer->name};
            put->second(*layer, built);
            layer->must_be_used_up();
        }
        return built.bytes;
    } catch (const Wrong& wrong) {
        return fail("{}", wrong.what);
    }
}

}  // namespace dnsdirector::packets
