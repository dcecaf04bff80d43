// SPDX-License-Identifier: Apache-2.0
// Sends DNS queries at a steady rate and accounts for every one of them:
// answered rightly, answered wrongly, refused by ICMP, or lost. Prints one JSON
// line at the end.
//
//   dnsload --target ADDRESS… [--port 53] --rate N --count N [--timeout MS]
//           [--name NAME]… [--type A] [--expect ADDRESS]… [--sockets N] [--gap MS]
//           [--tcp] [--kept N] [--again] [--even] [--in-turn]
//           [--in-flight N] [--zipf N]
//
// Of several targets the sockets have one each, in turn. Queries that are due are looked
// for once a millisecond, and whenever replies come; --even: each is sent at its own time;
// --in-turn: those that are due together go by one socket after the other, not all by one;
// --in-flight: whatever the rate, a query is sent when fewer than so many wait.
//
// A reply is right when it comes from the target, with the query's ID and
// question, rcode NOERROR and, where --expect is given, one of the addresses.
// Who answered is taken from NSID, which every query asks for. Over TCP each
// query has a connection of its own; --kept: so many connections are opened before the first
// query, and used in turn, without waiting for an answer before the next query. --again: where a
// connection is closed (not refused), another is opened, and what waits on it is asked again by
// that (as RFC 7766 wants, section 6.2.4), with the patience that it had, and counted. With a name
// that starts with "*.", the asterisk becomes the query's number; with --zipf a number from 1 to N
// by chance (the same in every run), the k-th with a probability in proportion to 1/k. Times in the
// output are milliseconds since the first query, of the moment when a query was sent; started_ns is
// CLOCK_MONOTONIC. A server's spans are the times in which it gave right answers; it
// was out where it gave none to as many queries as are due in --gap (50), so that a
// pause of the sender is no gap. SIGINT ends the sending early, not the accounting.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>

#include "dnswire.h"

namespace {

using dnswire::Address;
using dnswire::Bytes;
using Nanoseconds = std::int64_t;

volatile std::sig_atomic_t stop_sending = 0;

constexpr std::size_t kListed = 2000;  // losses and wrong replies listed one by one
constexpr unsigned kBatch = 32;

constexpr unsigned kSpread = 40503;              // odd, near 2^16 / golden ratio
constexpr unsigned inverse_of(unsigned value) {  // modulo 2^16, by Newton's method
    unsigned x = value;
    for (int i = 0; i < 5; ++i)
        x *= 2 - value * x;
    return x & 0xffff;
}
constexpr unsigned kSpreadInverse = inverse_of(kSpread);
static_assert(((kSpread * kSpreadInverse) & 0xffff) == 1);

struct Options {
    std::vector<std::string> targets;
    unsigned port = 53;
    double rate = 1000;
    Nanoseconds gap = 50'000'000;
    std::uint64_t count = 1000;
    Nanoseconds timeout = 1'000'000'000;
    std::vector<std::string> names;
    unsigned type = dnswire::kTypeA;
    std::vector<Bytes> expect;
    unsigned sockets = 64;
    bool tcp = false;
    bool even = false;
    bool in_turn = false;
    std::uint64_t in_flight = 0;
    std::uint64_t zipf = 0;
    unsigned kept = 0;
    bool again = false;
};

enum class State : std::uint8_t { unsent, waiting, right, wrong, refused, lost };

struct Query {
    Nanoseconds sent = 0, answered = 0;
    State state = State::unsent;
    std::uint8_t server = 0;  // index into the names of servers
};

Nanoseconds now() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "dnsload: %s: %s\n", what.c_str(), std::strerror(errno));
    std::exit(1);
}

/// Numbers from 1, the k-th with a probability in proportion to 1/k. Which one a draw is
/// follows from its number alone, so that a query can be made again to be compared.
class Zipf {
public:
    explicit Zipf(std::uint64_t most) {
        double sum = 0;
        for (std::uint64_t k = 1; k <= most; ++k)
            upto_.push_back(sum += 1.0 / double(k));
    }
    std::uint64_t draw(std::uint64_t number) const {
        std::uint64_t x = (number + 1) * 0x9e3779b97f4a7c15U;  // SplitMix64
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
        x ^= x >> 31;
        const double at = double(x >> 11) / double(1ULL << 53) * upto_.back();
        return 1 +
               std::uint64_t(std::upper_bound(upto_.begin(), upto_.end() - 1, at) - upto_.begin());
    }

private:
    std::vector<double> upto_;
};

