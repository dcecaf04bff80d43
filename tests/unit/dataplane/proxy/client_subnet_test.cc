// SPDX-License-Identifier: Apache-2.0
//
// EDNS client subnet: put into queries, and out of answers again.
#include "dataplane/proxy/client_subnet.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "unit/dataplane/proxy/bed.h"

namespace dnsdirector::dataplane::proxy {
namespace {

using testing::answer_to;
using testing::Bed;
using testing::FakeServer;
using testing::member;
using testing::message;
using testing::Octets;
using testing::UdpClient;

constexpr core::ClientSubnet usual{24, 56};

SocketAddress client_at(const char* endpoint) {
    return SocketAddress(*Endpoint::parse(endpoint));
}

Octets joined(Octets a, const Octets& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

/// A message with these records in its additional section.
Octets with_additional(Octets bytes, const std::vector<Octets>& records) {
    bytes[11] = static_cast<std::uint8_t>(bytes[11] + records.size());
    for (const Octets& record : records)
        bytes = joined(std::move(bytes), record);
    return bytes;
}

Octets record(const Octets& name, std::uint16_t type, const Octets& data) {
    return joined(
        joined(name, {static_cast<std::uint8_t>(type >> 8), static_cast<std::uint8_t>(type & 0xff),
                      0, 1, 0, 0, 0, 60, static_cast<std::uint8_t>(data.size() >> 8),
                      static_cast<std::uint8_t>(data.size() & 0xff)}),
        data);
}

/// An OPT record: payload size 1232, DO.
Octets opt(const Octets& options = {}, std::uint8_t version = 0, std::uint8_t extended = 0) {
    return joined({0, 0, 41, 0x04, 0xd0, extended, version, 0x80, 0,
                   static_cast<std::uint8_t>(options.size() >> 8),
                   static_cast<std::uint8_t>(options.size() & 0xff)},
                  options);
}

const Octets cookie = {0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8};
const Octets subnet_of_v4 = {0, 8, 0, 7, 0, 1, 24, 0, 198, 51, 100};
const Octets tsig = record({3, 'k', 'e', 'y', 0}, 250, Octets(40, 7));

struct Changed {
    Added added = Added::nothing;
    Octets bytes;
};

Changed add(Octets query, const SocketAddress& client = client_at("198.51.100.10:4242"),
            const core::ClientSubnet& lengths = usual) {
    auto size = static_cast<std::uint32_t>(query.size());
    query.resize(size + most_added);
    Changed changed{add_client_subnet(query.data(), size, client, lengths), std::move(query)};
    changed.bytes.resize(size);
    return changed;
}

Octets taken_out(Octets answer, Added added) {
    answer.resize(take_out_client_subnet(answer.data(), answer.size(), added));
    return answer;
}

// ---- into queries -------------------------------------------------------------------

TEST(ClientSubnet, AQueryWithoutEdnsGetsAnOptRecordForAnswersOf512Bytes) {
    const auto [added, bytes] = add(message({}));
    EXPECT_EQ(added, Added::opt);
    EXPECT_EQ(bytes, with_additional(message({}),
                                     {joined({0, 0, 41, 2, 0, 0, 0, 0, 0, 0, 11}, subnet_of_v4)}));
}

TEST(ClientSubnet, IsTheClientsNetworkAndNoBitMore) {
    const auto network = [](const char* client, core::ClientSubnet lengths) {
        const Octets bytes = add(message({}), client_at(client), lengths).bytes;
        return Octets(bytes.begin() + static_cast<std::ptrdiff_t>(message({}).size()) + 11,
                      bytes.end());
    };
    EXPECT_EQ(network("[2001:db8:aaaa:bbbb::1]:1", usual),
              (Octets{0, 8, 0, 11, 0, 2, 56, 0, 0x20, 1, 0x0d, 0xb8, 0xaa, 0xaa, 0xbb}));
    EXPECT_EQ(network("198.51.255.255:1", {21, 0}),
              (Octets{0, 8, 0, 7, 0, 1, 21, 0, 198, 51, 248}));
    EXPECT_EQ(network("198.51.100.255:1", {32, 0}),
              (Octets{0, 8, 0, 8, 0, 1, 32, 0, 198, 51, 100, 255}));
    EXPECT_EQ(network("198.51.100.255:1", {1, 0}), (Octets{0, 8, 0, 5, 0, 1, 1, 0, 128}));
    EXPECT_EQ(network("[2001:db8::ff]:1", {0, 128}).size(), 8U + 16);
}

TEST(ClientSubnet, AFamilyWithoutALengthGetsNone) {
    EXPECT_EQ(add(message({}), client_at("198.51.100.10:1"), {0, 56}).added, Added::nothing);
    EXPECT_EQ(add(message({}), client_at("[2001:db8::1]:1"), {24, 0}).added, Added::nothing);
}

TEST(ClientSubnet, StandsBehindTheOptionsThatAClientSent) {
    const auto [added, bytes] = add(with_additional(message({}), {opt(cookie)}));
    EXPECT_EQ(added, Added::option);
    EXPECT_EQ(bytes, with_additional(message({}), {opt(joined(cookie, subnet_of_v4))}));
}

TEST(ClientSubnet, RecordsBehindTheOptRecordStillMeanTheSame) {
    // Their names point at the question and at a name behind the OPT record; one has names in
    // its data, too.
    const auto behind = [](std::uint8_t at) -> std::vector<Octets> {
        return {record({1, 'b', 0xc0, 12}, 1, {192, 0, 2, 1}),
                record({0xc0, at}, 1, {192, 0, 2, 2}),
                record({0xc0, 16}, 15, {0, 5, 1, 'm', 0xc0, at}),
                record({0}, 16, {2, 0xc0, at})};  // text that looks like a pointer
    };
    const Octets question = message({});
    const auto at = static_cast<std::uint8_t>(question.size() + opt().size());
    const auto moved = static_cast<std::uint8_t>(at + subnet_of_v4.size());
    std::vector<Octets> before = behind(at);
    before.insert(before.begin(), opt());
    std::vector<Octets> after = behind(moved);
    after.insert(after.begin(), opt(subnet_of_v4));
    after.back()[after.back().size() - 1] = at;
    const auto [added, bytes] = add(with_additional(question, before));
    EXPECT_EQ(added, Added::option);
    EXPECT_EQ(bytes, with_additional(question, after));
    EXPECT_EQ(taken_out(bytes, Added::option), with_additional(question, before));
}

TEST(ClientSubnet, WhatAClientSaysItselfIsPassedOn) {
    const Octets none = {0, 8, 0, 4, 0, 1, 0, 0};  // RFC 7871, 7.1.2: tell nobody
    const std::vector<Octets> kept = {
        with_additional(message({}), {opt(subnet_of_v4)}),
        with_additional(message({}), {opt(none)}),
        with_additional(message({}), {opt(joined(cookie, none))}),
    };
    for (const Octets& query : kept) {
        const auto [added, bytes] = add(query);
        EXPECT_EQ(added, Added::nothing);
        EXPECT_EQ(bytes, query);
    }
}

TEST(ClientSubnet, SignedUnreadableAndForeignQueriesAreLeftAlone) {
    Octets too_many = with_additional(message({}), {opt()});
    too_many[11] = 2;
    Octets no_question = message({});
    no_question.resize(header_size);
    no_question[5] = 0;
    const std::vector<Octets> kept = {
        with_additional(message({}), {tsig}),
        with_additional(message({}), {opt(), tsig}),
        with_additional(message({}), {opt(), record({0}, 24, Octets(30, 0))}),
        with_additional(message({}), {opt(), opt()}),
        with_additional(message({}), {opt({}, 1)}),
        with_additional(message({}), {opt({0, 10, 0, 9, 1})}),
        with_additional(message({}), {opt({0, 10, 0})}),
        with_additional(message({}), {joined({1, 'a'}, opt())}),
        joined(with_additional(message({}), {opt()}), {0}),
        message({.padding = 3}),
        too_many,
        no_question,
        joined(with_additional(message({}), {opt()}), {}),
    };
    for (std::size_t i = 0; i + 1 < kept.size(); ++i) {
        const auto [added, bytes] = add(kept[i]);
        EXPECT_EQ(added, Added::nothing) << i;
        EXPECT_EQ(bytes, kept[i]) << i;
    }
    EXPECT_EQ(add(kept.back()).added, Added::option) << "and this one is not";
}

// ---- out of answers -----------------------------------------------------------------

Octets answer(const std::vector<Octets>& additional) {
    return with_additional(message({.response = true}), additional);
}

TEST(ClientSubnet, AnAnswerLosesTheOptRecordWhereTheClientSentNone) {
    const Octets glue = record({0xc0, 12}, 1, {192, 0, 2, 1});
    EXPECT_EQ(taken_out(answer({opt(subnet_of_v4)}), Added::opt), answer({}));
    EXPECT_EQ(taken_out(answer({glue, opt(cookie)}), Added::opt), answer({glue}));
    EXPECT_EQ(taken_out(answer({glue}), Added::opt), answer({glue}));
}

TEST(ClientSubnet, AnAnswerLosesTheOptionWhereTheClientSentNone) {
    EXPECT_EQ(taken_out(answer({opt(joined(subnet_of_v4, cookie))}), Added::option),
              answer({opt(cookie)}));
    EXPECT_EQ(taken_out(answer({opt(subnet_of_v4)}), Added::option), answer({opt()}));
    EXPECT_EQ(taken_out(answer({opt(cookie)}), Added::option), answer({opt(cookie)}));
}

TEST(ClientSubnet, GlueBehindTheOptRecordStillMeansTheSame) {
    const Octets first = record({2, 'n', 's', 0xc0, 12}, 1, {192, 0, 2, 1});
    const auto second = [](std::size_t at) {
        return record({0xc0, static_cast<std::uint8_t>(at)}, 28, Octets(16, 9));
    };
    const std::size_t begin = message({}).size();
    EXPECT_EQ(taken_out(answer({opt(subnet_of_v4), first, second(begin + 22)}), Added::opt),
              answer({first, second(begin)}));
    EXPECT_EQ(taken_out(answer({opt(subnet_of_v4), first, second(begin + 22)}), Added::option),
              answer({opt(), first, second(begin + 11)}));
    // A name that is in what would go.
    const Octets odd = answer({opt(subnet_of_v4), second(begin + 2)});
    EXPECT_EQ(taken_out(odd, Added::opt), odd);
}

TEST(ClientSubnet, AnExtendedStatusBecomesServfailWithItsRecord) {
    const Octets bytes = taken_out(answer({opt(subnet_of_v4, 0, 1)}), Added::opt);
    EXPECT_EQ(rcode_of(bytes.data()), 2);
}

TEST(ClientSubnet, AnAnswerThatCannotBeReadOrIsSignedStaysAsItIs) {
    const std::vector<Octets> kept = {answer({opt(subnet_of_v4), tsig}),
                                      joined(answer({opt(subnet_of_v4)}), {1}),
                                      answer({opt({0, 8, 0, 9})})};
    for (const Octets& bytes : kept)
        EXPECT_EQ(taken_out(bytes, Added::option), bytes);
}

// ---- both -----------------------------------------------------------------------------

Octets any_name() {
    Octets name;
    for (int labels = *rc::gen::inRange(0, 3); labels > 0; --labels) {
        name.push_back(static_cast<std::uint8_t>(*rc::gen::inRange(1, 20)));
        name.insert(name.end(), name.back(), 'x');
    }
    if (*rc::gen::arbitrary<bool>()) return joined(name, {0xc0, 12});
    name.push_back(0);
    return name;
}

Octets any_record() {
    static constexpr std::array<std::uint16_t, 6> types = {1, 28, 15, 6, 33, 99};
    const std::uint16_t type = types[*rc::gen::inRange<std::size_t>(0, types.size())];
    Octets data(type == 15 ? 2 : type == 33 ? 6 : 0, 1);
    if (type == 15 || type == 33 || type == 6) data = joined(data, any_name());
    if (type == 6) data = joined(data, any_name());
    return record(any_name(), type, joined(data, Octets(*rc::gen::inRange<std::size_t>(0, 9), 0)));
}

RC_GTEST_PROP(ClientSubnetProperty, WhatWasPutInComesOutAgainAndNothingElse, ()) {
    std::vector<Octets> records;
    for (int i = *rc::gen::inRange(0, 4); i > 0; --i)
        records.push_back(any_record());
    const bool with_opt = *rc::gen::arbitrary<bool>();
    if (with_opt)
        records.insert(records.begin() + *rc::gen::inRange<std::ptrdiff_t>(
                                             0, static_cast<std::ptrdiff_t>(records.size()) + 1),
                       *rc::gen::arbitrary<bool>() ? opt(cookie) : opt());
    const Octets query = with_additional(message({}), records);
    const core::ClientSubnet lengths{*rc::gen::inRange<std::uint8_t>(1, 33),
                                     *rc::gen::inRange<std::uint8_t>(1, 129)};
    const auto client =
        client_at(*rc::gen::arbitrary<bool>() ? "198.51.100.10:4242" : "[2001:db8::1]:4242");
    const auto [added, bytes] = add(query, client, lengths);
    RC_ASSERT(added == (with_opt ? Added::option : Added::opt));
    RC_ASSERT(bytes.size() > query.size() && bytes.size() <= query.size() + most_added);
    RC_ASSERT(add(bytes, client, lengths).added == Added::nothing);
    RC_ASSERT(taken_out(bytes, added) == query);
}

RC_GTEST_PROP(ClientSubnetProperty, OfAnyBytesNothingIsReadOutsideAndARefusalChangesNothing, ()) {
    Octets query = with_additional(message({}), {opt(cookie), any_record()});
    for (int i = *rc::gen::inRange(0, 6); i > 0; --i)
        query[*rc::gen::inRange(header_size, query.size())] = *rc::gen::arbitrary<std::uint8_t>();
    query.resize(*rc::gen::inRange(header_size, query.size() + 1));
    if (read_query(query).kind != Query::Kind::fine) return;
    const auto [added, bytes] = add(query);
    if (added == Added::nothing) RC_ASSERT(bytes == query);
    for (const Added each : {Added::option, Added::opt})
        RC_ASSERT(taken_out(query, each).size() <= query.size());
}

// ---- in the plane ---------------------------------------------------------------------

/// The network in what a server was asked; empty: none.
Octets subnet_in(const Octets& query) {
    static const Octets head(subnet_of_v4.begin(), subnet_of_v4.begin() + 4);
    const auto at = std::search(query.begin(), query.end(), head.begin(), head.end());
    return at == query.end() ? Octets{} : Octets(at, at + 11);
}
const Octets loopback = {0, 8, 0, 7, 0, 1, 24, 0, 127, 0, 0};

TEST(ProxyClientSubnet, ServersLearnItAndClientsSeeNothingOfIt) {
    std::atomic<int> told{0};
    FakeServer server([&](const Octets& query) -> std::vector<Octets> {
        told += subnet_in(query) == loopback ? 1 : 0;
        return {answer_to(query)};
    });
    Bed bed;
    bed.serve({member(server)});
    bed.expect_subnet(usual);
    UdpClient udp(bed.service);
    testing::TcpClient tcp(bed.service);
    const Octets plain = message({.id = 1});
    const Octets with_edns = with_additional(message({.id = 2}), {opt(cookie)});
    for (const Octets& query : {plain, with_edns}) {
        EXPECT_EQ(udp.ask(query), answer_to(query));
        tcp.send(query);
        EXPECT_EQ(tcp.receive(), answer_to(query));
    }
    EXPECT_EQ(told, 4);
    const Octets own = with_additional(message({.id = 3}), {opt(subnet_of_v4)});
    EXPECT_EQ(udp.ask(own), answer_to(own)) << "and what it asked for it gets";
    bed.expect_subnet({});
    ASSERT_TRUE(testing::eventually([&] {
        told = 0;
        return udp.ask(plain) == answer_to(plain) && told == 0;
    }));
}

TEST(ProxyClientSubnet, TheSecondTryHasItToo) {
    std::atomic<int> told{0};
    FakeServer silent([](const Octets&) { return std::vector<Octets>{}; });
    FakeServer good([&](const Octets& query) -> std::vector<Octets> {
        told += subnet_in(query) == loopback ? 1 : 0;
        return {answer_to(query)};
    });
    core::ProxySettings settings;
    settings.retry_after = Milliseconds{50};
    Bed bed(settings);
    bed.serve({member(silent), member(good)});
    bed.expect_subnet(usual);
    UdpClient client(bed.service);
    for (std::uint16_t id = 0; id < 6; ++id)
        EXPECT_EQ(client.ask(message({.id = id})), answer_to(message({.id = id})));
    EXPECT_EQ(told, 6);
    EXPECT_GE(silent.asked(), 1);
}

TEST(ProxyClientSubnet, NeitherTransfersNorUpdatesNorLongQueriesAreChanged) {
    std::atomic<int> same{0};
    const std::vector<Octets> wanted = {
        message({.id = 1, .opcode = 5}), message({.id = 2, .opcode = 4}),
        message({.id = 3, .type = 251}),
        with_additional(message({.id = 4}), {record({0}, 16, Octets(500, 1))})};
    FakeServer server([&](const Octets& query) -> std::vector<Octets> {
        for (const Octets& each : wanted)
            same += Octets(query.begin() + 2, query.end()) == Octets(each.begin() + 2, each.end());
        return {answer_to(query)};
    });
    Bed bed;
    bed.serve({member(server)});
    bed.expect_subnet(usual);
    UdpClient client(bed.service);
    for (const Octets& query : wanted)
        EXPECT_EQ(client.ask(query), answer_to(query));
    EXPECT_EQ(same, 4);
}

}  // namespace
}  // namespace dnsdirector::dataplane::proxy
