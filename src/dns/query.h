// SPDX-License-Identifier: Apache-2.0
//
// dns/ knows the wire format: it builds the questions of checks and judges the
// replies. It sends nothing, keeps no time and knows no sockets. ldns turns
// presentation forms into wire form at set-up and back when a failure is
// explained; replies themselves are walked by own code that allocates nothing
// and throws nothing, since what arrives may be hostile (RFC 1035, RFC 2181).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "core/model.h"

namespace dnsdirector::dns {

inline constexpr std::size_t header_size = 12;
/// What a message may be at most (RFC 1035, 4.2.2: a length of 16 bits).
inline constexpr std::size_t max_message = 65535;

/// The question of a check as it goes over the wire, built once. Sending is:
/// write the ID, send `message()` (UDP) or `framed()` (TCP).
class Query {
public:
    /// Errors: a name that is none (a label over 63 bytes, the name over 255).
    static Result<Query> make(const core::DnsCheck& check);

    void set_id(std::uint16_t id) {
        bytes_[2] = static_cast<std::uint8_t>(id >> 8);
        bytes_[3] = static_cast<std::uint8_t>(id);
    }
    /// Header and question.
    [[nodiscard]] std::span<const std::uint8_t> message() const {
        return std::span(bytes_).subspan(2);
    }
    /// The same with TCP's two bytes of length in front.
    [[nodiscard]] std::span<const std::uint8_t> framed() const { return bytes_; }
    /// Name, type and class.
    [[nodiscard]] std::span<const std::uint8_t> question() const {
        return message().subspan(header_size);
    }

private:
    explicit Query(std::vector<std::uint8_t> bytes) : bytes_(std::move(bytes)) {}
    std::vector<std::uint8_t> bytes_;  ///< length, header, question
};

}  // namespace dnsdirector::dns
