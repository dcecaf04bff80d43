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
#include "dns/message.h"

namespace dnsdirector::dns {

/// What a message may be at most (RFC 1035, 4.2.2: a length of 16 bits).
inline constexpr std::size_t max_message = 65535;

/// The question of a check as it goes over the wire, built once. Sending is:
/// write the ID, send `message()` (UDP) or `framed()` (TCP).
class Query {
public:
    /// Where AD is required of the reply and DO not set, AD is set to ask for it
    /// (RFC 6840, 5.7). Errors: a name that is none (a label over 63 bytes, the
    /// name over 255, a random label's 13 included).
    static Result<Query> make(const core::DnsCheck& check);

    /// With `random_label`: a new label of twelve letters and digits in front of the
    /// name, from the low 60 bits of `random`. Else nothing.
    void set_label(std::uint64_t random);
    [[nodiscard]] bool has_random_label() const { return random_label_; }
    void set_id(std::uint16_t id) {
        bytes_[2] = static_cast<std::uint8_t>(id >> 8);
        bytes_[3] = static_cast<std::uint8_t>(id);
    }
    /// Header, question and, with EDNS, the OPT record.
    [[nodiscard]] std::span<const std::uint8_t> message() const {
        return std::span(bytes_).subspan(2);
    }
    /// The same with TCP's two bytes of length in front.
    [[nodiscard]] std::span<const std::uint8_t> framed() const { return bytes_; }
    /// Name, type and class.
    [[nodiscard]] std::span<const std::uint8_t> question() const {
        return message().subspan(header_size, question_size_);
    }

private:
    Query(std::vector<std::uint8_t> bytes, std::size_t question_size, bool random_label)
        : bytes_(std::move(bytes)), question_size_(question_size), random_label_(random_label) {}
    std::vector<std::uint8_t> bytes_;  ///< length, header, question, OPT
    std::size_t question_size_;
    bool random_label_;
};

}  // namespace dnsdirector::dns
