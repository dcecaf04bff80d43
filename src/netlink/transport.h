// SPDX-License-Identifier: Apache-2.0
//
// One netlink socket: a request out, the kernel's messages in. libnl builds
// the messages and knows the attributes; receiving is done here, since libnl
// maps the kernel's error numbers to its own and loses ENOBUFS and the text of
// the extended acknowledgement on the way.
#pragma once

// By its longer path: <netlink/netlink.h> would be this folder's own header.
#include <libnl3/netlink/netlink.h>
#include <linux/netlink.h>
#include <netlink/msg.h>
#include <netlink/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace dnsdirector::netlink {

/// What the kernel answered instead of doing it.
struct Refusal {
    int error = 0;       ///< errno value, above 0
    std::string detail;  ///< its own words (extended acknowledgement), often ""

    /// "what: strerror (detail)"
    [[nodiscard]] Error as_error(const std::string& what) const;
};

struct MessageDeleter {
    void operator()(nl_msg* message) const { nlmsg_free(message); }
};
using Message = std::unique_ptr<nl_msg, MessageDeleter>;

/// A message of this type (RTM_*, or a generic family's number) with its fixed part; attributes are
/// put after.
template <typename Header>
[[nodiscard]] Message new_message(int type, int flags, const Header& header) {
    Message message{nlmsg_alloc_simple(type, flags)};
    if (message == nullptr ||
        nlmsg_append(message.get(), const_cast<Header*>(&header), sizeof header, NLMSG_ALIGNTO) < 0)
        throw std::bad_alloc{};
    return message;
}

using Visitor = std::function<void(const nlmsghdr&)>;

class Transport {
public:
    struct Options {
        std::vector<int> groups;       ///< RTNLGRP_*; none: a request socket
        int receive_buffer = 1 << 20;  ///< bytes wished for
        int protocol = NETLINK_ROUTE;  ///< or NETLINK_GENERIC
    };
    static Result<Transport> open(const Options& options);

    /// Sends a request and gives every message of the answer to the visitor.
    tl::expected<void, Refusal> request(nl_msg* message, const Visitor& visit = {});
    /// The same for a dump. A dump that others' changes interrupted is asked
    /// again; messages may then be seen twice, so `restart` is called first.
    tl::expected<void, Refusal> dump(nl_msg* message, const std::function<void()>& restart,
                                     const Visitor& visit);

    /// Everything that is waiting, without blocking. False when the kernel had
    /// dropped messages because the buffer was full.
    bool drain(const Visitor& visit);

    [[nodiscard]] int descriptor() const;

private:
    struct SocketDeleter {
        void operator()(nl_sock* socket) const { nl_socket_free(socket); }
    };
    struct Outcome {
        Refusal refusal;
        bool interrupted = false;
    };
    Outcome exchange(nl_msg* message, const Visitor& visit);
    ssize_t receive(int flags);

    std::unique_ptr<nl_sock, SocketDeleter> socket_;
    std::vector<char> buffer_;
};

}  // namespace dnsdirector::netlink
