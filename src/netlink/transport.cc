// SPDX-License-Identifier: Apache-2.0
#include "netlink/transport.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace dnsdirector::netlink {
namespace {

// The kernel fills at most 32 KiB a message part of a dump (netlink_dump());
// one link without its VFs and statistics takes below 4 KiB.
constexpr std::size_t buffer_size = 128 << 10;

// A dump that is interrupted this often is taken as it is: on a machine whose
// tables change all the time the monitor tells what was missed.
constexpr int dump_attempts = 10;

Refusal refusal_of(const nlmsghdr& header) {
    const auto* error = static_cast<const nlmsgerr*>(nlmsg_data(&header));
    Refusal refusal{-error->error, {}};
    if (refusal.error == 0 || (header.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return refusal;
    // The request's header (all of the request without NETLINK_CAP_ACK) stands
    // between the error and the attributes.
    int skip = static_cast<int>(sizeof *error);
    if ((header.nlmsg_flags & NLM_F_CAPPED) == 0)
        skip += static_cast<int>(NLMSG_ALIGN(error->msg.nlmsg_len) - sizeof(nlmsghdr));
    nlattr* attributes[NLMSGERR_ATTR_MAX + 1] = {};
    if (nlmsg_parse(const_cast<nlmsghdr*>(&header), skip, attributes, NLMSGERR_ATTR_MAX, nullptr) ==
            0 &&
        attributes[NLMSGERR_ATTR_MSG] != nullptr)
        refusal.detail = nla_get_string(attributes[NLMSGERR_ATTR_MSG]);
    return refusal;
}

/// What ended a dump early (netlink_dump_done()); 0 where nothing did.
Refusal dump_end(const nlmsghdr& header) {
    std::int32_t error = 0;
    if (header.nlmsg_len >= static_cast<std::uint32_t>(nlmsg_size(sizeof error)))
        std::memcpy(&error, nlmsg_data(&header), sizeof error);
    return {error < 0 ? -error : 0, {}};
}

}  // namespace

Error Refusal::as_error(const std::string& what) const {
    Error result = system_error(what, error);
    if (!detail.empty()) result.message += " (" + detail + ")";
    return result;
}

Result<Transport> Transport::open(const Options& options) {
    Transport transport;
    transport.buffer_.resize(buffer_size);
    transport.socket_.reset(nl_socket_alloc());
    if (transport.socket_ == nullptr)
        return fail("no netlink socket: out of memory, or too many are open in this process");
    nl_sock* socket = transport.socket_.get();
    if (const int error = nl_connect(socket, options.protocol); error < 0)
        return fail("cannot open a netlink socket ({}): {}",
                    options.protocol == NETLINK_ROUTE ? "NETLINK_ROUTE" : "NETLINK_GENERIC",
                    nl_geterror(error));
    const int fd = nl_socket_get_fd(socket);
    for (const int group : options.groups)
        if (const int error = nl_socket_add_membership(socket, group); error < 0)
            return fail("cannot follow the kernel's notifications (netlink group {}): {}", group,
                        nl_geterror(error));
    // Without CAP_NET_ADMIN the size is capped by net.core.rmem_max, which is
    // good enough for what can be done without it.
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &options.receive_buffer,
                   sizeof options.receive_buffer) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &options.receive_buffer,
                   sizeof options.receive_buffer);
    // Nicer messages where the kernel can (4.12); all works without.
    const int on = 1;
    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    return transport;
}

int Transport::descriptor() const {
    return nl_socket_get_fd(socket_.get());
}

ssize_t Transport::receive(int flags) {
    ssize_t length = 0;
    do {
        length = recv(descriptor(), buffer_.data(), buffer_.size(), flags | MSG_TRUNC);
    } while (length < 0 && errno == EINTR);
    if (length > static_cast<ssize_t>(buffer_.size())) {
        errno = EMSGSIZE;
        return -1;
    }
    return length;
}

Transport::Outcome Transport::exchange(nl_msg* message, const Visitor& visit) {
    nl_complete_msg(socket_.get(), message);
    const std::uint32_t sequence = nlmsg_hdr(message)->nlmsg_seq;
    const nlmsghdr* request = nlmsg_hdr(message);
    ssize_t sent = 0;
    do {
        sent = send(descriptor(), request, request->nlmsg_len, 0);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) return {{errno, {}}, false};

    Outcome outcome;
    for (;;) {
        const ssize_t received = receive(0);
        if (received < 0) return {{errno, {}}, false};
        auto* header = reinterpret_cast<nlmsghdr*>(buffer_.data());
        int left = static_cast<int>(received);
        for (; nlmsg_ok(header, left); header = nlmsg_next(header, &left)) {
            if (header->nlmsg_seq != sequence) continue;  // of an exchange that failed half-way
            if (header->nlmsg_flags & NLM_F_DUMP_INTR) outcome.interrupted = true;
            if (header->nlmsg_type == NLMSG_DONE) {
                outcome.refusal = dump_end(*header);
                return outcome;
            }
            if (header->nlmsg_type == NLMSG_ERROR) {
                outcome.refusal = refusal_of(*header);
                return outcome;
            }
            if (visit) visit(*header);
        }
    }
}

tl::expected<void, Refusal> Transport::request(nl_msg* message, const Visitor& visit) {
    // Every request asks for an acknowledgement, so that every exchange ends.
    nlmsg_hdr(message)->nlmsg_flags |= NLM_F_ACK;
    Outcome outcome = exchange(message, visit);
    if (outcome.refusal.error != 0) return tl::unexpected{std::move(outcome.refusal)};
    return {};
}

tl::expected<void, Refusal> Transport::dump(nl_msg* message, const std::function<void()>& restart,
                                            const Visitor& visit) {
    nlmsg_hdr(message)->nlmsg_flags |= NLM_F_DUMP;
    for (int attempt = 1;; ++attempt) {
        restart();
        nlmsg_hdr(message)->nlmsg_seq = 0;  // libnl then gives it the next number
        Outcome outcome = exchange(message, visit);
        const int error = outcome.refusal.error;
        if (error == 0 && (!outcome.interrupted || attempt == dump_attempts)) return {};
        if (error == 0) continue;
        // ENOBUFS: something was dropped. EBUSY: an earlier dump, of which we gave up
        // the rest, still waits to be read.
        if ((error != ENOBUFS && error != EBUSY) || attempt == dump_attempts)
            return tl::unexpected{std::move(outcome.refusal)};
        drain([](const nlmsghdr&) {});
    }
}

bool Transport::drain(const Visitor& visit) {
    bool complete = true;
    for (;;) {
        const ssize_t received = receive(MSG_DONTWAIT);
        if (received < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK) return complete;
            // ENOBUFS: the kernel dropped messages; what is queued is still to be
            // read. EMSGSIZE: a message was too long for us, which is a loss too.
            complete = false;
            if (errno == ENOBUFS || errno == EMSGSIZE) continue;
            return complete;
        }
        auto* header = reinterpret_cast<nlmsghdr*>(buffer_.data());
        int left = static_cast<int>(received);
        for (; nlmsg_ok(header, left); header = nlmsg_next(header, &left))
            visit(*header);
    }
}

}  // namespace dnsdirector::netlink
