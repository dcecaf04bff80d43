// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/udp_path.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

// After the others, which it leans on.
#include <linux/errqueue.h>

#include <algorithm>
#include <cerrno>

namespace dnsdirector::dataplane::proxy {
namespace {

constexpr std::size_t group_of(Family family, bool transparent) {
    return static_cast<std::size_t>(family) + (transparent ? 2 : 0);
}

/// The kernel's word for "not now": the buffer is full, and time mends it.
bool is_congestion(int error) {
    return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

UdpPath::Inbox::Inbox() : buffers_(new std::uint8_t[batch * stride]) {
    for (std::size_t i = 0; i < batch; ++i) {
        vectors[i] = {message(i), largest_message};
        headers[i].msg_hdr.msg_name = &peers[i];
        headers[i].msg_hdr.msg_iov = &vectors[i];
        headers[i].msg_hdr.msg_iovlen = 1;
    }
}

int UdpPath::Inbox::receive(int socket) {
    for (mmsghdr& header : headers) {
        header.msg_hdr.msg_namelen = sizeof(SocketAddress);
        header.msg_hdr.msg_flags = 0;
    }
    return recvmmsg(socket, headers.data(), batch, MSG_DONTWAIT, nullptr);
}

UdpPath::UdpPath(Context& context, Queries& queries) : context_(context), queries_(queries) {
    present_.fill(UINT16_MAX);
    outgoing_.reserve(1024);
    answers_.reserve(2 * batch);
}

UdpPath::~UdpPath() {
    for (const Back& back : backs_)
        ::close(back.socket);
}

Result<std::vector<std::size_t>> UdpPath::open(Family family, bool transparent) {
    std::vector<std::size_t> opened;
    std::vector<std::uint16_t>& group = groups_[group_of(family, transparent)];
    if (!group.empty()) return opened;
    for (std::uint32_t i = 0; i < context_.settings.upstream_sockets; ++i) {
        Back back{open_udp(family), std::make_unique<std::uint32_t[]>(1U << 16)};
        // Those that there are will do.
        if (back.socket < 0 && !opened.empty()) return opened;
        if (back.socket < 0)
            return fail_errno("cannot open a socket to ask the servers from", errno);
        if (transparent && !make_transparent(back.socket, family)) {
            const int error = errno;
            ::close(back.socket);
            return fail_errno("transparent: cannot ask servers from clients' addresses", error);
        }
        std::fill_n(back.waiting.get(), 1U << 16, nobody);
        const bool v4 = family == Family::ipv4;
        const int on = 1;
        // ICMP errors come with the datagram that they are about, and so tell which query failed.
        (void)setsockopt(back.socket, v4 ? IPPROTO_IP : IPPROTO_IPV6,
                         v4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof on);
        // Without a bind() the kernel would choose with the first datagram, as much by chance
        // (get_random_u32() in udp_lib_get_port()); here an error has somebody to go to.
        const SocketAddress any(Endpoint{v4 ? IpAddress{} : IpAddress::from_v6({}), 0});
        if (bind(back.socket, &any.any, any.size()) != 0) {
            const int error = errno;
            ::close(back.socket);
            if (!opened.empty()) return opened;
            return fail_errno("cannot get a port to ask the servers from", error);
        }
        group.push_back(static_cast<std::uint16_t>(backs_.size()));
        opened.push_back(backs_.size());
        backs_.push_back(std::move(back));
    }
    return opened;
}

// ---- from clients ---------------------------------------------------------------

void UdpPath::read_front(Front& front) {
    const int count = inbox_.receive(front.socket);
    present_.fill(UINT16_MAX);
    for (int i = 0; i < count; ++i)
        take_query(front, static_cast<std::size_t>(i));
    flush();
}

void UdpPath::ask(Front& front, const SocketAddress& client, std::vector<std::uint8_t>& message) {
    present_.fill(UINT16_MAX);
    begin({.front = front, .client = client}, message.data(), message.size(), client);
    flush();
}

void UdpPath::take_query(Front& front, std::size_t at) {
    const SocketAddress& peer = inbox_.peers[at];
    const auto& balancers = context_.settings.proxy_protocol_from;
    if (!balancers.empty() && is_within(balancers, peer)) return take_brought(front, at);
    begin({.front = front, .client = peer}, inbox_.message(at), inbox_.headers[at].msg_len, peer);
}

/// What a balancer in front of us sent, with its client's address before it.
void UdpPath::take_brought(Front& front, std::size_t at) {
    const SocketAddress& balancer = inbox_.peers[at];
    std::uint8_t* bytes = inbox_.message(at);
    const std::size_t size = inbox_.headers[at].msg_len;
    const ProxyHeader header = read_proxy_header({bytes, size});
    if (header.kind != ProxyHeader::Kind::whole) return context_.drop(Drop::proxy_header);
    const Brought brought{balancer, header.asked};
    begin({.front = front,
           .client = header.names_client ? header.client : balancer,
           .brought = header.names_client ? &brought : nullptr},
          bytes + header.size, size - header.size, balancer);
}

void UdpPath::begin(const Queries::From& from, std::uint8_t* message, std::size_t size,
                    const SocketAddress& peer) {
    Queries::Refusal refusal;
    if (queries_.begin(from, message, size, refusal) == nullptr && refusal.size != 0)
        (void)sendto(from.front.socket, refusal.bytes.data(), refusal.size, MSG_DONTWAIT, &peer.any,
                     peer.size());
}

/// One socket for a whole batch, so that it leaves with one call; the next one's is another.
std::uint16_t UdpPath::socket_for(Family family, bool transparent) {
    std::uint16_t& present = present_[group_of(family, transparent)];
    const auto& all = groups_[group_of(family, transparent)];
    if (present == UINT16_MAX && !all.empty()) present = all[context_.random.next16() % all.size()];
    return present;
}

bool UdpPath::send(Pending& pending, std::size_t which) {
    Attempt& attempt = pending.attempts[which];
    const Upstream& upstream = *attempt.upstream;
    const std::uint16_t channel =
        socket_for(upstream.endpoint.address.family(), pending.leaves_as_client(upstream));
    if (channel == UINT16_MAX) return false;
    std::uint32_t* waiting = backs_[channel].waiting.get();
    constexpr int draws = 64;
    for (int i = 0; i < draws; ++i) {
        const std::uint16_t id = context_.random.next16();
        if (waiting[id] != nobody) continue;
        const PendingIndex index = queries_.pool().index_of(pending);
        waiting[id] = index << 1 | static_cast<std::uint32_t>(which);
        attempt.channel = channel;
        attempt.id = id;
        outgoing_.push_back({index, static_cast<std::uint8_t>(which), channel, id});
        return true;
    }
    return false;
}

void UdpPath::send_again(Pending& pending, std::size_t which) {
    const Attempt& attempt = pending.attempts[which];
    outgoing_.push_back({queries_.pool().index_of(pending), static_cast<std::uint8_t>(which),
                         attempt.channel, attempt.id});
}

void UdpPath::forget(Pending& pending, std::size_t which) {
    const Attempt& attempt = pending.attempts[which];
    backs_[attempt.channel].waiting[attempt.id] = nobody;
}

void UdpPath::flush() {
    // A query that could not be sent may yield another try, or an answer.
    for (int turns = 0; turns < 3 && !outgoing_.empty(); ++turns)
        flush_queries();
    flush_answers();
}

/// Null when it was given up since.
Pending* UdpPath::still_waits(const Outgoing& outgoing) {
    const std::uint32_t waits = backs_[outgoing.channel].waiting[outgoing.id];
    if (waits != (outgoing.pending << 1 | outgoing.which)) return nullptr;
    return &queries_.pool().at(outgoing.pending);
}

void UdpPath::flush_queries() {
    std::vector<Outgoing>& queue = outgoing_;
    std::sort(queue.begin(), queue.end(),
              [](const Outgoing& a, const Outgoing& b) { return a.channel < b.channel; });
    const std::size_t size = queue.size();
    for (std::size_t first = 0; first < size;) {
        std::size_t last = first;
        while (last < size && last - first < batch && queue[last].channel == queue[first].channel)
            ++last;
        send_run(first, last);
        first = last;
    }
    // What failed has put its second try behind them.
    queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(size));
}

void UdpPath::send_run(std::size_t first, std::size_t last) {
    std::array<Outgoing, batch> run{};
    unsigned count = 0;
    for (std::size_t i = first; i < last; ++i) {
        const Outgoing outgoing = outgoing_[i];
        Pending* pending = still_waits(outgoing);
        if (pending == nullptr) continue;
        const Upstream& upstream = *pending->attempts[outgoing.which].upstream;
        msghdr& header = out_headers_[count].msg_hdr;
        auto& vectors = out_vectors_[count];
        header = {};
        header.msg_name = const_cast<sockaddr*>(&upstream.address.any);
        header.msg_namelen = upstream.address.size();
        header.msg_iov = vectors.data();
        if (upstream.proxy_protocol) {
            auto& bytes = proxy_headers_[count];
            vectors[header.msg_iovlen++] = {
                bytes.data(),
                write_proxy_header(bytes.data(), pending->client, pending->asked(), false)};
        }
        if (pending->leaves_as_client(upstream)) sources_[count].put_into(header, pending->client);
        if (pending->whole == pending->bytes.data()) {
            store16(pending->whole, outgoing.id);
            vectors[header.msg_iovlen++] = {pending->whole, pending->size};
        } else {
            // Copies for several servers (fan_out.h) share it, but for the ID.
            store16(out_ids_[count].data(), outgoing.id);
            vectors[header.msg_iovlen++] = {out_ids_[count].data(), 2};
            vectors[header.msg_iovlen++] = {pending->whole + 2, pending->size - 2};
        }
        run[count++] = outgoing;
    }
    const int socket = backs_[outgoing_[first].channel].socket;
    unsigned done = 0;
    int refused = 0;  // tries of the present one
    while (done < count) {
        const int sent = sendmmsg(socket, &out_headers_[done], count - done, MSG_DONTWAIT);
        if (sent > 0) {
            done += static_cast<unsigned>(sent);
            refused = 0;
            continue;
        }
        // It may be the error of a datagram before: telling it clears it (IP_RECVERR).
        if (!is_congestion(errno) && ++refused < 3) continue;
        failed(run[done++], errno);
        refused = 0;
    }
}

void UdpPath::failed(const Outgoing& outgoing, int error) {
    context_.drop(Drop::send_failed);
    // Congestion is our own: as if the network had lost it, the timer tries elsewhere.
    if (is_congestion(error)) return;
    Pending* pending = still_waits(outgoing);
    if (pending == nullptr) return;
    // A client may have an address that nothing can be sent from, and no server is to blame.
    const Upstream& upstream = *pending->attempts[outgoing.which].upstream;
    queries_.on_refused(*pending, outgoing.which, !pending->leaves_as_client(upstream));
}

// ---- from servers ---------------------------------------------------------------

void UdpPath::read_back(std::size_t back) {
    const int count = inbox_.receive(backs_[back].socket);
    present_.fill(UINT16_MAX);
    for (int i = 0; i < count; ++i)
        take_answer(backs_[back], static_cast<std::size_t>(i));
    flush();
}

void UdpPath::take_answer(Back& back, std::size_t at) {
    std::uint8_t* message = inbox_.message(at);
    const std::size_t size = inbox_.headers[at].msg_len;
    if (size < header_size) return context_.drop(Drop::stray_answer);
    const std::uint32_t waits = back.waiting[load16(message)];
    if (waits == nobody) return context_.drop(Drop::stray_answer);
    Pending& pending = queries_.pool().at(waits >> 1);
    const std::size_t which = waits & 1U;
    if (!(pending.attempts[which].upstream->address == inbox_.peers[at]))
        return context_.drop(Drop::stray_answer);
    (void)queries_.on_answer(pending, which, message, size);
}

void UdpPath::read_errors(std::size_t back) {
    constexpr int at_a_time = 256;
    present_.fill(UINT16_MAX);
    for (int i = 0; i < at_a_time && read_error(static_cast<std::uint16_t>(back)); ++i) {
    }
    flush();
}

/// False when there are no more.
bool UdpPath::read_error(std::uint16_t channel) {
    std::array<std::uint8_t, largest_proxy_header + header_size> datagram{};
    alignas(cmsghdr) std::array<char, 512> control{};
    SocketAddress server;
    iovec vector{datagram.data(), datagram.size()};
    msghdr header{};
    header.msg_name = &server;
    header.msg_namelen = sizeof server;
    header.msg_iov = &vector;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const ssize_t size = recvmsg(backs_[channel].socket, &header, MSG_ERRQUEUE | MSG_DONTWAIT);
    if (size < 0) return false;
    const sock_extended_err* error = nullptr;
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part))
        if ((part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) ||
            (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR))
            error = reinterpret_cast<const sock_extended_err*>(CMSG_DATA(part));
    // Fragmentation is the interface's business (listener.cc).
    if (error == nullptr || error->ee_errno == EMSGSIZE) return true;
    for (const std::size_t before : {std::size_t{0}, std::size_t{16 + 12}, std::size_t{16 + 36}}) {
        if (static_cast<std::size_t>(size) < before + 2) continue;
        const std::uint32_t waits = backs_[channel].waiting[load16(&datagram[before])];
        if (waits == nobody) continue;
        Pending& pending = queries_.pool().at(waits >> 1);
        const Upstream& upstream = *pending.attempts[waits & 1U].upstream;
        if (upstream.proxy_protocol != (before != 0) || !(upstream.address == server)) continue;
        // That nobody listens there is the server's own word; else somebody on the way may not
        // let clients' addresses through.
        const bool by_source =
            pending.leaves_as_client(upstream) && error->ee_errno != ECONNREFUSED;
        queries_.on_refused(pending, waits & 1U, !by_source);
        break;
    }
    return true;
}

