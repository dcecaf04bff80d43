// SPDX-License-Identifier: Apache-2.0
//
// Who listens, what it answers, and as whom.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/mnemonics.h"
#include "realserver/dns_programs.h"
#include "realserver/examination.h"

namespace dnsdirector::realserver {
namespace {

using Outcome = Asked::Outcome;

/// Who takes what is sent to a post: at the address itself, else at all addresses. `::` takes
/// IPv4, too, unless its program wants otherwise, which the answers will tell.
const Listener* listener_at(const Examination& examination, const Post& post) {
    const Listener* best = nullptr;
    for (const Listener& each : examination.listeners) {
        if (each.protocol != post.protocol || each.local.port != post.at.port) continue;
        if (each.local.address == post.at.address) return &each;
        if (each.local.address.is_unspecified() &&
            (each.local.address.is_v6() || post.at.address.is_v4()) &&
            (best == nullptr || each.local.address.family() == post.at.address.family()))
            best = &each;
    }
    return best;
}

/// The program that somebody has meant for a post, to name what its file should say: who has its
/// port, at whatever address. The system's own stub (systemd-resolved) is nobody's DNS server.
std::string program_for(const Examination& examination, const Post& post) {
    if (const Listener* there = listener_at(examination, post)) return there->program;
    for (const Listener& each : examination.listeners)
        if (each.local.port == post.at.port && !each.program.starts_with("systemd-resolve"))
            return each.program;
    return "";
}

const Listener* listener_over_other_protocol(const Examination& examination, Post post) {
    post.protocol = post.protocol == Protocol::udp ? Protocol::tcp : Protocol::udp;
    return listener_at(examination, post);
}

std::string who(const Listener& listener) {
    return listener.program.empty() ? "a program" : listener.program;
}

/// "; over this port there is named at 203.0.113.11:53".
std::string who_else(const Examination& examination, const Post& post) {
    std::vector<std::string> others;
    for (const Listener& each : examination.listeners)
        if (each.protocol == post.protocol && each.local.port == post.at.port &&
            each.local.address.family() == post.at.address.family())
            others.push_back(fmt::format("{} at {}", who(each), each.local.to_string()));
    return others.empty() ? "" : fmt::format("; at this port there is {}", fmt::join(others, ", "));
}

void judge_absence(const Examination& examination, const Post& post, Opinion& opinion) {
    const std::string program = program_for(examination, post);
    if (const Listener* other = listener_over_other_protocol(examination, post))
        opinion.fail(post.to_string(),
                     fmt::format("nothing listens there; {} does over {}, alone", who(*other),
                                 to_string(other->protocol)),
                     how_to_serve(program, post.protocol));
    else
        opinion.fail(post.to_string(), "nothing listens there" + who_else(examination, post),
                     program.empty()
                         ? "start the DNS server that shall listen there; its log says why it "
                           "does not"
                         : how_to_listen(program, post.at));
}

void look_at_listeners(const Examination& examination, Opinion& opinion) {
    for (const Post& post : posts_of(examination.order.machine)) {
        const Listener* there = listener_at(examination, post);
        if (there == nullptr)
            judge_absence(examination, post, opinion);
        else if (there->local.address.is_unspecified())
            opinion.ok(post.to_string(), who(*there) + " listens, at all addresses");
        else
            opinion.ok(post.to_string(), who(*there) + " listens");
    }
}

Post post_of(const Asked& asked) {
    return {asked.process, asked.target, asked.protocol};
}

std::string as_dig(const Asked& asked, const char* more) {
    return fmt::format("dig {}@{} -p {} {}{}{}",
                       asked.source ? "-b " + asked.source->to_string() + " " : "",
                       asked.target.address.to_string(), asked.target.port,
                       asked.protocol == Protocol::tcp ? "+tcp " : "", more, asked.question);
}

std::string mend_of_answer(const Examination& examination, const Asked& asked) {
    if (asked.ours && asked.rcode)
        return fmt::format(
            "write into the block a `check {{ query … }}` that this server answers, "
            "or let {} ask it",
            asked.source ? asked.source->to_string() : "this machine");
    const std::string program = program_for(examination, post_of(asked));
    return fmt::format("see the log of {}, and what this shows: {}",
                       program.empty() ? "the DNS server" : program, as_dig(asked, ""));
}

void look_at_answers(const Examination& examination, Opinion& opinion) {
    for (const Asked& asked : examination.asked) {
        if (asked.large) continue;
        const Post post = post_of(asked);
        const std::string about = post.to_string();
        switch (asked.outcome) {
            case Outcome::answered:
                opinion.ok(about,
                           fmt::format("{}: {}, {} bytes", asked.question,
                                       core::rcode_name(asked.rcode.value_or(0)), asked.size));
                break;
            case Outcome::truncated:
                if (examination.order.machine.protocols[1])
                    opinion.ok(about, asked.question + ": truncated, clients ask again over TCP");
                else
                    opinion.warn(about, asked.question + ": truncated, and TCP is not served",
                                 "write `protocol udp tcp` into the block");
                break;
            case Outcome::refused:
                // Otherwise `listening` has said so.
                if (listener_at(examination, post) != nullptr)
                    opinion.fail(about, asked.question + ": refused, although somebody listens",
                                 "let no firewall of this machine refuse it: nft list ruleset");
                break;
            case Outcome::wrong:
            case Outcome::silent:
            case Outcome::impossible:
                opinion.fail(about, fmt::format("{}: {}", asked.question, asked.trouble),
                             mend_of_answer(examination, asked));
                break;
        }
    }
}

/// A client takes a reply from nobody but whom it has asked.
void look_at_sources(const Examination& examination, Opinion& opinion) {
    std::vector<Post> seen;
    for (const Asked& asked : examination.asked) {
        const Post post = post_of(asked);
        if (!asked.replied_from || std::ranges::find(seen, post) != seen.end()) continue;
        seen.push_back(post);
        if (*asked.replied_from != asked.target)
            opinion.fail(
                post.to_string(),
                fmt::format("answers as {}, which clients do not take for an answer{}",
                            asked.replied_from->to_string(),
                            asked.process.empty() ? "" : ", and the rules do not know as its"),
                how_to_listen(program_for(examination, post), asked.target));
        else if (!asked.source)
            opinion.unknown(post.to_string(),
                            "answers as itself to itself: this machine has no other address to ask "
                            "from",
                            "");
        else
            opinion.ok(post.to_string(), fmt::format("answers {} as {}", asked.source->to_string(),
                                                     asked.target.address.to_string()));
    }
}

void look_at_large_answers(const Examination& examination, Opinion& opinion) {
    for (const Asked& asked : examination.asked) {
        if (!asked.large || asked.outcome == Outcome::refused) continue;
        const std::string about = post_of(asked).to_string();
        const std::string program = program_for(examination, post_of(asked));
        if (asked.outcome == Outcome::answered && asked.size > common_answer)
            opinion.ok(about, fmt::format("{}: {} bytes, whole", asked.question, asked.size));
        else if (asked.outcome == Outcome::answered)
            opinion.warn(about,
                         fmt::format("{}: the whole answer has {} bytes, so that nothing is known "
                                     "of larger ones",
                                     asked.question, asked.size),
                         "write a `large_query` whose answer has more than 1,232 bytes");
        else if (asked.outcome == Outcome::truncated)
            opinion.fail(about,
                         fmt::format("{}: truncated to {} bytes, although 4,096 were allowed",
                                     asked.question, asked.size),
                         how_to_send_large(program));
        else if (asked.outcome == Outcome::silent)
            opinion.fail(about,
                         fmt::format("{}: {}, where smaller answers come: large ones get lost",
                                     asked.question, asked.trouble),
                         "let through packets of this size, and fragments: nft list ruleset");
        else
            opinion.fail(about, fmt::format("{}: {}", asked.question, asked.trouble),
                         "see " + as_dig(asked, "+dnssec +bufsize=4096 "));
    }
}

/// What this machine can't ask itself.
void look_at_the_way_in(const Examination& examination, Opinion& opinion) {
    for (const core::DnsProcess& process : examination.order.machine.processes)
        opinion.unknown(
            process.name,
            fmt::format("not asked by way of {}: no machine can send itself what comes in there. "
                        "Judged by the rules, and by its answers where it listens",
                        process.input),
            "ask from another machine, or let the director check `via service_ip`");
}

constexpr Judge all_dns_process_judges[] = {
    {"listening", "a program listens where clients' packets go, UDP and TCP", look_at_listeners},
    {"answer", "it answers what the checks of the block ask", look_at_answers},
    {"source", "it answers as whom a client has asked", look_at_sources},
    {"large-answer", "more than 1,232 bytes come whole, with `large_query`", look_at_large_answers},
    {"way-in", "what cannot be asked from here", look_at_the_way_in},
};

}  // namespace

std::span<const Judge> dns_process_judges() {
    return all_dns_process_judges;
}

}  // namespace dnsdirector::realserver
