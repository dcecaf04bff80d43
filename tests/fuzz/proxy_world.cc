// SPDX-License-Identifier: Apache-2.0
#include "fuzz/proxy_world.h"

#include <sys/epoll.h>

#include <cerrno>

#include "dataplane/proxy/tag.h"
#include "fuzz/made_messages.h"

namespace dnsdirector::fuzz {
namespace {

using core::Scheduler;
using proxy::Watched;

constexpr std::array schedulers = {Scheduler::wrr,     Scheduler::sh,    Scheduler::mh,
                                   Scheduler::latency, Scheduler::qname, Scheduler::least};
constexpr std::size_t server_count = 3;
constexpr std::uint32_t places = 32;
constexpr std::size_t header_size = 28;  ///< of the PROXY protocol, version 2, for IPv4
const IpAddress balancer = IpAddress::from_v4({203, 0, 113, 200});

Endpoint server_endpoint(std::size_t number) {
    // The last one takes the PROXY protocol.
    return {IpAddress::from_v4({203, 0, 113, static_cast<std::uint8_t>(11 + number)}), 53};
}
SocketAddress client_address(std::size_t number, bool tcp) {
    return SocketAddress(
        Endpoint{IpAddress::from_v4({198, 51, 100, static_cast<std::uint8_t>(10 + number / 2)}),
                 static_cast<std::uint16_t>((tcp ? 40000 : 30000) + number)});
}
bool wants_header(const SocketAddress& server) {
    return server == SocketAddress(server_endpoint(server_count - 1));
}
const Endpoint service_endpoint{IpAddress::from_v4({192, 0, 2, 53}), 53};

/// Who asks for a client that the balancer brings.
SocketAddress balancer_address(std::size_t client) {
    return SocketAddress(Endpoint{balancer, static_cast<std::uint16_t>(50000 + client)});
}
Octets header_of(std::size_t client, bool tcp) {
    Octets bytes(proxy::largest_proxy_header);
    bytes.resize(proxy::write_proxy_header(bytes.data(), client_address(client, tcp),
                                           SocketAddress(service_endpoint), tcp));
    return bytes;
}

Octets framed(const Octets& message) {
    Octets bytes = {static_cast<std::uint8_t>(message.size() >> 8),
                    static_cast<std::uint8_t>(message.size() & 0xff)};
    bytes.insert(bytes.end(), message.begin(), message.end());
    return bytes;
}

template <typename T>
T* one_of(std::vector<T>& all, std::size_t which) {
    return all.empty() ? nullptr : &all[which % all.size()];
}

}  // namespace

// ---- the beginning and the end --------------------------------------------------------

World::World(Input& input) : net_(Network::instance()) {
    net_.reset();
    net_.on_datagram = [this](int socket, const SocketAddress& to, const Octets& bytes) {
        on_datagram(socket, to, bytes);
    };
    net_.on_bytes = [this](int socket, const std::uint8_t* bytes, std::size_t size) {
        on_bytes(socket, bytes, size);
    };
    net_.on_connect = [this](int socket) { servers_.push_back(socket); };
    const std::uint8_t choice = input.byte(), more = input.byte();
    net_.random = input.byte();
    settle(choice, more);
    context_.happenings = &happenings_;
    context_.now = TimePoint{Seconds{1000}};
    context_.raise_charge = [] {};
    queries_ = std::make_unique<proxy::Queries>(context_, places);
    udp_ = std::make_unique<proxy::UdpPath>(context_, *queries_);
    tcp_ = std::make_unique<proxy::TcpPath>(context_, *queries_, counts_);
    queries_->set_transports(*udp_, *tcp_);
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp})
        for (std::size_t i = 0; i < server_count; ++i)
            upstreams_.push_back(std::make_shared<proxy::Upstream>(server_endpoint(i), protocol,
                                                                   i + 1 == server_count, 1));
    backs_ = *udp_->open(Family::ipv4);
    for (auto [front, protocol] :
         {std::pair{&udp_front_, Protocol::udp}, std::pair{&tcp_front_, Protocol::tcp}}) {
        front->service = service(protocol, scheduler_, server_count);
        front->socket = front->service->listener->socket(0);
        front->tokens = 20;
        front->tokens_at = context_.now;
    }
}

