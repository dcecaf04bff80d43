// SPDX-License-Identifier: Apache-2.0
// The little of the DNS message format (RFC 1035, EDNS and NSID of RFC 6891 and
// RFC 5001) that the lab's load generator and test server share. Not the
// project's codec: what tests the director must not share its mistakes.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace dnswire {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint16_t kTypeA = 1, kTypeTxt = 16, kTypeAaaa = 28, kTypeOpt = 41;
constexpr std::uint16_t kClassIn = 1, kClassChaos = 3;
constexpr std::uint16_t kOptionNsid = 3;
constexpr std::size_t kHeaderSize = 12;

inline std::uint16_t get16(const std::uint8_t* at) {
    return std::uint16_t(at[0] << 8 | at[1]);
}
inline void set16(std::uint8_t* at, unsigned value) {
    at[0] = std::uint8_t(value >> 8);
    at[1] = std::uint8_t(value);
}
inline void put16(Bytes& out, unsigned value) {
    out.push_back(std::uint8_t(value >> 8));
    out.push_back(std::uint8_t(value));
}
inline void put32(Bytes& out, std::uint32_t value) {
    put16(out, value >> 16);
    put16(out, value & 0xffff);
}

/// The offset behind the name at `at`, or 0 where it runs out of the message.
inline std::size_t skip_name(const std::uint8_t* data, std::size_t size, std::size_t at) {
    while (at < size) {
        const unsigned length = data[at];
        if (length == 0) return at + 1;
        if (length >= 0xc0) return at + 2 <= size ? at + 2 : 0;
        at += length + 1;
    }
    return 0;
}

/// OPT (RFC 6891) that asks who answers; the header's ARCOUNT is the caller's.
inline void put_edns_with_nsid(Bytes& out) {
    out.push_back(0);
    put16(out, kTypeOpt);
    put16(out, 1232);
    put32(out, 0);
    put16(out, 4);
    put16(out, kOptionNsid);
    put16(out, 0);
}

/// NSID in the data of an OPT record; "" where there is none.
inline std::string nsid_in(const std::uint8_t* data, std::size_t size) {
    for (std::size_t at = 0; at + 4 <= size;) {
        const unsigned code = get16(data + at), length = get16(data + at + 2);
        at += 4;
        if (at + length > size) break;
        if (code == kOptionNsid) return {reinterpret_cast<const char*>(data + at), length};
        at += length;
    }
    return "";
}

/// Who answered, by a reply's NSID; "" where it does not say.
inline std::string nsid_of(const std::uint8_t* reply, std::size_t size) {
    if (size < kHeaderSize) return "";
    std::size_t at = kHeaderSize;
    for (unsigned i = 0; i < get16(reply + 4); ++i) {
        at = skip_name(reply, size, at);
        if (at == 0 || at + 4 > size) return "";
        at += 4;
    }
    const unsigned records = get16(reply + 6) + get16(reply + 8) + get16(reply + 10);
    for (unsigned i = 0; i < records; ++i) {
        at = skip_name(reply, size, at);
        if (at == 0 || at + 10 > size) return "";
        const unsigned type = get16(reply + at), length = get16(reply + at + 8);
        at += 10;
        if (at + length > size) return "";
        if (type == kTypeOpt) return nsid_in(reply + at, length);
        at += length;
    }
    return "";
}

/// A name as text in the form of a question: labels with lengths.
inline Bytes encode_name(std::string_view name) {
    Bytes out;
    while (!name.empty() && name != ".") {
        const std::size_t dot = name.find('.');
        const std::string_view label = name.substr(0, dot);
        out.push_back(std::uint8_t(label.size()));
        out.insert(out.end(), label.begin(), label.end());
        name = dot == std::string_view::npos ? "" : name.substr(dot + 1);
    }
    out.push_back(0);
    return out;
}

/// An IPv4 or IPv6 socket address; its length is 0 where the text is neither.
struct Address {
    sockaddr_storage storage{};
    socklen_t length = 0;

    static Address parse(const std::string& text, unsigned port) {
        Address a;
        auto* four = reinterpret_cast<sockaddr_in*>(&a.storage);
        auto* six = reinterpret_cast<sockaddr_in6*>(&a.storage);
        if (inet_pton(AF_INET, text.c_str(), &four->sin_addr) == 1) {
            four->sin_family = AF_INET;
            four->sin_port = htons(std::uint16_t(port));
            a.length = sizeof *four;
        } else if (inet_pton(AF_INET6, text.c_str(), &six->sin6_addr) == 1) {
            six->sin6_family = AF_INET6;
            six->sin6_port = htons(std::uint16_t(port));
            a.length = sizeof *six;
        }
        return a;
    }
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
    int family() const { return storage.ss_family; }
    std::string text() const {
        char buffer[INET6_ADDRSTRLEN] = "";
        const void* raw = family() == AF_INET
                              ? static_cast<const void*>(
                                    &reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr)
                              : &reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr;
        inet_ntop(family(), raw, buffer, sizeof buffer);
        return buffer;
    }
};

}  // namespace dnswire
