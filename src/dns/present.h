// SPDX-License-Identifier: Apache-2.0
//
// Replies as people read them. Whatever the bytes are, something true is shown.
#pragma once

#include <string>

#include "dns/message.h"

namespace dnsdirector::dns {

/// A whole reply as dig shows it: header, OPT, question and sections, one record
/// a line, every line ended. Of a broken message all that can be read, then where
/// it broke. Long data and many records are cut short, with a word about it;
/// what is not printable is escaped.
[[nodiscard]] std::string in_dig_form(Bytes reply);

/// Presentation form of a record's data, at most `longest` bytes of it and then
/// "…"; in RFC 3597's form where the data are not what the type asks for.
[[nodiscard]] std::string rdata_text(Bytes message, const Record& record, std::size_t longest);

/// A name in presentation form; "" where it is broken.
[[nodiscard]] std::string name_text(Bytes message, std::size_t at);

}  // namespace dnsdirector::dns
