// SPDX-License-Identifier: Apache-2.0
//
// The kinds of native checks besides a DNS question.
#include "config/keywords_check.h"

namespace dnsdirector::config {
namespace {

CheckDraft& check(const Call& call) {
    return *call.current.check;
}

template <typename What>
What& what(const Call& call) {
    return std::get<What>(check(call).what);
}

template <typename What>
void set_plain_kind(const Call& call) {
    set_kind(call, What{});
}

void set_datagram(const Call& call) {
    if (set_kind(call, core::UdpCheck{})) what<core::UdpCheck>(call).payload = call.arguments.bytes;
}

void set_script(const Call& call) {
    if (!set_kind(call, core::ScriptCheck{})) return;
    auto& script = what<core::ScriptCheck>(call);
    const bool dynamic = script.dynamic;
    script = call.arguments.script;
    script.dynamic = dynamic;
    check(call).script_at = call.arguments.argument_at;
    warn_of_shell(call);
}

void set_file(const Call& call) {
    if (set_kind(call, core::FileCheck{"", 0, false}))
        what<core::FileCheck>(call).path = call.arguments.text;
}

void open_request(const Call& call) {
    if (!set_kind(call, core::HttpCheck{})) return;
    what<core::HttpCheck>(call).urls.push_back({call.arguments.text, "", {}});
}

/// The URL being read; nullptr where the block stands in a check of another kind.
core::HttpCheck::Url* request(const Call& call) {
    auto* http = std::get_if<core::HttpCheck>(&check(call).what);
    return http == nullptr || http->urls.empty() ? nullptr : &http->urls.back();
}

void set_user(const Call& call) {
    warn_of_group(call);
    check(call).user = call.arguments.text;
}

// Keywords that a check may have before its kind is known are kept here until
// set_kind() has made room for them.
template <typename What, typename Set>
void amend(const Call& call, Set set) {
    if (!std::holds_alternative<What>(check(call).what)) {
        if (check(call).kind) return;  // judge_kind() says it
        check(call).what = What{};
    }
    set(what<What>(call));
}

const Keyword kind_keywords[] = {
    {.in = Block::check,
     .name = "connect",
     .help = "Passed when a TCP connection is established",
     .handle = set_plain_kind<core::TcpCheck>},
    {.in = Block::check,
     .name = "ping",
     .help = "Passed by the reply to an ICMP echo request",
     .handle = set_plain_kind<core::PingCheck>},
    {.in = Block::check,
     .name = "datagram",
     .kind = Kind::maybe_hex,
     .help = "A UDP datagram with this payload, or an empty one. An ICMP refusal fails, silence "
             "passes unless a reply is required",
     .handle = set_datagram},
    {.in = Block::check,
     .name = "http",
     .kind = Kind::path,
     .help = "The path of a URL, asked without TLS and passed by its status; of several all must "
             "pass",
     .repeats = true,
     .opens = Block::http_request,
     .block_optional = true,
     .handle = open_request},
    {.in = Block::check,
     .name = "script",
     .kind = Kind::script,
     .help = "A program, with its full path or by name, and its arguments, passed by exit status "
             "0. `{address}`, `{port}` and `{name}` stand for the server's, `{{address}}` for "
             "`{address}` itself",
     .handle = set_script},
    {.in = Block::check,
     .name = "file",
     .kind = Kind::path,
     .help = "A file with a number; one that is missing counts as 0. `{address}`, `{port}` and "
             "`{name}` stand for the server's",
     .handle = set_file},
    {.in = Block::check,
     .name = "require_reply",
     .kind = Kind::flag,
     .help = "Silence fails",
     .standard = "off",
     .handle =
         [](const Call& c) {
             amend<core::UdpCheck>(c, [&](auto& udp) { udp.require_reply = c.arguments.flag; });
         },
     .goes_with = "datagram"},
    {.in = Block::check,
     .name = "min_reply_length",
     .kind = Kind::number,
     .help = "A reply of fewer bytes fails",
     .standard = "0",
     .minimum = 0,
     .maximum = 65535,
     .handle =
         [](const Call& c) {
             amend<core::UdpCheck>(c, [&](auto& udp) {
                 udp.min_reply_length = static_cast<std::uint16_t>(c.arguments.number);
             });
         },
     .goes_with = "datagram"},
    {.in = Block::check,
     .name = "max_reply_length",
     .kind = Kind::number,
     .help = "A reply of more bytes fails",
     .standard = "65535",
     .minimum = 0,
     .maximum = 65535,
     .handle =
         [](const Call& c) {
             amend<core::UdpCheck>(c, [&](auto& udp) {
                 udp.max_reply_length = static_cast<std::uint16_t>(c.arguments.number);
             });
         },
     .goes_with = "datagram"},
    {.in = Block::check,
     .name = "user",
     .kind = Kind::user,
     .help = "The user that runs the script",
     .standard = "the director's script_user",
     .handle = set_user,
     .goes_with = "script"},
    {.in = Block::check,
     .name = "dynamic",
     .kind = Kind::flag,
     .help = "Exit status 2 to 255 passes, too, and makes the server's weight the status less 2",
     .standard = "off",
     .handle =
         [](const Call& c) {
             amend<core::ScriptCheck>(c, [&](auto& script) { script.dynamic = c.arguments.flag; });
         },
     .goes_with = "script"},
    {.in = Block::check,
     .name = "file_weight",
     .kind = Kind::file_weight,
     .help = "0: any number but 0 takes the server down. Else the number times this is added to "
             "its weight, and a sum of -254 or less takes it down. `reverse` turns the sign, with "
             "0 the condition",
     .standard = "0",
     .minimum = -254,
     .maximum = 254,
     .handle =
         [](const Call& c) {
             amend<core::FileCheck>(c, [&](auto& file) {
                 file.weight = static_cast<std::int32_t>(c.arguments.signed_number);
                 file.reverse = c.arguments.flag;
             });
         },
     .goes_with = "file"},
    {.in = Block::http_request,
     .name = "status",
     .kind = Kind::http_statuses,
     .help = "Statuses that pass",
     .standard = "200-299",
     .handle =
         [](const Call& c) {
             if (auto* url = request(c)) url->statuses = c.arguments.ranges;
         }},
    {.in = Block::http_request,
     .name = "host",
     .kind = Kind::text,
     .help = "The Host header",
     .standard = "the server's address",
     .handle =
         [](const Call& c) {
             if (auto* url = request(c)) url->virtual_host = c.arguments.text;
         }},
};

}  // namespace

bool set_kind(const Call& call, core::Check::What what) {
    CheckDraft& draft = check(call);
    if (draft.kind && draft.kind->value != call.keyword.name) {
        call.diagnostics.error(call.arguments.position,
                               "{}: this check is by {} already, at {}; write another check for it",
                               call.keyword.name, draft.kind->value,
                               call.diagnostics.where(draft.kind->position));
        return false;
    }
    if (!draft.kind) draft.kind = {call.keyword.name, call.arguments.position};
    if (draft.what.index() != what.index()) draft.what = std::move(what);
    return true;
}

std::span<const Keyword> check_kind_keywords() {
    return kind_keywords;
}

}  // namespace dnsdirector::config
