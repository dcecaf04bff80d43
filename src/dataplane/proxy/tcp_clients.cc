// SPDX-License-Identifier: Apache-2.0
//
// The clients' side of TCP.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "dataplane/proxy/proxy_header.h"
#include "dataplane/proxy/tag.h"
#include "dataplane/proxy/tcp_path.h"

namespace dnsdirector::dataplane::proxy {
namespace {

constexpr int most_accepted_at_once = 64;
constexpr Nanoseconds in_numbers = Microseconds{100};  // from one taking to the next
// Answers that wait to be read: beyond the first no more queries are taken, beyond the second
// the client goes.
constexpr std::size_t much_to_write = 256 << 10;
constexpr std::size_t too_much_to_write = 4 << 20;

std::uint64_t value_for(std::uint32_t index, std::uint32_t generation) {
    return static_cast<std::uint64_t>(generation & 0xffffffU) << 32 | index;
}

}  // namespace

TcpPath::Client* TcpPath::client_at(std::uint32_t index, std::uint32_t generation) {
    if (index >= clients_.size()) return nullptr;
    Client& client = *clients_[index];
    return client.socket >= 0 && client.generation == generation ? &client : nullptr;
}

// ---- coming -----------------------------------------------------------------------

/// To find that there is no more costs as much as half a connection, so it is not looked for
/// as long as they come one by one.
void TcpPath::accept_from(Front& front) {
    front.accepts = context_.now - front.accepted_at < in_numbers
                        ? std::min(2 * front.accepts, most_accepted_at_once)
                        : 1;
    front.accepted_at = context_.now;
    for (int i = 0; i < front.accepts; ++i) {
        SocketAddress peer;
        socklen_t size = sizeof peer;
        const int socket = accept4(front.socket, &peer.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket < 0) {
            // Without a descriptor the kernel would wake us for ever: one client makes room.
            if (errno == EMFILE || errno == ENFILE) (void)make_room();
            break;
        }
        accept_one(front, socket, peer);
    }
    flush();
}

void TcpPath::accept_one(Front& front, int socket, const SocketAddress& peer) {
    using Verdict = ClientCounts::Verdict;
    const bool unnamed = is_within(context_.settings.proxy_protocol_from, peer);
    const auto enter = [&] {
        return unnamed ? counts_.enter_unnamed() : counts_.enter(peer.endpoint().address);
    };
    Verdict verdict = enter();
    if (verdict == Verdict::full && make_room()) verdict = enter();
    if (verdict != Verdict::welcome) {
        context_.drop(Drop::tcp_limit);
        ::close(socket);
        return;
    }
    if (free_clients_.empty()) {
        free_clients_.push_back(static_cast<std::uint32_t>(clients_.size()));
        clients_.push_back(std::make_unique<Client>());
    }
    const std::uint32_t index = free_clients_.back();
    free_clients_.pop_back();
    Client& client = *clients_[index];
    const std::uint32_t generation = client.generation + 1;
    client = Client{};
    client.generation = generation;
    client.socket = socket;
    client.front = &front;
    client.peer = peer;
    client.awaits_header = unnamed;
    client.last_query = client.last_progress = context_.now;
    ++clients_open_;
    context_.note(Event::tcp_accepted);
    // The query may be there already.
    read_client(index);
    if (client.socket >= 0) watch_client(index);
}

/// Closes the connection that has been idle longest.
bool TcpPath::make_room() {
    std::uint32_t longest = nobody;
    for (std::uint32_t i = 0; i < clients_.size(); ++i) {
        const Client& client = *clients_[i];
        if (client.socket < 0 || client.waiting != 0 || client.streams != 0 || !client.out.empty())
            continue;
        if (longest == nobody || client.last_query < clients_[longest]->last_query) longest = i;
    }
    if (longest == nobody) return false;
    close_client(longest);
    return true;
}

// ---- reading ----------------------------------------------------------------------

bool TcpPath::may_read(const Client& client) const {
    return !client.parting && client.waiting < context_.settings.tcp_in_flight &&
           client.out.size() < much_to_write;
}

void TcpPath::on_client(std::uint64_t value, std::uint32_t events) {
    const auto index = static_cast<std::uint32_t>(value & 0xffffffffU);
    if (index >= clients_.size()) return;
    Client& client = *clients_[index];
    if (client.socket < 0 || value != value_for(index, client.generation)) return;
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return close_client(index);
    if ((events & EPOLLIN) != 0) read_client(index);
    if (client.socket >= 0 && (events & EPOLLOUT) != 0) flush_client(index);
    flush();
}

void TcpPath::read_client(std::uint32_t index) {
    Client& client = *clients_[index];
    if (!may_read(client)) return watch_client(index);
    const ssize_t size = recv(client.socket, scratch_.data(), scratch_.size(), MSG_DONTWAIT);
    if (size < 0) {
        if (errno != EAGAIN && errno != EINTR) close_client(index);
        return;
    }
    if (size == 0) {
        // It may have closed its own direction only, and still read (RFC 7766, section 6.2.4).
        client.parting = true;
        if (client.waiting == 0 && client.streams == 0 && client.out.empty())
            return close_client(index);
        return watch_client(index);
    }
    client.bytes += static_cast<std::uint64_t>(size);
    std::span<std::uint8_t> come(scratch_.data(), static_cast<std::size_t>(size));
    if (client.awaits_header) {
        if (!take_header(index, come)) return;
        come = {};
    }
    feed_client(index, come);
    if (context_.settings.tcp_bytes != 0 && client.bytes >= context_.settings.tcp_bytes)
        client.parting = true;
    if (!client.dirty) {
        client.dirty = true;
        dirty_clients_.push_back(index);
    }
}

/// A balancer's, before its client's first query, which may have come with it. False: it is not
/// whole yet, or the connection is closed.
bool TcpPath::take_header(std::uint32_t index, std::span<std::uint8_t> come) {
    Client& client = *clients_[index];
    client.in.keep(come);
    const ProxyHeader header = read_proxy_header(client.in.kept());
    if (header.kind == ProxyHeader::Kind::part) return false;
    const bool bad = header.kind == ProxyHeader::Kind::bad;
    const SocketAddress& named = header.names_client ? header.client : client.peer;
    if (bad || counts_.name(named.endpoint().address) != ClientCounts::Verdict::welcome) {
        context_.drop(bad ? Drop::proxy_header : Drop::tcp_limit);
        close_client(index);
        return false;
    }
    client.awaits_header = false;
    client.brought = header.names_client;
    client.how = {client.peer, header.asked};
    client.peer = named;
    client.in.skip(header.size);
    return true;
}

void TcpPath::feed_client(std::uint32_t index, std::span<std::uint8_t> come) {
    clients_[index]->in.feed(come, [&](std::uint8_t* message, std::size_t size) {
        return take_query(index, message, size);
    });
}

/// Whether another one may follow.
bool TcpPath::take_query(std::uint32_t index, std::uint8_t* message, std::size_t size) {
    Client& client = *clients_[index];
    client.last_query = context_.now;
    ++client.waiting;
    Queries::Refusal refusal;
    const Pending* pending = queries_.begin({.front = *client.front,
                                             .client = client.peer,
                                             .tcp = true,
                                             .connection = index,
                                             .generation = client.generation,
                                             .brought = client.brought ? &client.how : nullptr},
                                            message, size, refusal);
    if (pending == nullptr && !refusal.answered) {
        --client.waiting;
        if (refusal.size != 0)
            give(index, refusal.bytes.data(), refusal.size);
        else
            client.parting = true;  // who sends answers here speaks another language
    }
    return may_read(client);
}

// ---- writing ----------------------------------------------------------------------

void TcpPath::give(std::uint32_t index, const std::uint8_t* message, std::size_t size) {
    Client& client = *clients_[index];
    if (client.out.empty()) client.last_progress = context_.now;
    client.out.add(message, size);
    if (client.dirty) return;
    client.dirty = true;
    dirty_clients_.push_back(index);
}

void TcpPath::flush_client(std::uint32_t index) {
    Client& client = *clients_[index];
    client.dirty = false;
    if (client.socket < 0) return;
    bool progress = false;
    if (!client.out.write_to(client.socket, progress) || client.out.size() > too_much_to_write)
        return close_client(index);
    if (progress) client.last_progress = context_.now;
    if (!client.in.empty() && !client.awaits_header && may_read(client)) feed_client(index, {});
    if (client.parting && client.waiting == 0 && client.streams == 0 && client.out.empty())
        return close_client(index);
    if (client.streams != 0 && client.out.size() < much_to_write)
        for (std::uint32_t i = 0; i < servers_.size(); ++i)
            if (servers_[i]->socket >= 0 && servers_[i]->exclusive && servers_[i]->client == index)
                watch_server(i);
    watch_client(index);
}

void TcpPath::watch_client(std::uint32_t index) {
    Client& client = *clients_[index];
    const std::uint32_t events = (may_read(client) ? static_cast<std::uint32_t>(EPOLLIN) : 0U) |
                                 (client.out.empty() ? 0U : static_cast<std::uint32_t>(EPOLLOUT)) |
                                 (1U << 31);
    if (events == client.watched) return;
    watch(epoll_, client.socket, events & ~(1U << 31),
          make_tag(Watched::tcp_client, value_for(index, client.generation)),
          client.watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD);
    client.watched = events;
}

// ---- going ------------------------------------------------------------------------

void TcpPath::close_client(std::uint32_t index) {
    Client& client = *clients_[index];
    ::close(client.socket);
    client.socket = -1;
    if (client.awaits_header)
        counts_.leave_unnamed();
    else
        counts_.leave(client.peer.endpoint().address);
    client.in = {};
    client.out = {};
    --clients_open_;
    for (std::uint32_t i = 0; i < servers_.size(); ++i) {
        const Server& server = *servers_[i];
        if (server.socket >= 0 && server.client == index &&
            server.client_generation == client.generation)
            close_server(i, false);
    }
    free_clients_.push_back(index);
}

void TcpPath::look_at_clients() {
    const Nanoseconds patience = context_.settings.tcp_idle;
    for (std::uint32_t i = 0; i < clients_.size(); ++i) {
        const Client& client = *clients_[i];
        if (client.socket < 0) continue;
        const bool stuck = !client.out.empty() && context_.now - client.last_progress > patience;
        const bool idle = client.waiting == 0 && client.streams == 0 && client.out.empty() &&
                          context_.now - client.last_query > patience;
        if (stuck || idle) close_client(i);
    }
}

void TcpPath::part_with_clients_of(const Front& front) {
    for (std::uint32_t i = 0; i < clients_.size(); ++i) {
        Client& client = *clients_[i];
        if (client.socket < 0 || client.front != &front) continue;
        client.parting = true;
        if (!client.dirty) {
            client.dirty = true;
            dirty_clients_.push_back(i);
        }
    }
}

void TcpPath::drop_clients_of(const Front& front) {
    for (std::uint32_t i = 0; i < clients_.size(); ++i)
        if (clients_[i]->socket >= 0 && clients_[i]->front == &front) close_client(i);
}

void TcpPath::stop_reading() {
    stopped_reading_ = true;
    for (std::uint32_t i = 0; i < clients_.size(); ++i) {
        Client& client = *clients_[i];
        if (client.socket < 0) continue;
        client.parting = true;
        if (!client.dirty) {
            client.dirty = true;
            dirty_clients_.push_back(i);
        }
    }
}

}  // namespace dnsdirector::dataplane::proxy
