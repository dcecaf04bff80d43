// SPDX-License-Identifier: Apache-2.0
//
// The verdict on one reply.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "dns/criteria.h"
#include "dns/message.h"
#include "dns/query.h"

namespace dnsdirector::dns {

enum class Judgement : std::uint8_t {
    ignore,  ///< not the reply to this question, perhaps spoofed: go on waiting
    pass,
    fail,
    truncated,  ///< ask again over TCP (only from UDP, and only where the check wants it)
};

struct Judged {
    Judgement judgement = Judgement::ignore;
    /// ignore: "wrong ID", "wrong question", "not a reply"; fail: in an
    /// operator's words, e.g. "SERVFAIL", "wrong answer: got 192.0.2.7,
    /// expected 192.0.2.8", "malformed reply: …". Else empty.
    std::string reason;
    std::optional<std::uint16_t> rcode;  ///< where the reply got as far as to have one
};

/// Judges a reply that came over `transport`. The ID and the question decide
/// whether it is one at all; from there on everything that is wrong is a
/// failure. A status other than NOERROR may come without the question, as
/// servers send it that could not read ours. Bytes behind the last record are
/// allowed, as dig allows them. Where data are expected, records of the asked type
/// in the answer section count, whatever their owner, since CNAMEs may lead to them.
/// The order of complaints: broken, status, flags, answers, their number.
[[nodiscard]] Judged judge(Bytes reply, const Query& query, std::uint16_t id,
                           const Criteria& criteria, Protocol transport);

}  // namespace dnsdirector::dns
