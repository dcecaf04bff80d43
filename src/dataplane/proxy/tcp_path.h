// SPDX-License-Identifier: Apache-2.0
//
// Queries and answers over TCP (RFC 7766, RFC 9210). Clients may send many queries before the
// first answer, and get answers in the order in which they come. The servers are asked over a
// few connections that all clients share and that stay open; a zone transfer, whose end only
// its reader knows, has one of its own, as has each client of a server that wants the PROXY
// protocol.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "dataplane/proxy/client_counts.h"
#include "dataplane/proxy/queries.h"
#include "dataplane/proxy/stream.h"
#include "dataplane/proxy/transfer.h"

namespace dnsdirector::dataplane::proxy {

class TcpPath final : public Transport {
public:
    TcpPath(Context& context, Queries& queries, ClientCounts& counts);
    ~TcpPath() override;
    TcpPath(const TcpPath&) = delete;
    TcpPath& operator=(const TcpPath&) = delete;

    void use(int epoll) { epoll_ = epoll; }
    void accept_from(Front& front);
    void on_client(std::uint64_t value, std::uint32_t events);
    void on_server(std::uint64_t value, std::uint32_t events);
    /// Closes who is idle, reads nothing or says nothing.
    void on_time();

    /// The service is gone: its clients get the answers that they wait for.
    void part_with_clients_of(const Front& front);
    /// … and now the rest goes.
    void drop_clients_of(const Front& front);
    /// A stop: no query is taken any more.
    void stop_reading();
    [[nodiscard]] bool any() const { return clients_open_ != 0 || servers_open_ != 0; }
    [[nodiscard]] bool any_clients() const { return clients_open_ != 0; }
    void add_descriptors(std::vector<int>& all) const;
    /// What clients were to get is on its way.
    [[nodiscard]] bool all_written() const;
    void close_all();

    bool send(Pending& pending, std::size_t which) override;
    void send_again(Pending& /*pending*/, std::size_t /*which*/) override {}  // TCP does
    void forget(Pending& pending, std::size_t which) override;
    void deliver(Pending& pending, const std::uint8_t* message, std::size_t size,
                 bool lasts) override;
    void given_up(Pending& pending) override;

private:
    struct Client {
        int socket = -1;
        std::uint32_t generation = 0;
        Front* front = nullptr;
        SocketAddress peer;          ///< or whom a PROXY header named, …
        bool awaits_header = false;  ///< … which has to come
        bool brought = false;        ///< … which came
        Brought how;
        Inbox in;
        Outbox out;
        std::uint64_t bytes = 0;    ///< that have come
        std::uint32_t waiting = 0;  ///< queries
        std::uint32_t streams = 0;  ///< zone transfers
        TimePoint last_query;
        TimePoint last_progress;  ///< in writing
        bool parting = false;     ///< nothing is read any more
        bool dirty = false;
        std::uint32_t watched = 0;  ///< events
    };
    /// A connection to a server.
    struct Server {
        static constexpr std::size_t places = 256;
        int socket = -1;
        std::uint32_t generation = 0;
        std::shared_ptr<Upstream> upstream;
        bool connecting = false;
        bool exclusive = false;  ///< a zone transfer's
        bool streams = false;    ///< … whose first message has come
        bool finished = false;   ///< … and whose last one has, too
        TransferEnd end;
        bool dirty = false;
        /// Whose it is, where it is not everybody's: a client (a transfer, PROXY protocol).
        std::uint32_t client = UINT32_MAX;
        std::uint32_t client_generation = 0;
        std::uint16_t stream_id = 0;
        std::uint16_t client_id = 0;
        Inbox in;
        Outbox out;
        std::array<std::uint32_t, places> waiting;  ///< pending << 1 | which; or nobody
        std::array<std::uint16_t, places> ids;
        std::uint32_t awaited = 0;
        std::uint32_t next_place = 0;
        std::uint64_t answers = 0;
        TimePoint since;  ///< of the state, or the last answer
        TimePoint last_used;
        TimePoint last_progress;
        std::uint32_t watched = 0;
    };
    static constexpr std::uint32_t nobody = UINT32_MAX;

    // tcp_clients.cc
    void accept_one(Front& front, int socket, const SocketAddress& peer);
    bool make_room();
    [[nodiscard]] Client* client_at(std::uint32_t index, std::uint32_t generation);
    void read_client(std::uint32_t index);
    bool take_header(std::uint32_t index, std::span<std::uint8_t> come);
    bool take_query(std::uint32_t index, std::uint8_t* message, std::size_t size);
    void feed_client(std::uint32_t index, std::span<std::uint8_t> come);
    [[nodiscard]] bool may_read(const Client& client) const;
    void give(std::uint32_t index, const std::uint8_t* message, std::size_t size);
    void flush_client(std::uint32_t index);
    void watch_client(std::uint32_t index);
    void close_client(std::uint32_t index);
    void look_at_clients();

    // tcp_servers.cc
    std::uint32_t connect_to(Upstream& upstream, const Pending& pending, bool own);
    [[nodiscard]] std::uint32_t connection_for(Upstream& upstream, const Pending& pending,
                                               bool fresh);
    bool send_over(std::uint32_t connection, Pending& pending, std::size_t which);
    void read_server(std::uint32_t index);
    bool take_answer(std::uint32_t index, std::uint8_t* message, std::size_t size);
    bool relay(Server& server, std::uint8_t* message, std::size_t size);
    void flush_server(std::uint32_t index);
    void watch_server(std::uint32_t index);
    void close_server(std::uint32_t index, bool failed);
    void look_at_servers();

    void flush();

    Context& context_;
    Queries& queries_;
    ClientCounts& counts_;
    int epoll_ = -1;
    std::vector<std::unique_ptr<Client>> clients_;
    std::vector<std::uint32_t> free_clients_;
    std::vector<std::unique_ptr<Server>> servers_;
    std::vector<std::uint32_t> free_servers_;
    std::uint32_t clients_open_ = 0;
    std::uint32_t servers_open_ = 0;
    std::vector<std::uint32_t> dirty_clients_;
    std::vector<std::uint32_t> dirty_servers_;
    std::unordered_map<const Upstream*, std::vector<std::uint32_t>> connections_;
    std::vector<std::uint8_t> scratch_;
    TimePoint looked_at_;
    bool stopped_reading_ = false;
};

}  // namespace dnsdirector::dataplane::proxy
