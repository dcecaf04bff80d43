// SPDX-License-Identifier: Apache-2.0
// A DNS server for tests: answers every question at once with one address,
// says who it is (NSID, id.server CH TXT), counts who asked, and misbehaves
// when its control socket tells it to.
//
// Commands, one a connection, each answered with "ok", a JSON line or "error: …":
//   mode answer | rcode N | wrong-id | wrong-question | wrong-id-then-right |
//        wrong-question-then-right | silent | garbage | truncate
//   delay MS          every reply this late
//   tcp on|off, udp on|off    off closes the sockets: the kernel refuses
//   answer ADDRESS    the address in answers to A (or AAAA) questions
//   stats             {"udp": n, "tcp": n, "clients": {"ADDRESS": {"udp": n, "tcp": n}}}
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <queue>
#include <sstream>

#include "dnswire.h"

namespace {

using dnswire::Address;
using dnswire::Bytes;
using Clock = std::chrono::steady_clock;

constexpr unsigned kBatch = 64;
constexpr std::size_t kDatagram = 4096;

struct Settings {
    std::string name = "unnamed";
    Bytes a{192, 0, 2, 1};
    Bytes aaaa = Bytes(16, 0);
    std::string mode = "answer";
    unsigned rcode = 0;
    std::chrono::milliseconds delay{0};
};

struct Count {
    std::uint64_t udp = 0, tcp = 0;
};

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "dnsanswer: %s: %s\n", what.c_str(), std::strerror(errno));
    std::exit(1);
}

/// A right reply to a query, with the mode's rcode; empty where it is no query.
Bytes make_reply(const Settings& settings, const std::uint8_t* query, std::size_t size, bool tcp) {
    using namespace dnswire;
    if (size < kHeaderSize || (query[2] & 0x80) || get16(query + 4) != 1) return {};
    const std::size_t name_end = skip_name(query, size, kHeaderSize);
    if (name_end == 0 || name_end + 4 > size) return {};
    const unsigned type = get16(query + name_end), klass = get16(query + name_end + 2);
    const std::size_t question_end = name_end + 4;
    const bool edns = get16(query + 10) > 0 && question_end + 11 <= size &&
                      query[question_end] == 0 && get16(query + question_end + 1) == kTypeOpt;
    const bool truncate = settings.mode == "truncate" && !tcp;

    Bytes reply(query, query + question_end);
    reply[2] = std::uint8_t(0x84 | (query[2] & 0x79) | (truncate ? 0x02 : 0));  // QR, AA, TC
    reply[3] = std::uint8_t(0x80 | settings.rcode);                             // RA
    set16(&reply[6], 0);
    set16(&reply[8], 0);
    set16(&reply[10], edns ? 1 : 0);

    Bytes data;
    if (klass == kClassIn && type == kTypeA) data = settings.a;
    if (klass == kClassIn && type == kTypeAaaa) data = settings.aaaa;
    if (type == kTypeTxt) {
        data.push_back(std::uint8_t(settings.name.size()));
        data.insert(data.end(), settings.name.begin(), settings.name.end());
    }
    if (!data.empty() && settings.rcode == 0 && !truncate) {
        set16(&reply[6], 1);
        put16(reply, 0xc000 | kHeaderSize);
        put16(reply, type);
        put16(reply, klass);
        put32(reply, 1);  // TTL
        put16(reply, unsigned(data.size()));
        reply.insert(reply.end(), data.begin(), data.end());
    }
    if (edns) {
        reply.push_back(0);
        put16(reply, kTypeOpt);
        put16(reply, 1232);
        put32(reply, 0);
        put16(reply, unsigned(4 + settings.name.size()));
        put16(reply, kOptionNsid);
        put16(reply, unsigned(settings.name.size()));
        reply.insert(reply.end(), settings.name.begin(), settings.name.end());
    }
    return reply;
}

Bytes with_wrong_id(Bytes reply) {
    reply[0] ^= 0x55;
    return reply;
}

Bytes with_wrong_question(Bytes reply) {
    if (reply.size() > dnswire::kHeaderSize + 1 && reply[dnswire::kHeaderSize] > 0)
        reply[dnswire::kHeaderSize + 1] ^= 0x02;  // another first letter
    return reply;
}