class Load {
public:
    explicit Load(Options options)
        : o_(std::move(options)), queries_(o_.count), zipf_(std::max<std::uint64_t>(1, o_.zipf)) {
        for (const std::string& target : o_.targets) {
            targets_.push_back(Address::parse(target, o_.port));
            if (targets_.back().length == 0) fail(target + " is no address");
        }
        if (o_.even) prctl(PR_SET_TIMERSLACK, 1UL);
        poll_ = epoll_create1(EPOLL_CLOEXEC);
        if (!o_.tcp)
            for (unsigned i = 0; i < o_.sockets; ++i)
                open_udp();
        kept_.resize(o_.kept);
        for (unsigned i = 0; i < o_.kept; ++i)
            open_kept(i);
    }

    void run() {
        std::signal(SIGINT, [](int) { stop_sending = 1; });
        start_ = now();
        std::uint64_t sent = 0;
        while (oldest_ < o_.count) {
            if (stop_sending && sent > 0 && sent < o_.count) {
                o_.count = sent;
                queries_.resize(sent);
            }
            const Nanoseconds time = now();
            const std::uint64_t by_rate = std::uint64_t(double(time - start_) * o_.rate / 1e9) + 1;
            const std::uint64_t room = o_.in_flight > waiting_ ? o_.in_flight - waiting_ : 0;
            const auto due =
                std::min<std::uint64_t>(o_.count, o_.in_flight != 0 ? sent + room : by_rate);
            while (sent < due)
                sent = o_.kept != 0 ? send_kept(sent)
                       : o_.tcp     ? send_tcp(sent)
                                    : send_udp(sent, due);
            receive(patience(sent));
            expire(sent);
        }
    }

    void print() const;

private:
    struct Connection {
        std::uint64_t query = 0;
        bool asked = false;
        Bytes in;
    };

    Bytes make_query(std::uint64_t number) const {
        std::string name = o_.names[number % o_.names.size()];
        if (name.starts_with("*"))
            name =
                "q" + std::to_string(o_.zipf != 0 ? zipf_.draw(number) : number) + name.substr(1);
        Bytes q(dnswire::kHeaderSize, 0);
        dnswire::set16(&q[0], id_of(number));
        q[2] = 0x01;  // RD
        dnswire::set16(&q[4], 1);
        dnswire::set16(&q[10], 1);
        const Bytes encoded = dnswire::encode_name(name);
        q.insert(q.end(), encoded.begin(), encoded.end());
        dnswire::put16(q, o_.type);
        dnswire::put16(q, dnswire::kClassIn);
        dnswire::put_edns_with_nsid(q);
        return q;
    }

    // Neighbouring queries get IDs far apart, so that a reply to another one
    // does not pass for the right one.
    static unsigned id_of(std::uint64_t number) { return unsigned(number * kSpread) & 0xffff; }
    // Among the last 65,536 queries the ID names one.
    std::uint64_t query_of(unsigned id) const {
        const std::uint64_t low = (id * kSpreadInverse) & 0xffff;
        const std::uint64_t latest = sent_ == 0 ? 0 : sent_ - 1;
        const std::uint64_t guess = (latest & ~0xffffULL) | low;
        return guess <= latest ? guess : guess - 0x10000;
    }

    void open_udp() {
        const std::size_t which = udp_.size() % targets_.size();
        const Address& target = targets_[which];
        const int fd = socket(target.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        const int buffer = 4 << 20;
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
        // Connected: the kernel drops what comes from elsewhere and hands us ICMP errors.
        if (connect(fd, target.get(), target.length) != 0) fail("connect " + o_.targets[which]);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &event);
        udp_.push_back(fd);
    }

