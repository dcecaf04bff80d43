// SPDX-License-Identifier: Apache-2.0
#include "base/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace dnsdirector {

IpAddress IpAddress::from_v4(std::array<std::uint8_t, 4> bytes) {
    IpAddress address;
    std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
    return address;
}

IpAddress IpAddress::from_v6(std::array<std::uint8_t, 16> bytes) {
    IpAddress address;
    address.family_ = Family::ipv6;
    address.bytes_ = bytes;
    return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    char buffer[INET6_ADDRSTRLEN];
    if (text.size() >= sizeof buffer) return std::nullopt;
    std::memcpy(buffer, text.data(), text.size());
    buffer[text.size()] = '\0';
    if (std::memchr(buffer, '\0', text.size()) != nullptr) return std::nullopt;

    std::array<std::uint8_t, 4> v4{};
    if (inet_pton(AF_INET, buffer, v4.data()) == 1) return from_v4(v4);
    std::array<std::uint8_t, 16> v6{};
    if (inet_pton(AF_INET6, buffer, v6.data()) == 1) return from_v6(v6);
    return std::nullopt;
}

bool IpAddress::is_unspecified() const {
    return std::all_of(bytes_.begin(), bytes_.end(), [](std::uint8_t byte) { return byte == 0; });
}

bool IpAddress::is_loopback() const {
    if (is_v4()) return bytes_[0] == 127;
    return std::all_of(bytes_.begin(), bytes_.end() - 1,
                       [](std::uint8_t byte) { return byte == 0; }) &&
           bytes_[15] == 1;
}

bool IpAddress::is_multicast() const {
    return is_v4() ? (bytes_[0] & 0xf0) == 0xe0 : bytes_[0] == 0xff;
}

std::string IpAddress::to_string() const {
    char buffer[INET6_ADDRSTRLEN];
    return inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), buffer, sizeof buffer);
}

std::string Endpoint::to_string() const {
    const std::string host = address.to_string();
    const std::string port_text = std::to_string(port);
    return address.is_v4() ? host + ":" + port_text : "[" + host + "]:" + port_text;
}

std::optional<Endpoint> Endpoint::parse(std::string_view text, std::uint16_t default_port) {
    if (default_port != 0) {
        if (auto address = IpAddress::parse(text)) return Endpoint{*address, default_port};
    }
    std::string_view host = text;
    std::string_view port;
    if (!text.empty() && text.front() == '[') {
        const auto close = text.find(']');
        if (close == std::string_view::npos) return std::nullopt;
        host = text.substr(1, close - 1);
        const auto rest = text.substr(close + 1);
        if (!rest.empty() && rest.front() != ':') return std::nullopt;
        if (!rest.empty()) port = rest.substr(1);
        if (!rest.empty() && port.empty()) return std::nullopt;
        if (host.find(':') == std::string_view::npos) return std::nullopt;
    } else if (const auto colon = text.find(':'); colon != std::string_view::npos) {
        host = text.substr(0, colon);
        port = text.substr(colon + 1);
        if (port.empty()) return std::nullopt;
    }
    const auto address = IpAddress::parse(host);
    if (!address) return std::nullopt;
    if (port.empty()) {
        if (default_port == 0) return std::nullopt;
        return Endpoint{*address, default_port};
    }
    std::uint16_t number = 0;
    const auto [end, status] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (status != std::errc{} || end != port.data() + port.size() || number == 0)
        return std::nullopt;
    return Endpoint{*address, number};
}

}  // namespace dnsdirector

std::size_t std::hash<dnsdirector::IpAddress>::operator()(
    const dnsdirector::IpAddress& address) const noexcept {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    std::memcpy(&low, address.bytes().data(), 8);
    std::memcpy(&high, address.bytes().data() + 8, 8);
    // Multiply-xorshift of splitmix64 (Steele, Lea, Flood 2014).
    std::uint64_t mixed = (low ^ (high * 0x9e3779b97f4a7c15ULL)) * 0xbf58476d1ce4e5b9ULL;
    mixed ^= mixed >> 31;
    return mixed * 0x94d049bb133111ebULL;
}

std::size_t std::hash<dnsdirector::Endpoint>::operator()(
    const dnsdirector::Endpoint& endpoint) const noexcept {
    return std::hash<dnsdirector::IpAddress>{}(endpoint.address) ^
           (static_cast<std::size_t>(endpoint.port) * 0x9e3779b97f4a7c15ULL);
}