/// The replies that the mode sends to one query, in order.
std::vector<Bytes> replies_to(const Settings& settings, const std::uint8_t* query, std::size_t size,
                              bool tcp) {
    const Bytes right = make_reply(settings, query, size, tcp);
    const std::string& mode = settings.mode;
    if (right.empty() || mode == "silent") return {};
    if (mode == "wrong-id") return {with_wrong_id(right)};
    if (mode == "wrong-question") return {with_wrong_question(right)};
    if (mode == "wrong-id-then-right") return {with_wrong_id(right), right};
    if (mode == "wrong-question-then-right") return {with_wrong_question(right), right};
    if (mode == "garbage") {
        Bytes cut(right.begin(), right.begin() + dnswire::kHeaderSize + 1);
        return {cut};  // claims a question that is not there
    }
    return {right};
}

struct Connection {
    Bytes in, out;
    Address peer;
};

/// A reply that waits for its time.
struct Late {
    Clock::time_point due;
    int fd;
    std::uint64_t generation;  // of the socket: a descriptor may be another's by then
    Address to;
    in6_pktinfo from;  // over UDP on [::]: the address that was asked
    Bytes data;
    bool operator>(const Late& other) const { return due > other.due; }
};

class Server {
public:
    Server(Settings settings, std::vector<std::string> addresses, unsigned port,
           std::string control)
        : settings_(std::move(settings)), addresses_(std::move(addresses)), port_(port) {
        poll_ = epoll_create1(EPOLL_CLOEXEC);
        set_udp(true);
        set_tcp(true);
        listen_control(control);
    }

    [[noreturn]] void run() {
        epoll_event events[64];
        for (;;) {
            const int count = epoll_wait(poll_, events, 64, wait_ms());
            for (int i = 0; i < count; ++i)
                handle(events[i].data.fd);
            send_late();
        }
    }

private:
    enum class Kind { udp, listener, connection, control, control_connection };
    struct Handle {
        Kind kind;
        std::uint64_t generation = 0;
        Connection connection;
    };

    void watch(int fd, Kind kind, Address peer = {}) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        if (epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
        handles_[fd] = Handle{kind, ++generation_, {{}, {}, peer}};
    }

    void drop(int fd) {
        handles_.erase(fd);
        close(fd);
    }

    void drop_all(Kind kind) {
        std::vector<int> gone;
        for (auto& [fd, handle] : handles_)
            if (handle.kind == kind) gone.push_back(fd);
        for (const int fd : gone)
            drop(fd);
    }

    int bound_socket(const std::string& address, int type) {
        const Address a = Address::parse(address, port_);
        if (a.length == 0) fail(address + " is no address");
        const int fd = socket(a.family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        const int one = 1, buffer = 8 << 20;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        setsockopt(fd, SOL_IP, IP_FREEBIND, &one, sizeof one);
        if (a.family() == AF_INET6) setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &one, sizeof one);
        // Losses in a test are the director's, not those of a busy machine.
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
        // On [::], a reply must come from the address that was asked.
        if (a.family() == AF_INET6) setsockopt(fd, SOL_IPV6, IPV6_RECVPKTINFO, &one, sizeof one);
        if (bind(fd, a.get(), a.length) != 0) fail("bind " + address);
        return fd;
    }

    void set_udp(bool on) {
        drop_all(Kind::udp);
        for (const auto& address : addresses_)
            if (on) watch(bound_socket(address, SOCK_DGRAM), Kind::udp);
    }

    void set_tcp(bool on) {
        drop_all(Kind::listener);
        if (!on) drop_all(Kind::connection);
        for (const auto& address : addresses_) {
            if (!on) break;
            const int fd = bound_socket(address, SOCK_STREAM);
            if (listen(fd, 1024) != 0) fail("listen");
            watch(fd, Kind::listener);
        }
    }