    std::uint64_t send_udp(std::uint64_t first, std::uint64_t due) {
        const unsigned count =
            o_.in_turn ? 1 : unsigned(std::min<std::uint64_t>(due - first, kBatch));
        Bytes data[kBatch];
        iovec parts[kBatch];
        mmsghdr messages[kBatch];
        for (unsigned i = 0; i < count; ++i) {
            data[i] = make_query(first + i);
            parts[i] = {data[i].data(), data[i].size()};
            messages[i] = {};
            messages[i].msg_hdr.msg_iov = &parts[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
        const int fd = udp_[next_socket_++ % udp_.size()];
        const Nanoseconds time = now();
        int done = sendmmsg(fd, messages, count, 0);
        if (done <= 0) {
            // A pending ICMP error is reported once, in place of sending; it is
            // some earlier query's, and that one is already waiting.
            if (errno == ECONNREFUSED || errno == EHOSTUNREACH || errno == ENETUNREACH)
                ++errors_;
            else if (errno != EAGAIN && errno != ENOBUFS)
                fail("sendmmsg");
            return first;
        }
        for (int i = 0; i < done; ++i)
            sent(first + unsigned(i), time);
        return first + unsigned(done);
    }

    std::uint64_t send_tcp(std::uint64_t number) {
        sent(number, now());
        open_tcp(number);
        return number + 1;
    }

    void open_tcp(std::uint64_t number) {
        const Address& target = targets_[number % targets_.size()];
        const int fd = socket(target.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) fail("socket");
        connections_[fd] = {number, false, {}};
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT;
        event.data.fd = fd;
        epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &event);
        if (connect(fd, target.get(), target.length) != 0 && errno != EINPROGRESS)
            finish_tcp(fd, State::refused);
    }

    /// It ended before its answer: nobody is there, or who was there closed it.
    void closed_tcp(int fd, int error) {
        const std::uint64_t number = connections_[fd].query;
        if (!o_.again || error == ECONNREFUSED || queries_[number].state != State::waiting)
            return finish_tcp(fd, State::refused);
        connections_.erase(fd);
        close(fd);
        ++asked_again_;
        open_tcp(number);
    }

    void open_kept(std::size_t which) {
        const Address& target = targets_[which % targets_.size()];
        const int fd = socket(target.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, target.get(), target.length) != 0) fail("connect");
        const int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &event);
        kept_[which] = fd;
    }

    bool write_kept(std::uint64_t number) {
        const Bytes query = make_query(number);
        Bytes framed;
        dnswire::put16(framed, unsigned(query.size()));
        framed.insert(framed.end(), query.begin(), query.end());
        return send(kept_[number % kept_.size()], framed.data(), framed.size(), MSG_NOSIGNAL) >= 0;
    }

    std::uint64_t send_kept(std::uint64_t number) {
        sent(number, now());
        if (!write_kept(number)) {
            if (!o_.again) fail("send");
            renew_kept(number % kept_.size());
        }
        return number + 1;
    }

    /// What waited is asked again; where that connection ends at once, by the next one.
    void renew_kept(std::size_t which) {
        connections_.erase(kept_[which]);
        close(kept_[which]);
        open_kept(which);
        ++reconnects_;
        for (std::uint64_t number = oldest_; number < sent_; ++number) {
            if (number % kept_.size() != which || queries_[number].state != State::waiting)
                continue;
            if (!write_kept(number)) return;
            ++asked_again_;
        }
    }

    void receive_kept(int fd) {
        std::uint8_t buffer[65536];
        const ssize_t got = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            if (!o_.again) fail("a connection was closed");
            // An event of one that was renewed meanwhile may be left over.
            const auto which = std::find(kept_.begin(), kept_.end(), fd);
            if (which != kept_.end()) renew_kept(std::size_t(which - kept_.begin()));
            return;
        }
        if (got < 0) return;
        Bytes& in = connections_[fd].in;
        in.insert(in.end(), buffer, buffer + got);
        std::size_t at = 0;
        const Nanoseconds time = now();
        while (in.size() - at >= 2 && in.size() - at - 2 >= dnswire::get16(&in[at])) {
            const std::size_t size = dnswire::get16(&in[at]);
            at += 2 + size;
            const std::uint8_t* message = in.data() + at - size;
            const std::uint64_t number =
                size < dnswire::kHeaderSize ? sent_ : query_of(dnswire::get16(message));
            if (number >= sent_ || queries_[number].state != State::waiting)
                ++strays_;
            else
                judge(number, message, size, time);
        }
        in.erase(in.begin(), in.begin() + long(at));
    }

    void sent(std::uint64_t number, Nanoseconds time) {
        queries_[number].sent = time;
        queries_[number].state = State::waiting;
        sent_ = number + 1;
        ++waiting_;
        latest_start_ =
            std::max(latest_start_, time - start_ - Nanoseconds(double(number) * 1e9 / o_.rate));
    }

    /// How long to wait for replies once all queries that are due are sent.
    Nanoseconds patience(std::uint64_t sent) const {
        if (sent >= o_.count || o_.in_flight != 0) return 20'000'000;
        if (!o_.even) return 1'000'000;
        const Nanoseconds due = start_ + Nanoseconds(double(sent) * 1e9 / o_.rate);
        return std::max<Nanoseconds>(0, due - now());
    }

    void receive(Nanoseconds wait) {
        epoll_event events[64];
        const timespec limit{wait / 1'000'000'000, wait % 1'000'000'000};
        const int count = epoll_pwait2(poll_, events, 64, &limit, nullptr);
        for (int i = 0; i < count; ++i)
            o_.kept != 0 ? receive_kept(events[i].data.fd)
            : o_.tcp     ? progress_tcp(events[i].data.fd)
                         : receive_udp(events[i].data.fd);
    }

    void receive_udp(int fd) {
        static std::uint8_t buffers[kBatch][4096];
        iovec parts[kBatch];
        mmsghdr messages[kBatch];
        for (unsigned i = 0; i < kBatch; ++i) {
            parts[i] = {buffers[i], sizeof buffers[i]};
            messages[i] = {};
            messages[i].msg_hdr.msg_iov = &parts[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
        const int count = recvmmsg(fd, messages, kBatch, MSG_DONTWAIT, nullptr);
        if (count < 0 && errno != EAGAIN) ++errors_;
        const Nanoseconds time = now();
        for (int i = 0; i < count; ++i) {
            if (messages[i].msg_len < dnswire::kHeaderSize) {
                ++strays_;
                continue;
            }
            const std::uint64_t number = query_of(dnswire::get16(buffers[i]));
            if (number >= sent_ || queries_[number].state != State::waiting) {
                ++strays_;
                continue;
            }
            judge(number, buffers[i], messages[i].msg_len, time);
        }
    }

    void progress_tcp(int fd) {
        Connection& c = connections_[fd];
        if (!c.asked) {
            const Bytes query = make_query(c.query);
            Bytes framed;
            dnswire::put16(framed, unsigned(query.size()));
            framed.insert(framed.end(), query.begin(), query.end());
            if (send(fd, framed.data(), framed.size(), MSG_NOSIGNAL) < 0)
                return closed_tcp(fd, errno);
            c.asked = true;
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.fd = fd;
            epoll_ctl(poll_, EPOLL_CTL_MOD, fd, &event);
            return;
        }
        std::uint8_t buffer[4096];
        const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got <= 0) {
            if (got == 0 || errno != EAGAIN) closed_tcp(fd, got == 0 ? 0 : errno);
            return;
        }
        c.in.insert(c.in.end(), buffer, buffer + got);
        if (c.in.size() < 2 || c.in.size() < 2u + dnswire::get16(c.in.data())) return;
        judge(c.query, c.in.data() + 2, c.in.size() - 2, now());
        finish_tcp(fd, State::right);
    }

    /// Closes a connection; `state` holds where the query is still waiting.
    void finish_tcp(int fd, State state) {
        Query& query = queries_[connections_[fd].query];
        if (query.state == State::waiting) {
            query.state = state;
            --waiting_;
        }
        connections_.erase(fd);
        close(fd);
    }

    void judge(std::uint64_t number, const std::uint8_t* reply, std::size_t size,
               Nanoseconds time) {
        using namespace dnswire;
        Query& query = queries_[number];
        query.answered = time;
        if (query.state == State::waiting) --waiting_;
        query.state = State::wrong;
        if (size < kHeaderSize || get16(reply) != id_of(number)) return count_rcode("wrong id");
        const Bytes asked = make_query(number);
        const std::size_t question_end = skip_name(asked.data(), asked.size(), kHeaderSize) + 4;
        if (size < question_end || get16(reply + 4) != 1 ||
            !std::equal(asked.begin() + kHeaderSize, asked.begin() + long(question_end),
                        reply + kHeaderSize))
            return count_rcode("wrong question");
        bool expected = o_.expect.empty();
        read_records(reply, size, question_end, query, expected);
        const unsigned rcode = reply[3] & 0x0f;
        if (reply[2] & 0x02) return count_rcode("truncated");
        if (rcode != 0) return count_rcode("rcode " + std::to_string(rcode));
        if (!expected) return count_rcode("wrong answer");
        query.state = State::right;
    }

    void read_records(const std::uint8_t* reply, std::size_t size, std::size_t at, Query& query,
                      bool& expected) {
        using namespace dnswire;
        const unsigned records = get16(reply + 6) + get16(reply + 8) + get16(reply + 10);
        for (unsigned i = 0; i < records; ++i) {
            at = skip_name(reply, size, at);
            if (at == 0 || at + 10 > size) return;
            const unsigned type = get16(reply + at), length = get16(reply + at + 8);
            at += 10;
            if (at + length > size) return;
            if (type == o_.type && i < get16(reply + 6)) {
                const Bytes data(reply + at, reply + at + length);
                expected |= std::find(o_.expect.begin(), o_.expect.end(), data) != o_.expect.end();
            }
            if (type == kTypeOpt)
                if (const std::string name = nsid_in(reply + at, length); !name.empty())
                    query.server = server_index(name);
            at += length;
        }
    }

    std::uint8_t server_index(const std::string& name) {
        const auto found = std::find(servers_.begin(), servers_.end(), name);
        if (found != servers_.end()) return std::uint8_t(found - servers_.begin());
        if (servers_.size() == 255) return 0;
        servers_.push_back(name);
        return std::uint8_t(servers_.size() - 1);
    }

    void count_rcode(const std::string& what) { ++wrong_kinds_[what]; }

    void expire(std::uint64_t sent) {
        const Nanoseconds limit = now() - o_.timeout;
        while (oldest_ < sent) {
            Query& query = queries_[oldest_];
            if (query.state == State::waiting) {
                if (query.sent > limit) return;
                query.state = State::lost;
                --waiting_;
            }
            ++oldest_;
        }
    }

    void print_servers() const;
    void print_times(const char* key, State state) const;
    double since_start_ms(Nanoseconds time) const { return double(time - start_) / 1e6; }

    Options o_;
    std::vector<Query> queries_;
    std::vector<Address> targets_;
    int poll_ = -1;
    std::vector<int> udp_;
    std::vector<int> kept_;
    std::uint64_t reconnects_ = 0, asked_again_ = 0;
    std::size_t next_socket_ = 0;
    std::unordered_map<int, Connection> connections_;
    std::vector<std::string> servers_{""};
    std::map<std::string, std::uint64_t> wrong_kinds_;
    Nanoseconds start_ = 0, latest_start_ = 0;
    std::uint64_t sent_ = 0, oldest_ = 0, errors_ = 0, strays_ = 0;
    std::uint64_t waiting_ = 0;
    Zipf zipf_;
};

