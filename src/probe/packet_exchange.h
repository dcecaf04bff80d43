// SPDX-License-Identifier: Apache-2.0
//
// Packets past the kernel's IP layer (packet(7)), for all checks through a service IP of one
// prober: sent to a MAC that the sender names, received by a filter that sees nothing of
// clients' packets. Who awaits what is told apart by port and query ID over UDP, by port and
// sequence number over TCP, which nobody can guess who has not seen the question.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "netlink/netlink.h"
#include "probe/descriptor.h"
#include "probe/frame.h"
#include "probe/packet_filter.h"
#include "probe/random.h"
#include "probe/reserved_ports.h"

namespace dnsdirector::probe {

/// Whom a packet is for.
class PacketReceiver {
public:
    virtual ~PacketReceiver() = default;
    /// Valid during the call only. True where its probe must be looked at.
    virtual bool take(const Incoming& packet, TimePoint now) = 0;
    /// Whether a segment that does not say so by the number that it acknowledges is for its
    /// connection: a reset, or what a server says of an earlier connection of the port.
    [[nodiscard]] virtual bool is_concerned_by(const Incoming& packet) const = 0;
    /// Marks its probe's events.
    [[nodiscard]] virtual std::uint64_t token() const = 0;
};

class PacketExchange {
public:
    struct Question {
        std::uint16_t port = 0, id = 0;
    };
    struct Connection {
        std::uint16_t port = 0;
        std::uint32_t first_number = 0;  ///< of TcpClient::begin()
    };

    /// `token` marks the events of its sockets.
    static Result<std::unique_ptr<PacketExchange>> create(int epoll, std::uint64_t token,
                                                          IdSource& ids);
    virtual ~PacketExchange() = default;

    /// A port and an ID that nobody else awaits an answer with.
    Question await_datagram(PacketReceiver& receiver);
    void forget(const Question& question);
    Connection await_segments(PacketReceiver& receiver);
    void forget(const Connection& connection);

    /// The packet begins with its IP header. An all-zero MAC: the device has none. 0 or errno.
    int send(int interface, const netlink::Mac& to, dns::Bytes packet);
    /// Takes what has come, up to a limit: the sockets stay readable while there is more. The
    /// tokens of those to be looked at; valid until the next call.
    std::span<const std::uint64_t> receive(TimePoint now);

    [[nodiscard]] const PortRange& ports() const { return ports_.range(); }
    /// Packets that nobody awaited, or not any more.
    [[nodiscard]] std::uint64_t unclaimed() const { return unclaimed_; }

private:
    struct Inbox;
    struct InboxDeleter {
        void operator()(Inbox* inbox) const;
    };

    PacketExchange(ReservedPorts ports, Descriptor v4, Descriptor v6, IdSource& ids);
    [[nodiscard]] std::uint16_t any_port();
    [[nodiscard]] std::uint32_t key(const Question& question) const;
    [[nodiscard]] std::uint64_t key(std::uint16_t port, std::uint32_t number) const;
    void receive_from(int socket, TimePoint now);
    [[nodiscard]] PacketReceiver* receiver_of(const Incoming& packet);
    [[nodiscard]] PacketReceiver* search(const Incoming& packet);

    ReservedPorts ports_;
    Descriptor v4_, v6_;
    IdSource& ids_;
    std::unique_ptr<Inbox, InboxDeleter> inbox_;
    std::unordered_map<std::uint32_t, PacketReceiver*> questions_;
    std::unordered_map<std::uint64_t, PacketReceiver*> connections_;
    std::vector<std::uint64_t> tokens_;
    bool may_search_ = false;
    std::uint64_t unclaimed_ = 0;
};

}  // namespace dnsdirector::probe
