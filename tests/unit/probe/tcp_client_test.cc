// SPDX-License-Identifier: Apache-2.0
//
// The client against a server of another make, over a network that loses, doubles and
// disorders segments; and what a stranger may send it.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <vector>

#include "probe/tcp_client.h"

namespace dnsdirector::probe {
namespace {

using Octets = std::vector<std::uint8_t>;
using State = TcpClient::State;

constexpr std::uint32_t client_number = 0xFFFFFC00;  // the numbers go round
constexpr std::uint32_t server_number = 0xFFFFFF00;

struct Wire {
    TcpFields fields;
    Octets payload;
};

TimePoint at_ms(std::int64_t milliseconds) {
    return TimePoint{Milliseconds{milliseconds}};
}

/// Awaits a whole query, sends a reply in segments and closes when the client has, or first.
class TestServer {
public:
    TestServer(std::size_t query, Octets reply, std::size_t segment, bool closes_first)
        : query_(query), reply_(std::move(reply)), segment_(segment), closes_first_(closes_first) {}

    void take(const Wire& wire, std::int64_t now) {
        const TcpFields& fields = wire.fields;
        if (fields.has(TcpFields::rst)) {
            closed_ = true;
            return;
        }
        if (fields.has(TcpFields::syn)) {
            awaited_ = fields.sequence + 1;
            opened_ = true;
            send(TcpFields::syn | TcpFields::ack, server_number, {});
            return;
        }
        if (!opened_) return;
        if (fields.has(TcpFields::ack))
            acknowledged_ = std::max(acknowledged_, fields.acknowledgement - server_number);
        if (fields.sequence == awaited_ && got_ < query_) {
            got_ += wire.payload.size();
            awaited_ += static_cast<std::uint32_t>(wire.payload.size());
        }
        if (fields.has(TcpFields::fin) && fields.sequence + wire.payload.size() == awaited_ &&
            !client_done_) {
            ++awaited_;
            client_done_ = true;
        }
        if (!wire.payload.empty() || fields.has(TcpFields::fin)) send(TcpFields::ack, next(), {});
        push(now);
    }
    /// All that is not acknowledged, again and again.
    void push(std::int64_t now) {
        if (closed_ || got_ < query_ || (now < next_push_ && pushed_)) return;
        pushed_ = true;
        next_push_ = now + 150;
        for (std::size_t at = acknowledged_ == 0 ? 0 : acknowledged_ - 1; at < reply_.size();
             at += segment_) {
            const std::size_t size = std::min(segment_, reply_.size() - at);
            send(TcpFields::ack, server_number + 1 + static_cast<std::uint32_t>(at),
                 Octets(reply_.begin() + static_cast<std::ptrdiff_t>(at),
                        reply_.begin() + static_cast<std::ptrdiff_t>(at + size)));
        }
        const auto size = static_cast<std::uint32_t>(reply_.size());
        if (closes_first_ || client_done_)
            send(TcpFields::fin | TcpFields::ack, server_number + 1 + size, {});
        if (acknowledged_ == size + 2) closed_ = true;
    }
    [[nodiscard]] bool closed() const { return closed_; }
    std::deque<Wire> out;

private:
    [[nodiscard]] std::uint32_t next() const {
        return server_number + 1 + (pushed_ ? static_cast<std::uint32_t>(reply_.size()) : 0);
    }
    void send(int flags, std::uint32_t sequence, Octets payload) {
        TcpFields fields;
        fields.sequence = sequence;
        fields.acknowledgement = awaited_;
        fields.flags = static_cast<std::uint8_t>(flags);
        fields.window = 65535;
        if (fields.has(TcpFields::syn)) fields.max_segment = 100;
        out.push_back({fields, std::move(payload)});
    }

