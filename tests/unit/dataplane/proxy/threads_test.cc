// SPDX-License-Identifier: Apache-2.0
//
// Several workers at once, under tables that change all the time. What two threads should not
// touch at once shows under the thread sanitizer, which the other tests here leave little to do.
#include <atomic>
#include <chrono>
#include <thread>

#include "dataplane/proxy/wire.h"
#include "unit/dataplane/proxy/bed.h"

namespace dnsdirector::dataplane::proxy {
namespace {

using testing::answers_with;
using testing::Bed;
using testing::FakeServer;
using testing::message;
using testing::TcpClient;
using testing::UdpClient;

constexpr auto how_long = std::chrono::milliseconds(600);

TEST(ProxyThreads, NoQueryIsLostWhileTablesChangeUnderSeveralWorkers) {
    FakeServer one(answers_with(0)), two(answers_with(0)), failing(answers_with(2));
    core::ProxySettings settings;
    settings.workers = 4;
    settings.retry_percent = 100;
    Bed bed(settings);
    const std::vector<Bed::Member> all = {
        {one.endpoint(), 1}, {two.endpoint(), 1}, {failing.endpoint(), 1}};
    bed.serve(all);
    std::atomic<bool> stop{false};
    std::atomic<int> answered{0}, unanswered{0};
    std::vector<std::thread> clients;
    for (int i = 0; i < 4; ++i)
        clients.emplace_back([&, tcp = i % 2 == 1] {
            for (std::uint16_t id = 1; !stop; ++id) {
                if (tcp) {
                    TcpClient client(bed.service);
                    client.send(message({.id = id}));
                    ++(client.receive() ? answered : unanswered);
                } else {
                    const UdpClient client(bed.service);
                    ++(client.ask(message({.id = id})) ? answered : unanswered);
                }
            }
        });
    const auto end = std::chrono::steady_clock::now() + how_long;
    for (unsigned turn = 0; std::chrono::steady_clock::now() < end; ++turn) {
        std::vector<Bed::Member> members = all;
        members[turn % 3].weight = turn % 2;
        bed.serve(members, turn % 4 == 0 ? core::Scheduler::qname : core::Scheduler::wrr);
        (void)bed.plane->counters();
        (void)bed.plane->warnings();
        bed.plane->on_readable();
    }
    stop = true;
    for (std::thread& client : clients)
        client.join();
    EXPECT_EQ(unanswered, 0);
    EXPECT_GT(answered, 50);
    ASSERT_TRUE(bed.plane->detach());
}

}  // namespace
}  // namespace dnsdirector::dataplane::proxy
