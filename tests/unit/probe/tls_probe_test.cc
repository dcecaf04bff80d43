// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "unit/probe/drive.h"
#include "unit/probe/tls_server.h"

namespace dnsdirector::probe {
namespace {

using core::Failure;
using test::Bytes;
using test::Recorder;
using test::Replies;
using test::reply_to;
using test::right;
using test::TlsServer;
using How = TlsServer::How;

core::Check tls_check_of(const Endpoint& target) {
    core::Check check;
    check.target = target;
    core::DnsCheck dns;
    dns.name = "www.example.com";
    dns.type = 1;
    dns.transport = Protocol::tcp;
    dns.tls = true;
    dns.fail_on = {2, 5};
    check.what = dns;
    check.timing.every = Seconds{60};
    check.timing.timeout = Milliseconds{1500};
    check.timing.tries = 1;
    return check;
}

TEST(TlsProbe, PassesWhateverTheCertificateAndHoweverTheAnswerComes) {
    for (const How how : {How::answers, How::in_pieces}) {
        TlsServer server(right, how);
        Recorder recorder;
        for (int round = 1; round <= 3; ++round) {
            const core::Verdict verdict = recorder.ask(tls_check_of(server.endpoint()));
            EXPECT_EQ(verdict.failure, Failure::none) << verdict.reason;
            EXPECT_GT(verdict.rtt.count(), 0);
            EXPECT_EQ(server.queries(), round);
        }
    }
}

TEST(TlsProbe, TakesAReplyOfManyRecords) {
    TlsServer server([](const Bytes& query) {
        Bytes reply = reply_to(query);
        reply[6] = 0x04;  // 1024 answers and more than two TLS records
        for (int record = 0; record < 1024; ++record)
            reply.insert(reply.end(), {0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2,
                                       static_cast<std::uint8_t>(record)});
        return Replies{reply};
    });
    core::Check check = tls_check_of(server.endpoint());
    std::get<core::DnsCheck>(check.what).min_answers = 1024;
    Recorder recorder;
    const core::Verdict verdict = recorder.ask(check);
    EXPECT_EQ(verdict.failure, Failure::none) << verdict.reason;
}

TEST(TlsProbe, JudgesTheReplyAndIgnoresWrongIds) {
    TlsServer server([](const Bytes& query) {
        Bytes wrong = reply_to(query);
        wrong[0] ^= 1;
        return Replies{wrong, reply_to(query, 2)};
    });
    Recorder recorder;
    const core::Verdict verdict = recorder.ask(tls_check_of(server.endpoint()));
    EXPECT_EQ(verdict.failure, Failure::answer);
    EXPECT_EQ(verdict.reason, "SERVFAIL");
    EXPECT_EQ(recorder.prober->statistics().ignored_replies, 1);
}

TEST(TlsProbe, SaysHowTheServerMisbehaves) {
    const struct {
        How how;
        Failure failure;
        std::string reason;
    } cases[] = {
        {How::silent, Failure::silence, "timeout in the TLS handshake"},
        {How::closes, Failure::answer, "TLS handshake failed: connection closed"},
        {How::resets, Failure::refused, "connection reset"},
        {How::hangs_up, Failure::answer, "connection closed without an answer"},
        {How::speaks_plain, Failure::answer, "TLS handshake failed: the server does not speak TLS"},
        {How::speaks_tls_11, Failure::answer, "TLS handshake failed: "},
    };
    for (const auto& [how, failure, reason] : cases) {
        TlsServer server(right, how);
        Recorder recorder;
        core::Check check = tls_check_of(server.endpoint());
        if (how == How::silent) check.timing.timeout = Milliseconds{200};
        const core::Verdict verdict = recorder.ask(check);
        EXPECT_EQ(verdict.failure, failure) << reason;
        EXPECT_EQ(verdict.reason.substr(0, reason.size()), reason) << verdict.reason;
    }
}

TEST(TlsProbe, AClosedPortIsRefused) {
    Recorder recorder;
    const core::Verdict verdict = recorder.ask(tls_check_of(test::closed_port()));
    EXPECT_EQ(verdict.failure, Failure::refused);
    EXPECT_EQ(verdict.reason, "connection refused");
}

TEST(TlsProbe, ManySessionsGoOnSideBySide) {
    TlsServer good(right), other(right, How::speaks_plain);
    Recorder recorder;
    for (CheckId id = 0; id < 20; ++id)
        recorder.prober->add(id, tls_check_of((id % 2 == 0 ? good : other).endpoint()), true);
    ASSERT_TRUE(recorder.wait_for(20, Seconds{10}));
    for (const Recorder::Entry& entry : recorder.verdicts)
        EXPECT_EQ(entry.verdict.passed(), entry.id % 2 == 0) << entry.verdict.reason;
}

}  // namespace
}  // namespace dnsdirector::probe
