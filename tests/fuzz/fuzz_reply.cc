// SPDX-License-Identifier: Apache-2.0
//
// Replies as a hostile network may send them. The first two bytes choose how the
// check judges; the reply is what follows. Held: judging ends and reads nothing
// outside; only a reply with our ID and question passes; what passes over TCP
// is well-formed all the way through; required flags are there; and whatever it
// is can be shown as lines of printable text, and read as dig reads it.
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "dns/dig_message.h"
#include "dns/present.h"
#include "dns/reply.h"

namespace {

using namespace dnsdirector;

constexpr std::uint16_t id = 0x1234;

constexpr std::uint16_t required_flags = core::header_flag::aa | core::header_flag::ad;

core::DnsCheck check_of(std::uint8_t choice, std::uint8_t more) {
    static constexpr struct {
        std::uint16_t type;
        const char* answer;
    } types[] = {{1, "198.51.100.80"},
                 {6, "ns.example.com. host.example.com. 1 2 3 4 5"},
                 {15, "10 mail.example.com."},
                 {16, "\"hello\""}};
    core::DnsCheck check;
    check.name = "www.example.com";
    const auto& [type, answer] = types[choice & 3U];
    check.type = type;
    if ((choice & 4U) != 0) check.expect_answers = {answer};
    if ((choice & 8U) != 0) check.expect_rcode = 0;
    check.fail_on = {2, 5};
    check.match = static_cast<core::AnswerMatch>(more & 3U);
    if (check.match == core::AnswerMatch::pattern && !check.expect_answers.empty())
        check.expect_answers = {"[.]80$|mail|hello"};
    if ((more & 4U) != 0) check.required_flags = required_flags;
    if ((more & 8U) != 0) check.min_answers = 2;
    if ((more & 16U) != 0) check.edns = core::Edns{.dnssec_ok = true};
    check.on_truncated = static_cast<core::OnTruncated>((choice >> 4) % 3);
    return check;
}

struct Prepared {
    dns::Query query;
    dns::Criteria criteria;
};

const Prepared& prepared(std::uint8_t choice, std::uint8_t more) {
    static const std::vector<Prepared> all = [] {
        std::vector<Prepared> made;
        for (unsigned value = 0; value < 64 * 32; ++value) {
            const core::DnsCheck check = check_of(static_cast<std::uint8_t>(value & 63U),
                                                  static_cast<std::uint8_t>(value >> 6));
            made.push_back({dns::Query::make(check).value(), dns::Criteria::make(check).value()});
        }
        return made;
    }();
    return all[(choice & 63U) + 64U * (more & 31U)];
}

void require(bool held) {
    if (!held) std::abort();
}

const dns::DigQuery& dig_query() {
    static const dns::DigQuery query = [] {
        core::DigCheck check;
        check.name = "www.example.com.";
        dns::DigQuery made = dns::DigQuery::make(check).value();
        made.set_id(id);
        return made;
    }();
    return query;
}

/// What dig makes of it: with another ID nothing; a cookie is one that may be sent.
void read_as_dig(const std::vector<std::uint8_t>& reply, bool heed) {
    const dns::DigRead read = dns::read_as_dig(reply, dig_query(), heed, heed);
    using dns::DigReading;
    const bool ours = reply.size() >= dns::header_size && dns::read16(reply, 0) == id;
    require((read.reading == DigReading::not_it) == !ours);
    require(heed ||
            (read.reading != DigReading::truncated && read.reading != DigReading::bad_cookie));
    const std::size_t size = read.cookie.size();
    require(size == 0 || size == 8 || (size >= 16 && size <= 40));
    require(read.reading != DigReading::bad_cookie || size != 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const Prepared& check = prepared(data[0], data[1]);
    const Protocol transport = (data[0] & 64U) != 0 ? Protocol::tcp : Protocol::udp;
    // A copy of exact size, so that reading one byte too far is seen.
    const std::vector<std::uint8_t> reply(data + 2, data + size);
    const dns::Judged judged = dns::judge(reply, check.query, id, check.criteria, transport);

    read_as_dig(reply, transport == Protocol::udp);
    const std::string shown = dns::in_dig_form(reply);
    require(shown.ends_with('\n') && shown.find('\0') == std::string::npos &&
            shown.find('\x1B') == std::string::npos);

    using dns::Judgement;
    require((judged.judgement == Judgement::fail || judged.judgement == Judgement::ignore) ==
            !judged.reason.empty());
    if (judged.judgement == Judgement::ignore) return 0;
    require(reply.size() >= 2 && dns::read16(reply, 0) == id);
    if (judged.judgement == Judgement::fail) return 0;
    require(judged.rcode.has_value() && (reply[2] & 0x80) != 0);
    if (judged.judgement == Judgement::pass && (data[1] & 4U) != 0)
        require((dns::read16(reply, 2) & required_flags) == required_flags);
    if (transport == Protocol::tcp) require(judged.judgement == Judgement::pass);
    // Cut anywhere in the header or question it is no pass.
    const std::size_t questions = dns::read16(reply, 4);
    const std::size_t least = dns::header_size + questions * check.query.question().size();
    require(reply.size() >= least);
    const std::span<const std::uint8_t> cut = std::span(reply).first(least - 1);
    require(dns::judge(cut, check.query, id, check.criteria, transport).judgement !=
            Judgement::pass);
    return 0;
}
