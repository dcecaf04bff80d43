// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/tcp_path.h"

#include <algorithm>

namespace dnsdirector::dataplane::proxy {
namespace {

constexpr std::size_t read_at_once = 65536;
constexpr Nanoseconds look_every = Milliseconds{250};

}  // namespace

TcpPath::TcpPath(Context& context, Queries& queries, ClientCounts& counts)
    : context_(context), queries_(queries), counts_(counts), scratch_(read_at_once) {}

TcpPath::~TcpPath() {
    close_all();
}

/// Writing may let a client be read again, whose queries wait to be written …
void TcpPath::flush() {
    while (!dirty_clients_.empty() || !dirty_servers_.empty()) {
        while (!dirty_clients_.empty()) {
            const std::uint32_t index = dirty_clients_.back();
            dirty_clients_.pop_back();
            flush_client(index);
        }
        while (!dirty_servers_.empty()) {
            const std::uint32_t index = dirty_servers_.back();
            dirty_servers_.pop_back();
            flush_server(index);
        }
    }
}

void TcpPath::on_time() {
    flush();
    if (context_.now - looked_at_ < look_every) return;
    looked_at_ = context_.now;
    if (clients_open_ != 0) look_at_clients();
    if (servers_open_ != 0) look_at_servers();
    flush();
}

void TcpPath::close_all() {
    for (std::uint32_t i = 0; i < clients_.size(); ++i)
        if (clients_[i]->socket >= 0) close_client(i);
    for (std::uint32_t i = 0; i < servers_.size(); ++i)
        if (servers_[i]->socket >= 0) close_server(i, false);
}

void TcpPath::add_descriptors(std::vector<int>& all) const {
    for (const auto& client : clients_)
        if (client->socket >= 0) all.push_back(client->socket);
    for (const auto& server : servers_)
        if (server->socket >= 0) all.push_back(server->socket);
}

bool TcpPath::all_written() const {
    return std::all_of(clients_.begin(), clients_.end(), [](const auto& client) {
        return client->socket < 0 || (client->out.empty() && client->streams == 0);
    });
}

// ---- as a transport -------------------------------------------------------------

bool TcpPath::send(Pending& pending, std::size_t which) {
    Upstream& upstream = *pending.attempts[which].upstream;
    // An UPDATE for several servers must not meet a connection that one of them is just closing:
    // it cannot be sent again. And where each client has its own connection, a copy's outlives it.
    const bool own =
        pending.is_copy() && (upstream.proxy_protocol || upstream.transparent || !pending.repeats);
    const std::uint32_t connection =
        own ? connect_to(upstream, pending, false) : connection_for(upstream, pending, false);
    return connection != nobody && send_over(connection, pending, which);
}

void TcpPath::forget(Pending& pending, std::size_t which) {
    const Attempt& attempt = pending.attempts[which];
    Server& server = *servers_[attempt.channel];
    const std::size_t place = attempt.id % Server::places;
    const std::uint32_t expected =
        queries_.pool().index_of(pending) << 1 | static_cast<std::uint32_t>(which);
    if (server.waiting[place] != expected || server.ids[place] != attempt.id) return;
    server.waiting[place] = nobody;
    --server.awaited;
    server.last_used = context_.now;
}

void TcpPath::deliver(Pending& pending, const std::uint8_t* message, std::size_t size,
                      bool /*lasts*/) {
    Client* client = client_at(pending.client_connection, pending.client_generation);
    if (client == nullptr) return context_.drop(Drop::client_gone);
    --client->waiting;
    give(pending.client_connection, message, size);
}

void TcpPath::given_up(Pending& pending) {
    if (Client* client = client_at(pending.client_connection, pending.client_generation))
        --client->waiting;
}

}  // namespace dnsdirector::dataplane::proxy
