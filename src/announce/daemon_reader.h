// SPDX-License-Identifier: Apache-2.0
//
// What a routing daemon is asked, and what is put into the book (session_book.h) of its replies.
// Whoever asks is in sessions.h.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "announce/control_client.h"
#include "announce/session_book.h"
#include "base/result.h"
#include "core/bgp.h"

namespace dnsdirector::announce {

struct Question {
    enum class About : std::uint8_t { itself, neighbor, bfd, told };
    About about = About::itself;
    std::string command;
    std::size_t neighbor = 0;  ///< an index into core::Bgp::neighbors
    bool is_last = true;       ///< of those about the same
};

class DaemonReader {
public:
    struct Socket {
        Language language;
        std::string daemon;  ///< "BIRD", "FRR's zebra"
        std::string path;
    };
    /// `socket`: BIRD's control socket, or the folder of FRR's.
    static std::unique_ptr<DaemonReader> create(const core::Bgp& bgp, const std::string& socket);
    virtual ~DaemonReader() = default;

    /// The first one is that of the daemon that has the sessions.
    [[nodiscard]] virtual std::vector<Socket> sockets() const = 0;
    /// What is asked often: whether it lives, and its sessions.
    [[nodiscard]] virtual std::vector<Question> overview(std::size_t socket) const = 0;
    /// What one neighbour was told; of the first socket.
    [[nodiscard]] virtual std::vector<Question> told(std::size_t neighbor) const = 0;

    /// `reply` is whole (control_protocol.h). Errors: it is not what that daemon says; the
    /// questions that were to follow are not asked then.
    virtual Result<void> take(std::size_t socket, const Question& question,
                              const std::string& reply) = 0;
    /// All of overview() was answered.
    virtual void finish(std::size_t socket, SessionBook& book, Moment now) = 0;
    /// The last of told() was answered.
    [[nodiscard]] ToldReport take_told() { return std::exchange(told_, {}); }

protected:
    ToldReport told_;
};

/// Where `bgp check` and the director ask, unless told otherwise: BIRD's control socket, or the
/// folder of FRR's sockets.
[[nodiscard]] std::string usual_socket(core::RoutingDaemon daemon, const std::string& run_dir);

}  // namespace dnsdirector::announce
