// SPDX-License-Identifier: Apache-2.0
#include "dns/answers.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <vector>

#include "core/mnemonics.h"
#include "dns/present.h"
#include "dns/query.h"

namespace dnsdirector::dns {
namespace {

constexpr std::uint16_t any = 255;          ///< as TYPE and as CLASS (RFC 1035, 3.2.3 and 3.2.5)
constexpr std::size_t longest_shown = 120;  ///< of one record's data, in bytes of text
constexpr std::size_t most_shown = 4;       ///< records in a reason
constexpr std::size_t longest_matched = 4 * max_message;  ///< every byte escaped as \DDD

/// Calls `take(record)` for each record that was asked for, until it says true;
/// whether it did.
template <typename Take>
bool any_answer(Bytes reply, std::size_t at, const Criteria& criteria, Take take) {
    const unsigned count = read16(reply, 6);
    for (unsigned index = 0; index < count; ++index) {
        const std::optional<Record> record = read_record(reply, at);
        if (!record) return false;
        const bool asked = (criteria.type == any || record->type == criteria.type) &&
                           (criteria.klass == any || record->klass == criteria.klass);
        if (asked && take(*record)) return true;
    }
    return false;
}

bool as_expected(Bytes reply, std::size_t at, const Criteria& criteria) {
    const auto present = [&](const std::vector<std::uint8_t>& expected) {
        return any_answer(reply, at, criteria, [&](const Record& record) {
            return rdata_equals(reply, record, expected);
        });
    };
    const auto unexpected = [&](const Record& record) {
        return std::ranges::none_of(criteria.answers, [&](const auto& expected) {
            return rdata_equals(reply, record, expected);
        });
    };
    switch (criteria.match) {
        case core::AnswerMatch::any: return std::ranges::any_of(criteria.answers, present);
        case core::AnswerMatch::all: return std::ranges::all_of(criteria.answers, present);
        case core::AnswerMatch::exactly:
            return std::ranges::all_of(criteria.answers, present) &&
                   !any_answer(reply, at, criteria, unexpected);
        case core::AnswerMatch::pattern: break;
    }
    return any_answer(reply, at, criteria, [&](const Record& record) {
        return RE2::PartialMatch(rdata_text(reply, record, longest_matched), *criteria.pattern);
    });
}

/// "192.0.2.1", "192.0.2.1 and 192.0.2.2", "192.0.2.1, 192.0.2.2 and 7 more";
/// sorted, since servers turn the order.
std::string got(Bytes reply, std::size_t at, std::uint16_t rcode, const Criteria& criteria) {
    std::vector<std::string> all;
    any_answer(reply, at, criteria, [&](const Record& record) {
        all.push_back(rdata_text(reply, record, longest_shown));
        return false;
    });
    if (all.empty())
        return rcode != 0 ? core::rcode_name(rcode)
                          : fmt::format("no {} record", core::type_name(criteria.type));
    std::ranges::sort(all);
    if (all.size() > most_shown) {
        const std::size_t more = all.size() - most_shown + 1;
        all.resize(most_shown - 1);
        all.push_back(fmt::format("{} more", more));
    }
    return joined(all, " and ");
}

std::uint32_t count_answers(Bytes reply, std::size_t at, const Criteria& criteria) {
    std::uint32_t count = 0;
    any_answer(reply, at, criteria, [&](const Record&) { return ++count, false; });
    return count;
}

}  // namespace

std::string trouble_with_answers(Bytes reply, std::size_t answers, std::uint16_t rcode,
                                 const Criteria& criteria) {
    const bool compares = !criteria.answers.empty() || criteria.pattern;
    if (compares && !as_expected(reply, answers, criteria))
        return fmt::format("wrong answer: got {}, expected {}",
                           got(reply, answers, rcode, criteria), criteria.answers_text);
    if (criteria.min_answers == 0) return {};
    const std::uint32_t count = count_answers(reply, answers, criteria);
    if (count >= criteria.min_answers) return {};
    return fmt::format("{} answer{}{}, at least {} expected", count, count == 1 ? "" : "s",
                       rcode != 0 ? fmt::format(" ({})", core::rcode_name(rcode)) : "",
                       criteria.min_answers);
}

}  // namespace dnsdirector::dns
