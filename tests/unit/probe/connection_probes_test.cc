// SPDX-License-Identifier: Apache-2.0
//
// TCP_CHECK, UDP_CHECK and PING_CHECK against real sockets. What every kind of
// check makes of every misbehaviour stands in verdicts_test.cc.
#include <gtest/gtest.h>

#include "unit/probe/checks.h"
#include "unit/probe/drive.h"
#include "unit/probe/far_side.h"
#include "unit/probe/responder.h"
#include "unit/support/network_namespace.h"
#include "unit/support/wait.h"

namespace dnsdirector::probe {
namespace {

using core::Failure;
using test::Bytes;
using test::check_of;
using test::Recorder;
using test::Replies;
using test::Responder;

constexpr const char* loopbacks[] = {"127.0.0.1", "::1"};

// ---- TCP_CHECK --------------------------------------------------------------------

TEST(TcpProbe, PassesWhenTheConnectionStands) {
    Recorder recorder;
    for (const char* address : loopbacks) {
        Responder server({}, {}, Responder::Tcp::answers, address);
        const core::Verdict verdict = recorder.ask(check_of(server.endpoint(), core::TcpCheck{}));
        EXPECT_EQ(verdict.failure, Failure::none) << verdict.reason;
        EXPECT_EQ(verdict.reason, "");
        EXPECT_EQ(server.tcp_queries(), 0);
    }
}

TEST(TcpProbe, AClosedPortIsRefusedAtOnce) {
    Recorder recorder;
    for (const char* address : loopbacks) {
        const core::Verdict verdict = recorder.ask(
            check_of(test::closed_port(address), core::TcpCheck{}, Seconds{3}, 3), Seconds{1});
        EXPECT_EQ(verdict.failure, Failure::refused);
        EXPECT_EQ(verdict.reason, "connection refused");
    }
}

TEST(TcpProbe, LeavesFromTheSourceThatItIsGiven) {
    Recorder recorder;
    Responder server({}, {});
    core::TcpCheck check;
    check.via.source = IpAddress::parse("127.0.0.9");
    EXPECT_TRUE(recorder.ask(check_of(server.endpoint(), check)).passed());
    check.via.source = IpAddress::parse("192.0.2.1");
    const core::Verdict verdict = recorder.ask(check_of(server.endpoint(), check));
    EXPECT_EQ(verdict.failure, Failure::local);
    EXPECT_EQ(verdict.reason, "cannot send from 192.0.2.1: not an address of this machine");
    check.via.source = IpAddress::parse("::1");
    EXPECT_EQ(recorder.ask(check_of(server.endpoint(), check)).failure, Failure::local);
}

// ---- UDP_CHECK --------------------------------------------------------------------

TEST(UdpCheckProbe, SilencePassesAfterTheTimeoutUnlessAReplyIsRequired) {
    Recorder recorder;
    Responder server({});
    core::UdpCheck check;
    const auto began = test::Steady::now();
    EXPECT_TRUE(recorder.ask(check_of(server.endpoint(), check, Milliseconds{200}, 3)).passed());
    const auto took = test::Steady::now() - began;
    EXPECT_GE(took, Milliseconds{200});
    EXPECT_TRUE(support::eventually([&] { return server.udp_queries() == 1; }));
    check.require_reply = true;
    const core::Verdict verdict =
        recorder.ask(check_of(server.endpoint(), check, Milliseconds{100}, 3));
    EXPECT_EQ(verdict.failure, Failure::silence);
    EXPECT_EQ(verdict.reason, "timeout");
    EXPECT_TRUE(support::eventually([&] { return server.udp_queries() == 4; }));
}

TEST(UdpCheckProbe, SendsThePayloadAndMeasuresTheReply) {
    Recorder recorder;
    Responder echo([](const Bytes& query) { return Replies{query}; });
    core::UdpCheck check{.payload = {1, 2, 3, 4}, .require_reply = true};
    const core::Verdict passed = recorder.ask(check_of(echo.endpoint(), check));
    EXPECT_TRUE(passed.passed()) << passed.reason;
    EXPECT_GT(passed.rtt.count(), 0);
    check.min_reply_length = check.max_reply_length = 4;
    EXPECT_TRUE(recorder.ask(check_of(echo.endpoint(), check)).passed());
    check.min_reply_length = 5;
    check.max_reply_length = 255;
    const core::Verdict verdict = recorder.ask(check_of(echo.endpoint(), check));
    EXPECT_EQ(verdict.failure, Failure::answer);
    EXPECT_EQ(verdict.reason, "reply of 4 bytes, expected 5 to 255");
    check = {.payload = {1, 2, 3, 4}, .require_reply = false, .min_reply_length = 5};
    EXPECT_TRUE(recorder.ask(check_of(echo.endpoint(), check)).passed()) << "none is required";
}

TEST(UdpCheckProbe, AClosedPortIsRefusedAtOnce) {
    Recorder recorder;
    for (const char* address : loopbacks) {
        const core::Verdict verdict = recorder.ask(
            check_of(test::closed_port(address), core::UdpCheck{}, Seconds{3}), Seconds{1});
        EXPECT_EQ(verdict.failure, Failure::refused);
        EXPECT_EQ(verdict.reason, "connection refused");
    }
}

// ---- PING_CHECK -------------------------------------------------------------------

void make_lab() {
    support::ip("link set lo up");
    for (const char* address : {"192.0.2.1/24", "2001:db8::1/64"})
        support::add_to_lo(address);
}

TEST(PingProbe, PassesOverDatagramAndRawSockets) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    make_lab();
    // 1 0: nobody may have datagram sockets, so that raw ones are taken.
    for (const char* groups : {"0 2147483647", "1 0"}) {
        support::sysctl("net/ipv4/ping_group_range", groups);
        Recorder recorder;
        for (const char* address : {"192.0.2.1", "2001:db8::1"}) {
            const core::Verdict verdict =
                recorder.ask(check_of({*IpAddress::parse(address), 53}, core::PingCheck{}));
            EXPECT_EQ(verdict.failure, Failure::none) << address << " " << verdict.reason;
            EXPECT_GT(verdict.rtt.count(), 0);
        }
        EXPECT_EQ(recorder.prober->statistics().ignored_replies, 0);
    }
}

TEST(PingProbe, OneWhoDoesNotAnswerIsSilentAfterAllTries) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    make_lab();
    support::sysctl("net/ipv4/icmp_echo_ignore_all", "1");
    support::sysctl("net/ipv6/icmp/echo_ignore_all", "1");
    Recorder recorder;
    for (const char* address : {"192.0.2.1", "2001:db8::1"}) {
        const auto began = test::Steady::now();
        const core::Verdict verdict = recorder.ask(
            check_of({*IpAddress::parse(address), 53}, core::PingCheck{}, Milliseconds{100}, 3));
        EXPECT_EQ(verdict.failure, Failure::silence);
        EXPECT_EQ(verdict.reason, "timeout");
        EXPECT_GE(test::Steady::now() - began, Milliseconds{300});
    }
}