void Load::print() const {
    std::uint64_t counts[6] = {};
    std::vector<Nanoseconds> times;
    for (const Query& query : queries_) {
        ++counts[std::size_t(query.state)];
        if (query.state == State::right) times.push_back(query.answered - query.sent);
    }
    std::sort(times.begin(), times.end());
    const auto percentile = [&](double p) {
        if (times.empty()) return 0.0;
        return double(times[std::min(times.size() - 1, std::size_t(p * double(times.size())))]) /
               1e3;
    };
    const auto of = [&](State state) { return (unsigned long long)counts[std::size_t(state)]; };
    std::printf(
        "{\"sent\": %llu, \"right\": %llu, \"wrong\": %llu, \"refused\": %llu, \"lost\": %llu, "
        "\"icmp_errors\": %llu, \"strays\": %llu, \"started_ns\": %lld, \"sending_ms\": %.3f, "
        "\"latest_ms\": %.3f, \"reconnects\": %llu, \"asked_again\": %llu, ",
        (unsigned long long)sent_, of(State::right), of(State::wrong), of(State::refused),
        of(State::lost), (unsigned long long)errors_, (unsigned long long)strays_,
        (long long)start_, since_start_ms(queries_.back().sent), double(latest_start_) / 1e6,
        (unsigned long long)reconnects_, (unsigned long long)asked_again_);
    std::printf(
        "\"rtt_us\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": "
        "%.1f}, ",
        percentile(0.5), percentile(0.9), percentile(0.99), percentile(0.999), percentile(1));
    std::printf("\"wrong_kinds\": {");
    const char* comma = "";
    for (const auto& [kind, count] : wrong_kinds_) {
        std::printf("%s\"%s\": %llu", comma, kind.c_str(), (unsigned long long)count);
        comma = ", ";
    }
    std::printf("}, ");
    print_servers();
    print_times("wrong_at", State::wrong);
    std::printf(", ");
    print_times("lost_at", State::lost);
    std::printf("}\n");
}