void World::settle(std::uint8_t choice, std::uint8_t more) {
    static constexpr std::array<std::uint32_t, 4> percents = {0, 20, 100, 50};
    core::ProxySettings& settings = context_.settings;
    scheduler_ = schedulers[(choice & 63) % schedulers.size()];
    settings.upstream_sockets = 2;
    settings.retry_percent = percents[more & 3];
    settings.retry_after = (more & 4) != 0 ? Nanoseconds{Milliseconds{100}} : Nanoseconds{0};
    settings.query_timeout = Seconds{3};
    settings.tcp_in_flight = (more & 8) != 0 ? 2 : 8;
    settings.tcp_bytes = (more & 16) != 0 ? 300 : 0;
    settings.tcp_idle = Seconds{2};
    settings.tcp_to_server = (more & 32) != 0 ? 1 : 2;
    if ((more & 64) != 0) subnet_ = {24, 56};
    if ((more & 128) != 0) settings.proxy_protocol_from = {{balancer, 32}};
    asked_.to_all = (choice & 64) != 0;
    answers_to_all_ = (choice & 128) != 0 ? 1 : 0;
}

std::shared_ptr<const proxy::Service> World::service(Protocol protocol, Scheduler scheduler,
                                                     std::size_t servers) {
    auto made = std::make_shared<proxy::Service>();
    const bool tcp = protocol == Protocol::tcp;
    made->forwarding.key = {service_endpoint.address, service_endpoint.port, protocol};
    made->forwarding.scheduler = scheduler;
    const auto& present = tcp ? tcp_front_.service : udp_front_.service;
    made->listener =
        present ? present->listener
                : std::make_shared<proxy::Listener>(
                      made->forwarding.key,
                      std::vector{net_.open(tcp ? Socket::Kind::listener : Socket::Kind::datagram)},
                      1, 0);
    made->tally = std::make_shared<proxy::Tally>(1);
    made->client_subnet = subnet_;
    for (std::size_t i = 0; i < servers; ++i) {
        made->forwarding.destinations.push_back({server_endpoint(i), 1});
        made->targets.push_back(
            {upstreams_[i + (tcp ? server_count : 0)], std::make_shared<proxy::Tally>(1), 1});
    }
    // Always the same, and long to compute.
    static std::map<std::pair<Scheduler, std::size_t>, std::vector<std::uint32_t>> slots;
    const auto known = slots.find({scheduler, servers});
    made->slots = known != slots.end()
                      ? known->second
                      : slots[{scheduler, servers}] = proxy::build_slots(made->forwarding);
    if (asked_.to_all) made->to_all = to_all(*made);
    services_.push_back(made);
    return made;
}

/// Servers that are out of service have it, too; some clients may not send it.
std::shared_ptr<const proxy::ToAll> World::to_all(const proxy::Service& service) const {
    auto made = std::make_shared<proxy::ToAll>();
    made->what = {.notify = true,
                  .update = true,
                  .answers = answers_to_all_,
                  .from = {{IpAddress::from_v4({198, 51, 100, 10}), 31}}};
    const bool tcp = service.forwarding.key.protocol == Protocol::tcp;
    for (std::size_t i = 0; i < server_count; ++i)
        made->members.push_back(
            {{upstreams_[i + (tcp ? server_count : 0)], std::make_shared<proxy::Tally>(1), 1}});
    proxy::judge_members(made->members, service.forwarding);
    return made;
}

void World::end() {
    net_.failing_sends = 0;
    constexpr auto step = Milliseconds{500};
    // A query is waited for as long as it may, and behind it may be others of its connection;
    // then each connection is idle for as long as it may.
    constexpr int most = 20'000;
    turn();
    for (int i = 0; i < most && (queries_->pool().taken() != 0 || tcp_->any()); ++i) {
        context_.now += step;
        turn();
    }
    require(queries_->pool().taken() == 0 && queries_->waiting() == 0);
    for (const auto& upstream : upstreams_)
        require(upstream->parts[0].outstanding == 0);
    require(!tcp_->any() && counts_.total() == 0);
    // The listeners, and those that the servers are asked from.
    require(net_.sockets().size() == 2 + backs_.size());
}

