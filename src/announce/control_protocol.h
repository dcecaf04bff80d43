// SPDX-License-Identifier: Apache-2.0
//
// What routing daemons say over their Unix sockets: where a reply ends, and what it is without
// its frame. Pure; whoever waits for the replies is in control_socket.h and conversation.h.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace dnsdirector::announce {

/// A reply of BIRD's (doc/reply_codes of its source) ends in a line of four digits and a blank.
[[nodiscard]] bool bird_reply_is_whole(std::string_view reply);

struct BirdReply {
    std::string text;   ///< the lines, without codes
    std::string error;  ///< what BIRD says of a command that it refuses; "": it does not
    int code = 0;       ///< of the error: 8001 no such network, 8003 no protocol by that name …
};

/// Of a whole reply. Errors: it does not begin with a code, so that whoever sent it is no BIRD.
[[nodiscard]] Result<BirdReply> bird_reply(std::string_view reply);

/// One of FRR's (lib/vty.c, vtysh_read()) ends in three NULs and the command's status.
[[nodiscard]] bool frr_reply_is_whole(std::string_view reply);

struct FrrReply {
    std::string text;
    /// CMD_… of lib/command.h: 0 done, 1 done with a warning, 2 no such command …
    unsigned status = 0;
};

/// Of a whole reply.
[[nodiscard]] FrrReply frr_reply(std::string_view reply);

/// For a log and a terminal: 200 bytes of it at most, what is not printable ASCII as `?`.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace dnsdirector::announce