void Load::print_servers() const {
    struct Seen {
        std::uint64_t right = 0, wrong = 0;
        std::uint64_t latest = 0;  // number of the query that it answered last
        std::vector<std::pair<Nanoseconds, Nanoseconds>> spans;
    };
    std::vector<Seen> seen(servers_.size());
    const auto gap = std::max<std::uint64_t>(20, std::uint64_t(double(o_.gap) * o_.rate / 1e9));
    for (std::uint64_t number = 0; number < queries_.size(); ++number) {
        const Query& query = queries_[number];
        if (query.state != State::right && query.state != State::wrong) continue;
        Seen& server = seen[query.server];
        if (query.state == State::wrong) {
            ++server.wrong;
            continue;
        }
        ++server.right;
        if (server.spans.empty() || number - server.latest > gap)
            server.spans.push_back({query.sent, query.sent});
        server.spans.back().second = query.sent;
        server.latest = number;
    }
    std::printf("\"servers\": {");
    const char* comma = "";
    for (std::size_t i = 0; i < seen.size(); ++i) {
        if (seen[i].right + seen[i].wrong == 0) continue;
        std::printf("%s\"%s\": {\"right\": %llu, \"wrong\": %llu, \"spans\": [", comma,
                    servers_[i].c_str(), (unsigned long long)seen[i].right,
                    (unsigned long long)seen[i].wrong);
        comma = ", ";
        for (std::size_t j = 0; j < std::min(seen[i].spans.size(), kListed); ++j)
            std::printf("%s[%.1f, %.1f]", j ? ", " : "", since_start_ms(seen[i].spans[j].first),
                        since_start_ms(seen[i].spans[j].second));
        std::printf("]}");
    }
    std::printf("}, ");
}

