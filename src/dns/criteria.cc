// SPDX-License-Identifier: Apache-2.0
#include "dns/criteria.h"

#include <ldns/ldns.h>
#include <re2/re2.h>

#include <algorithm>
#include <memory>

#include "core/mnemonics.h"
#include "dns/message.h"

namespace dnsdirector::dns {
namespace {

struct RrDelete {
    void operator()(ldns_rr* rr) const { ldns_rr_free(rr); }
};

/// Record data in wire form. ldns reads whole records, so one is made up around
/// them; the type goes in RFC 3597's form where it has no name.
Result<std::vector<std::uint8_t>> parse_rdata(std::uint16_t type, const std::string& text) {
    // A line break would begin another record, and ldns would drop it silently.
    if (text.find_first_of("\r\n") != std::string::npos || text.empty())
        return fail("\"{}\" is no record data", text);
    const std::string line = ". 0 IN " + core::type_name(type) + " " + text;
    ldns_rr* raw = nullptr;
    const ldns_status status = ldns_rr_new_frm_str(&raw, line.c_str(), 0, nullptr, nullptr);
    const std::unique_ptr<ldns_rr, RrDelete> rr(raw);
    if (status != LDNS_STATUS_OK || !rr)
        return fail("expected answer \"{}\" is no data of a {} record: {}", text,
                    core::type_name(type), ldns_get_errorstr_by_id(status));
    std::vector<std::uint8_t> wire;
    for (std::size_t index = 0; index < ldns_rr_rd_count(rr.get()); ++index) {
        const ldns_rdf* field = ldns_rr_rdf(rr.get(), index);
        const std::uint8_t* data = ldns_rdf_data(field);
        wire.insert(wire.end(), data, data + ldns_rdf_size(field));
    }
    make_canonical(type, wire);
    return wire;
}

constexpr std::size_t longest_text = 200;  ///< of all that is expected, in bytes

/// What is expected, as a reason says it.
std::string expected_text(const core::DnsCheck& check) {
    std::string text;
    switch (check.match) {
        case core::AnswerMatch::any: text = joined(check.expect_answers, " or "); break;
        case core::AnswerMatch::all: text = joined(check.expect_answers, " and "); break;
        case core::AnswerMatch::exactly:
            text = "exactly " + joined(check.expect_answers, " and ");
            break;
        case core::AnswerMatch::pattern:
            text = "what matches \"" + check.expect_answers.front() + "\"";
            break;
    }
    return text.size() > longest_text ? text.substr(0, longest_text) + "…" : text;
}

Result<std::shared_ptr<const RE2>> parse_pattern(const core::DnsCheck& check) {
    if (check.expect_answers.size() != 1)
        return fail("a pattern is one regular expression, not {}", check.expect_answers.size());
    const std::string& text = check.expect_answers.front();
    auto pattern = std::make_shared<const RE2>(text, RE2::Quiet);
    if (!pattern->ok()) return fail("\"{}\" is no regular expression: {}", text, pattern->error());
    return pattern;
}

}  // namespace

std::string joined(const std::vector<std::string>& words, std::string_view last) {
    std::string text;
    for (std::size_t index = 0; index < words.size(); ++index) {
        if (index > 0) text += index + 1 == words.size() ? last : ", ";
        text += words[index];
    }
    return text;
}

Result<Criteria> Criteria::make(const core::DnsCheck& check) {
    constexpr std::uint16_t any = 255;
    Criteria criteria;
    criteria.type = check.type;
    criteria.klass = check.klass;
    criteria.transport = check.transport;
    criteria.on_truncated = check.on_truncated;
    criteria.fail_on = check.fail_on;
    std::ranges::sort(criteria.fail_on);
    criteria.expect_rcode = check.expect_rcode;
    criteria.match = check.match;
    criteria.required_flags = check.required_flags;
    criteria.min_answers = check.min_answers;
    if (check.expect_answers.empty()) return criteria;
    criteria.answers_text = expected_text(check);
    if (check.match == core::AnswerMatch::pattern) {
        Result<std::shared_ptr<const RE2>> pattern = parse_pattern(check);
        if (!pattern) return tl::unexpected(pattern.error());
        criteria.pattern = std::move(*pattern);
        return criteria;
    }
    if (check.type == any) return fail("an expected answer needs a question of one type, not ANY");
    for (const std::string& text : check.expect_answers) {
        Result<std::vector<std::uint8_t>> wire = parse_rdata(check.type, text);
        if (!wire) return tl::unexpected(wire.error());
        criteria.answers.push_back(std::move(*wire));
    }
    return criteria;
}

}  // namespace dnsdirector::dns
