// SPDX-License-Identifier: Apache-2.0
//
// One question to a DNS process of this machine, as a client would ask it. Unlike the director's
// probes it takes a reply from whatever address it comes, to see where that is.
#pragma once

#include <optional>
#include <string>

#include "base/address.h"
#include "base/time.h"
#include "core/check.h"

namespace dnsdirector::realserver {

struct Question {
    core::DnsCheck check;  ///< its transport and `via` say nothing
    Nanoseconds timeout = Milliseconds{1000};
    unsigned tries = 2;  ///< over UDP
    bool large = false;  ///< more than 1,232 bytes must come
    /// Nobody has written it: any reply will do that is no SERVFAIL and no REFUSED.
    bool ours = false;
};

struct Asked {
    enum class Outcome : std::uint8_t {
        answered,
        truncated,   ///< over UDP: a client asks again over TCP
        wrong,       ///< not what the check wants; a connection that was closed
        silent,      ///< no reply in time
        refused,     ///< nothing listens there
        impossible,  ///< the machine could not even send it
    };
    std::string process;  ///< "": the machine has no process blocks
    Endpoint target;
    Protocol protocol = Protocol::udp;
    std::string question;  ///< "www.example.com. A"
    bool large = false;
    bool ours = false;
    std::optional<IpAddress> source;  ///< asked from; absent: this machine has none of its own

    Outcome outcome = Outcome::impossible;
    std::string trouble;                   ///< in an operator's words; "" with `answered`
    std::optional<Endpoint> replied_from;  ///< of a reply over UDP, whatever it says
    std::size_t size = 0;                  ///< of the reply, in bytes
    std::optional<std::uint16_t> rcode;
};

/// The answer to it. Blocks for at most timeout times tries.
[[nodiscard]] Asked ask(const Question& question, const Endpoint& target, Protocol protocol,
                        const std::optional<IpAddress>& source);

/// What more than 1,232 bytes of are wanted: answers of less no fragment or TCP is needed for.
inline constexpr std::size_t common_answer = 1232;

}  // namespace dnsdirector::realserver