// ---- a turn of the loop (Worker::turn) --------------------------------------------------

void World::turn() {
    constexpr int most = 64;
    for (int i = 0; i < most && deliver_events(); ++i) {
    }
    queries_->on_time();
    udp_->flush();
    tcp_->on_time();
    require(queries_->pool().taken() <= places);
    require(net_.sockets().size() < 200);
}

/// False when there were none.
bool World::deliver_events() {
    bool any = false;
    if (!net_.find(udp_front_.socket)->in.empty()) {
        any = true;
        udp_->read_front(udp_front_);
    }
    for (const std::size_t back : backs_) {
        const Socket& socket = *net_.find(udp_->socket(back));
        if (!socket.errors.empty()) udp_->read_errors(back);
        if (socket.in.empty()) continue;
        any = true;
        udp_->read_back(back);
    }
    if (!net_.find(tcp_front_.socket)->accepted.empty()) {
        any = true;
        tcp_->accept_from(tcp_front_);
    }
    std::vector<int> all;
    for (const auto& [descriptor, socket] : net_.sockets())
        if (socket.kind == Socket::Kind::stream) all.push_back(descriptor);
    for (const int descriptor : all) {
        const Socket* socket = net_.find(descriptor);
        if (socket == nullptr || socket->tag == 0) continue;
        const std::uint32_t events = Network::ready(*socket);
        if (events == 0) continue;
        any = true;
        const std::uint64_t value = proxy::value_of(socket->tag);
        if (proxy::watched_by(socket->tag) == Watched::tcp_client)
            tcp_->on_client(value, events);
        else
            tcp_->on_server(value, events);
    }
    return any;
}

// ---- what may happen ----------------------------------------------------------------------

void World::step(Input& input) {
    switch (input.byte() % 16) {
        case 0: client_asks(input, true); break;
        case 1: client_asks(input, false); break;
        case 2:
        case 3: server_answers(input); break;
        case 4: server_sends(input); break;
        case 5: icmp(input); break;
        case 6: client_connects(); break;
        case 7:
        case 8: client_writes(input, true); break;
        case 9: client_writes(input, false); break;
        case 10: client_leaves(input); break;
        case 11: server_accepts(input); break;
        case 12:
        case 13: server_writes(input, true); break;
        case 14: server_writes(input, false); break;
        default: (input.byte() & 1) != 0 ? network_changes(input) : time_passes(input); break;
    }
    // Now and then several things happen before the plane sees one of them.
    if ((input.byte() & 7) != 0) turn();
}

/// All clients are in one network.
Octets World::as_sent(const Octets& message) const {
    const proxy::Query query = proxy::read_query(message);
    constexpr std::size_t kept = proxy::Pending::kept_bytes;
    if (!subnet_.any() || query.kind != proxy::Query::Kind::fine || !query.may_be_asked_twice() ||
        message.size() > kept)
        return message;
    Octets sent = message;
    auto size = static_cast<std::uint32_t>(sent.size());
    sent.resize(size + proxy::most_added);
    (void)proxy::add_client_subnet(sent.data(), size, client_address(0, false), subnet_);
    sent.resize(size);
    return sent;
}

/// Every fourth, where there is a balancer.
bool World::is_brought(std::size_t client) const {
    return client % 4 == 3 && !context_.settings.proxy_protocol_from.empty();
}

void World::client_asks(Input& input, bool made) {
    const std::uint8_t which = input.byte();
    const std::size_t client = which & 3;
    const Octets message = made ? made_query(input) : input.bytes();
    Octets datagram = message;
    if (is_brought(client)) {
        const Octets header = header_of(client, false);
        datagram.insert(datagram.begin(), header.begin(), header.end());
        // Half a header, one that is changed, or none.
        if ((which & 0x30) == 0x10) datagram.resize(header.size() / 2);
        if ((which & 0x30) == 0x20) datagram[which >> 6] ^= 0x80;
        if ((which & 0x30) == 0x30) datagram = message;
    }
    const bool heard = !is_brought(client) || (which & 0x30) == 0;
    if (heard) asked_.asks({false, static_cast<int>(client)}, message, as_sent(message));
    net_.find(udp_front_.socket)
        ->in.push_back(
            {is_brought(client) ? balancer_address(client) : client_address(client, false),
             datagram});
}

