// SPDX-License-Identifier: Apache-2.0
//
// The compatible form: `real_server`, as in keepalived.conf(5). Its checks stand
// in keywords_compatible_check.cc.
#include "config/keywords.h"
#include "config/keywords_timing.h"

namespace dnsdirector::config {

CompatibleTiming& timing_of(const Call& call) {
    switch (call.keyword.in) {
        case Block::virtual_server: return call.current.virtual_server().timing;
        case Block::real_server: return call.current.compatible_server().timing;
        default: return call.current.compatible_check().timing;
    }
}

namespace {

CompatibleServerDraft& server(const Call& call) {
    return call.current.compatible_server();
}

void open_real_server(const Call& call) {
    CompatibleServerDraft& draft = call.current.virtual_server().servers.emplace_back();
    draft.position = call.arguments.position;
    draft.faulty = true;  // until its body is read
    if (!call.arguments.valid) return;
    draft.position = call.arguments.argument_at;
    draft.endpoint = {call.arguments.addresses.front().value, call.arguments.port};
    draft.readable = true;
}

void set_method(const Call& call) {
    note_encapsulation(call);
    server(call).method = {static_cast<core::ForwardingMethod>(call.arguments.choices.front()),
                           call.arguments.argument_at};
}

Placed<std::uint32_t> number_at(const Call& call) {
    return {static_cast<std::uint32_t>(call.arguments.number), call.arguments.position};
}

constexpr Keyword ignored(std::string_view name, std::string_view why) {
    return {.in = Block::real_server,
            .name = name,
            .kind = Kind::anything,
            .help = "Accepted, so that the file loads",
            .status = Status::ignored,
            .instead = why};
}

const Keyword keywords[] = {
    {.in = Block::virtual_server,
     .name = "real_server",
     .kind = Kind::address_port,
     .help = "A server; commands call it ADDRESS:PORT. Without a port it has the virtual_server's",
     .repeats = true,
     .required = true,
     .opens = Block::real_server,
     .handle = open_real_server,
     .finish = [](const Call& c, bool faulty) { server(c).faulty = faulty; }},
    {.in = Block::real_server,
     .name = "weight",
     .kind = Kind::number,
     .help = "Its share relative to the others; 0: checked, no new work",
     .standard = "the virtual_server's",
     .minimum = 0,
     .maximum = core::max_weight,
     .handle =
         [](const Call& c) { server(c).weight = static_cast<core::Weight>(c.arguments.number); }},
    {.in = Block::real_server,
     .name = "inhibit_on_failure",
     .kind = Kind::flag,
     .help = "When it has failed it stays listed with weight 0 instead of being removed",
     .standard = "the virtual_server's",
     .handle = [](const Call& c) { server(c).inhibit_on_failure = c.arguments.flag; }},
    {.in = Block::real_server,
     .name = "lvs_method",
     .kind = Kind::method,
     .help = "How packets reach it, where it is not by lb_kind",
     .standard = "the lb_kind",
     .choices = "DR TUN NAT",
     .handle = set_method},
    {.in = Block::real_server,
     .name = "notify_up",
     .kind = Kind::command,
     .help = "Run when it has come up",
     .handle = [](const Call& c) { server(c).notify_up = command_of(c); }},
    {.in = Block::real_server,
     .name = "notify_down",
     .kind = Kind::command,
     .help = "Run when it has gone down",
     .handle = [](const Call& c) { server(c).notify_down = command_of(c); }},
    delay_loop_keyword(Block::real_server),
    connect_timeout_keyword(Block::real_server),
    retry_keyword(Block::real_server),
    delay_before_retry_keyword(Block::real_server),
    warmup_keyword(Block::real_server),
    alpha_keyword(Block::real_server),
    {.in = Block::real_server,
     .name = "virtualhost",
     .kind = Kind::text,
     .help = "The Host header of HTTP_GET checks that name none",
     .standard = "the virtual_server's",
     .handle = [](const Call& c) { server(c).virtual_host = c.arguments.text; }},
    ignored("smtp_alert", "no mail is sent; the log and status tell what happens"),
    ignored("snmp_name", "there is no SNMP"),
    {.in = Block::real_server,
     .name = "uthreshold",
     .kind = Kind::number,
     .help = "Connections from which on it gets no more, under dataplane ipvs; 0: no limit",
     .standard = "0",
     .minimum = 0,
     .maximum = UINT32_MAX,
     .handle = [](const Call& c) { server(c).thresholds.upper = number_at(c); }},
    {.in = Block::real_server,
     .name = "lthreshold",
     .kind = Kind::number,
     .help = "Connections below which it gets some again, under dataplane ipvs; 0: three quarters "
             "of uthreshold",
     .standard = "0",
     .minimum = 0,
     .maximum = UINT32_MAX,
     .handle = [](const Call& c) { server(c).thresholds.lower = number_at(c); }},
};

}  // namespace

std::span<const Keyword> real_server_keywords() {
    return keywords;
}

}  // namespace dnsdirector::config
