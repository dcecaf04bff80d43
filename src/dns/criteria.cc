// SPDX-License-Identifier: Apache-2.0
#include "dns/criteria.h"

#include <ldns/ldns.h>

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

}  // namespace

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
    if (!check.expect_answers.empty() && check.type == any)
        return fail("an expected answer needs a question of one type, not ANY");
    for (const std::string& text : check.expect_answers) {
        Result<std::vector<std::uint8_t>> wire = parse_rdata(check.type, text);
        if (!wire) return tl::unexpected(wire.error());
        criteria.answers.push_back(std::move(*wire));
        if (!criteria.answers_text.empty()) criteria.answers_text += " or ";
        criteria.answers_text += text;
    }
    return criteria;
}

}  // namespace dnsdirector::dns
