// SPDX-License-Identifier: Apache-2.0
//
// The native form: `check`, within a cluster or one of its servers, or by name
// at top level. What is asked of DNS stands in keywords_question.cc, the other
// kinds in keywords_check_kinds.cc.
#include <algorithm>
#include <chrono>

#include "config/keywords_check.h"
#include "config/keywords_question.h"

namespace dnsdirector::config {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t ns(Nanoseconds duration) {
    return duration.count();
}

CheckDraft& check(const Call& call) {
    return *call.current.check;
}

void start_check(const Call& call, std::vector<CheckDraft>& checks) {
    CheckDraft& draft = checks.emplace_back();
    draft.position = draft.every_at = call.arguments.position;
    call.current.check = &draft;
    call.current.of_kind.clear();
}

void open_named_check(const Call& call) {
    start_check(call, call.current.drafts.checks);
    check(call).name = call.arguments.text;
}

void open_cluster_check(const Call& call) {
    start_or_use_check(call, call.current.cluster().checks);
}

void open_server_check(const Call& call) {
    start_or_use_check(call, call.current.server().checks);
}

/// What a check does that is told nothing of its times; the numbers of a
/// script bear in mind that each round is a process.
struct Defaults {
    Nanoseconds every;
    Nanoseconds timeout;
    std::uint32_t tries;
    std::uint32_t rise;
    std::uint32_t fall;
};

Defaults defaults_of(const core::Check::What& what) {
    if (std::holds_alternative<core::DnsCheck>(what)) return {1s, 500ms, 2, 2, 2};
    if (std::holds_alternative<core::ScriptCheck>(what)) return {10s, 5s, 1, 2, 2};
    if (std::holds_alternative<core::FileCheck>(what)) return {1s, 1s, 1, 1, 1};
    return {1s, 500ms, 1, 2, 2};
}

void complete_timing(CheckDraft& draft, Diagnostics& diagnostics) {
    const Defaults standard = defaults_of(draft.what);
    core::CheckTiming& timing = draft.timing;
    timing.every = draft.every.value_or(standard.every);
    timing.timeout = draft.timeout.value_or(standard.timeout);
    timing.tries = draft.tries.value_or(standard.tries);
    timing.rise = draft.rise.value_or(standard.rise);
    timing.fall = draft.fall.value_or(standard.fall);
    if (timing.timeout * timing.tries > timing.every)
        diagnostics.finding(
            draft.every_at, "timeout-over-interval",
            fmt::format("a round of this check may take {} (timeout {} × tries {}), longer than "
                        "every {}; the next round then waits for its end",
                        to_text(timing.timeout * timing.tries), to_text(timing.timeout),
                        timing.tries, to_text(timing.every)),
            fmt::format("every {} or more, or shorter timeouts",
                        to_text(timing.timeout * timing.tries)));
}

bool contains_word(std::string_view words, std::string_view word) {
    const std::vector<std::string_view> all = split_words(words);
    return std::find(all.begin(), all.end(), word) != all.end();
}

/// Whether the check has a kind, and no word that belongs to another.
bool judge_kind(const Call& call) {
    const CheckDraft& draft = check(call);
    if (!draft.kind) {
        call.diagnostics.error(draft.position,
                               "this check asks nothing: write `query \"NAME TYPE\"` into it, or "
                               "connect, ping, datagram, http, script or file");
        return false;
    }
    bool good = true;
    for (const auto& [word, kinds] : call.current.of_kind) {
        if (contains_word(kinds, draft.kind->value)) continue;
        call.diagnostics.error(word.position, "{} belongs to a check by {}, and this one is by {}",
                               word.value, kinds, draft.kind->value);
        good = false;
    }
    return good;
}

/// What cannot be had together with a question through the service IP.
void judge_via(CheckDraft& draft, Diagnostics& diagnostics) {
    if (!draft.via_service_ip_at) return;
    const auto refuse = [&](bool wrong, std::string_view why) {
        if (!wrong) return;
        diagnostics.error(*draft.via_service_ip_at, "via service_ip: {}", why);
        draft.faulty = true;
    };
    refuse(draft.target.has_value(), "the service IP is the target; remove `target`");
    refuse(draft.port.has_value(), "the service's port is asked; remove `port`");
    refuse(draft.via.mark != 0, "no routing rule sees these packets; remove `fwmark`");
    refuse(!draft.via.interface.empty(),
           "the packets go where the route to the server leads; remove `bind_if`");
    refuse(draft.via.source_port != 0,
           "the director keeps ports of its own for these packets; remove `source_port`");
    refuse(draft.question.transports[index(Transport::tls)],
           "it speaks udp and tcp; remove `tls` from `transport`");
}

/// Reads what depends on another keyword of the block, in whatever order they stood.
void finish_check(const Call& call, bool faulty) {
    CheckDraft& draft = check(call);
    draft.faulty = faulty;
    if (faulty) return;
    draft.faulty = !judge_kind(call);
    if (draft.faulty) return;
    if (std::holds_alternative<core::DnsCheck>(draft.what))
        draft.faulty = !finish_question(draft.question, draft.question.queries, call.diagnostics);
    if (const auto* udp = std::get_if<core::UdpCheck>(&draft.what))
        if (udp->min_reply_length > udp->max_reply_length)
            call.diagnostics.error(draft.position,
                                   "min_reply_length {} is more than max_reply_length {}",
                                   udp->min_reply_length, udp->max_reply_length);
    judge_via(draft, call.diagnostics);
    complete_timing(draft, call.diagnostics);
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

void set_via(const Call& call) {
    if (call.arguments.choices.front() == 1)
        check(call).via_service_ip_at = call.arguments.position;
}

constexpr std::string_view network_kinds = "query connect ping datagram http";

const Keyword common_keywords[] = {
    {.in = Block::dns_cluster,
     .name = "check",
     .kind = Kind::optional_name,
     .help = "What every server of the cluster must pass; of several all must pass. "
             "`check NAME` uses one declared at top level",
     .repeats = true,
     .opens = Block::check,
     .block_optional = true,
     .handle = open_cluster_check,
     .finish = finish_used_check},
    {.in = Block::server,
     .name = "check",
     .kind = Kind::optional_name,
     .help = "What this server alone must pass, besides the cluster's checks",
     .repeats = true,
     .opens = Block::check,
     .block_optional = true,
     .handle = open_server_check,
     .finish = finish_used_check},
    {.in = Block::top,
     .name = "check",
     .kind = Kind::name,
     .help = "A check for several clusters, which use it by `check NAME`",
     .repeats = true,
     .opens = Block::check,
     .handle = open_named_check,
     .finish = finish_check},
    {.in = Block::check,
     .name = "every",
     .kind = Kind::duration,
     .help = "From the start of a round to the start of the next",
     .standard = "the kind's: 1s, 10s with script",
     .minimum = Nanoseconds{50ms}.count(),
     .maximum = Nanoseconds{24h}.count(),
     .handle =
         [](const Call& c) {
             check(c).every = c.arguments.duration;
             check(c).every_at = c.arguments.position;
         }},
    {.in = Block::check,
     .name = "timeout",
     .kind = Kind::duration,
     .help = "How long one try waits for its reply, or a script may take",
     .standard = "the kind's: 500ms, 5s with script",
     .minimum = Nanoseconds{1ms}.count(),
     .maximum = Nanoseconds{24h}.count(),
     .handle = [](const Call& c) { check(c).timeout = c.arguments.duration; }},
    {.in = Block::check,
     .name = "tries",
     .kind = Kind::number,
     .help = "How often a round asks until there is a reply",
     .standard = "2",
     .minimum = 1,
     .maximum = 10,
     .handle =
         [](const Call& c) { check(c).tries = static_cast<std::uint32_t>(c.arguments.number); },
     .goes_with = "query"},
    {.in = Block::check,
     .name = "rise",
     .kind = Kind::number,
     .help = "Passed rounds in a row until the server is up",
     .standard = "2; 1 with file",
     .minimum = 1,
     .maximum = 1000,
     .handle =
         [](const Call& c) { check(c).rise = static_cast<std::uint32_t>(c.arguments.number); }},
    {.in = Block::check,
     .name = "fall",
     .kind = Kind::number,
     .help = "Failed rounds in a row until the server is down",
     .standard = "2; 1 with file",
     .minimum = 1,
     .maximum = 4294967295,
     .handle =
         [](const Call& c) { check(c).fall = static_cast<std::uint32_t>(c.arguments.number); }},
    {.in = Block::check,
     .name = "source",
     .kind = Kind::addresses,
     .help = "The address that questions come from, one for each family at most; a family without "
             "one leaves it to the kernel",
     .repeats = true,
     .handle = add_sources,
     .goes_with = network_kinds},
    {.in = Block::check,
     .name = "warmup",
     .kind = Kind::duration,
     .help = "The first round comes 1 s plus a random part of this after the start; 0: at once",
     .standard = "0s",
     .minimum = 0,
     .maximum = ns(24h),
     .handle = [](const Call& c) { check(c).timing.warmup = c.arguments.duration; }},
    {.in = Block::check,
     .name = "retry_after",
     .kind = Kind::duration,
     .help = "From a failed round that did not yet take the server down to the next one; 0: at its "
             "usual time",
     .standard = "0s",
     .minimum = 0,
     .maximum = ns(24h),
     .handle = [](const Call& c) { check(c).timing.retry_after = c.arguments.duration; }},
    {.in = Block::check,
     .name = "limit",
     .kind = Kind::duration,
     .help = "How long a round with all its tries may take; one that reaches it has failed. 0: no "
             "limit of its own",
     .standard = "0s",
     .minimum = 0,
     .maximum = ns(24h),
     .handle = [](const Call& c) { check(c).timing.limit = c.arguments.duration; }},
    {.in = Block::check,
     .name = "untested",
     .kind = Kind::one_of,
     .help = "A new server waits `out`side until it has passed `rise` times, or is `in` at once "
             "and its first failure removes it",
     .standard = "out",
     .choices = "out in",
     .handle =
         [](const Call& c) {
             // The choices are in the order of core::Untested.
             check(c).untested = static_cast<core::Untested>(c.arguments.choices.front());
         }},
    {.in = Block::check,
     .name = "services",
     .kind = Kind::some_of,
     .help = "The services that go by this check",
     .standard = "udp tcp",
     .choices = "udp tcp",
     .handle =
         [](const Call& c) {
             check(c).services = {};
             for (const std::size_t choice : c.arguments.choices)
                 check(c).services[choice] = true;  // the choices are in the order of Protocol
         }},
    {.in = Block::check,
     .name = "target",
     .kind = Kind::address,
     .help = "Where it goes",
     .standard = "the real server's address",
     .handle = [](const Call& c) { check(c).target = c.arguments.addresses.front(); },
     .goes_with = network_kinds},
    {.in = Block::check,
     .name = "port",
     .kind = Kind::number,
     .help = "Where it goes",
     .standard = "the real server's port, 853 over TLS",
     .minimum = 1,
     .maximum = 65535,
     .handle =
         [](const Call& c) { check(c).port = static_cast<std::uint16_t>(c.arguments.number); },
     .goes_with = network_kinds},
    {.in = Block::check,
     .name = "via",
     .kind = Kind::one_of,
     .help = "How the server is asked: at its own `address`, or through the `service_ip` as "
             "clients ask it, in a packet that is for the service IP and sent to the server; so "
             "that one which does not hold the service IP, or translates it wrongly, is found "
             "out. One check for each service IP",
     .standard = "address",
     .choices = "address service_ip",
     .handle = set_via,
     .goes_with = "query"},
    {.in = Block::check,
     .name = "source_port",
     .kind = Kind::number,
     .help = "The port that it comes from",
     .standard = "any",
     .minimum = 1,
     .maximum = 65535,
     .handle =
         [](const Call& c) {
             check(c).via.source_port = static_cast<std::uint16_t>(c.arguments.number);
         },
     .goes_with = network_kinds},
    {.in = Block::check,
     .name = "bind_if",
     .kind = Kind::interface,
     .help = "The interface that its packets leave by",
     .standard = "any",
     .handle = [](const Call& c) { check(c).via.interface = c.arguments.texts.front(); },
     .goes_with = network_kinds},
    {.in = Block::check,
     .name = "fwmark",
     .kind = Kind::number,
     .help = "The firewall mark of its packets, for rules of routing",
     .standard = "none",
     .minimum = 0,
     .maximum = 4294967295,
     .handle =
         [](const Call& c) { check(c).via.mark = static_cast<std::uint32_t>(c.arguments.number); },
     .goes_with = network_kinds},
};

std::vector<Keyword> make_keywords() {
    std::vector<Keyword> all = question_keywords(Block::check);
    const auto kinds = check_kind_keywords();
    all.insert(all.begin() + 1, kinds.begin(), kinds.end());
    all.insert(all.end(), std::begin(common_keywords), std::end(common_keywords));
    return all;
}

}  // namespace

void start_or_use_check(const Call& call, std::vector<CheckDraft>& checks) {
    start_check(call, checks);
    check(call).reference = call.arguments.text;
    if (!check(call).reference.empty()) check(call).position = call.arguments.argument_at;
}

void finish_used_check(const Call& call, bool faulty) {
    CheckDraft& draft = check(call);
    const bool has_body = call.arguments.has_block;
    if (!draft.reference.empty() && has_body) {
        call.diagnostics.error(draft.position,
                               "a check is either a block without a name or the name of a "
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

std::span<const Keyword> check_keywords() {
    static const std::vector<Keyword> keywords = make_keywords();
    return keywords;
}

}  // namespace dnsdirector::config
