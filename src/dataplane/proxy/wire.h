// SPDX-License-Identifier: Apache-2.0
//
// As much of the DNS as a proxy has to know (RFC 1035, section 4): the header and where the
// question ends. It reads bytes from outside, allocates nothing and keeps nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace dnsdirector::dataplane::proxy {

using Bytes = std::span<const std::uint8_t>;

inline constexpr std::size_t header_size = 12;
inline constexpr std::size_t largest_message = 65535;
inline constexpr std::uint8_t largest_label = 63;
/// A name of 255 bytes, type and class.
inline constexpr std::size_t largest_question = 259;

[[nodiscard]] constexpr std::uint16_t load16(const std::uint8_t* at) {
    return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}
constexpr void store16(std::uint8_t* at, std::uint16_t value) {
    at[0] = static_cast<std::uint8_t>(value >> 8);
    at[1] = static_cast<std::uint8_t>(value & 0xff);
}

enum class Opcode : std::uint8_t { query = 0, notify = 4, update = 5 };
enum class Rcode : std::uint8_t {
    noerror = 0,
    formerr = 1,
    servfail = 2,
    nxdomain = 3,
    refused = 5
};

[[nodiscard]] constexpr std::uint8_t opcode_of(const std::uint8_t* message) {
    return (message[2] >> 3) & 0xf;
}
[[nodiscard]] constexpr std::uint8_t rcode_of(const std::uint8_t* message) {
    return message[3] & 0xf;
}
[[nodiscard]] constexpr bool is_response(const std::uint8_t* message) {
    return (message[2] & 0x80) != 0;
}

/// What stands in a client's message, as far as it is looked at.
struct Query {
    enum class Kind : std::uint8_t {
        fine,
        not_a_query,  ///< too short for a header, or a response: no answer to that
        malformed,    ///< the question cannot be read, or there are several (RFC 9619)
    };
    Kind kind = Kind::not_a_query;
    std::uint8_t opcode = 0;
    std::uint16_t question_size = 0;  ///< bytes behind the header; 0: there is none (RFC 7873)
    std::uint16_t type = 0;           ///< 0 without a question

    [[nodiscard]] bool is_transfer() const { return type == 251 || type == 252; }  // IXFR, AXFR
    /// Asking twice does no harm. (UPDATE and NOTIFY may do something each time.)
    [[nodiscard]] bool may_be_asked_twice() const {
        return opcode == static_cast<std::uint8_t>(Opcode::query) && !is_transfer();
    }
};
[[nodiscard]] Query read_query(Bytes message);

/// Size of the question behind the header; 0 where it cannot be read. Names in a question are
/// not compressed: there is nothing before them to point at.
[[nodiscard]] std::size_t question_size(Bytes message);

/// Whether a server's message is the answer to a question that was sent with this opcode;
/// `question` is compared byte by byte, so that the case of letters counts (DNS 0x20). An
/// error may come without a question (RFC 1035 says nothing of FORMERR; servers do so), and so may
/// any answer to an UPDATE (RFC 2136, section 3.8).
/// The ID has been looked at already.
[[nodiscard]] bool answers(Bytes reply, Bytes question, std::uint8_t opcode);

/// An answer without records, made of a query that read_query() found fine or malformed.
/// Returns its size; `out` has room for header and question.
std::size_t make_answer(Bytes query, std::size_t question_size, Rcode rcode, std::uint8_t* out);

/// Of the name that is asked for, whatever the case of its letters; type and class do not count.
[[nodiscard]] std::uint64_t hash_of_name(Bytes question);

}  // namespace dnsdirector::dataplane::proxy