void World::server_answers(Input& input) {
    const std::uint8_t which = input.byte(), wrong = input.byte();
    const Asking* asking = one_of(udp_asked_, which);
    if (asking == nullptr) return;
    const Asking asked = *asking;
    const int socket = (wrong & 0xc0) == 0xc0 ? udp_->socket(backs_[wrong & 1]) : asked.socket;
    const SocketAddress from =
        (wrong & 0x30) == 0x30 ? SocketAddress(server_endpoint(wrong & 3)) : asked.server;
    net_.find(socket)->in.push_back({from, made_answer(input, asked.message)});
}

void World::server_sends(Input& input) {
    const std::uint8_t who = input.byte();
    net_.find(udp_->socket(backs_[(who >> 2) & 1]))
        ->in.push_back({SocketAddress(server_endpoint(who & 3)), input.bytes()});
}

void World::icmp(Input& input) {
    const std::uint8_t which = input.byte(), cut = input.byte();
    const Asking* asking = one_of(udp_asked_, which);
    if (asking == nullptr) return;
    Octets about(asking->header, 0);
    about.insert(about.end(), asking->message.begin(), asking->message.end());
    if ((cut & 0x80) != 0) about.resize(std::min<std::size_t>(about.size(), cut & 0x7f));
    net_.find(asking->socket)->errors.push_back({asking->server, about});
}

void World::client_connects() {
    constexpr std::size_t most = 12;
    if (clients_.size() >= most) return;
    const int socket = net_.open(Socket::Kind::stream);
    net_.find(socket)->peer = client_address(clients_.size(), true);
    if (is_brought(clients_.size())) {
        net_.find(socket)->peer = balancer_address(clients_.size());
        net_.find(socket)->come = header_of(clients_.size(), true);
    }
    net_.find(tcp_front_.socket)->accepted.push_back(socket);
    clients_.push_back(socket);
}

void World::client_writes(Input& input, bool made) {
    const std::uint8_t which = input.byte();
    const Octets bytes = made ? framed(made_query(input)) : input.bytes();
    const int* client = one_of(clients_, which);
    Socket* socket = client == nullptr ? nullptr : net_.find(*client);
    if (socket == nullptr || socket->ended || socket->broken) return;
    // Half of it, where the high bit is set: the rest never comes, or is another's beginning.
    const std::size_t size = (which & 0x80) != 0 ? bytes.size() / 2 : bytes.size();
    socket->come.insert(socket->come.end(), bytes.begin(), bytes.begin() + static_cast<long>(size));
    written_[*client].feed(bytes.data(), size, [&](const Octets& message) {
        asked_.asks({true, *client}, message, as_sent(message));
    });
}

void World::client_leaves(Input& input) {
    const std::uint8_t which = input.byte(), how = input.byte();
    const int* client = one_of(clients_, which);
    Socket* socket = client == nullptr ? nullptr : net_.find(*client);
    if (socket == nullptr) return;
    switch (how & 3) {
        case 0: socket->ended = true; break;
        case 1: socket->broken = true; break;
        case 2: socket->room = how >> 2; break;  // reads so much, and then nothing
        default: socket->room = SIZE_MAX; break;
    }
}

void World::server_accepts(Input& input) {
    const std::uint8_t which = input.byte(), how = input.byte();
    const int* server = one_of(servers_, which);
    Socket* socket = server == nullptr ? nullptr : net_.find(*server);
    if (socket == nullptr) return;
    if ((how & 7) == 7)
        socket->broken = true;
    else if ((how & 7) == 6 && !socket->connecting)
        socket->ended = true;
    else if ((how & 7) == 5)
        socket->room = how >> 3;
    else
        socket->connecting = false;
}

