// SPDX-License-Identifier: Apache-2.0
#include "config/address_range.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "config/values.h"

namespace dnsdirector::config {
namespace {

using Bytes = std::array<std::uint8_t, 16>;

IpAddress of_bytes(Family family, const Bytes& bytes) {
    if (family == Family::ipv6) return IpAddress::from_v6(bytes);
    return IpAddress::from_v4({bytes[0], bytes[1], bytes[2], bytes[3]});
}

std::optional<unsigned> whole_number(std::string_view text, int base) {
    unsigned value = 0;
    const auto [stopped, status] =
        std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (text.empty() || status != std::errc{} || stopped != text.data() + text.size())
        return std::nullopt;
    return value;
}

constexpr std::uint8_t bit_of_byte(std::size_t bit) {
    return static_cast<std::uint8_t>(0x80U >> (bit % 8));
}

Result<AddressRange> range_of(const core::Prefix& network) {
    Bytes last = network.address.bytes();
    for (std::size_t bit = network.length; bit < network.address.host_prefix_length(); ++bit)
        last[bit / 8] = static_cast<std::uint8_t>(last[bit / 8] | bit_of_byte(bit));
    return AddressRange{network.address, of_bytes(network.address.family(), last)};
}

/// The last address where only its last number is written.
std::optional<IpAddress> with_last_number(const IpAddress& first, std::string_view text) {
    const auto number = whole_number(text, first.is_v4() ? 10 : 16);
    if (!number || *number > (first.is_v4() ? 0xffU : 0xffffU)) return std::nullopt;
    Bytes bytes = first.bytes();
    if (first.is_v4()) {
        bytes[3] = static_cast<std::uint8_t>(*number);
    } else {
        bytes[14] = static_cast<std::uint8_t>(*number >> 8U);
        bytes[15] = static_cast<std::uint8_t>(*number & 0xffU);
    }
    return of_bytes(first.family(), bytes);
}

}  // namespace

std::uint32_t AddressRange::size() const {
    // The difference fits when all but the last four bytes are equal.
    const std::size_t size = first.size();
    if (!std::equal(first.bytes().begin(), first.bytes().begin() + (size - 4),
                    last.bytes().begin()))
        return UINT32_MAX;
    std::uint32_t difference = 0;
    for (std::size_t i = size - 4; i < size; ++i)
        difference = difference * 256 + last.bytes()[i] - first.bytes()[i];
    return difference == UINT32_MAX ? UINT32_MAX : difference + 1;
}

std::vector<IpAddress> AddressRange::addresses(std::uint32_t most) const {
    std::vector<IpAddress> all;
    Bytes bytes = first.bytes();
    for (std::uint32_t left = std::min(most, size()); left > 0; --left) {
        all.push_back(of_bytes(first.family(), bytes));
        for (std::size_t i = first.size(); i > 0 && ++bytes[i - 1] == 0;)
            --i;
    }
    return all;
}

Result<core::Prefix> parse_network(std::string_view text) {
    const auto slash = text.find('/');
    const auto address = parse_address(text.substr(0, slash));
    if (!address) return tl::unexpected(address.error());
    const unsigned longest = address->host_prefix_length();
    if (slash == std::string_view::npos) return core::Prefix{*address, longest};
    const auto length = parse_number(text.substr(slash + 1), 1, longest);
    if (!length)
        return fail("`{}`: the length of an {} prefix is 1 to {}", text,
                    to_string(address->family()), longest);
    for (std::size_t bit = *length; bit < longest; ++bit)
        if ((address->bytes()[bit / 8] & bit_of_byte(bit)) != 0)
            return fail("`{}` has bits behind its length; write the network's first address", text);
    return core::Prefix{*address, static_cast<unsigned>(*length)};
}

Result<AddressRange> parse_address_range(std::string_view text) {
    if (text.find('/') != std::string_view::npos) return parse_network(text).and_then(range_of);
    const auto dash = text.find('-');
    const auto first = parse_address(text.substr(0, dash));
    if (!first) return tl::unexpected(first.error());
    if (dash == std::string_view::npos) return AddressRange{*first, *first};
    const std::string_view end = text.substr(dash + 1);
    auto last = IpAddress::parse(end);
    if (!last) last = with_last_number(*first, end);
    if (!last || last->family() != first->family())
        return fail(
            "`{}` is not a range; write 192.0.2.1-10 or 192.0.2.1-192.0.2.10 (both ends are part "
            "of it)",
            text);
    if (*last < *first) return fail("`{}` ends before it begins", text);
    return AddressRange{*first, *last};
}

}  // namespace dnsdirector::config