void Load::print_times(const char* key, State state) const {
    std::printf("\"%s\": [", key);
    std::size_t listed = 0;
    for (const Query& query : queries_) {
        if (query.state != state || listed == kListed) continue;
        std::printf("%s%.1f", listed ? ", " : "", since_start_ms(query.sent));
        ++listed;
    }
    std::printf("]");
}

Bytes parse_expected(const std::string& text) {
    std::uint8_t raw[16];
    if (inet_pton(AF_INET, text.c_str(), raw) == 1) return {raw, raw + 4};
    if (inet_pton(AF_INET6, text.c_str(), raw) == 1) return {raw, raw + 16};
    std::fprintf(stderr, "dnsload: --expect %s: not an address\n", text.c_str());
    std::exit(2);
}

Options parse(int argc, char** argv) {
    Options o;
    const std::map<std::string, bool*> switches{
        {"--tcp", &o.tcp}, {"--even", &o.even}, {"--again", &o.again}, {"--in-turn", &o.in_turn}};
    for (int i = 1; i < argc; ++i) {
        const std::string option = argv[i];
        if (const auto found = switches.find(option); found != switches.end()) {
            *found->second = true;
            continue;
        }
        if (i + 1 == argc) break;
        const std::string value = argv[++i];
        if (option == "--target")
            o.targets.push_back(value);
        else if (option == "--port")
            o.port = unsigned(std::atoi(value.c_str()));
        else if (option == "--rate")
            o.rate = std::atof(value.c_str());
        else if (option == "--count")
            o.count = std::strtoull(value.c_str(), nullptr, 10);
        else if (option == "--timeout")
            o.timeout = std::atoll(value.c_str()) * 1'000'000;
        else if (option == "--gap")
            o.gap = std::atoll(value.c_str()) * 1'000'000;
        else if (option == "--name")
            o.names.push_back(value);
        else if (option == "--type")
            o.type = value == "AAAA" ? dnswire::kTypeAaaa : dnswire::kTypeA;
        else if (option == "--expect")
            o.expect.push_back(parse_expected(value));
        else if (option == "--sockets")
            o.sockets = unsigned(std::atoi(value.c_str()));
        else if (option == "--kept")
            o.kept = unsigned(std::atoi(value.c_str())), o.tcp = true;
        else if (option == "--in-flight")
            o.in_flight = std::strtoull(value.c_str(), nullptr, 10);
        else if (option == "--zipf")
            o.zipf = std::strtoull(value.c_str(), nullptr, 10);
        else {
            std::fprintf(stderr, "dnsload: unknown option %s\n", option.c_str());
            std::exit(2);
        }
    }
    if (o.names.empty()) o.names.push_back("www.example.com");
    // Bounded on purpose: this runs on machines that others use too.
    if (o.targets.empty() || o.count == 0 || o.count > 20'000'000 || o.rate <= 0 ||
        o.sockets == 0) {
        std::fprintf(stderr, "usage: dnsload --target ADDRESS… --rate N --count N …\n");
        std::exit(2);
    }
    return o;
}

}  // namespace

int main(int argc, char** argv) {
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    Load load(parse(argc, argv));
    load.run();
    load.print();
}
