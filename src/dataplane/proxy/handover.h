// SPDX-License-Identifier: Apache-2.0
//
// From a program to the one that takes its place. Re-executed (USR2) it gets the listening
// sockets, what is forwarded by them, and one end of a pair. While it starts, children of the old
// program (one for each worker, forked with all that it knows) go on serving clients; when it
// serves, it shuts its end: then they take nothing new, finish what waits, and end. Started by
// systemd (a restart, after a crash) it has the sockets from there, and from a file in the run
// directory what was forwarded, and which queries had no answer yet.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/forwarding.h"
#include "dataplane/proxy/wishes.h"

namespace dnsdirector::dataplane::proxy {

/// A query over UDP that its client still waits for, as it was sent.
struct LeftQuery {
    core::ServiceKey service;
    Endpoint client;
    std::vector<std::uint8_t> message;

    friend bool operator==(const LeftQuery&, const LeftQuery&) = default;
};

struct Handover {
    core::Forwarding forwarding;
    Wishes wishes;             ///< of services in `forwarding`, and of servers
    std::vector<int> sockets;  ///< that listen
    std::vector<int> lent;     ///< … those of a socket unit of systemd's
    int bridge = -1;           ///< what ends the children; -1: there are none
    std::vector<LeftQuery> queries;

    friend bool operator==(const Handover&, const Handover&) = default;
};

[[nodiscard]] std::string to_text(const Handover& handover);
/// Errors: it is not whole, or of another version.
[[nodiscard]] Result<Handover> handover_of(const std::string& text);

/// The environment's word for the descriptor that holds such a text.
inline constexpr const char* handover_variable = "DNSDIRECTOR_PROXY_HANDOVER";

/// A file in memory with this text, open over an exec; -1 with errno.
[[nodiscard]] int write_handover(const Handover& handover);
/// What a predecessor left, which is then forgotten; an empty one where there was none.
[[nodiscard]] Result<Handover> take_handover();

/// As a file that takes another's place at one stroke. Errors: the file system's.
[[nodiscard]] Result<void> write_journal(const std::string& path, const Handover& handover);
/// Nothing where there is none. Errors: as handover_of().
[[nodiscard]] Result<Handover> read_journal(const std::string& path);

/// Which service a listening socket belongs to; a key with port 0 where it is none.
[[nodiscard]] core::ServiceKey service_of_socket(int socket);

}  // namespace dnsdirector::dataplane::proxy
