// SPDX-License-Identifier: Apache-2.0
//
// The servers' side of TCP.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "dataplane/proxy/proxy_header.h"
#include "dataplane/proxy/tag.h"
#include "dataplane/proxy/tcp_path.h"
#include "dataplane/proxy/transparent.h"

namespace dnsdirector::dataplane::proxy {
namespace {

constexpr std::size_t most_connections = 60000;  // Attempt::channel numbers them
// With so many queries on its way a connection is busy, and another one is opened. One: an
// answer behind another one waits for our ACK at servers that leave Nagle's algorithm on.
constexpr std::uint32_t busy = 1;
constexpr std::uint32_t most_awaited = 200;
// Zone transfers of one client at a time.
constexpr std::uint32_t most_streams = 8;
constexpr std::size_t much_for_client = 256 << 10;
constexpr Nanoseconds connect_patience = Seconds{3};
constexpr Nanoseconds answer_patience = Seconds{2};

std::uint64_t server_value(std::uint32_t index, std::uint32_t generation) {
    return static_cast<std::uint64_t>(generation & 0xffffffU) << 32 | index;
}

/// Lets our ACK leave now: the next answer may wait for it (Nagle's algorithm), and else it
/// would be delayed by up to 40 ms.
void hurry(int socket) {
    const int on = 1;
    (void)setsockopt(socket, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

bool is_transfer(const Pending& pending) {
    return !pending.is_copy() && (pending.type == 251 || pending.type == 252);
}

}  // namespace

// ---- choosing and opening ---------------------------------------------------------

std::uint32_t TcpPath::connection_for(Upstream& upstream, const Pending& pending, bool fresh) {
    const bool transfer = is_transfer(pending);
    if (transfer) {
        const Client* client = client_at(pending.client_connection, pending.client_generation);
        if (client == nullptr || client->streams >= most_streams) return nobody;
        return connect_to(upstream, pending, true);
    }
    const bool own = upstream.proxy_protocol || upstream.transparent;
    std::uint32_t best = nobody;
    std::uint32_t count = 0;
    for (const std::uint32_t i : connections_[&upstream]) {
        const Server& server = *servers_[i];
        if (server.exclusive) continue;
        if (own && (server.client != pending.client_connection ||
                    server.client_generation != pending.client_generation))
            continue;
        ++count;
        const bool hangs = server.awaited != 0 && context_.now - server.since > answer_patience;
        if (fresh || hangs || server.awaited >= most_awaited) continue;
        if (best == nobody || server.awaited < servers_[best]->awaited) best = i;
    }
    const bool may_open = fresh || count < (own ? 1 : context_.settings.tcp_to_server);
    if (best != nobody && (servers_[best]->awaited < busy || !may_open)) return best;
    return may_open ? connect_to(upstream, pending, own) : best;
}

std::uint32_t TcpPath::connect_to(Upstream& upstream, const Pending& pending, bool own) {
    if (free_servers_.empty()) {
        if (servers_.size() >= most_connections) return nobody;
        free_servers_.push_back(static_cast<std::uint32_t>(servers_.size()));
        servers_.push_back(std::make_unique<Server>());
    }
    const int socket = open_tcp(upstream.endpoint.address.family());
    if (socket < 0) return nobody;
    if (pending.leaves_as_client(upstream) && !bind_to_client(socket, pending.client)) {
        ::close(socket);
        return nobody;
    }
    if (connect(socket, &upstream.address.any, upstream.address.size()) != 0 &&
        errno != EINPROGRESS) {
        ::close(socket);
        return nobody;
    }
    const std::uint32_t index = free_servers_.back();
    free_servers_.pop_back();
    Server& server = *servers_[index];
    const std::uint32_t generation = server.generation + 1;
    server = Server{};
    server.generation = generation;
    server.socket = socket;
    server.upstream = upstream.shared_from_this();
    server.connecting = true;
    server.exclusive = is_transfer(pending);
    server.waiting.fill(nobody);
    server.next_place = context_.random.next16() % Server::places;
    server.since = server.last_used = server.last_progress = context_.now;
    if (own) {
        server.client = pending.client_connection;
        server.client_generation = pending.client_generation;
    }
    if (server.exclusive) ++clients_[server.client]->streams;
    if (upstream.proxy_protocol) {
        std::array<std::uint8_t, largest_proxy_header> header{};
        server.out.add_raw(header.data(), write_proxy_header(header.data(), pending.client,
                                                             pending.asked(), true));
    }
    ++servers_open_;
    connections_[&upstream].push_back(index);
    watch_server(index);
    return index;
}

bool TcpPath::send_over(std::uint32_t connection, Pending& pending, std::size_t which) {
    Server& server = *servers_[connection];
    for (std::size_t i = 0; i < Server::places; ++i) {
        const std::size_t place = server.next_place++ % Server::places;
        if (server.waiting[place] != nobody) continue;
        // The place in the low bits; the rest by chance.
        const auto id = static_cast<std::uint16_t>((context_.random.next16() & 0xff00U) | place);
        server.waiting[place] =
            queries_.pool().index_of(pending) << 1 | static_cast<std::uint32_t>(which);
        server.ids[place] = id;
        if (server.awaited++ == 0) server.since = context_.now;
        if (server.answers != 0) context_.note(Event::tcp_reused);
        server.last_used = context_.now;
        pending.attempts[which].channel = static_cast<std::uint16_t>(connection);
        pending.attempts[which].id = id;
        store16(pending.whole, id);
        if (server.out.empty()) server.last_progress = context_.now;
        server.out.add(pending.whole, pending.size);
        if (!server.dirty) {
            server.dirty = true;
            dirty_servers_.push_back(connection);
        }
        return true;
    }
    return false;
}

// ---- reading ----------------------------------------------------------------------

void TcpPath::on_server(std::uint64_t value, std::uint32_t events) {
    const auto index = static_cast<std::uint32_t>(value & 0xffffffffU);
    if (index >= servers_.size()) return;
    Server& server = *servers_[index];
    if (server.socket < 0 || value != server_value(index, server.generation)) return;
    if (server.connecting) {
        if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
            close_server(index, true);
            return flush();
        }
        server.connecting = false;
        server.since = context_.now;
        context_.note(Event::tcp_connected);
    }
    if ((events & EPOLLIN) != 0) read_server(index);
    if (server.socket >= 0 && (events & (EPOLLERR | EPOLLHUP)) != 0) close_server(index, true);
    if (server.socket >= 0 && (events & EPOLLOUT) != 0) flush_server(index);
    flush();
}

void TcpPath::read_server(std::uint32_t index) {
    Server& server = *servers_[index];
    const ssize_t size = recv(server.socket, scratch_.data(), scratch_.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) return close_server(index, true);
    server.in.feed({scratch_.data(), static_cast<std::size_t>(size)},
                   [&](std::uint8_t* message, std::size_t length) {
                       return take_answer(index, message, length);
                   });
    if (server.finished) return close_server(index, false);
    if (server.socket >= 0 && server.awaited != 0) hurry(server.socket);
    watch_server(index);
}

bool TcpPath::take_answer(std::uint32_t index, std::uint8_t* message, std::size_t size) {
    Server& server = *servers_[index];
    server.since = server.last_used = context_.now;
    ++server.answers;
    if (size < header_size) {
        context_.drop(Drop::wrong_answer);
        return true;
    }
    if (server.streams) return relay(server, message, size);
    const std::uint16_t id = load16(message);
    const std::size_t place = id % Server::places;
    if (server.waiting[place] == nobody || server.ids[place] != id) {
        context_.drop(Drop::stray_answer);
        return true;
    }
    Pending& pending = queries_.pool().at(server.waiting[place] >> 1);
    const std::uint16_t client_id = pending.client_id;
    const auto answer = queries_.on_answer(pending, server.waiting[place] & 1U, message, size);
    if (server.exclusive && answer == Queries::Answer::delivered) {
        server.streams = true;
        server.stream_id = id;
        server.client_id = client_id;
        server.finished = server.end.is_last({message, size});
    }
    return !server.finished;
}

/// The rest of a zone transfer, whose messages need not repeat the question (RFC 5936, 2.2.1).
bool TcpPath::relay(Server& server, std::uint8_t* message, std::size_t size) {
    Client* client = client_at(server.client, server.client_generation);
    if (client == nullptr || load16(message) != server.stream_id) {
        context_.drop(Drop::stray_answer);
        return true;
    }
    store16(message, server.client_id);
    client->last_query = context_.now;
    give(server.client, message, size);
    server.finished = server.end.is_last({message, size});
    return !server.finished;
}

// ---- writing ----------------------------------------------------------------------

void TcpPath::flush_server(std::uint32_t index) {
    Server& server = *servers_[index];
    server.dirty = false;
    if (server.socket < 0 || server.connecting) return;
    bool progress = false;
    if (!server.out.write_to(server.socket, progress)) return close_server(index, true);
    if (progress) server.last_progress = context_.now;
    watch_server(index);
}

void TcpPath::watch_server(std::uint32_t index) {
    Server& server = *servers_[index];
    bool reads = true;
    if (server.exclusive)
        if (const Client* client = client_at(server.client, server.client_generation))
            reads = client->out.size() < much_for_client;
    const bool writes = server.connecting || !server.out.empty();
    const std::uint32_t events = (reads ? static_cast<std::uint32_t>(EPOLLIN) : 0U) |
                                 (writes ? static_cast<std::uint32_t>(EPOLLOUT) : 0U) | (1U << 31);
    if (events == server.watched) return;
    watch(epoll_, server.socket, events & ~(1U << 31),
          make_tag(Watched::tcp_server, server_value(index, server.generation)),
          server.watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD);
    server.watched = events;
}

// ---- closing ----------------------------------------------------------------------

/// `failed`: what waits has to be told. A connection that answered before was idle, and the
/// server may have closed it just when the query left (RFC 7766, section 6.2.4): it is asked
/// again. Else the server refuses.
void TcpPath::close_server(std::uint32_t index, bool failed) {
    Server& server = *servers_[index];
    ::close(server.socket);
    server.socket = -1;
    --servers_open_;
    auto& of_upstream = connections_[server.upstream.get()];
    std::erase(of_upstream, index);
    if (of_upstream.empty()) connections_.erase(server.upstream.get());
    if (server.exclusive)
        if (Client* client = client_at(server.client, server.client_generation)) {
            --client->streams;
            // What may be left of the transfer will not come, and its reader has to know.
            client->parting = client->parting || (server.streams && failed);
            if (!client->dirty) {
                client->dirty = true;
                dirty_clients_.push_back(server.client);
            }
        }
    for (std::size_t place = 0; place < Server::places && server.awaited != 0; ++place) {
        const std::uint32_t waits = server.waiting[place];
        if (waits == nobody) continue;
        server.waiting[place] = nobody;
        --server.awaited;
        Pending& pending = queries_.pool().at(waits >> 1);
        const std::size_t which = waits & 1U;
        if (!failed) {
            queries_.abandon(pending);
            continue;
        }
        Attempt& attempt = pending.attempts[which];
        if (server.answers != 0 && !attempt.resent && (pending.may_try_again || pending.repeats)) {
            attempt.resent = true;
            const std::uint32_t other = pending.is_copy()
                                            ? connect_to(*server.upstream, pending, false)
                                            : connection_for(*server.upstream, pending, true);
            if (other != nobody && send_over(other, pending, which)) continue;
        }
        // Nobody may let clients' addresses through, and the server be well.
        const bool by_source = server.connecting && pending.leaves_as_client(*server.upstream);
        queries_.on_refused(pending, which, !by_source);
    }
    server.in = {};
    server.out = {};
    server.upstream.reset();
    free_servers_.push_back(index);
}

void TcpPath::look_at_servers() {
    for (std::uint32_t i = 0; i < servers_.size(); ++i) {
        const Server& server = *servers_[i];
        if (server.socket < 0) continue;
        const Nanoseconds idle = context_.now - server.last_used;
        const Nanoseconds silent = context_.now - server.since;
        const bool stuck = !server.out.empty() && !server.connecting &&
                           context_.now - server.last_progress > context_.settings.tcp_idle;
        if ((server.connecting && silent > connect_patience) || stuck ||
            (server.awaited != 0 && silent > context_.settings.query_timeout))
            close_server(i, true);
        else if (server.awaited == 0 && idle > context_.settings.tcp_idle)
            close_server(i, false);
    }
}

}  // namespace dnsdirector::dataplane::proxy
