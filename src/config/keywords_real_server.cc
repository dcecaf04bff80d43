// SPDX-License-Identifier: Apache-2.0
//
// The compatible form: `real_server` and its checks, as in keepalived.conf(5).
#include "config/keywords.h"
#include "config/keywords_timing.h"
#include "config/script_words.h"

namespace dnsdirector::config {

CompatibleTiming& timing_of(const Call& call) {
    switch (call.keyword.in) {
        case Block::virtual_server: return call.current.virtual_server().timing;
        case Block::real_server: return call.current.compatible_server().timing;
        default: return call.current.compatible_check().timing;
    }
}

namespace {

CompatibleCheckDraft& check(const Call& call) {
    return call.current.compatible_check();
}

void open_real_server(const Call& call) {
    CompatibleServerDraft& server = call.current.virtual_server().servers.emplace_back();
    server.position = call.arguments.position;
    if (!call.arguments.valid) return;
    server.position = call.arguments.argument_at;
    server.endpoint = {call.arguments.addresses.front().value, call.arguments.port};
}

void open_check(const Call& call) {
    auto& draft = call.current.compatible_server().checks.emplace_back();
    draft.position = call.arguments.position;
}

void finish_check(const Call& call, bool faulty) {
    check(call).faulty = faulty;
}

void set_script(const Call& call) {
    check(call).script = call.arguments.script;
    const std::string_view word = shell_word(call.arguments.script);
    if (!word.empty())
        call.diagnostics.warning(
            call.arguments.argument_at,
            "misc_path: no shell reads this; `{}` is handed to the program as a "
            "word. Write a script of your own, or \"/bin/sh -c '…'\"",
            word);
}

void set_user(const Call& call) {
    warn_of_group(call);
    check(call).user = call.arguments.text;
}

constexpr Keyword unsupported(Block in, std::string_view name, std::string_view instead,
                              Kind kind = Kind::anything) {
    return {.in = in,
            .name = name,
            .kind = kind,
            .help = "Known from keepalived; not in this version",
            .status = Status::unsupported,
            .instead = instead};
}

constexpr Keyword ignored(std::string_view name, std::string_view why) {
    return {.in = Block::real_server,
            .name = name,
            .kind = Kind::anything,
            .help = "Accepted, so that the file loads",
            .status = Status::ignored,
            .instead = why};
}

constexpr std::string_view other_check =
    "a DNS_CHECK asks the question that matters, a MISC_CHECK "
    "runs any script";

constexpr std::string_view without_notify =
    "remove it: no script is run; the log says when a server goes up or down";
constexpr std::string_view without_threshold = "remove it: connections are not counted";

constexpr Keyword refused(std::string_view name) {
    return {.in = Block::real_server,
            .name = name,
            .kind = Kind::anything,
            .help = "Known from keepalived; refused",
            .status = Status::refused,
            .instead = other_check};
}

const Keyword keywords[] = {
    {.in = Block::virtual_server,
     .name = "real_server",
     .kind = Kind::address_port,
     .help = "A server; commands call it ADDRESS:PORT",
     .repeats = true,
     .required = true,
     .opens = Block::real_server,
     .handle = open_real_server,
     .finish = [](const Call& c, bool faulty) { c.current.compatible_server().faulty = faulty; }},
    {.in = Block::real_server,
     .name = "weight",
     .kind = Kind::number,
     .help = "Its share relative to the others; 0: checked, no new work",
     .standard = "the virtual_server's",
     .minimum = 0,
     .maximum = core::max_weight,
     .handle =
         [](const Call& c) {
             c.current.compatible_server().weight = static_cast<core::Weight>(c.arguments.number);
         }},
    delay_loop_keyword(Block::real_server),
    connect_timeout_keyword(Block::real_server),
    retry_keyword(Block::real_server),
    warmup_keyword(Block::real_server),
    {.in = Block::real_server,
     .name = "MISC_CHECK",
     .help = "A check by a program of your own: exit status 0 passes",
     .repeats = true,
     .opens = Block::misc_check,
     .handle = open_check,
     .finish = finish_check},
    {.in = Block::real_server,
     .name = "DNS_CHECK",
     .help = "A check by a question over UDP, passed by a reply with status NOERROR",
     .repeats = true,
     .opens = Block::dns_check,
     .handle = open_check,
     .finish = finish_check},
    ignored("smtp_alert", "no mail is sent; the log and status tell what happens"),
    ignored("virtualhost", "it belongs to HTTP checks"),
    ignored("snmp_name", "there is no SNMP"),
    unsupported(Block::real_server, "TCP_CHECK",
                "write a MISC_CHECK with `dig +tcp`, or a DNS_CHECK, which asks over UDP"),
    unsupported(Block::real_server, "UDP_CHECK", other_check),
    unsupported(Block::real_server, "PING_CHECK", other_check),
    unsupported(Block::real_server, "FILE_CHECK", "`dnsdirector drain` takes a server out"),
    unsupported(Block::real_server, "HTTP_GET", other_check),
    refused("SSL_GET"),
    refused("SMTP_CHECK"),
    refused("BFD_CHECK"),
    unsupported(Block::real_server, "delay_before_retry", "a retry waits for delay_loop"),
    unsupported(Block::real_server, "alpha", without_alpha),
    unsupported(Block::real_server, "inhibit_on_failure", without_inhibit),
    unsupported(Block::real_server, "lvs_method", "lb_kind of the virtual_server holds for all"),
    unsupported(Block::real_server, "notify_up", without_notify, Kind::script),
    unsupported(Block::real_server, "notify_down", without_notify, Kind::script),
    unsupported(Block::real_server, "uthreshold", without_threshold),
    unsupported(Block::real_server, "lthreshold", without_threshold),

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
     .help = "How long the program may take; what is late is killed and has failed",
     .standard = "the delay_loop",
     .minimum = Nanoseconds{std::chrono::milliseconds{1}}.count(),
     .maximum = Nanoseconds{std::chrono::hours{24}}.count(),
     .handle = [](const Call& c) { check(c).misc_timeout = c.arguments.duration; }},
    {.in = Block::misc_check,
     .name = "user",
     .kind = Kind::user,
     .help = "The user that runs it",
     .standard = "the director's script_user",
     .handle = set_user},
    delay_loop_keyword(Block::misc_check),
    retry_keyword(Block::misc_check),
    warmup_keyword(Block::misc_check),
    unsupported(Block::misc_check, "misc_dynamic",
                "remove it: exit status 0 passes, any other fails, and none is a weight"),
    unsupported(Block::misc_check, "delay_before_retry", "a retry waits for delay_loop"),
    unsupported(Block::misc_check, "alpha", without_alpha),