// ---- to clients -----------------------------------------------------------------

void UdpPath::deliver(Pending& pending, const std::uint8_t* message, std::size_t size, bool lasts) {
    const int socket = pending.front->service->listener->socket(context_.worker);
    if (!lasts) {
        if (sendto(socket, message, size, MSG_DONTWAIT, &pending.peer().any,
                   pending.peer().size()) < 0)
            context_.drop(Drop::send_failed);
        return;
    }
    answers_.push_back({socket, pending.peer(), {const_cast<std::uint8_t*>(message), size}});
}

/// Those that leave by one socket with one call; with few services that is all of them.
void UdpPath::flush_answers() {
    for (std::size_t first = 0; first < answers_.size(); ++first) {
        const int socket = answers_[first].socket;
        if (socket < 0) continue;
        unsigned count = 0;
        for (std::size_t i = first; i < answers_.size() && count < batch; ++i) {
            Answer& answer = answers_[i];
            if (answer.socket != socket) continue;
            answer.socket = -1;
            msghdr& header = out_headers_[count++].msg_hdr;
            header = {};
            header.msg_name = &answer.client;
            header.msg_namelen = answer.client.size();
            header.msg_iov = &answer.message;
            header.msg_iovlen = 1;
        }
        for (unsigned done = 0; done < count;) {
            const int sent = sendmmsg(socket, &out_headers_[done], count - done, MSG_DONTWAIT);
            if (sent <= 0) context_.drop(Drop::send_failed);
            done += sent > 0 ? static_cast<unsigned>(sent) : 1;
        }
    }
    answers_.clear();
}

}  // namespace dnsdirector::dataplane::proxy
