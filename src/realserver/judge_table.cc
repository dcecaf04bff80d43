// SPDX-License-Identifier: Apache-2.0
//
// The translation: our nftables table, and what its counters tell.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "realserver/examination.h"
#include "realserver/table_differences.h"

namespace dnsdirector::realserver {
namespace {

void look_at_rules(const Examination& examination, Opinion& opinion) {
    const std::string& wished = examination.wishes.ruleset;
    if (wished.empty()) return;
    const std::string about = fmt::format("inet {}", table_name);
    const auto& found = examination.actual.table;
    const auto& own = examination.journal.table;
    const auto fail = [&](std::string text) {
        opinion.fail(about, std::move(text), examination.up);
    };
    if (!examination.table_problem.empty()) {
        if (examination.privileged)
            opinion.fail(about, "cannot be read: " + examination.table_problem,
                         "apt install nftables");
        else
            opinion.unknown(about, "can be read by root alone", "run it as root");
        return;
    }
    if (!found) return fail("is not there: nothing is translated to the DNS processes");
    if (!examination.journal_problem.empty())
        return opinion.unknown(about, "is there; nobody knows what it should hold", "");
    if (!own || own->listed.empty()) return fail("is none that `up` has made, or not to the end");
    if (own->ruleset != wished) return fail("does what an older file said");
    const auto differences = table_differences(own->listed, *found);
    if (differences.empty())
        opinion.ok(about, fmt::format("is as `up` made it, with {} rules", rules_in(*found)));
    else
        fail(fmt::format("has been changed: {}", fmt::join(differences, "; ")));
}

struct Count {
    std::uint64_t queries = 0, replies = 0, direct = 0, refused = 0;
};

Count count_of(const Examination& examination, const std::string& process, Protocol protocol) {
    Count count;
    for (const RuleCounter& each : *examination.counters) {
        if (each.process != process || each.protocol != protocol) continue;
        (each.way == Way::queries   ? count.queries
         : each.way == Way::replies ? count.replies
         : each.way == Way::direct  ? count.direct
                                    : count.refused) = each.packets;
    }
    return count;
}

void judge_count(const Count& count, const core::DnsProcess& process, Protocol protocol,
                 Opinion& opinion) {
    // Fewer may be on their way, or clients' of a process that starts.
    constexpr std::uint64_t enough = 10;
    const std::string about = fmt::format("{}, {}", process.name, to_string(protocol));
    const std::string text = fmt::format("{} packets in, {} out, {} asked at its own address",
                                         count.queries, count.replies, count.direct);
    if (count.refused != 0)
        opinion.warn(about,
                     fmt::format("{}; {} were dropped, since too many waited for an answer", text,
                                 count.refused),
                     "have clients ask the first service IP of the family, which needs no memory");
    else if (count.queries == 0)
        opinion.unknown(about,
                        fmt::format("{} has brought nothing for the service IPs since the rules "
                                    "were made",
                                    process.input),
                        "");
    else if (count.queries >= enough && count.replies == 0)
        opinion.fail(about, text + ": the process answers nobody",
                     "see what `answer` and `source` say of it");
    else
        opinion.ok(about, text);
}

void look_at_counters(const Examination& examination, Opinion& opinion) {
    if (!examination.counters || examination.counters->empty()) return;
    for (const core::DnsProcess& process : examination.order.machine.processes)
        for (const Protocol protocol : {Protocol::udp, Protocol::tcp})
            if (examination.order.machine.protocols[static_cast<std::size_t>(protocol)])
                judge_count(count_of(examination, process.name, protocol), process, protocol,
                            opinion);
}

void look_at_tracking(const Examination& examination, Opinion& opinion) {
    if (!examination.tracked) return;
    if (*examination.tracked == 0)
        opinion.ok("", "connection tracking knows no flow to the service IPs");
    else
        opinion.unknown("",
                        fmt::format("connection tracking knows {} flows to the service IPs: they "
                                    "are of before `up`, or came in by no process's input, or from "
                                    "clients that none serves",
                                    *examination.tracked),
                        "");
}

constexpr Judge all_table_judges[] = {
    {"rules", "the nftables table: there, as `up` made it, as the file says", look_at_rules},
    {"counters", "what the rules of each process have seen", look_at_counters},
    {"notrack", "that clients' flows are not in connection tracking", look_at_tracking},
};

}  // namespace

std::span<const Judge> table_judges() {
    return all_table_judges;
}

}  // namespace dnsdirector::realserver
