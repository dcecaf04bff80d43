// SPDX-License-Identifier: Apache-2.0
#include "config/build_question.h"

namespace dnsdirector::config {
namespace {

constexpr std::uint16_t servfail = 2;
constexpr std::uint16_t refused = 5;

}  // namespace

std::vector<core::DnsCheck> questions_of(const QuestionDraft& draft, Transport transport,
                                         const core::Via& via) {
    core::DnsCheck check;
    check.transport = transport == Transport::udp ? Protocol::udp : Protocol::tcp;
    check.tls = transport == Transport::tls;
    check.via = via;
    check.recursion_desired = draft.recursion;
    check.edns = draft.edns;
    check.random_label = draft.random_label;
    check.on_truncated = draft.on_truncated;
    if (draft.expect_rcode) check.expect_rcode = draft.expect_rcode->value;
    if (draft.fail_on) {
        check.fail_on = draft.fail_on->value;
    } else {
        // The default must not contradict what is expected.
        for (const std::uint16_t status : {servfail, refused})
            if (check.expect_rcode != status) check.fail_on.push_back(status);
    }
    check.match = draft.match;
    check.expect_answers = draft.answers;
    check.required_flags = draft.required_flags;
    check.min_answers = draft.min_answers;
    check.max_time = draft.max_time;
    std::vector<core::DnsCheck> checks;
    for (const Placed<Question>& query : draft.queries) {
        check.name = query.value.name;
        check.type = query.value.type;
        check.klass = query.value.klass;
        checks.push_back(check);
    }
    return checks;
}

void CheckGroup::add_to(core::RealServer& real) const {
    if (required != 0 && required < checks.size())
        real.some_of.push_back({static_cast<std::uint32_t>(real.checks.size()),
                                static_cast<std::uint32_t>(checks.size()), required});
    real.checks.insert(real.checks.end(), checks.begin(), checks.end());
}

}  // namespace dnsdirector::config
