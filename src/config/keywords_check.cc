// SPDX-License-Identifier: Apache-2.0
//
// The native form: `check`, within a cluster or by name at top level.
#include <algorithm>
#include <chrono>

#include "config/keywords.h"

namespace dnsdirector::config {
namespace {

using namespace std::chrono_literals;

CheckDraft& check(const Call& call) {
    return *call.current.check;
}

void start_check(const Call& call, std::vector<CheckDraft>& checks) {
    CheckDraft& draft = checks.emplace_back();
    draft.position = draft.every_at = call.arguments.position;
    call.current.check = &draft;
}

void open_named_check(const Call& call) {
    start_check(call, call.current.drafts.checks);
    check(call).name = call.arguments.text;
}

void open_cluster_check(const Call& call) {
    start_check(call, call.current.cluster().checks);
    check(call).reference = call.arguments.text;
    if (!check(call).reference.empty()) check(call).position = call.arguments.argument_at;
}

/// Reads what depends on another keyword of the block, in whatever order they stood.
void finish_check(const Call& call, bool faulty) {
    CheckDraft& draft = check(call);
    draft.faulty = faulty;
    if (faulty) return;
    for (const Placed<std::vector<std::string>>& expected : draft.expect_answers) {
        const std::vector<std::string_view> words(expected.value.begin(), expected.value.end());
        auto data = parse_rdata(draft.question.type, words);
        if (!data)
            call.diagnostics.error(expected.position, "expect answer: {}", data.error().message);
        else if (std::find(draft.answers.begin(), draft.answers.end(), *data) !=
                 draft.answers.end())
            call.diagnostics.error(expected.position, "expect answer: {} is given twice", *data);
        else
            draft.answers.push_back(std::move(*data));
        draft.faulty = draft.faulty || !data;
    }
    if (draft.expect_rcode && draft.fail_on) {
        const auto& failing = draft.fail_on->value;
        if (std::find(failing.begin(), failing.end(), draft.expect_rcode->value) != failing.end())
            call.diagnostics.error(
                draft.expect_rcode->position,
                "expect rcode: fail_on at {} has the same status, so no reply would pass",
                call.diagnostics.where(draft.fail_on->position));
    }
    const core::CheckTiming& timing = draft.timing;
    if (timing.timeout * timing.tries > timing.every)
        call.diagnostics.warning(draft.every_at,
                                 "a round of this check may take {} (timeout {} × tries {}), "
                                 "longer than every {}; the next "
                                 "round then waits for its end",
                                 to_text(timing.timeout * timing.tries), to_text(timing.timeout),
                                 timing.tries, to_text(timing.every));
}

void finish_cluster_check(const Call& call, bool faulty) {
    CheckDraft& draft = check(call);
    const bool has_body = call.arguments.has_block;
    if (!draft.reference.empty() && has_body) {
        call.diagnostics.error(
            draft.position,
            "a check of a cluster is either a block without a name or the name of a "
            "check declared at top level; remove `{}` or the block",
            draft.reference);
        draft.faulty = true;
        return;
    }
    if (draft.reference.empty() && !has_body && !faulty) {
        call.diagnostics.error(draft.position,
                               "check needs a block {{ … }} or the name of a check behind it");
        faulty = true;
    }
    draft.faulty = faulty;
    if (has_body) finish_check(call, faulty);
}

void expect(const Call& call) {
    CheckDraft& draft = check(call);
    const bool rcode = call.arguments.choices.front() == 0;
    if (!rcode) {
        draft.expect_answers.push_back({call.arguments.texts, call.arguments.argument_at});
        return;
    }
    if (draft.expect_rcode)
        call.diagnostics.error(call.arguments.position,
                               "expect rcode is given a second time; the first is at {}",
                               call.diagnostics.where(draft.expect_rcode->position));
    draft.expect_rcode = {call.arguments.statuses.front(), call.arguments.argument_at};
}

void set_transports(const Call& call) {
    check(call).transports = {};
    for (const std::size_t choice : call.arguments.choices)
        check(call).transports[choice] = true;  // the choices are in the order of Protocol
}

void add_sources(const Call& call) {
    if (!check(call).source_at) check(call).source_at = call.arguments.argument_at;
    for (const Placed<IpAddress>& address : call.arguments.addresses) {
        auto& place = check(call).source[index(address.value.family())];
        if (address.value.is_unspecified() || address.value.is_multicast())
            call.diagnostics.error(
                address.position,
                "source: {} cannot be sent from; write an address of this machine, "
                "or leave source out",
                address.value.to_string());
        else if (place)
            call.diagnostics.error(address.position,
                                   "source: one {} address is enough, and {} is given already",
                                   to_string(address.value.family()), place->to_string());
        else
            place = address.value;
    }
}

const Keyword keywords[] = {
    {.in = Block::dns_cluster,
     .name = "check",
     .kind = Kind::optional_name,
     .help = "A question that every server of the cluster must answer; of several all must pass. "
             "`check NAME` uses one declared at top level",
     .repeats = true,
     .opens = Block::check,
     .block_optional = true,
     .handle = open_cluster_check,
     .finish = finish_cluster_check},
    {.in = Block::top,
     .name = "check",
     .kind = Kind::name,
     .help = "A check for several clusters, which use it by `check NAME`",
     .repeats = true,
     .opens = Block::check,
     .handle = open_named_check,
     .finish = finish_check},
    {.in = Block::check,
     .name = "query",
     .kind = Kind::question,
     .help = "What is asked; the class is IN unless named",
     .required = true,
     .handle = [](const Call& c) { check(c).question = c.arguments.question; }},
    {.in = Block::check,
     .name = "every",
     .kind = Kind::duration,
     .help = "From the start of a round to the start of the next",
     .standard = "1s",
     .minimum = Nanoseconds{50ms}.count(),
     .maximum = Nanoseconds{24h}.count(),
     .handle =
         [](const Call& c) {
             check(c).timing.every = c.arguments.duration;
             check(c).every_at = c.arguments.position;
         }},
    {.in = Block::check,
     .name = "timeout",
     .kind = Kind::duration,
     .help = "How long one try waits for its reply",
     .standard = "500ms",
     .minimum = Nanoseconds{1ms}.count(),
     .maximum = Nanoseconds{1min}.count(),
     .handle = [](const Call& c) { check(c).timing.timeout = c.arguments.duration; }},
    {.in = Block::check,
     .name = "tries",
     .kind = Kind::number,
     .help = "How often a round asks until there is a reply",
     .standard = "2",
     .minimum = 1,
     .maximum = 10,
     .handle =
         [](const Call& c) {
             check(c).timing.tries = static_cast<std::uint32_t>(c.arguments.number);
         }},
    {.in = Block::check,
     .name = "rise",
     .kind = Kind::number,
     .help = "Passed rounds in a row until the server is up",
     .standard = "2",
     .minimum = 1,
     .maximum = 1000,
     .handle =
         [](const Call& c) {
             check(c).timing.rise = static_cast<std::uint32_t>(c.arguments.number);
         }},
    {.in = Block::check,
     .name = "fall",
     .kind = Kind::number,
     .help = "Failed rounds in a row until the server is down",
     .standard = "2",
     .minimum = 1,
     .maximum = 1000,
     .handle =
         [](const Call& c) {
             check(c).timing.fall = static_cast<std::uint32_t>(c.arguments.number);
         }},
    {.in = Block::check,
     .name = "fail_on",
     .kind = Kind::statuses,
     .help = "Statuses that are failures; one that is expected is not among them by default",
     .standard = "SERVFAIL REFUSED",
     .handle =
         [](const Call& c) { check(c).fail_on = {c.arguments.statuses, c.arguments.argument_at}; }},
    {.in = Block::check,
     .name = "expect",
     .kind = Kind::expectation,
     .help = "`rcode`: the one status that passes. `answer`: record data that must be among the "
             "answers; given several times, one of them must",
     .choices = "rcode answer",
     .repeats = true,
     .handle = expect},
    {.in = Block::check,
     .name = "transport",
     .kind = Kind::some_of,
     .help = "How the question is sent; UDP services follow the UDP result, TCP services the TCP "
             "result",
     .standard = "udp tcp",
     .choices = "udp tcp",
     .handle = set_transports},
    {.in = Block::check,
     .name = "source",
     .kind = Kind::addresses,
     .help = "The address that questions come from, one for each family at most; a family without "
             "one leaves it to the kernel",
     .repeats = true,
     .handle = add_sources},
    {.in = Block::check,
     .name = "on_truncated",
     .kind = Kind::one_of,
     .help = "What a truncated reply over UDP means: `tcp` asks again over TCP",
     .standard = "tcp",
     .choices = "tcp pass fail",
     .handle =
         [](const Call& c) {
             check(c).on_truncated = static_cast<core::OnTruncated>(c.arguments.choices.front());
         }},
    {.in = Block::check,
     .name = "recursion",
     .kind = Kind::flag,
     .help = "Whether the question desires recursion (RD); `off` for authoritative servers",
     .standard = "on",
     .handle = [](const Call& c) { check(c).recursion = c.arguments.flag; }},
    {.in = Block::check,
     .name = "port",
     .kind = Kind::number,
     .help = "Where the question goes",
     .standard = "the real server's port",
     .minimum = 1,
     .maximum = 65535,
     .handle =
         [](const Call& c) { check(c).port = static_cast<std::uint16_t>(c.arguments.number); }},
};

}  // namespace

std::span<const Keyword> check_keywords() {
    return keywords;
}

}  // namespace dnsdirector::config
