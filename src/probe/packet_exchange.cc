// SPDX-License-Identifier: Apache-2.0
#include "probe/packet_exchange.h"

#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "probe/tcp_client.h"

namespace dnsdirector::probe {
namespace {

constexpr std::size_t packets_a_call = 32;
/// A burst of ten thousand replies within some milliseconds.
constexpr int receive_room = 8 << 20;

Descriptor open_socket(Family family, const PortRange& ports) {
    // Without a protocol it receives nothing until the filter is there.
    Descriptor socket(::socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket.open()) return socket;
    std::vector<sock_filter> program = packet_filter(family, ports);
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    const int on = 1;
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_room,
                     sizeof receive_room) != 0)
        ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &receive_room, sizeof receive_room);
    // Of one protocol, so that it is given what the IP layer is given, where IP's own handler
    // stands: no frames that leave, none of a bridge's ports, tags taken off.
    sockaddr_ll all{};
    all.sll_family = AF_PACKET;
    all.sll_protocol = htons(family == Family::ipv4 ? ETH_P_IP : ETH_P_IPV6);
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0 ||
        ::setsockopt(socket.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) != 0 ||
        ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&all), sizeof all) != 0)
        return {};
    return socket;
}

/// Level-triggered: a call takes a part only.
bool watch_packets(int epoll, int socket, std::uint64_t token) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = token;
    return ::epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event) == 0;
}

Error cannot_open(int error) {
    if (error == EPERM)
        return {"cannot ask through the service IP: sending such packets needs CAP_NET_RAW"};
    return system_error("cannot ask through the service IP: no packet socket", error);
}

/// Whether the kernel or the card knows that the checksums are right.
bool is_summed(msghdr& header) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
         part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_level != SOL_PACKET || part->cmsg_type != PACKET_AUXDATA) continue;
        tpacket_auxdata data{};
        std::memcpy(&data, CMSG_DATA(part), sizeof data);
        return (data.tp_status & (TP_STATUS_CSUMNOTREADY | TP_STATUS_CSUM_VALID)) != 0;
    }
    return false;
}

}  // namespace

/// Room for what one call of recvmmsg() brings: large, and touched only as far as packets go.
struct PacketExchange::Inbox {
    static constexpr std::size_t largest = 65535 + 60;
    std::array<std::array<std::uint8_t, largest>, packets_a_call> data;
    std::array<std::array<std::uint8_t, 64>, packets_a_call> control;
    std::array<sockaddr_ll, packets_a_call> from;
    std::array<iovec, packets_a_call> parts;
    std::array<mmsghdr, packets_a_call> messages;

    int fill(int socket) {
        for (std::size_t at = 0; at < packets_a_call; ++at) {
            parts[at] = {data[at].data(), largest};
            messages[at].msg_hdr = {};
            messages[at].msg_hdr.msg_name = &from[at];
            messages[at].msg_hdr.msg_namelen = sizeof from[at];
            messages[at].msg_hdr.msg_iov = &parts[at];
            messages[at].msg_hdr.msg_iovlen = 1;
            messages[at].msg_hdr.msg_control = control[at].data();
            messages[at].msg_hdr.msg_controllen = control[at].size();
        }
        return ::recvmmsg(socket, messages.data(), packets_a_call, MSG_DONTWAIT, nullptr);
    }
};

void PacketExchange::InboxDeleter::operator()(Inbox* inbox) const {
    delete inbox;
}

Result<std::unique_ptr<PacketExchange>> PacketExchange::create(int epoll, std::uint64_t token,
                                                               IdSource& ids) {
    auto ports = ReservedPorts::reserve(ids);
    if (!ports) return tl::unexpected(ports.error());
    Descriptor v4 = open_socket(Family::ipv4, ports->range());
    if (!v4.open()) return tl::unexpected(cannot_open(errno));
    Descriptor v6 = open_socket(Family::ipv6, ports->range());
    if (!v6.open()) return tl::unexpected(cannot_open(errno));
    if (!watch_packets(epoll, v4.get(), token) || !watch_packets(epoll, v6.get(), token))
        return fail_errno("cannot watch the packet sockets of the checks", errno);
    return std::unique_ptr<PacketExchange>(
        new PacketExchange(std::move(*ports), std::move(v4), std::move(v6), ids));
}

PacketExchange::PacketExchange(ReservedPorts ports, Descriptor v4, Descriptor v6, IdSource& ids)
    : ports_(std::move(ports)),
      v4_(std::move(v4)),
      v6_(std::move(v6)),
      ids_(ids),
      inbox_(new Inbox) {}

