// SPDX-License-Identifier: Apache-2.0
//
// As much of a kernel's sockets as the proxy plane asks for, in memory: the linker puts these
// in the place of the system's own (--wrap, CMakeLists.txt), so that a fuzzer drives the whole
// plane, and sees all that it sends, without a network and the same way each time.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "dataplane/proxy/socket_address.h"

namespace dnsdirector::fuzz {

using Octets = std::vector<std::uint8_t>;
using dataplane::proxy::SocketAddress;

struct Datagram {
    SocketAddress from;
    Octets bytes;
};

struct Socket {
    enum class Kind : std::uint8_t { datagram, listener, stream };
    Kind kind = Kind::datagram;
    std::deque<Datagram> in;      ///< datagrams that have come
    std::deque<Datagram> errors;  ///< ICMP errors: of what was sent, and to whom
    std::deque<int> accepted;     ///< of a listener: connections that nobody has taken yet
    SocketAddress peer;           ///< of a stream
    Octets come;                  ///< to be read
    bool connecting = false;
    bool ended = false;           ///< the peer sends no more
    bool broken = false;          ///< reset
    std::size_t room = SIZE_MAX;  ///< so many bytes may be written
    std::uint32_t watched = 0;    ///< epoll's events, and its data
    std::uint64_t tag = 0;
};

class Network {
public:
    static Network& instance();

    /// All sockets go, and the numbers that getrandom() gives begin anew.
    void reset();
    int open(Socket::Kind kind);
    [[nodiscard]] Socket* find(int descriptor);
    [[nodiscard]] const std::map<int, Socket>& sockets() const { return sockets_; }
    void close(int descriptor) { sockets_.erase(descriptor); }
    /// The events that epoll_wait() would give now; 0: none.
    [[nodiscard]] static std::uint32_t ready(const Socket& socket);

    /// Every datagram that leaves, and all bytes that are written to a stream.
    std::function<void(int descriptor, const SocketAddress& to, const Octets& bytes)> on_datagram;
    std::function<void(int descriptor, const std::uint8_t* bytes, std::size_t size)> on_bytes;
    /// A connection that the plane opens.
    std::function<void(int descriptor)> on_connect;

    unsigned failing_sends = 0;    ///< so many system calls that send fail next, …
    int failure = 0;               ///< … with this
    bool no_route = false;         ///< connect() fails
    std::size_t chunk = SIZE_MAX;  ///< the most that one recv() gives
    std::uint64_t random = 0;

    [[nodiscard]] bool send_fails();

private:
    std::map<int, Socket> sockets_;
    int next_ = 0;
};

}  // namespace dnsdirector::fuzz
