// SPDX-License-Identifier: Apache-2.0
#include "dns/reply.h"

#include <algorithm>

#include "core/mnemonics.h"
#include "dns/answers.h"

namespace dnsdirector::dns {
namespace {

constexpr std::uint8_t flag_response = 0x80, mask_opcode = 0x78, flag_truncated = 0x02;
constexpr std::uint16_t type_opt = 41;
constexpr const char* section_names[] = {"answer", "authority", "additional"};

template <typename... Args>
Judged malformed(fmt::format_string<Args...> format, Args&&... args) {
    return {Judgement::fail,
            "malformed reply: " + fmt::format(format, std::forward<Args>(args)...),
            {}};
}

enum class Asked { ours, other, broken };

Asked compare_question(Bytes reply, Bytes question) {
    if (begins_with_question(reply, question)) return Asked::ours;
    constexpr std::size_t type_and_class = 4;
    const std::optional<std::size_t> end = skip_name(reply, header_size);
    return end && *end + type_and_class <= reply.size() ? Asked::other : Asked::broken;
}

/// All sections from `at` on, completing `rcode`; a reason when the message is broken.
std::string walk_sections(Bytes reply, std::size_t at, std::uint16_t& rcode) {
    for (std::size_t section = 0; section < 3; ++section) {
        const unsigned count = read16(reply, 6 + 2 * section);
        for (unsigned index = 0; index < count; ++index) {
            const std::optional<Record> record = read_record(reply, at);
            if (!record)
                return fmt::format(
                    "record {} of {} in the {} section is cut off or its name broken", index + 1,
                    count, section_names[section]);
            if (!rdata_is_sound(reply, *record))
                return fmt::format("data of record {} in the {} section are no {}", index + 1,
                                   section_names[section], core::type_name(record->type));
            // The upper eight bits of an extended RCODE (RFC 6891, 6.1.3).
            if (section == 2 && record->type == type_opt)
                rcode = static_cast<std::uint16_t>(rcode | record->ttl >> 24 << 4);
        }
    }
    return {};
}

/// Names of the required flags that the header lacks, in words; "" when none.
std::string missing_flags(Bytes reply, std::uint16_t required) {
    constexpr struct {
        std::uint16_t bit;
        const char* without;
    } flags[] = {{core::header_flag::aa, "not authoritative"},
                 {core::header_flag::ra, "recursion not available (RA missing)"},
                 {core::header_flag::ad, "answer not authenticated (AD missing)"}};
    const unsigned missing = required & ~unsigned{read16(reply, 2)};
    std::string text;
    for (const auto& [bit, without] : flags)
        if ((missing & bit) != 0) text += fmt::format("{}{}", text.empty() ? "" : ", ", without);
    return text;
}

/// What the header says, which can be relied upon in a truncated message, too.
Judged judge_header(Bytes reply, std::uint16_t rcode, const Criteria& criteria) {
    if (criteria.expect_rcode && rcode != *criteria.expect_rcode)
        return {Judgement::fail,
                fmt::format("rcode {}, expected {}", core::rcode_name(rcode),
                            core::rcode_name(*criteria.expect_rcode)),
                rcode};
    if (std::ranges::binary_search(criteria.fail_on, rcode))
        return {Judgement::fail, core::rcode_name(rcode), rcode};
    if (std::string missing = missing_flags(reply, criteria.required_flags); !missing.empty())
        return {Judgement::fail, std::move(missing), rcode};
    return {Judgement::pass, {}, rcode};
}

Judged judge_truncated(Bytes reply, std::uint16_t rcode, const Criteria& criteria) {
    switch (criteria.on_truncated) {
        case core::OnTruncated::ask_over_tcp: return {Judgement::truncated, {}, rcode};
        case core::OnTruncated::fail: return {Judgement::fail, "truncated", rcode};
        case core::OnTruncated::pass: break;
    }
    return judge_header(reply, rcode, criteria);
}

Judged judge_whole(Bytes reply, std::size_t records, std::uint16_t rcode,
                   const Criteria& criteria) {
    if (const std::string broken = walk_sections(reply, records, rcode); !broken.empty())
        return malformed("{}", broken);
    Judged judged = judge_header(reply, rcode, criteria);
    if (judged.judgement != Judgement::pass) return judged;
    if (std::string trouble = trouble_with_answers(reply, records, rcode, criteria);
        !trouble.empty())
        return {Judgement::fail, std::move(trouble), rcode};
    return judged;
}

}  // namespace

Judged judge(Bytes reply, const Query& query, std::uint16_t id, const Criteria& criteria,
             Protocol transport) {
    if (reply.size() < 2) return {Judgement::ignore, "not a reply", {}};
    if (read16(reply, 0) != id) return {Judgement::ignore, "wrong ID", {}};
    if (reply.size() < header_size)
        return malformed("{} bytes, and a header has {}", reply.size(), header_size);
    if ((reply[2] & flag_response) == 0 || (reply[2] & mask_opcode) != 0)
        return {Judgement::ignore, "not a reply", {}};

    const std::uint16_t rcode = reply[3] & 0x0F;
    const unsigned questions = read16(reply, 4);
    std::size_t records = header_size;
    if (questions == 1) {
        const Asked asked = compare_question(reply, query.question());
        if (asked == Asked::other) return {Judgement::ignore, "wrong question", {}};
        if (asked == Asked::broken) return malformed("the question is cut off or broken");
        records += query.question().size();
    } else if (questions > 1 || rcode == 0) {
        return malformed("{} questions in it instead of ours", questions);
    }
    // Of a truncated message only header and question can be relied on.
    const bool cut = (reply[2] & flag_truncated) != 0 && transport == Protocol::udp;
    return cut ? judge_truncated(reply, rcode, criteria)
               : judge_whole(reply, records, rcode, criteria);
}

}  // namespace dnsdirector::dns