    void listen_control(const std::string& path) {
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        std::snprintf(name.sun_path, sizeof name.sun_path, "%s", path.c_str());
        const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0) fail("bind " + path);
        if (listen(fd, 16) != 0) fail("listen " + path);
        watch(fd, Kind::control);
    }

    void handle(int fd) {
        const auto found = handles_.find(fd);
        if (found == handles_.end()) return;  // dropped by an earlier event of this round
        switch (found->second.kind) {
            case Kind::udp: read_udp(fd, found->second.generation); break;
            case Kind::listener: accept_all(fd, Kind::connection); break;
            case Kind::control: accept_all(fd, Kind::control_connection); break;
            case Kind::connection: read_tcp(fd, found->second); break;
            case Kind::control_connection: read_control(fd, found->second.connection); break;
        }
    }

    void accept_all(int listener, Kind kind) {
        for (;;) {
            Address peer;
            peer.length = sizeof peer.storage;
            const int fd = accept4(listener, reinterpret_cast<sockaddr*>(&peer.storage),
                                   &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0) return;
            watch(fd, kind, peer);
        }
    }

    void read_udp(int fd, std::uint64_t generation) {
        static std::uint8_t buffers[kBatch][kDatagram];
        mmsghdr messages[kBatch];
        iovec parts[kBatch];
        Address peers[kBatch];
        alignas(cmsghdr) static char controls[kBatch][CMSG_SPACE(sizeof(in6_pktinfo))];
        for (unsigned i = 0; i < kBatch; ++i) {
            parts[i] = {buffers[i], kDatagram};
            messages[i] = {};
            messages[i].msg_hdr.msg_name = &peers[i].storage;
            messages[i].msg_hdr.msg_namelen = sizeof peers[i].storage;
            messages[i].msg_hdr.msg_iov = &parts[i];
            messages[i].msg_hdr.msg_iovlen = 1;
            messages[i].msg_hdr.msg_control = controls[i];
            messages[i].msg_hdr.msg_controllen = sizeof controls[i];
        }
        const int count = recvmmsg(fd, messages, kBatch, MSG_DONTWAIT, nullptr);
        for (int i = 0; i < count; ++i) {
            peers[i].length = messages[i].msg_hdr.msg_namelen;
            this->count(peers[i], false);
            for (Bytes& reply : replies_to(settings_, buffers[i], messages[i].msg_len, false))
                send_or_wait(fd, generation, peers[i], asked_address(messages[i].msg_hdr),
                             std::move(reply));
        }
    }

    void read_tcp(int fd, Handle& handle) {
        std::uint8_t buffer[4096];
        const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got <= 0) {
            if (got == 0 || errno != EAGAIN) drop(fd);
            return;
        }
        Bytes& in = handle.connection.in;
        in.insert(in.end(), buffer, buffer + got);
        while (in.size() >= 2 && in.size() >= 2u + dnswire::get16(in.data())) {
            const std::size_t size = dnswire::get16(in.data());
            count(handle.connection.peer, true);
            for (const Bytes& reply : replies_to(settings_, in.data() + 2, size, true)) {
                Bytes framed;
                dnswire::put16(framed, unsigned(reply.size()));
                framed.insert(framed.end(), reply.begin(), reply.end());
                send_or_wait(fd, handle.generation, {}, {}, std::move(framed));
            }
            in.erase(in.begin(), in.begin() + 2 + long(size));
        }
    }

    static in6_pktinfo asked_address(msghdr& message) {
        in6_pktinfo info{};
        for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
            if (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_PKTINFO)
                std::memcpy(&info, CMSG_DATA(c), sizeof info);
        info.ipi6_ifindex = 0;  // the way back is the routing table's choice
        return info;
    }

    void send_or_wait(int fd, std::uint64_t generation, const Address& to, in6_pktinfo from,
                      Bytes data) {
        Late late{Clock::now() + settings_.delay, fd, generation, to, from, std::move(data)};
        if (settings_.delay.count() == 0)
            send_now(late);
        else
            late_.push(std::move(late));
    }

    void send_now(const Late& late) {
        // A reply fits the socket's buffer by far; where it does not, it is lost
        // as on a wire, and the load generator tells.
        iovec part{const_cast<std::uint8_t*>(late.data.data()), late.data.size()};
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof late.from)] = {};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        if (late.to.length) {
            message.msg_name = const_cast<sockaddr*>(late.to.get());
            message.msg_namelen = late.to.length;
        }
        if (late.to.length && late.to.family() == AF_INET6) {
            message.msg_control = control;
            message.msg_controllen = sizeof control;
            cmsghdr* header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_IPV6;
            header->cmsg_type = IPV6_PKTINFO;
            header->cmsg_len = CMSG_LEN(sizeof late.from);
            std::memcpy(CMSG_DATA(header), &late.from, sizeof late.from);
        }
        sendmsg(late.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }

    void send_late() {
        while (!late_.empty() && late_.top().due <= Clock::now()) {
            const Late& late = late_.top();
            const auto found = handles_.find(late.fd);
            if (found != handles_.end() && found->second.generation == late.generation)
                send_now(late);
            late_.pop();
        }
    }

    int wait_ms() const {
        if (late_.empty()) return -1;
        const auto left = late_.top().due - Clock::now();
        return std::max(0, int(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
    }

    void count(const Address& peer, bool tcp) {
        Count& client = clients_[peer.text()];
        ++(tcp ? client.tcp : client.udp);
        ++(tcp ? total_.tcp : total_.udp);
    }

    void read_control(int fd, Connection& connection) {
        char buffer[512];
        const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got > 0) connection.in.insert(connection.in.end(), buffer, buffer + got);
        const auto end = std::find(connection.in.begin(), connection.in.end(), '\n');
        if (end == connection.in.end()) {
            if (got == 0) drop(fd);
            return;
        }
        const std::string reply = command(std::string(connection.in.begin(), end)) + "\n";
        if (send(fd, reply.data(), reply.size(), MSG_NOSIGNAL) < 0) std::perror("control");
        drop(fd);
    }

    std::string command(const std::string& line) {
        std::istringstream words(line);
        std::string verb, value;
        unsigned number = 0;
        words >> verb >> value;
        if (verb == "stats") return stats();
        if (verb == "mode") return set_mode(value, words);
        if (verb == "delay" && std::istringstream(value) >> number)
            return settings_.delay = std::chrono::milliseconds(number), "ok";
        if ((verb == "tcp" || verb == "udp") && (value == "on" || value == "off"))
            return verb == "tcp" ? set_tcp(value == "on") : set_udp(value == "on"), "ok";
        if (verb == "answer") {
            std::uint8_t raw[16];
            if (inet_pton(AF_INET, value.c_str(), raw) == 1)
                return settings_.a.assign(raw, raw + 4), "ok";
            if (inet_pton(AF_INET6, value.c_str(), raw) == 1)
                return settings_.aaaa.assign(raw, raw + 16), "ok";
        }
        return "error: what is \"" + line + "\"? See tools/dnsanswer.cc";
    }

    std::string set_mode(const std::string& mode, std::istringstream& words) {
        static const char* known[] = {"answer",
                                      "rcode",
                                      "wrong-id",
                                      "wrong-question",
                                      "wrong-id-then-right",
                                      "wrong-question-then-right",
                                      "silent",
                                      "garbage",
                                      "truncate"};
        unsigned rcode = 0;
        for (const char* name : known) {
            if (mode != name) continue;
            if (mode == "rcode" && !(words >> rcode && rcode < 16))
                return "error: mode rcode N, N below 16";
            settings_.mode = mode;
            settings_.rcode = rcode;
            return "ok";
        }
        return "error: no mode \"" + mode + "\"";
    }

    std::string stats() const {
        std::ostringstream out;
        out << "{\"name\": \"" << settings_.name << "\", \"udp\": " << total_.udp
            << ", \"tcp\": " << total_.tcp << ", \"clients\": {";
        const char* comma = "";
        for (const auto& [address, count] : clients_) {
            out << comma << '"' << address << "\": {\"udp\": " << count.udp
                << ", \"tcp\": " << count.tcp << '}';
            comma = ", ";
        }
        out << "}}";
        return out.str();
    }

    Settings settings_;
    std::vector<std::string> addresses_;
    unsigned port_;
    int poll_ = -1;
    std::uint64_t generation_ = 0;
    std::map<int, Handle> handles_;
    std::priority_queue<Late, std::vector<Late>, std::greater<>> late_;
    std::map<std::string, Count> clients_;
    Count total_;
};

}  // namespace

int main(int argc, char** argv) {
    Settings settings;
    std::vector<std::string> addresses;
    std::string control;
    unsigned port = 53;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string option = argv[i], value = argv[i + 1];
        if (option == "--name")
            settings.name = value;
        else if (option == "--address")
            addresses.push_back(value);
        else if (option == "--port")
            port = unsigned(std::atoi(value.c_str()));
        else if (option == "--control")
            control = value;
        else if (option == "--answer")
            inet_pton(AF_INET, value.c_str(), settings.a.data());
        else if (option == "--answer6")
            inet_pton(AF_INET6, value.c_str(), settings.aaaa.data());
        else {
            std::fprintf(stderr, "dnsanswer: unknown option %s\n", option.c_str());
            return 2;
        }
    }
    if (addresses.empty() || control.empty()) {
        std::fprintf(stderr, "usage: dnsanswer --name NAME --address ADDRESS… --control SOCKET\n");
        return 2;
    }
    Server(std::move(settings), std::move(addresses), port, control).run();
}
