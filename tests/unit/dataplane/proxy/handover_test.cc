// SPDX-License-Identifier: Apache-2.0
//
// What a proxy leaves for its successor, as text.
#include "dataplane/proxy/handover.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace dnsdirector::dataplane::proxy {
namespace {

Endpoint at(const std::string& text) {
    return *Endpoint::parse(text);
}

/// Two services, over both protocols, in all that they may be.
Handover example() {
    Handover handover;
    for (const char* service : {"192.0.2.53:53", "[2001:db8::53]:5353"})
        for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
            const core::ServiceKey key{at(service).address, at(service).port, protocol};
            core::ServiceForwarding& forwarding = handover.forwarding[key];
            forwarding.key = key;
            forwarding.scheduler = core::Scheduler::qname;
            forwarding.destinations = {{at("203.0.113.11:53"), 3}, {at("203.0.113.12:5353"), 0}};
            if (protocol == Protocol::tcp) continue;
            handover.wishes.client_subnets[key] = {24, 56};
            handover.wishes.to_all[key] = {
                {.notify = true,
                 .update = false,
                 .answers = 2,
                 .from = {{*IpAddress::parse("198.51.100.0"), 24}, {{}, 0}}},
                {at("203.0.113.11:53"), at("203.0.113.13:53")}};
            handover.queries.push_back({key, at("[2001:db8::1]:40000"), {0x00, 0x2a, 0xff}});
            handover.queries.push_back({key, at("198.51.100.7:1"), {0x80}});
        }
    handover.wishes.proxy_protocol = {at("203.0.113.12:5353")};
    handover.wishes.transparent = {at("[2001:db8:1::11]:53")};
    handover.sockets = {7, 9};
    handover.lent = {5};
    handover.bridge = 11;
    return handover;
}

TEST(ProxyHandover, IsReadAsItWasWritten) {
    const auto read = handover_of(to_text(example()));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, example());
}

TEST(ProxyHandover, WhatIsNotWholeIsRefused) {
    const std::string text = to_text(example());
    for (std::size_t size = 0; size + 1 < text.size(); ++size)
        EXPECT_FALSE(handover_of(text.substr(0, size))) << text.substr(0, size);
}

TEST(ProxyHandover, ALineThatMakesNoSenseIsNamed) {
    for (const std::string line :
         {"query 192.0.2.53:53 198.51.100.7:1 abc", "query 192.0.2.53:53 198.51.100.7:1 zz",
          "query 192.0.2.53:53 nobody 00", "socket x", "lent", "something else"}) {
        const auto read = handover_of("proxy-handover 1\n" + line + "\nend\n");
        ASSERT_FALSE(read) << line;
        EXPECT_NE(read.error().message.find(line), std::string::npos) << read.error().message;
    }
}

RC_GTEST_PROP(ProxyHandoverProperty, WhatIsCutOrChangedIsRefusedOrReadAndHarmsNothing, ()) {
    std::string text = to_text(example());
    // Without its last character, the end of a line, it is still whole.
    const std::size_t at = *rc::gen::inRange<std::size_t>(0, text.size() - 1);
    if (*rc::gen::arbitrary<bool>()) {
        text.resize(at);
        RC_ASSERT(!handover_of(text));
    } else {
        text[at] = *rc::gen::arbitrary<char>();
        (void)handover_of(text);
    }
}

class ProxyJournal : public ::testing::Test {
protected:
    void SetUp() override {
        std::string name = ::testing::TempDir() + "proxy-XXXXXX";
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        directory = name;
        path = directory + "/proxy";
    }
    void TearDown() override { std::filesystem::remove_all(directory); }
    std::string directory;
    std::string path;
};

TEST_F(ProxyJournal, IsReplacedAtOneStrokeAndRead) {
    ASSERT_TRUE(write_journal(path, {}));
    ASSERT_TRUE(write_journal(path, example()));
    const auto read = read_journal(path);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(*read, example());
    EXPECT_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_F(ProxyJournal, WithoutOneThereIsNothing) {
    const auto read = read_journal(path);
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, Handover{});
}

TEST_F(ProxyJournal, ErrorsNameTheFile) {
    std::ofstream(path) << "nonsense\n";
    const auto read = read_journal(path);
    ASSERT_FALSE(read);
    EXPECT_NE(read.error().message.find(path), std::string::npos);
    const auto written = write_journal(directory + "/missing/proxy", {});
    ASSERT_FALSE(written);
    EXPECT_NE(written.error().message.find("missing/proxy.new"), std::string::npos);
}

TEST(ProxySockets, OnlyOneThatListensOnAnAddressBelongsToAService) {
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    const int quiet = socket(AF_INET, SOCK_STREAM, 0);
    for (const int each : {pair[0], quiet, -1})
        EXPECT_EQ(service_of_socket(each).port, 0);
    ASSERT_EQ(listen(quiet, 1), 0);  // on a port by chance
    EXPECT_NE(service_of_socket(quiet).port, 0);
    EXPECT_EQ(service_of_socket(quiet).protocol, Protocol::tcp);
    for (const int each : {pair[0], pair[1], quiet})
        close(each);
}

}  // namespace
}  // namespace dnsdirector::dataplane::proxy
