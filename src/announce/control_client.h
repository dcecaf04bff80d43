// SPDX-License-Identifier: Apache-2.0
//
// One connection to a routing daemon's Unix socket that never waits: for the event loop. It
// stays open between commands, so that the end of a daemon is seen as the end of its connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace dnsdirector::announce {

enum class Language : std::uint8_t { bird, frr };

class ControlClient {
public:
    /// `epoll` gets the sockets, each with `token`; it outlives this. `daemon` is its name in
    /// messages: "BIRD", "FRR's bgpd".
    ControlClient(int epoll, std::uint32_t token, Language language, std::string daemon,
                  std::string path);
    ~ControlClient() { close(); }
    ControlClient(const ControlClient&) = delete;
    ControlClient& operator=(const ControlClient&) = delete;

    /// Sends a command, connecting first if need be; not while busy(). An error that is there at
    /// once comes by work(), too.
    void ask(const std::string& command, TimePoint deadline);
    [[nodiscard]] bool busy() const { return !unanswered_.empty(); }
    [[nodiscard]] bool connected() const { return socket_ >= 0; }

    /// Takes what has come. Nothing: nothing to say yet. Else the whole reply to the command as
    /// it came, with its frame, or why there will be none: no daemon, no permission, none within
    /// the deadline, hung up, a reply without an end. With an error the connection is closed.
    /// An idle connection that the daemon closed is such an error.
    [[nodiscard]] std::optional<Result<std::string>> work(TimePoint now);

    [[nodiscard]] std::optional<TimePoint> deadline() const {
        return busy() ? std::optional(deadline_) : std::nullopt;
    }
    void close();

    [[nodiscard]] const std::string& daemon() const { return daemon_; }
    [[nodiscard]] const std::string& path() const { return path_; }

    /// A daemon that never ends its reply shall not take the memory of the machine.
    static constexpr std::size_t longest_reply = std::size_t{4} << 20;

private:
    Result<void> connect();
    Result<void> send();
    Result<void> receive();
    [[nodiscard]] bool is_whole() const;
    tl::unexpected<Error> failed(Error error);

    int epoll_;
    std::uint32_t token_;
    Language language_;
    std::string daemon_;
    std::string path_;
    int socket_ = -1;
    /// What is to be sent, one after the other, each after the reply to the one before it; the
    /// last is the command. The first of a connection to BIRD is empty: BIRD greets.
    std::vector<std::string> unanswered_;
    std::string reply_;
    TimePoint deadline_;
    std::optional<Error> refused_;  ///< in ask()
};

}  // namespace dnsdirector::announce