    {.in = Block::dns_check,
     .name = "type",
     .kind = Kind::dns_type,
     .help = "The type that is asked for",
     .standard = "SOA",
     .handle =
         [](const Call& c) {
             check(c).question.type = static_cast<std::uint16_t>(c.arguments.number);
         }},
    {.in = Block::dns_check,
     .name = "name",
     .kind = Kind::dns_name,
     .help = "The name that is asked for",
     .standard = ".",
     .handle = [](const Call& c) { check(c).question.name = c.arguments.text; }},
    {.in = Block::dns_check,
     .name = "connect_ip",
     .kind = Kind::address,
     .help = "Where the question goes",
     .standard = "the real server's address",
     .handle = [](const Call& c) { check(c).connect_ip = c.arguments.addresses.front(); }},
    {.in = Block::dns_check,
     .name = "connect_port",
     .kind = Kind::number,
     .help = "Where the question goes",
     .standard = "the real server's port",
     .minimum = 1,
     .maximum = 65535,
     .handle =
         [](const Call& c) {
             check(c).connect_port = static_cast<std::uint16_t>(c.arguments.number);
         }},
    {.in = Block::dns_check,
     .name = "bindto",
     .kind = Kind::address,
     .help = "The address that the question comes from",
     .handle = [](const Call& c) { check(c).bind_to = c.arguments.addresses.front(); }},
    connect_timeout_keyword(Block::dns_check),
    delay_loop_keyword(Block::dns_check),
    retry_keyword(Block::dns_check),
    warmup_keyword(Block::dns_check),
    unsupported(Block::dns_check, "delay_before_retry", "a retry waits for delay_loop"),
    unsupported(Block::dns_check, "bind_port", "remove it: each question has a port of its own"),
    unsupported(Block::dns_check, "bind_if", "write bindto with an address of that interface"),
    unsupported(Block::dns_check, "fwmark",
                "remove it; a rule of routing may go by the address of bindto"),
    unsupported(Block::dns_check, "alpha", without_alpha),
};

}  // namespace

std::span<const Keyword> real_server_keywords() {
    return keywords;
}

}  // namespace dnsdirector::config