void World::server_writes(Input& input, bool made) {
    const std::uint8_t which = input.byte(), query = input.byte();
    const int* server = one_of(servers_, which);
    Socket* socket = server == nullptr ? nullptr : net_.find(*server);
    if (socket == nullptr || socket->connecting || socket->ended || socket->broken) return;
    Octets bytes;
    if (made) {
        const Octets* message = one_of(tcp_asked_[*server], query);
        if (message == nullptr) return;
        bytes = framed(made_answer(input, *message));
        if ((which & 0x80) != 0) bytes.resize(bytes.size() / 2);
    } else {
        bytes = input.bytes();
    }
    socket->come.insert(socket->come.end(), bytes.begin(), bytes.end());
}

void World::time_passes(Input& input) {
    const std::uint8_t how = input.byte();
    static constexpr std::array<int, 4> milliseconds = {1, 10, 60, 700};
    context_.now += Milliseconds{milliseconds[how & 3] * (1 + (how >> 5))};
}

void World::network_changes(Input& input) {
    static constexpr std::array<int, 4> failures = {EAGAIN, ECONNREFUSED, ENETUNREACH, ENOBUFS};
    const std::uint8_t what = input.byte(), how = input.byte();
    switch (what & 3) {
        case 0:
            net_.failing_sends = how & 7;
            net_.failure = failures[(how >> 3) & 3];
            break;
        case 1: net_.no_route = (how & 1) != 0; break;
        case 2: net_.chunk = (how & 15) != 0 ? how & 15 : SIZE_MAX; break;
        default: {
            const std::size_t servers = how % (server_count + 1);
            const Scheduler scheduler = schedulers[(how >> 2) % schedulers.size()];
            udp_front_.service = service(Protocol::udp, scheduler, servers);
            tcp_front_.service = service(Protocol::tcp, scheduler, servers);
            queries_->on_table();
        }
    }
}

// ---- what the plane sends -------------------------------------------------------------------

void World::on_datagram(int socket, const SocketAddress& to, const Octets& bytes) {
    if (socket == udp_front_.socket) {
        for (int client = 0; client < 4; ++client)
            if (client_address(static_cast<std::size_t>(client), false) == to ||
                balancer_address(static_cast<std::size_t>(client)) == to)
                return asked_.answered({false, client}, bytes);
        std::abort();
    }
    const std::size_t header = wants_header(to) ? header_size : 0;
    require(bytes.size() >= header);
    if (header != 0) check_header(bytes.data(), false);
    const Octets message(bytes.begin() + static_cast<long>(header), bytes.end());
    asked_.sent(message, to.endpoint(), false);
    udp_asked_.push_back({socket, to, header, message});
    constexpr std::size_t most = 64;
    if (udp_asked_.size() > most) udp_asked_.erase(udp_asked_.begin());
}

/// Of a server that takes the PROXY protocol: its header, which has to be whole and right.
void World::check_header(const std::uint8_t* bytes, bool tcp) {
    require(bytes[0] == 0x0d && bytes[12] == 0x21 && bytes[13] == (tcp ? 0x11 : 0x12) &&
            bytes[14] == 0 && bytes[15] == 12);
    const std::size_t port = proxy::load16(&bytes[24]);
    const std::size_t client = port - (tcp ? 40000 : 30000);
    const SocketAddress address = client_address(client, tcp);
    require(std::equal(bytes + 16, bytes + 20, address.address_bytes()));
    require(std::equal(bytes + 20, bytes + 24, service_endpoint.address.bytes().begin()));
    require(proxy::load16(&bytes[26]) == service_endpoint.port);
}

void World::on_bytes(int socket, const std::uint8_t* bytes, std::size_t size) {
    Framed& stream = streams_[socket];
    if (std::find(clients_.begin(), clients_.end(), socket) != clients_.end())
        return stream.feed(
            bytes, size, [&](const Octets& message) { asked_.answered({true, socket}, message); });
    if (wants_header(net_.find(socket)->peer)) {
        Octets& header = headers_[socket];
        const std::size_t taken = std::min(size, header_size - header.size());
        header.insert(header.end(), bytes, bytes + taken);
        if (taken != 0 && header.size() == header_size) check_header(header.data(), true);
        bytes += taken;
        size -= taken;
    }
    stream.feed(bytes, size, [&](const Octets& message) {
        asked_.sent(message, net_.find(socket)->peer.endpoint(), true);
        tcp_asked_[socket].push_back(message);
    });
}

}  // namespace dnsdirector::fuzz
