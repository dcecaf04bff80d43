// SPDX-License-Identifier: Apache-2.0
//
// A bounds-checked walk over a DNS message: nothing is copied or allocated, and
// whatever the bytes say, a name takes at most 254 steps.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace dnsdirector::dns {

using Bytes = std::span<const std::uint8_t>;

inline constexpr std::size_t header_size = 12;

[[nodiscard]] constexpr std::uint16_t read16(Bytes bytes, std::size_t at) {
    return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

/// Where a name ends that begins at `at` (RFC 1035, 4.1.4). Nothing when it is
/// broken: past the end, over 255 bytes, an unknown label type, or a pointer
/// that does not point to before the labels that led to it (which rules out loops).
[[nodiscard]] std::optional<std::size_t> skip_name(Bytes message, std::size_t at);

/// Uncompressed and in lower case (RFC 4034, 6.2). Returns its length, which
/// is 0 where the name is broken.
std::size_t expand_name(Bytes message, std::size_t at, std::array<std::uint8_t, 255>& out);

/// Whether `question` (name, type, class, uncompressed) follows the message's
/// header byte for byte, but for the case of letters in the name.
[[nodiscard]] bool begins_with_question(Bytes message, Bytes question);

struct Record {
    std::size_t owner = 0;  ///< offset of the name
    std::uint16_t type = 0;
    std::uint16_t klass = 0;
    std::uint32_t ttl = 0;
    std::size_t rdata = 0;  ///< offset
    std::uint16_t rdlength = 0;
};

/// Reads the record at `at` and moves `at` behind it; nothing when it is broken
/// or runs past the end. Record data is not looked into.
[[nodiscard]] std::optional<Record> read_record(Bytes message, std::size_t& at);

/// Whether the record's data have the form that its type asks for: the size of
/// addresses, names that end where they should. Unknown types always have.
[[nodiscard]] bool rdata_is_sound(Bytes message, const Record& record);

/// Whether the record's data are `canonical`, which is wire form without
/// compression and with names in lower case (as canonical_rdata makes it).
[[nodiscard]] bool rdata_equals(Bytes message, const Record& record, Bytes canonical);

/// Names in uncompressed data of `type` turned to lower case, in place.
void make_canonical(std::uint16_t type, std::span<std::uint8_t> rdata);

}  // namespace dnsdirector::dns
