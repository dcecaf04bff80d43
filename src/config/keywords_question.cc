// SPDX-License-Identifier: Apache-2.0
#include "config/keywords_question.h"

#include <re2/re2.h>

#include <algorithm>
#include <chrono>

#include "config/keywords_check.h"

namespace dnsdirector::config {
namespace {

QuestionDraft& question(const Call& call) {
    return call.keyword.in == Block::dns_check ? call.current.compatible_check().question
                                               : call.current.check->question;
}

void add_query(const Call& call) {
    if (call.keyword.in == Block::check && !set_kind(call, core::DnsCheck{})) return;
    question(call).queries.push_back({call.arguments.question, call.arguments.argument_at});
}

void expect(const Call& call) {
    QuestionDraft& draft = question(call);
    const std::size_t what = call.arguments.choices.front();
    if (what != 0) {
        // The choices behind `rcode` are in this order.
        static constexpr core::AnswerMatch matches[] = {
            core::AnswerMatch::any, core::AnswerMatch::all, core::AnswerMatch::exactly,
            core::AnswerMatch::pattern};
        draft.expected.push_back(
            {matches[what - 1], call.arguments.texts, call.arguments.argument_at});
        return;
    }
    if (draft.expect_rcode)
        call.diagnostics.error(call.arguments.position,
                               "expect rcode is given a second time; the first is at {}",
                               call.diagnostics.where(draft.expect_rcode->position));
    draft.expect_rcode = {call.arguments.statuses.front(), call.arguments.argument_at};
}

void set_transports(const Call& call) {
    question(call).transports = {};
    for (const std::size_t choice : call.arguments.choices)
        question(call).transports[choice] = true;  // the choices are in the order of Transport
}

void set_flags(const Call& call) {
    static constexpr std::uint16_t bits[] = {core::header_flag::aa, core::header_flag::ad,
                                             core::header_flag::ra};
    for (const std::size_t choice : call.arguments.choices)
        question(call).required_flags |= bits[choice];
}

void set_edns(const Call& call) {
    question(call).edns =
        core::Edns{static_cast<std::uint16_t>(call.arguments.number), call.arguments.flag};
}

/// The words of `expect` for an error message.
std::string_view word_of(core::AnswerMatch match) {
    switch (match) {
        case core::AnswerMatch::any: return "answer";
        case core::AnswerMatch::all: return "all";
        case core::AnswerMatch::exactly: return "exactly";
        case core::AnswerMatch::pattern: return "pattern";
    }
    return "";
}

bool read_pattern(QuestionDraft& draft, const QuestionDraft::Expected& expected,
                  Diagnostics& diagnostics) {
    if (expected.words.size() != 1 || !draft.answers.empty()) {
        diagnostics.error(
            expected.position,
            "expect pattern: one regular expression in quotes is enough; join several "
            "by |");
        return false;
    }
    const RE2 pattern(expected.words.front(), RE2::Quiet);
    if (!pattern.ok()) {
        diagnostics.error(expected.position, "expect pattern: `{}` is no regular expression: {}",
                          expected.words.front(), pattern.error());
        return false;
    }
    draft.answers.push_back(expected.words.front());
    return true;
}

bool read_answer(QuestionDraft& draft, const QuestionDraft::Expected& expected, std::uint16_t type,
                 Diagnostics& diagnostics) {
    const std::vector<std::string_view> words(expected.words.begin(), expected.words.end());
    auto data = parse_rdata(type, words);
    if (!data) {
        diagnostics.error(expected.position, "expect {}: {}", word_of(expected.match),
                          data.error().message);
        return false;
    }
    if (std::find(draft.answers.begin(), draft.answers.end(), *data) != draft.answers.end()) {
        diagnostics.error(expected.position, "expect {}: {} is given twice",
                          word_of(expected.match), *data);
        return false;
    }
    draft.answers.push_back(std::move(*data));
    return true;
}

bool read_expected(QuestionDraft& draft, const std::vector<Placed<Question>>& asked,
                   Diagnostics& diagnostics) {
    bool good = true;
    for (const QuestionDraft::Expected& expected : draft.expected) {
        if (expected.match != draft.expected.front().match) {
            diagnostics.error(expected.position,
                              "expect {}: the answers of a check are judged in one way, and "
                              "`expect {}` at {} is another; write a check for each",
                              word_of(expected.match), word_of(draft.expected.front().match),
                              diagnostics.where(draft.expected.front().position));
            return false;
        }
        draft.match = expected.match;
        const bool read = expected.match == core::AnswerMatch::pattern
                              ? read_pattern(draft, expected, diagnostics)
                              : read_answer(draft, expected, asked.front().value.type, diagnostics);
        good = good && read;
    }
    const auto other_type = std::find_if(asked.begin(), asked.end(), [&](const auto& query) {
        return query.value.type != asked.front().value.type;
    });
    if (good && !draft.answers.empty() && draft.match != core::AnswerMatch::pattern &&
        other_type != asked.end()) {
        diagnostics.error(other_type->position,
                          "query: the expected answers are those of one type, and the queries of "
                          "this check have several; write a check for each");
        return false;
    }
    return good;
}

bool judge_queries(const QuestionDraft& draft, const std::vector<Placed<Question>>& asked,
                   Diagnostics& diagnostics) {
    bool good = true;
    if (draft.required && draft.required->value > asked.size()) {
        diagnostics.error(draft.required->position, "require {}: this check has fewer queries, {}",
                          draft.required->value, asked.size());
        good = false;
    }
    // The random label has up to 63 octets and its length.
    for (const Placed<Question>& query : asked)
        if (draft.random_label && query.value.name.size() > 255 - 64) {
            diagnostics.error(query.position,
                              "query: the name is too long for random_label, which puts a label in "
                              "front of it");
            good = false;
        }
    return good;
}

constexpr std::string_view only_query = "query";

std::vector<Keyword> make_keywords(Block in) {
    using std::chrono::milliseconds;
    using std::chrono::minutes;
    const bool native = in == Block::check;
    return {
        {.in = in,
         .name = "query",
         .kind = Kind::question,
         .help = native ? "What is asked; the class is IN unless named. Of several all must pass, "
                          "or as `require` says"
                        : "What is asked instead of type and name; of several all must pass, or as "
                          "`require` says",
         .repeats = true,
         .handle = add_query},
        {.in = in,
         .name = "require",
         .kind = Kind::requirement,
         .help = "How many of several queries must pass",
         .standard = "all",
         .handle =
             [](const Call& c) {
                 question(c).required = {static_cast<std::uint32_t>(c.arguments.number),
                                         c.arguments.argument_at};
             }},
        {.in = in,
         .name = "transport",
         .kind = Kind::some_of,
         .help = native ? "How the question is sent; UDP services follow the UDP result, TCP "
                          "services the results over TCP and TLS (port 853; the certificate is not "
                          "judged)"
                        : "How the question is sent, each a check of its own; TLS asks port 853",
         .standard = native ? "udp tcp" : "udp",
         .choices = "udp tcp tls",
         .handle = set_transports},
        {.in = in,
         .name = "fail_on",
         .kind = Kind::statuses,
         .help = native ? "Statuses that are failures; one that is expected is not among them by "
                          "default"
                        : "Statuses that are failures, instead of all but NOERROR",
         .standard = native ? "SERVFAIL REFUSED" : "",
         .handle =
             [](const Call& c) {
                 question(c).fail_on = {c.arguments.statuses, c.arguments.argument_at};
             }},
        {.in = in,
         .name = "expect",
         .kind = Kind::expectation,
         .help = "`rcode`: the one status that passes. `answer`: record data that must be among "
                 "the answers; given several times, one of them must. `all`: likewise, and each of "
                 "them must. `exactly`: these and no others. `pattern`: a regular expression (RE2, "
                 "in quotes) that must match within one answer's data",
         .standard = native ? "" : "rcode NOERROR",
         .choices = "rcode answer all exactly pattern",
         .repeats = true,
         .handle = expect},
        {.in = in,
         .name = "min_answers",
         .kind = Kind::number,
         .help = "The least number of answers of the asked type",
         .standard = "0",
         .minimum = 0,
         .maximum = 65535,
         .handle =
             [](const Call& c) {
                 question(c).min_answers = static_cast<std::uint16_t>(c.arguments.number);
             }},
        {.in = in,
         .name = "flags",
         .kind = Kind::some_of,
         .help = "Header flags that the reply must carry: authoritative, authentic data, recursion "
                 "available",
         .choices = "aa ad ra",
         .handle = set_flags},
        {.in = in,
         .name = "max_time",
         .kind = Kind::duration,
         .help = "A reply that takes longer fails, right or not",
         .standard = "the timeout",
         .minimum = Nanoseconds{milliseconds{1}}.count(),
         .maximum = Nanoseconds{minutes{1}}.count(),
         .handle = [](const Call& c) { question(c).max_time = c.arguments.duration; }},
        {.in = in,
         .name = "edns",
         .kind = Kind::edns,
         .help = "Asks with EDNS, this buffer size in bytes, and with `do` for DNSSEC records",
         .standard = "without EDNS",
         .minimum = 512,
         .maximum = 65535,
         .handle = set_edns},
        {.in = in,
         .name = "random_label",
         .kind = Kind::flag,
         .help = "A new random label in front of the name each time, so that no cache knows the "
                 "answer",
         .standard = "off",
         .handle = [](const Call& c) { question(c).random_label = c.arguments.flag; }},
        {.in = in,
         .name = "recursion",
         .kind = Kind::flag,
         .help = "Whether the question desires recursion (RD); `off` for authoritative servers",
         .standard = "on",
         .handle = [](const Call& c) { question(c).recursion = c.arguments.flag; }},
        {.in = in,
         .name = "on_truncated",
         .kind = Kind::one_of,
         .help = "What a truncated reply over UDP means: `tcp` asks again over TCP",
         .standard = native ? "tcp" : "pass",
         .choices = "tcp pass fail",
         .handle =
             [](const Call& c) {
                 question(c).on_truncated =
                     static_cast<core::OnTruncated>(c.arguments.choices.front());
             }},
    };
}

}  // namespace

std::vector<Keyword> question_keywords(Block in) {
    std::vector<Keyword> keywords = make_keywords(in);
    if (in == Block::check)
        for (Keyword& keyword : keywords)
            if (keyword.name != only_query) keyword.goes_with = only_query;
    return keywords;
}

bool finish_question(QuestionDraft& draft, const std::vector<Placed<Question>>& asked,
                     Diagnostics& diagnostics) {
    bool good = read_expected(draft, asked, diagnostics);
    good = judge_queries(draft, asked, diagnostics) && good;
    if (draft.expect_rcode && draft.fail_on) {
        const auto& failing = draft.fail_on->value;
        if (std::find(failing.begin(), failing.end(), draft.expect_rcode->value) != failing.end())
            diagnostics.error(
                draft.expect_rcode->position,
                "expect rcode: fail_on at {} has the same status, so no reply would pass",
                diagnostics.where(draft.fail_on->position));
    }
    return good;
}

}  // namespace dnsdirector::config
