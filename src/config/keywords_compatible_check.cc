// SPDX-License-Identifier: Apache-2.0
//
// The compatible form: the checks of a real_server, as in keepalived.conf(5).
#include "config/keywords_compatible_check.h"
#include "config/keywords_question.h"
#include "config/keywords_timing.h"

namespace dnsdirector::config {
namespace {

CompatibleCheckDraft& check(const Call& call) {
    return call.current.compatible_check();
}

template <typename What>
What& what(const Call& call) {
    return std::get<What>(check(call).what);
}

CompatibleCheckDraft& start_check(const Call& call) {
    auto& draft = call.current.compatible_server().checks.emplace_back();
    draft.position = call.arguments.position;
    return draft;
}

template <typename What>
void open_check(const Call& call) {
    start_check(call).what = What{};
}

void open_udp_check(const Call& call) {
    core::UdpCheck udp;
    udp.max_reply_length = 255;  // there; a native datagram has no limit
    start_check(call).what = std::move(udp);
}

void open_dns_check(const Call& call) {
    CompatibleCheckDraft& draft = start_check(call);
    draft.what = core::DnsCheck{};
    draft.question.transports = {true, false, false};
    draft.question.on_truncated = core::OnTruncated::pass;
}

void ask_for(const Call& call) {
    if (!check(call).asked_at) check(call).asked_at = call.arguments.position;
}

void finish_dns_check(const Call& call, bool faulty) {
    CompatibleCheckDraft& draft = check(call);
    draft.faulty = faulty;
    if (faulty) return;
    QuestionDraft& question = draft.question;
    if (question.queries.empty()) {
        question.queries.push_back({draft.asked, draft.position});
    } else if (draft.asked_at) {
        call.diagnostics.error(
            *draft.asked_at, "{} and `query` do not go together: the query at {} says it all",
            "type, name, class", call.diagnostics.where(question.queries.front().position));
        draft.faulty = true;
        return;
    }
    // NOERROR is all that passes there.
    if (!question.expect_rcode && !question.fail_on)
        question.expect_rcode = {std::uint16_t{0}, draft.position};
    draft.faulty = !finish_question(question, question.queries, call.diagnostics);
}

void finish_check(const Call& call, bool faulty) {
    check(call).faulty = faulty;
}

void finish_udp_check(const Call& call, bool faulty) {
    const auto& udp = what<core::UdpCheck>(call);
    if (udp.min_reply_length > udp.max_reply_length)
        call.diagnostics.error(call.arguments.position,
                               "min_reply_length {} is more than max_reply_length {}",
                               udp.min_reply_length, udp.max_reply_length);
    check(call).faulty = faulty || udp.min_reply_length > udp.max_reply_length;
}

void set_script(const Call& call) {
    auto& script = what<core::ScriptCheck>(call);
    const bool dynamic = script.dynamic;
    script = call.arguments.script;
    script.dynamic = dynamic;
    check(call).script_at = call.arguments.argument_at;
    warn_of_shell(call);
}

void set_user(const Call& call) {
    warn_of_group(call);
    check(call).user = call.arguments.text;
}

void set_misc_timeout(const Call& call) {
    if (call.arguments.duration.count() > 0) check(call).misc_timeout = call.arguments.duration;
}

constexpr std::int64_t ns(Nanoseconds duration) {
    return duration.count();
}

constexpr std::string_view for_servers =
    "write a DNS_CHECK, which asks what matters, or a MISC_CHECK, which runs any script";
constexpr std::string_view logs_all = "status and `dnsdirector why` show every failure";

const Keyword own_keywords[] = {
    {.in = Block::real_server,
     .name = "MISC_CHECK",
     .help = "A check by a program of your own: exit status 0 passes",
     .repeats = true,
     .opens = Block::misc_check,
     .handle = open_check<core::ScriptCheck>,
     .finish = finish_check},
    {.in = Block::real_server,
     .name = "DNS_CHECK",
     .help = "A check by a question over UDP, passed by a reply with status NOERROR",
     .repeats = true,
     .opens = Block::dns_check,
     .handle = open_dns_check,
     .finish = finish_dns_check},
    {.in = Block::real_server,
     .name = "TCP_CHECK",
     .help = "Passed when a TCP connection is established",
     .repeats = true,
     .opens = Block::tcp_check,
     .handle = open_check<core::TcpCheck>,
     .finish = finish_check},
    {.in = Block::real_server,
     .name = "UDP_CHECK",
     .help = "A datagram; an ICMP refusal fails, silence passes unless a reply is required",
     .repeats = true,
     .opens = Block::udp_check,
     .handle = open_udp_check,
     .finish = finish_udp_check},
    {.in = Block::real_server,
     .name = "PING_CHECK",
     .help = "Passed by the reply to an ICMP echo request",
     .repeats = true,
     .opens = Block::ping_check,
     .handle = open_check<core::PingCheck>,
     .finish = finish_check},
    {.in = Block::real_server,
     .name = "FILE_CHECK",
     .help = "The number in a file decides, looked at every second",
     .repeats = true,
     .opens = Block::file_check,
     .handle = open_check<core::FileCheck>,
     .finish = finish_check},
    {.in = Block::real_server,
     .name = "HTTP_GET",
     .help = "Passed when every URL answers with a status that is right",
     .repeats = true,
     .opens = Block::http_get,
     .handle = open_check<core::HttpCheck>,
     .finish = finish_check},
    keepalived_word(
        Block::real_server, "SSL_GET", Status::refused,
        "checks over TLS are for DNS alone (`transport tls` of a check); HTTP_GET asks a URL "
        "without TLS, and a MISC_CHECK with curl one with it"),
    keepalived_word(Block::real_server, "SMTP_CHECK", Status::refused, for_servers),
    keepalived_word(Block::real_server, "BFD_CHECK", Status::refused,
                    "a DNS_CHECK with a delay_loop of 100ms is as quick and asks what matters"),

    {.in = Block::misc_check,
     .name = "misc_path",
     .kind = Kind::script,
     .help = "The program with its full path, and its arguments; no shell reads it, but a "
             "redirection such as > /dev/null is understood",
     .required = true,
     .handle = set_script},
    {.in = Block::misc_check,
     .name = "misc_timeout",
     .kind = Kind::duration,
     .help = "How long the program may take; what is late is killed and has failed. 0: as without",
     .standard = "the delay_loop",
     .minimum = 0,
     .maximum = ns(std::chrono::hours{24}),
     .handle = set_misc_timeout},
    {.in = Block::misc_check,
     .name = "misc_dynamic",
     .help = "Exit status 2 to 255 passes, too, and makes the server's weight the status less 2",
     .handle = [](const Call& c) { what<core::ScriptCheck>(c).dynamic = true; }},
    {.in = Block::misc_check,
     .name = "user",
     .kind = Kind::user,
     .help = "The user that runs it",
     .standard = "the director's script_user",
     .handle = set_user},

    {.in = Block::dns_check,
     .name = "type",
     .kind = Kind::dns_type,
     .help = "The type that is asked for",
     .standard = "SOA",
     .handle =
         [](const Call& c) {
             ask_for(c);
             check(c).asked.type = static_cast<std::uint16_t>(c.arguments.number);
         }},
    {.in = Block::dns_check,
     .name = "name",
     .kind = Kind::dns_name,
     .help = "The name that is asked for",
     .standard = ".",
     .handle =
         [](const Call& c) {
             ask_for(c);
             check(c).asked.name = c.arguments.text;
         }},
    {.in = Block::dns_check,
     .name = "class",
     .kind = Kind::dns_class,
     .help = "The class that is asked for (dnsdirector's own)",
     .standard = "IN",
     .handle =
         [](const Call& c) {
             ask_for(c);
             check(c).asked.klass = static_cast<std::uint16_t>(c.arguments.number);
         }},

    {.in = Block::udp_check,
     .name = "payload",
     .kind = Kind::hex,
     .help = "What the datagram holds; without it nothing",
     .handle = [](const Call& c) { what<core::UdpCheck>(c).payload = c.arguments.bytes; }},
    {.in = Block::udp_check,
     .name = "require_reply",
     .help = "Silence fails. No HEX may follow: what a reply holds is not compared",
     .instead = "what the reply holds is not compared here; to judge an answer write a DNS_CHECK",
     .handle = [](const Call& c) { what<core::UdpCheck>(c).require_reply = true; }},
    {.in = Block::udp_check,
     .name = "min_reply_length",
     .kind = Kind::number,
     .help = "A reply of fewer bytes fails where one is required",
     .standard = "0",
     .minimum = 0,
     .maximum = 65535,
     .handle =
         [](const Call& c) {
             what<core::UdpCheck>(c).min_reply_length =
                 static_cast<std::uint16_t>(c.arguments.number);
         }},
    {.in = Block::udp_check,
     .name = "max_reply_length",
     .kind = Kind::number,
     .help = "A reply of more bytes fails where one is required",
     .standard = "255",
     .minimum = 0,
     .maximum = 65535,
     .handle =
         [](const Call& c) {
             what<core::UdpCheck>(c).max_reply_length =
                 static_cast<std::uint16_t>(c.arguments.number);
         }},
};

/// What the checks that send packets have in common.
constexpr std::array<Keyword, 6> connection_keywords(Block in) {
    return {{
        {.in = in,
         .name = "connect_ip",
         .kind = Kind::address,
         .help = "Where the check goes",
         .standard = "the real server's address",
         .handle = [](const Call& c) { check(c).connect_ip = c.arguments.addresses.front(); }},
        {.in = in,
         .name = "connect_port",
         .kind = Kind::number,
         .help = "Where the check goes",
         .standard = "the real server's port",
         .minimum = 1,
         .maximum = 65535,
         .handle =
             [](const Call& c) {
                 check(c).connect_port = static_cast<std::uint16_t>(c.arguments.number);
             }},
        {.in = in,
         .name = "bindto",
         .kind = Kind::address,
         .help = "The address that the check comes from",
         .handle = [](const Call& c) { check(c).bind_to = c.arguments.addresses.front(); }},
        {.in = in,
         .name = "bind_port",
         .kind = Kind::number,
         .help = "The port that the check comes from",
         .standard = "any",
         .minimum = 1,
         .maximum = 65535,
         .handle =
             [](const Call& c) {
                 check(c).via.source_port = static_cast<std::uint16_t>(c.arguments.number);
             }},
        {.in = in,
         .name = "bind_if",
         .kind = Kind::interface,
         .help = "The interface that the check leaves by",
         .standard = "any",
         .handle = [](const Call& c) { check(c).via.interface = c.arguments.texts.front(); }},
        {.in = in,
         .name = "fwmark",
         .kind = Kind::number,
         .help = "The firewall mark of the check's packets",
         .standard = "none",
         .minimum = 0,
         .maximum = 4294967295,
         .handle =
             [](const Call& c) {
                 check(c).via.mark = static_cast<std::uint32_t>(c.arguments.number);
             }},
    }};
}

constexpr Block connecting[] = {Block::dns_check, Block::tcp_check, Block::udp_check,
                                Block::ping_check, Block::http_get};

std::vector<Keyword> make_keywords() {
    std::vector<Keyword> all(std::begin(own_keywords), std::end(own_keywords));
    for (const Keyword& keyword : question_keywords(Block::dns_check))
        all.push_back(keyword);
    for (const Keyword& keyword : file_and_http_keywords())
        all.push_back(keyword);
    for (const Block block : connecting) {
        for (const Keyword& keyword : connection_keywords(block))
            all.push_back(keyword);
        for (const Keyword& keyword : timing_keywords(block))
            all.push_back(keyword);
        all.push_back(keepalived_word(block, "log_all_failures", Status::ignored, logs_all));
    }
    for (const Keyword& keyword :
         {delay_loop_keyword(Block::misc_check), retry_keyword(Block::misc_check),
          delay_before_retry_keyword(Block::misc_check), warmup_keyword(Block::misc_check),
          alpha_keyword(Block::misc_check),
          keepalived_word(Block::misc_check, "log_all_failures", Status::ignored, logs_all)})
        all.push_back(keyword);
    return all;
}

}  // namespace

std::span<const Keyword> compatible_check_keywords() {
    static const std::vector<Keyword> keywords = make_keywords();
    return keywords;
}

}  // namespace dnsdirector::config
