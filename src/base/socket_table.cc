// SPDX-License-Identifier: Apache-2.0
#include "base/socket_table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>

namespace dnsdirector {
namespace {

template <typename Number>
std::optional<Number> whole_number(std::string_view text, int base) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// "0100007F:0035": 32-bit words as the machine has them, the port in hexadecimal.
std::optional<Endpoint> parse_end(std::string_view word) {
    const std::size_t colon = word.find(':');
    if (colon != 8 && colon != 32) return std::nullopt;
    const auto port = whole_number<std::uint16_t>(word.substr(colon + 1), 16);
    std::array<std::uint8_t, 16> bytes{};
    for (std::size_t i = 0; i * 8 < colon; ++i) {
        const auto value = whole_number<std::uint32_t>(word.substr(i * 8, 8), 16);
        if (!value) return std::nullopt;
        std::memcpy(&bytes[i * 4], &*value, sizeof *value);
    }
    if (!port) return std::nullopt;
    if (colon == 32) return Endpoint{IpAddress::from_v6(bytes), *port};
    return Endpoint{IpAddress::from_v4({bytes[0], bytes[1], bytes[2], bytes[3]}), *port};
}

std::string_view take_word(std::string_view& line) {
    const std::size_t begin = line.find_first_not_of(' ');
    if (begin == std::string_view::npos) return {};
    const std::size_t end = std::min(line.find(' ', begin), line.size());
    const std::string_view word = line.substr(begin, end - begin);
    line.remove_prefix(end);
    return word;
}

std::optional<SocketEntry> parse_entry(std::string_view line) {
    // sl local remote st queues timer retransmissions uid timeout inode
    constexpr std::size_t local = 1, remote = 2, state = 3, inode = 9;
    std::array<std::string_view, inode + 1> words;
    for (std::string_view& word : words)
        word = take_word(line);
    const auto from = parse_end(words[local]);
    const auto to = parse_end(words[remote]);
    const auto number = whole_number<unsigned>(words[state], 16);
    if (!from || !to || !number) return std::nullopt;
    return SocketEntry{*from, *to, *number,
                       whole_number<std::uint64_t>(words[inode], 10).value_or(0)};
}

}  // namespace

bool SocketEntry::is_open(Protocol protocol) const {
    constexpr unsigned listens = 10;  // TCP_LISTEN
    return protocol == Protocol::tcp ? state == listens : remote.port == 0;
}

std::vector<SocketEntry> parse_socket_table(std::string_view text) {
    std::vector<SocketEntry> entries;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        if (const auto entry = parse_entry(text.substr(0, end))) entries.push_back(*entry);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return entries;
}

}  // namespace dnsdirector
