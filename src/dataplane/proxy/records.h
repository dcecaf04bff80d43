// SPDX-License-Identifier: Apache-2.0
//
// Resource records in a message (RFC 1035, sections 4.1.3 and 4.1.4): where they begin and end,
// and how bytes in their midst are put in or taken out.
#pragma once

#include <optional>

#include "dataplane/proxy/wire.h"

namespace dnsdirector::dataplane::proxy {

/// Behind the name that begins there; nothing where it leaves the message. A compressed name
/// ends with its pointer, which is not followed.
[[nodiscard]] std::optional<std::size_t> behind_name(Bytes message, std::size_t at);

/// Places in a message.
struct Record {
    std::size_t begin = 0;
    std::size_t head = 0;  ///< behind its name: type, class, TTL, length of the data
    std::size_t data = 0;
    std::size_t end = 0;
    std::uint16_t type = 0;
};
/// Nothing where it is not whole.
[[nodiscard]] std::optional<Record> read_record(Bytes message, std::size_t at);

/// Puts `added` zero bytes in before the record at `at`; there has to be room. The compressed
/// names of the records from there on still mean the same then. False, with the message as it
/// was, where one of them cannot be read. Returns by `size` what it is then.
[[nodiscard]] bool put_in(std::uint8_t* message, std::size_t& size, std::size_t at,
                          std::size_t added);
/// Takes `removed` bytes out at `at`, likewise; the next whole record begins at `first_record`,
/// not before what is taken out ends. False as well where a name would mean what is taken out.
[[nodiscard]] bool take_out(std::uint8_t* message, std::size_t& size, std::size_t at,
                            std::size_t removed, std::size_t first_record);

}  // namespace dnsdirector::dataplane::proxy
