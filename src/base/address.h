// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace dnsdirector {

enum class Family : std::uint8_t { ipv4, ipv6 };

/// An IPv4 or IPv6 address, a plain value. Orders by family, then by bytes.
class IpAddress {
public:
    IpAddress() = default;  ///< 0.0.0.0

    /// Accepts dotted quad and RFC 4291 text, no scope, no prefix length.
    static std::optional<IpAddress> parse(std::string_view text);
    static IpAddress from_v4(std::array<std::uint8_t, 4> bytes);
    static IpAddress from_v6(std::array<std::uint8_t, 16> bytes);

    [[nodiscard]] Family family() const { return family_; }
    [[nodiscard]] bool is_v4() const { return family_ == Family::ipv4; }
    [[nodiscard]] bool is_v6() const { return family_ == Family::ipv6; }

    /// Network byte order; IPv4 uses the first four bytes, the rest is zero.
    [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
    /// 4 or 16.
    [[nodiscard]] std::size_t size() const { return is_v4() ? 4 : 16; }
    /// 32 or 128: the length of a host prefix.
    [[nodiscard]] unsigned host_prefix_length() const { return is_v4() ? 32 : 128; }

    [[nodiscard]] bool is_unspecified() const;
    [[nodiscard]] bool is_loopback() const;
    [[nodiscard]] bool is_multicast() const;

    /// Canonical text (RFC 5952 for IPv6).
    [[nodiscard]] std::string to_string() const;

    friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
    friend bool operator==(const IpAddress&, const IpAddress&) = default;

private:
    Family family_ = Family::ipv4;
    std::array<std::uint8_t, 16> bytes_{};
};

/// Address and port (host byte order, 1 to 65535; 0 where "none" is allowed).
struct Endpoint {
    IpAddress address;
    std::uint16_t port = 0;

    /// "192.0.2.53:53", "[2001:db8::53]:53".
    [[nodiscard]] std::string to_string() const;
    /// Accepts what to_string prints; the port is optional where `default_port`
    /// is not 0, and an IPv6 address without a port needs no brackets.
    static std::optional<Endpoint> parse(std::string_view text, std::uint16_t default_port = 0);

    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
    friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

enum class Protocol : std::uint8_t { udp, tcp };

[[nodiscard]] constexpr std::string_view to_string(Protocol protocol) {
    return protocol == Protocol::udp ? "udp" : "tcp";
}
[[nodiscard]] constexpr std::string_view to_string(Family family) {
    return family == Family::ipv4 ? "IPv4" : "IPv6";
}

}  // namespace dnsdirector

template <>
struct std::hash<dnsdirector::IpAddress> {
    std::size_t operator()(const dnsdirector::IpAddress& address) const noexcept;
};
template <>
struct std::hash<dnsdirector::Endpoint> {
    std::size_t operator()(const dnsdirector::Endpoint& endpoint) const noexcept;
};