std::uint16_t PacketExchange::any_port() {
    return static_cast<std::uint16_t>(ports().first + (ids_.next() & (ports().count - 1U)));
}

std::uint32_t PacketExchange::key(const Question& question) const {
    return static_cast<std::uint32_t>(question.port - ports().first) << 16 | question.id;
}

std::uint64_t PacketExchange::key(std::uint16_t port, std::uint32_t number) const {
    return static_cast<std::uint64_t>(port) << 32 | number / TcpClient::numbers;
}

PacketExchange::Question PacketExchange::await_datagram(PacketReceiver& receiver) {
    Question question;
    do {
        question = {any_port(), ids_.next()};
    } while (!questions_.try_emplace(key(question), &receiver).second);
    return question;
}

void PacketExchange::forget(const Question& question) {
    questions_.erase(key(question));
}

PacketExchange::Connection PacketExchange::await_segments(PacketReceiver& receiver) {
    Connection connection;
    do {
        const std::uint32_t number = static_cast<std::uint32_t>(ids_.next()) << 16 | ids_.next();
        connection = {any_port(), number - number % TcpClient::numbers};
    } while (
        !connections_.try_emplace(key(connection.port, connection.first_number), &receiver).second);
    return connection;
}

void PacketExchange::forget(const Connection& connection) {
    connections_.erase(key(connection.port, connection.first_number));
}

int PacketExchange::send(int interface, const netlink::Mac& to, dns::Bytes packet) {
    const bool v4 = packet[0] >> 4 == 4;
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(v4 ? ETH_P_IP : ETH_P_IPV6);
    address.sll_ifindex = interface;
    if (to != netlink::Mac{}) {
        address.sll_halen = static_cast<unsigned char>(to.size());
        std::copy(to.begin(), to.end(), address.sll_addr);
    }
    const ssize_t sent =
        ::sendto((v4 ? v4_ : v6_).get(), packet.data(), packet.size(), MSG_DONTWAIT,
                 reinterpret_cast<const sockaddr*>(&address), sizeof address);
    return sent < 0 ? errno : 0;
}

std::span<const std::uint64_t> PacketExchange::receive(TimePoint now) {
    tokens_.clear();
    may_search_ = true;
    receive_from(v4_.get(), now);
    receive_from(v6_.get(), now);
    return tokens_;
}

void PacketExchange::receive_from(int socket, TimePoint now) {
    const int count = inbox_->fill(socket);
    for (int index = 0; index < count; ++index) {
        const auto at = static_cast<std::size_t>(index);
        mmsghdr& message = inbox_->messages[at];
        // For this machine, by a wire: what comes back over the loopback was answered here.
        if (inbox_->from[at].sll_pkttype != PACKET_HOST ||
            inbox_->from[at].sll_hatype == ARPHRD_LOOPBACK)
            continue;
        const auto packet = read_packet(dns::Bytes(inbox_->data[at]).first(message.msg_len),
                                        is_summed(message.msg_hdr));
        PacketReceiver* const receiver = packet ? receiver_of(*packet) : nullptr;
        if (receiver == nullptr)
            ++unclaimed_;
        else if (receiver->take(*packet, now))
            tokens_.push_back(receiver->token());
    }
}

PacketReceiver* PacketExchange::receiver_of(const Incoming& packet) {
    const bool error = packet.kind == Incoming::Kind::error;
    const std::uint16_t port = error ? packet.source.port : packet.destination.port;
    if (!ports().has(port)) return nullptr;
    if (packet.protocol == Protocol::udp) {
        if (packet.payload.size() < 2) return nullptr;
        const auto found = questions_.find(key(Question{port, dns::read16(packet.payload, 0)}));
        return found == questions_.end() ? nullptr : found->second;
    }
    const bool acknowledges = packet.tcp.has(TcpFields::ack);
    if (error || acknowledges) {
        const std::uint32_t number = error ? packet.tcp.sequence : packet.tcp.acknowledgement;
        const auto found = connections_.find(key(port, number));
        if (found != connections_.end()) return found->second;
    }
    // One of the two, never both: what else there is belongs to nobody.
    return !error && acknowledges != packet.tcp.has(TcpFields::rst) ? search(packet) : nullptr;
}

/// By looking at all connections: once a call, so that a flood costs little.
PacketReceiver* PacketExchange::search(const Incoming& packet) {
    if (!std::exchange(may_search_, false)) return nullptr;
    for (const auto& [number, receiver] : connections_)
        if (number >> 32 == packet.destination.port && receiver->is_concerned_by(packet))
            return receiver;
    return nullptr;
}

}  // namespace dnsdirector::probe
