// SPDX-License-Identifier: Apache-2.0
//
// From one proxy plane to the next by a store as systemd's: nothing that clients send in between
// is lost.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>

#include "dataplane/proxy/wire.h"
#include "unit/dataplane/proxy/bed.h"
#include "unit/support/unused_port.h"

namespace dnsdirector::dataplane::proxy {
namespace {

using testing::answer_to;
using testing::answers_with;
using testing::Bed;
using testing::FakeServer;
using testing::member;
using testing::message;
using testing::Octets;
using testing::TcpClient;
using testing::UdpClient;

/// Holds copies, as systemd does, and hands them to whoever comes next.
class Systemd {
public:
    explicit Systemd(std::size_t room = 100) : room_(room) {
        std::string name = ::testing::TempDir() + "successor-XXXXXX";
        directory_ = mkdtemp(name.data());
    }
    ~Systemd() {
        for (const NamedDescriptor& each : stored_)
            ::close(each.descriptor);
        std::filesystem::remove_all(directory_);
    }
    Systemd(const Systemd&) = delete;
    Systemd& operator=(const Systemd&) = delete;

    Inheritance inheritance() {
        Inheritance made{
            .descriptors = {},
            .store = {.room = [this] { return room_; },
                      .keep =
                          [this](const std::string& name, std::span<const int> some) {
                              for (const int each : some)
                                  stored_.push_back({name, fcntl(each, F_DUPFD_CLOEXEC, 3)});
                          },
                      .forget = [this](const std::string& name) { forget(name); }},
            .journal = journal()};
        for (const NamedDescriptor& each : stored_)
            made.descriptors.push_back({each.name, fcntl(each.descriptor, F_DUPFD_CLOEXEC, 3)});
        return made;
    }
    /// As a socket unit's.
    void lend(int type, const Endpoint& where) {
        const int made = ::socket(AF_INET, type, 0);
        const SocketAddress address(where);
        ASSERT_EQ(bind(made, &address.any, address.size()), 0);
        if (type == SOCK_STREAM) ASSERT_EQ(listen(made, 16), 0);
        stored_.push_back({"dnsdirector.socket", made});
    }
    [[nodiscard]] std::size_t held() const { return stored_.size(); }
    [[nodiscard]] std::string journal() const { return directory_ + "/proxy"; }

private:
    void forget(const std::string& name) {
        std::erase_if(stored_, [&](const NamedDescriptor& each) {
            if (each.name == name) ::close(each.descriptor);
            return each.name == name;
        });
    }
    std::size_t room_;
    std::string directory_;
    std::vector<NamedDescriptor> stored_;
};

core::ProxySettings workers(std::uint32_t count) {
    core::ProxySettings settings;
    settings.workers = count;
    return settings;
}

/// That a plane has at a service over UDP and at one over TCP.
std::size_t sockets_of(std::uint32_t count) {
    const int udp = open_udp(Family::ipv4);
    int granted = 0;
    socklen_t size = sizeof granted;
    EXPECT_EQ(getsockopt(udp, SOL_SOCKET, SO_RCVBUF, &granted, &size), 0);
    ::close(udp);
    return count * (sockets_for_worker(granted) + 1);
}

/// As a killed process: its descriptors are closed, and that is all.
void kill(Bed& bed) {
    bed.plane.reset();
}

TEST(ProxyListener, WhereBuffersAreSmallThereAreMoreSockets) {
    EXPECT_EQ(sockets_for_worker(8 << 20), 1U);
    EXPECT_EQ(sockets_for_worker(16 << 20), 1U);
    EXPECT_EQ(sockets_for_worker(4 << 20), 2U);
    EXPECT_EQ(sockets_for_worker(425984), 8U) << "net.core.rmem_max=212992, which is usual";
    EXPECT_EQ(sockets_for_worker(0), 1U) << "nobody knows";
}

class ProxySuccessor : public ::testing::TestWithParam<std::pair<std::uint32_t, std::uint32_t>> {};

/// With more workers than before some open sockets of their own; with fewer each reads several.
TEST_P(ProxySuccessor, AnswersWhatCameWhileThereWasNone) {
    FakeServer server(answers_with(0));
    Systemd systemd;
    Bed first(workers(GetParam().first), systemd.inheritance(),
              {*IpAddress::parse("127.0.0.1"), support::unused_port()});
    first.serve({member(server)});
    first.plane->accept();
    EXPECT_EQ(systemd.held(), sockets_of(GetParam().first));
    kill(first);

    constexpr int many = 64;  // so that each socket of the group gets some
    std::vector<std::unique_ptr<UdpClient>> udp;
    std::vector<std::unique_ptr<TcpClient>> tcp;
    for (std::uint16_t i = 0; i < many; ++i) {
        udp.push_back(std::make_unique<UdpClient>(first.service));
        udp.back()->send(message({.id = i}));
        tcp.push_back(std::make_unique<TcpClient>(first.service));
        ASSERT_TRUE(tcp.back()->connected());
        tcp.back()->send(message({.id = i}));
    }
    Bed second(workers(GetParam().second), systemd.inheritance(), first.service);
    for (std::uint16_t i = 0; i < many; ++i) {
        EXPECT_EQ(udp[i]->receive(), answer_to(message({.id = i}))) << i;
        EXPECT_EQ(tcp[i]->receive(), answer_to(message({.id = i}))) << i;
    }
    EXPECT_EQ(*second.plane->read(), first.wish) << "as it was served before";
    second.plane->accept();
    EXPECT_EQ(systemd.held(), sockets_of(std::max(GetParam().first, GetParam().second)));
    for (int i = 0; i < many; ++i)
        EXPECT_TRUE(UdpClient(first.service).ask(message({})));
}

INSTANTIATE_TEST_SUITE_P(Workers, ProxySuccessor,
                         ::testing::Values(std::pair{1, 1}, std::pair{4, 4}, std::pair{1, 4},
                                           std::pair{4, 1}, std::pair{5, 2}));

TEST(ProxyLeave, AQueryThatHasNoAnswerYetIsAskedAgainByTheSuccessor) {
    std::atomic<bool> answers{false};
    FakeServer server([&](const Octets& query) -> std::vector<Octets> {
        if (!answers) return {};
        return {answer_to(query)};
    });
    Systemd systemd;
    Bed first(workers(2), systemd.inheritance(),
              {*IpAddress::parse("127.0.0.1"), support::unused_port()});
    first.serve({member(server)});
    first.plane->accept();
    UdpClient client(first.service);
    client.send(message({.id = 4711}));
    ASSERT_TRUE(testing::eventually([&] { return server.asked() >= 1; }));
    first.plane->leave();
    kill(first);
    answers = true;
    Bed second(workers(1), systemd.inheritance(), first.service);
    EXPECT_EQ(client.receive(), answer_to(message({.id = 4711})));
    second.plane->accept();
    kill(second);
    // Once is enough.
    const int asked = server.asked();
    Bed third(workers(1), systemd.inheritance(), first.service);
    EXPECT_FALSE(client.receive(200));
    EXPECT_EQ(server.asked(), asked);
}

TEST(ProxyLeave, WhatATcpClientSentBeforeIsAnswered) {
    std::atomic<bool> leaves{false};
    FakeServer server([&](const Octets& query) -> std::vector<Octets> {
        EXPECT_TRUE(testing::eventually([&] { return leaves.load(); }));
        return {answer_to(query)};
    });
    Systemd systemd;
    Bed first(workers(1), systemd.inheritance(),
              {*IpAddress::parse("127.0.0.1"), support::unused_port()});
    first.serve({member(server)});
    first.plane->accept();
    TcpClient client(first.service);
    client.send(message({.id = 1}));
    ASSERT_TRUE(testing::eventually([&] { return server.asked() >= 1; }));
    leaves = true;
    first.plane->leave();
    EXPECT_EQ(client.receive(), answer_to(message({.id = 1})));
    EXPECT_TRUE(client.closed());
}

TEST(ProxyStop, LeavesNothingInTheStoreNorInTheRunDirectory) {
    FakeServer server(answers_with(0));
    Systemd systemd;
    Bed bed(workers(2), systemd.inheritance(),
            {*IpAddress::parse("127.0.0.1"), support::unused_port()});
    bed.serve({member(server)});
    EXPECT_EQ(systemd.held(), sockets_of(2));
    EXPECT_FALSE(std::filesystem::exists(systemd.journal())) << "no verdict waits for a disk";
    const auto due = bed.plane->deadline();
    ASSERT_TRUE(due);
    bed.plane->on_deadline(*due);
    EXPECT_EQ(bed.plane->deadline(), std::nullopt);
    EXPECT_EQ(read_journal(systemd.journal())->forwarding, bed.wish);
    ASSERT_TRUE(bed.plane->detach());
    EXPECT_EQ(systemd.held(), 0U);
    EXPECT_FALSE(std::filesystem::exists(systemd.journal()));
}

TEST(ProxySuccessorConfiguration, AServiceThatItDoesNotKnowLeavesTheStore) {
    FakeServer server(answers_with(0));
    Systemd systemd;
    Bed first(workers(2), systemd.inheritance(),
              {*IpAddress::parse("127.0.0.1"), support::unused_port()});
    first.serve({member(server)});
    first.plane->accept();
    kill(first);
    Bed second(workers(2), systemd.inheritance(), first.service);
    ASSERT_TRUE(second.plane->apply(core::diff(*second.plane->read(), {})));
    second.plane->accept();
    EXPECT_EQ(systemd.held(), 0U);
    // The same without the journal: nobody knows what the sockets were for.
    Bed third(workers(2), systemd.inheritance(), first.service);
    third.serve({member(server)});
    third.plane->accept();
    kill(third);
    ASSERT_TRUE(std::filesystem::remove(systemd.journal()));
    Bed fourth(workers(2), systemd.inheritance(), first.service);
    EXPECT_TRUE(fourth.plane->read()->empty());
    EXPECT_EQ(systemd.held(), sockets_of(2)) << "it may still come";
    fourth.plane->accept();
    EXPECT_EQ(systemd.held(), 0U);
}

TEST(ProxySocketUnit, ItsSocketsAreUsedAndStayOpen) {
    FakeServer server(answers_with(0));
    const Endpoint where{*IpAddress::parse("127.0.0.1"), support::unused_port()};
    Systemd systemd;
    systemd.lend(SOCK_DGRAM, where);
    systemd.lend(SOCK_STREAM, where);
    for (int turn = 0; turn < 2; ++turn) {
        UdpClient udp(where);
        udp.send(message({.id = 1}));
        TcpClient tcp(where);
        tcp.send(message({.id = 2}));
        Bed bed(workers(3), systemd.inheritance(), where);
        // Without SO_REUSEPORT there can be no other: three workers share one.
        bed.serve({member(server)});
        bed.plane->accept();
        EXPECT_EQ(udp.receive(), answer_to(message({.id = 1})));
        EXPECT_EQ(tcp.receive(), answer_to(message({.id = 2})));
        EXPECT_EQ(systemd.held(), 2U) << "not kept twice";
        // Gone by a reload, and back by the next one.
        ASSERT_TRUE(bed.plane->apply(core::diff(*bed.plane->read(), {})));
        bed.plane->accept();
        TcpClient waits(where);
        ASSERT_TRUE(waits.connected());
        waits.send(message({.id = 3}));
        bed.serve({member(server)});
        EXPECT_EQ(waits.receive(), answer_to(message({.id = 3})));
        EXPECT_TRUE(UdpClient(where).ask(message({})));
    }
}

TEST(ProxySocketUnit, WhatIsNoSocketOfAServiceIsClosed) {
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    Inheritance inheritance;
    inheritance.descriptors = {{"odd", pair[0]}};
    Bed bed(workers(1), std::move(inheritance), {*IpAddress::parse("127.0.0.1"), 53});
    char byte = 0;
    EXPECT_EQ(read(pair[1], &byte, 1), 0) << "its other end is closed";
    close(pair[1]);
}

}  // namespace
}  // namespace dnsdirector::dataplane::proxy