TEST(IcmpUnreachable, IsARefusalByWhoSaysItAndSilenceWhenOnlyWeDo) {
    // In this order, since the second one is moved to and left again.
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    support::NetworkNamespace far;
    ASSERT_EQ(far.obstacle(), "");
    far.leave();
    test::connect_far_side(far);
    struct Case {
        const char* target;
        Failure failure;
        const char* reason;
    };
    const Case cases[] = {
        {"198.51.100.9", Failure::refused, "host unreachable, says 192.0.2.254"},
        {"203.0.113.9", Failure::refused, "filtered on the way, says 192.0.2.254"},
        {"192.0.2.77", Failure::silence, "host unreachable: no answer to ARP"},
        {"2001:db8:1::9", Failure::refused, "network unreachable, says 2001:db8::fe"},
        {"2001:db8:2::9", Failure::refused, "filtered on the way, says 2001:db8::fe"},
        {"2001:db8::77", Failure::silence, "host unreachable: no answer to neighbour discovery"},
    };
    Recorder recorder;
    ASSERT_TRUE(test::far_side_answers(recorder));
    for (const Case& one : cases) {
        const Endpoint target{*IpAddress::parse(one.target), 53};
        for (const core::Check::What& what :
             {core::Check::What{core::PingCheck{}}, core::Check::What{core::UdpCheck{}}}) {
            const core::Verdict verdict =
                recorder.ask(check_of(target, what, Seconds{8}), Seconds{9});
            EXPECT_EQ(verdict.failure, one.failure) << one.target << core::kind_of(what);
            EXPECT_EQ(verdict.reason, one.reason) << one.target << core::kind_of(what);
        }
    }
}

}  // namespace
}  // namespace dnsdirector::probe