    std::size_t query_, got_ = 0;
    Octets reply_;
    std::size_t segment_;
    bool closes_first_, opened_ = false, client_done_ = false, closed_ = false, pushed_ = false;
    std::uint32_t awaited_ = 0, acknowledged_ = 0;
    std::int64_t next_push_ = 0;
};

/// What is under way, by the time of its arrival.
class TestNetwork {
public:
    TestNetwork(std::uint32_t seed, double loss) : dice_(seed), loss_(loss) {}
    void send(Wire wire, bool to_client, std::int64_t now) {
        std::uniform_real_distribution<double> chance(0, 1);
        for (int copies = chance(dice_) < 0.1 ? 2 : 1; copies > 0; --copies)
            if (chance(dice_) >= loss_) {
                const auto delay = static_cast<std::int64_t>(1 + chance(dice_) * 40);
                under_way_.emplace(now + delay, std::pair(to_client, wire));
            }
    }
    template <typename Deliver>
    void deliver(std::int64_t now, Deliver deliver) {
        while (!under_way_.empty() && under_way_.begin()->first <= now) {
            const auto [to_client, wire] = under_way_.begin()->second;
            under_way_.erase(under_way_.begin());
            deliver(wire, to_client);
        }
    }

private:
    std::mt19937 dice_;
    double loss_;
    std::multimap<std::int64_t, std::pair<bool, Wire>> under_way_;
};

Octets pattern(std::size_t size) {
    Octets bytes(size);
    for (std::size_t at = 0; at < size; ++at)
        bytes[at] = static_cast<std::uint8_t>(at * 7 + at / 256);
    return bytes;
}

void flush(TcpClient& client, TestNetwork& network, std::int64_t now) {
    for (const TcpClient::Segment& segment : client.take_output())
        network.send({segment.fields, Octets(segment.payload.begin(), segment.payload.end())},
                     false, now);
}

/// Whether the reply came whole and both sides ended; milliseconds in `now`.
void exchange(std::uint32_t seed, double loss, std::size_t reply_size, bool closes_first) {
    const Octets query = pattern(40 + seed % 300), reply = pattern(reply_size);
    TestServer server(query.size(), reply, 100 + seed % 1400, closes_first);
    TestNetwork network(seed, loss);
    TcpClient client;
    client.begin(client_number, query, 1460, at_ms(0));
    Octets got;
    std::int64_t now = 0;
    for (; now < 600'000 && !(client.state() == State::finished && server.closed()); ++now) {
        client.on_timer(at_ms(now));
        flush(client, network, now);
        network.deliver(now, [&](const Wire& wire, bool to_client) {
            if (!to_client) return server.take(wire, now);
            client.take(wire.fields, wire.payload, at_ms(now));
            const auto received = client.received();
            got.insert(got.end(), received.begin(), received.end());
            client.drop(received.size());
            if (got.size() == reply.size() && client.state() == State::established) client.finish();
            flush(client, network, now);
        });
        server.push(now);
        for (; !server.out.empty(); server.out.pop_front())
            network.send(server.out.front(), true, now);
        // What the probe does with a FIN of ours that was lost, later and by a reset.
        if (now == 300'000 && client.state() == State::finishing) {
            client.abort();
            for (const TcpClient::Segment& segment : client.take_output())
                server.take({segment.fields, {}}, now);
        }
        if (client.state() == State::broken && server.closed()) break;
    }
    ASSERT_EQ(got, reply) << "seed " << seed << ", loss " << loss;
    ASSERT_TRUE(server.closed()) << "seed " << seed << ", loss " << loss << ", " << now << " ms";
}

TEST(TcpClientProperty, BringsTheReplyWholeWhateverTheNetworkDoes) {
    for (std::uint32_t seed = 0; seed < 120; ++seed) {
        const double loss = seed % 3 == 0 ? 0 : seed % 3 == 1 ? 0.1 : 0.3;
        exchange(seed, loss, 1 + seed * 37 % 4000, seed % 2 == 0);
        if (HasFatalFailure()) return;
    }
}

TEST(TcpClientProperty, BringsTheLongestMessage) {
    for (const double loss : {0.0, 0.05})
        exchange(7, loss, 65537, false);
}

// ---- step by step ---------------------------------------------------------------

const Octets question = {0, 2, 'h', 'i'};

TcpFields from_server(std::uint32_t sequence, std::uint32_t acknowledgement, int flags) {
    return {.sequence = sequence,
            .acknowledgement = acknowledgement,
            .flags = static_cast<std::uint8_t>(flags),
            .window = 65535};
}

TcpClient connected() {
    TcpClient client;
    client.begin(1024, question, 1460, at_ms(0));
    static_cast<void>(client.take_output());
    client.take(from_server(999, 1025, TcpFields::syn | TcpFields::ack), {}, at_ms(1));
    return client;
}

TEST(TcpClient, SendsTheQuestionWithTheEndOfTheHandshake) {
    TcpClient client;
    client.begin(1024, question, 1460, at_ms(0));
    auto out = client.take_output();
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(out[0].fields.flags, TcpFields::syn);
    EXPECT_EQ(out[0].fields.sequence, 1024U);
    EXPECT_EQ(out[0].fields.max_segment, 1460);
    client.take(from_server(999, 1025, TcpFields::syn | TcpFields::ack), {}, at_ms(1));
    out = client.take_output();
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(out[0].fields.flags, TcpFields::ack | TcpFields::psh);
    EXPECT_EQ(out[0].fields.sequence, 1025U);
    EXPECT_EQ(out[0].fields.acknowledgement, 1000U);
    EXPECT_EQ(Octets(out[0].payload.begin(), out[0].payload.end()), question);
}

TEST(TcpClient, EndsWithOneSegmentThatAcknowledgesTheReply) {
    TcpClient client = connected();
    static_cast<void>(client.take_output());
    client.take(from_server(1000, 1029, TcpFields::ack), question, at_ms(2));
    EXPECT_EQ(client.received().size(), 4U);
    client.finish();
    const auto out = client.take_output();
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(out[0].fields.flags, TcpFields::fin | TcpFields::ack);
    EXPECT_EQ(out[0].fields.sequence, 1029U);
    EXPECT_EQ(out[0].fields.acknowledgement, 1004U);
    // The server's own end is acknowledged, however often it comes.
    for (int times = 0; times < 2; ++times) {
        client.take(from_server(1004, 1030, TcpFields::fin | TcpFields::ack), {}, at_ms(3));
        EXPECT_EQ(client.state(), State::finished);
        const auto last = client.take_output();
        ASSERT_EQ(last.size(), 1U);
        EXPECT_EQ(last[0].fields.flags, TcpFields::ack);
        EXPECT_EQ(last[0].fields.sequence, 1030U);
        EXPECT_EQ(last[0].fields.acknowledgement, 1005U);
    }
}

TEST(TcpClient, IsRefusedByAResetThatAcknowledgesItsRequestOnly) {
    TcpClient client;
    client.begin(1024, question, 1460, at_ms(0));
    client.take(from_server(0, 1026, TcpFields::rst | TcpFields::ack), {}, at_ms(1));
    client.take(from_server(0, 0, TcpFields::rst), {}, at_ms(1));
    client.take(from_server(999, 1030, TcpFields::syn | TcpFields::ack), {}, at_ms(1));
    EXPECT_EQ(client.state(), State::connecting);
    client.take(from_server(0, 1025, TcpFields::rst | TcpFields::ack), {}, at_ms(1));
    EXPECT_EQ(client.fault(), TcpClient::Fault::refused);
    EXPECT_FALSE(client.timer());
}

TEST(TcpClient, ClearsAnEarlierConnectionOfItsPort) {
    TcpClient client;
    client.begin(1024, question, 1460, at_ms(0));
    static_cast<void>(client.take_output());
    // Once: whoever says it again has us send nothing.
    for (const std::size_t segments : {2U, 0U}) {
        client.take(from_server(7777, 5555, TcpFields::ack), {}, at_ms(1));
        EXPECT_EQ(client.state(), State::connecting);
        const auto out = client.take_output();
        ASSERT_EQ(out.size(), segments);
        if (out.empty()) continue;
        EXPECT_EQ(out[0].fields.flags, TcpFields::rst);
        EXPECT_EQ(out[0].fields.sequence, 5555U);
        EXPECT_EQ(out[1].fields.flags, TcpFields::syn);
        EXPECT_EQ(out[1].fields.sequence, 1024U);
    }
    client.take(from_server(999, 1025, TcpFields::syn | TcpFields::ack), {}, at_ms(2));
    EXPECT_EQ(client.state(), State::established);
}

TEST(TcpClient, IsResetByTheAwaitedNumberAlone) {
    TcpClient client = connected();
    static_cast<void>(client.take_output());
    client.take(from_server(1500, 0, TcpFields::rst), {}, at_ms(2));
    EXPECT_EQ(client.state(), State::established);
    ASSERT_EQ(client.take_output().size(), 1U);  // "say it again" (RFC 5961)
    client.take(from_server(1000, 0, TcpFields::rst), {}, at_ms(2));
    EXPECT_EQ(client.fault(), TcpClient::Fault::reset);
}

TEST(TcpClient, ResetsAConnectionThatWasGivenUp) {
    TcpClient client;
    client.begin(1024, question, 1460, at_ms(0));
    client.finish();  // before there is one
    EXPECT_EQ(client.fault(), TcpClient::Fault::given_up);
    static_cast<void>(client.take_output());
    client.take(from_server(999, 1025, TcpFields::syn | TcpFields::ack), {}, at_ms(1));
    auto out = client.take_output();
    ASSERT_EQ(out.size(), 1U);
    EXPECT_EQ(out[0].fields.flags, TcpFields::rst);
    EXPECT_EQ(out[0].fields.sequence, 1025U);

    client = connected();
    static_cast<void>(client.take_output());
    client.abort();
    out = client.take_output();
    ASSERT_EQ(out.size(), 1U);
    EXPECT_TRUE(out[0].fields.has(TcpFields::rst));
    EXPECT_EQ(out[0].fields.sequence, 1029U);
}

TEST(TcpClient, AsksAgainLaterAndLater) {
    TcpClient client;
    client.begin(1024, question, 1460, at_ms(0));
    std::vector<std::int64_t> asked;
    for (std::int64_t now = 0; now < 3000; ++now) {
        client.on_timer(at_ms(now));
        if (!client.take_output().empty()) asked.push_back(now);
    }
    EXPECT_EQ(asked, (std::vector<std::int64_t>{0, 200, 600, 1400}));
}

TEST(TcpClient, PutsOverlappingPiecesInOrder) {
    TcpClient client = connected();
    const Octets all = pattern(100);
    const auto piece = [&](std::size_t from, std::size_t to) {
        client.take(from_server(1000 + static_cast<std::uint32_t>(from), 1029, TcpFields::ack),
                    dns::Bytes(all).subspan(from, to - from), at_ms(2));
    };
    piece(60, 100);
    piece(20, 50);
    piece(20, 70);
    EXPECT_TRUE(client.received().empty());
    piece(0, 30);
    EXPECT_EQ(Octets(client.received().begin(), client.received().end()), all);
    client.drop(99);
    EXPECT_EQ(client.received().size(), 1U);
}

TEST(TcpClient, KeepsNoMoreThanTheWindow) {
    TcpClient client = connected();
    const Octets piece(1000);
    for (std::uint32_t at = 1; at < 200; ++at)
        client.take(from_server(1000 + at * 1000, 1029, TcpFields::ack), piece, at_ms(2));
    client.take(from_server(1000, 1029, TcpFields::ack), piece, at_ms(2));
    EXPECT_LE(client.received().size(), 66'000U);
}

}  // namespace
}  // namespace dnsdirector::probe
