// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/result.h"
#include "core/model.h"
#include "dns/dig_message.h"
#include "probe/tcp_exchange.h"

namespace dnsdirector::probe {

/// Asks as dig 9.18 does and passes where dig would end with status 0. Its
/// rules, read in dighost.c and held to the program by tests/lab/test_dig.py:
///
/// 1. Any reply that is printed ends with 0: SERVFAIL, REFUSED, NXDOMAIN, an
///    empty one; so does a reply with our ID that cannot be read ("Got bad
///    packet"). +fail and +nofail choose between servers; with one they are alike.
/// 2. Over UDP a datagram with another ID, too short for a header, with another
///    opcode or another question is passed over, and the time of this try begins
///    anew. Foreign senders are filtered by the kernel.
/// 3. Over TCP another ID, a message too short or another question ends with 0;
///    another opcode is passed over.
/// 4. A UDP try waits the time-out. Then, and at once after an ICMP error, the
///    next try sends the same message from a new socket: a late reply to an
///    earlier try is lost.
/// 5. A TCP try waits the time-out for the connection, and again for the reply.
///    A refusal, a reset and an end without a reply are followed by the next try.
/// 6. TC over UDP, without +ignore: the question anew over TCP, with the tries
///    that are left. TC over TCP means nothing.
/// 7. BADCOOKIE over UDP with our client cookie: the question anew with the
///    server's; the second time over TCP. FORMERR and BADVERS are replies.
/// 8. The source address or a route is missing: each try fails at once.
/// 9. With no try left: 9. A question is put anew (5, 6, 7, 8) 64 times at most;
///    then it ends with 9 after a connection that failed, with 1 else.
///
/// As in a script, a refusal is no stronger failure than silence: a round has
/// failed, and `retry` holds. The scheduler ends a round that has reached
/// CheckTiming::limit, as the script's time limit would have ended dig.
class DigProbe : public Probe {
public:
    /// `token` marks this probe's events. Errors: a name that is none.
    static Result<std::unique_ptr<DigProbe>> make(Environment& environment, std::uint64_t token,
                                                  const Endpoint& target,
                                                  const core::DigCheck& check,
                                                  const core::CheckTiming& timing);

    Progress start(TimePoint now) override;
    Progress on_event(TimePoint now) override;
    Progress on_timeout(TimePoint now) override;
    void abandon() override { end_round(false); }

    /// dig's, of the last round that came to its end.
    [[nodiscard]] int exit_status() const { return exit_status_; }

private:
    DigProbe(Environment& environment, std::uint64_t token, Path path, const core::DigCheck& check,
             const core::CheckTiming& timing, dns::DigQuery query);

    /// The question as a new one: another ID.
    Progress ask(TimePoint now);
    /// As a new one after a try that failed with `outcome`, or the end.
    Progress ask_again(TimePoint now, Outcome outcome);
    /// Counts what is put anew; nothing while that may be.
    Progress count_anew();

    Progress send_udp(TimePoint now);
    std::optional<Outcome> open_udp();
    Progress read_udp(TimePoint now);
    Progress take_udp(dns::Bytes reply, TimePoint now);
    /// The next try over UDP, or the end.
    Progress next_udp(TimePoint now, Outcome outcome);

    Progress begin_tcp(TimePoint now);
    Progress drive_tcp(TcpExchange::State state, TimePoint now);
    Progress take_tcp(dns::Bytes reply, TimePoint now);

    Progress pass(TimePoint now, std::uint16_t rcode);
    Progress fail_round(int status, Outcome outcome);
    void end_round(bool passed);

    Environment& environment_;
    std::uint64_t token_;
    Path path_;
    core::CheckTiming timing_;
    Nanoseconds tcp_timeout_;
    bool tcp_first_;
    bool ignore_truncation_;
    bool keep_udp_;
    dns::DigQuery query_;
    Socket udp_;
    std::unique_ptr<TcpExchange> tcp_;  ///< made when first needed, then kept

    bool in_round_ = false;
    bool over_tcp_ = false;
    bool connected_ = false;        ///< of a TCP try
    bool bad_cookie_seen_ = false;  ///< in this round
    std::uint32_t tries_left_ = 0;  ///< the present one included
    std::uint32_t asked_anew_ = 0;  ///< in this round
    std::uint32_t ignored_ = 0;     ///< replies in this round
    unsigned rounds_left_ = 0;      ///< until udp_ is renewed
    std::uint16_t last_round_id_ = 0;
    TimePoint sent_;
    std::optional<Outcome> not_sent_;  ///< why this try's datagram did not leave
    int exit_status_ = 0;
};

}  // namespace dnsdirector::probe
