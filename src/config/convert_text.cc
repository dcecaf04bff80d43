// SPDX-License-Identifier: Apache-2.0
#include "config/convert_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "config/ipvs_options.h"
#include "core/mnemonics.h"

namespace dnsdirector::config {
namespace {

using core::CheckTiming;

constexpr std::uint16_t servfail = 2;
constexpr std::uint16_t refused = 5;

/// Statements of one line.
class Statements {
public:
    template <typename... Args>
    void add_if(bool says, fmt::format_string<Args...> format, Args&&... args) {
        if (says) statements_.push_back(fmt::format(format, std::forward<Args>(args)...));
    }
    void end(std::vector<std::string>& lines) {
        if (!statements_.empty()) lines.push_back(fmt::format("{}", fmt::join(statements_, "; ")));
        statements_.clear();
    }

private:
    std::vector<std::string> statements_;
};

// ---- command lines ----------------------------------------------------------------

/// A word as the second reading of a command line wants it.
std::string inner_word(const std::string& word) {
    constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_{}-^?*[]()$~";
    if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
    std::string out = "'";
    for (const char c : word) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out + "'";
}

std::string in_quotes(const std::string& command) {
    std::string out = "\"";
    for (const char c : command) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + "\"";
}

std::string inner_command(const std::vector<std::string>& arguments) {
    std::vector<std::string> words;
    words.reserve(arguments.size());
    for (const std::string& argument : arguments)
        words.push_back(inner_word(argument));
    return fmt::format("{}", fmt::join(words, " "));
}

std::string script_text(const core::ScriptCheck& script) {
    std::string command = inner_command(script.arguments);
    if (!script.stdout_to.empty()) command += " > " + inner_word(script.stdout_to);
    if (script.stderr_to == "&1")
        command += " 2>&1";
    else if (!script.stderr_to.empty())
        command += " 2> " + inner_word(script.stderr_to);
    return in_quotes(command);
}

std::string command_text(const core::Command& command) {
    return quoted_command(command.arguments) + (command.user.empty() ? "" : " " + command.user);
}

/// An ordinary argument, which knows quotes and no escapes.
std::string argument(const std::string& word) {
    const bool plain = word.find_first_of(" \t;{}#!'") == std::string::npos;
    return plain ? word : '"' + word + '"';
}

/// A line quoted for a shell, to which a backslash within quotes is an ordinary character.
std::string script_of_shell_line(std::string_view line) {
    constexpr std::string_view quote =
        "'\\''";  // core::shell_word's way out of its quotes and back
    std::string out;
    while (!line.empty()) {
        const bool whole = line.starts_with(quote);
        if (!whole && line.front() == '\\') out += '\\';
        out += line.substr(0, whole ? quote.size() : 1);
        line.remove_prefix(whole ? quote.size() : 1);
    }
    return in_quotes(out);
}

// ---- kinds of checks ----------------------------------------------------------------

std::string without_last_dot(const std::string& name) {
    return name.size() > 1 && name.back() == '.' ? name.substr(0, name.size() - 1) : name;
}

void add_expectations(const core::DnsCheck& check, Statements& line,
                      std::vector<std::string>& lines) {
    std::vector<std::uint16_t> standard;
    for (const std::uint16_t status : {servfail, refused})
        if (check.expect_rcode != status) standard.push_back(status);
    if (check.fail_on.empty()) {
        line.add_if(true, "fail_on none");
    } else if (check.fail_on != standard) {
        std::vector<std::string> names;
        names.reserve(check.fail_on.size());
        for (const std::uint16_t status : check.fail_on)
            names.push_back(core::rcode_name(status));
        line.add_if(true, "fail_on {}", fmt::join(names, " "));
    }
    if (check.expect_rcode)
        line.add_if(true, "expect rcode {}", core::rcode_name(*check.expect_rcode));
    if (!check.expect_answers.empty()) line.end(lines);
    static constexpr std::string_view words[] = {"answer", "all", "exactly", "pattern"};
    for (const std::string& answer : check.expect_answers)
        line.add_if(true, "expect {} {}{}{}", words[static_cast<std::size_t>(check.match)],
                    check.match == core::AnswerMatch::pattern ? "\"" : "", answer,
                    check.match == core::AnswerMatch::pattern ? "\"" : "");
    line.add_if(check.min_answers > 0, "min_answers {}", check.min_answers);
    std::vector<std::string_view> flags;
    if ((check.required_flags & core::header_flag::aa) != 0) flags.emplace_back("aa");
    if ((check.required_flags & core::header_flag::ad) != 0) flags.emplace_back("ad");
    if ((check.required_flags & core::header_flag::ra) != 0) flags.emplace_back("ra");
    line.add_if(!flags.empty(), "flags {}", fmt::join(flags, " "));
    line.add_if(check.max_time.count() > 0, "max_time {}", to_text(check.max_time));
    line.end(lines);
}

struct KindLines {
    const PlannedCheck& planned;
    std::vector<std::string>& lines;
    Statements line = {};

    void operator()(const core::DnsCheck& check) {
        line.add_if(true, "query \"{} {}{}\"", without_last_dot(check.name),
                    core::type_name(check.type),
                    check.klass == 1 ? "" : " " + core::class_name(check.klass));
        line.add_if(check.tls, "transport tls");
        line.add_if(!check.tls && !planned.transports[1], "transport udp");
        line.add_if(!check.tls && !planned.transports[0], "transport tcp");
        line.add_if(check.random_label, "random_label on");
        line.add_if(!check.recursion_desired, "recursion off");
        if (check.edns)
            line.add_if(true, "edns {}{}", check.edns->buffer_size,
                        check.edns->dnssec_ok ? " do" : "");
        line.add_if(check.on_truncated == core::OnTruncated::pass, "on_truncated pass");
        line.add_if(check.on_truncated == core::OnTruncated::fail, "on_truncated fail");
        add_expectations(check, line, lines);
    }
    void operator()(const core::DigCheck& check) {
        line.add_if(true, "script {}", script_of_shell_line(check.command));
        line.end(lines);
    }
    void operator()(const core::ScriptCheck& check) {
        line.add_if(true, "script {}", script_text(check));
        line.end(lines);
        line.add_if(!check.user.empty(), "user {}", check.user);
        line.add_if(check.dynamic, "dynamic");
        line.end(lines);
    }
    void operator()(const core::TcpCheck&) { lines.emplace_back("connect"); }
    void operator()(const core::PingCheck&) { lines.emplace_back("ping"); }
    void operator()(const core::UdpCheck& check) {
        line.add_if(true, "datagram{}{:02x}", check.payload.empty() ? "" : " ",
                    fmt::join(check.payload, ""));
        line.add_if(check.require_reply, "require_reply");
        line.add_if(check.min_reply_length > 0, "min_reply_length {}", check.min_reply_length);
        line.add_if(check.max_reply_length < 65535, "max_reply_length {}", check.max_reply_length);
        line.end(lines);
    }
    void operator()(const core::FileCheck& check) {
        line.add_if(true, "file \"{}\"", check.path);
        line.add_if(check.weight != 0 || check.reverse, "file_weight {}{}", check.weight,
                    check.reverse ? " reverse" : "");
        line.end(lines);
    }
    void operator()(const core::HttpCheck& check) {
        for (const core::HttpCheck::Url& url : check.urls) {
            std::vector<std::string> inner;
            std::vector<std::string> statuses;
            statuses.reserve(url.statuses.size());
            for (const auto& [from, to] : url.statuses)
                statuses.push_back(from == to ? fmt::format("{}", from)
                                              : fmt::format("{}-{}", from, to));
            if (!statuses.empty())
                inner.push_back(fmt::format("status {}", fmt::join(statuses, " ")));
            if (!url.virtual_host.empty()) inner.push_back("host " + argument(url.virtual_host));
            lines.push_back(
                fmt::format("http \"{}\"{}", url.path,
                            inner.empty() ? "" : fmt::format(" {{ {} }}", fmt::join(inner, "; "))));
        }
    }
};

struct Standard {
    Nanoseconds every;
    Nanoseconds timeout;
    std::uint32_t tries;
    std::uint32_t rise;
    std::uint32_t fall;
};

/// The native form's defaults by kind (docs/configuration.md).
Standard standard_of(const core::Check::What& what) {
    using namespace std::chrono_literals;
    if (std::holds_alternative<core::DnsCheck>(what)) return {1s, 500ms, 2, 2, 2};
    if (std::holds_alternative<core::ScriptCheck>(what) ||
        std::holds_alternative<core::DigCheck>(what))
        return {10s, 5s, 1, 2, 2};
    if (std::holds_alternative<core::FileCheck>(what)) return {1s, 1s, 1, 1, 1};
    return {1s, 500ms, 1, 2, 2};
}

}  // namespace

std::string quoted_command(const std::vector<std::string>& arguments) {
    return in_quotes(inner_command(arguments));
}

std::vector<std::string> lines_of_check(const PlannedCheck& planned) {
    const core::Check& check = planned.check;
    const CheckTiming& timing = check.timing;
    const Standard standard = standard_of(check.what);
    std::vector<std::string> lines;
    std::visit(KindLines{planned, lines}, check.what);
    Statements line;
    line.add_if(timing.every != standard.every, "every {}", to_text(timing.every));
    line.add_if(timing.timeout != standard.timeout, "timeout {}", to_text(timing.timeout));
    line.add_if(timing.tries != standard.tries, "tries {}", timing.tries);
    line.add_if(timing.rise != standard.rise, "rise {}", timing.rise);
    line.add_if(timing.fall != standard.fall, "fall {}", timing.fall);
    line.add_if(timing.limit.count() > 0, "limit {}", to_text(timing.limit));
    line.add_if(timing.retry_after.count() > 0, "retry_after {}", to_text(timing.retry_after));
    line.add_if(check.untested == core::Untested::in, "untested in");
    line.add_if(timing.warmup.count() > 0, "warmup {}", to_text(timing.warmup));
    if (planned.source[0] || planned.source[1])
        line.add_if(true, "source {}{}{}", planned.source[0] ? planned.source[0]->to_string() : "",
                    planned.source[0] && planned.source[1] ? " " : "",
                    planned.source[1] ? planned.source[1]->to_string() : "");
    line.add_if(check.target.address != IpAddress(), "target {}", check.target.address.to_string());
    line.add_if(check.target.port != 0, "port {}", check.target.port);
    std::visit(
        [&](const auto& what) {
            if constexpr (requires { what.via; }) {
                line.add_if(what.via.source_port != 0, "source_port {}", what.via.source_port);
                line.add_if(!what.via.interface.empty(), "bind_if {}", what.via.interface);
                line.add_if(what.via.mark != 0, "fwmark {}", what.via.mark);
            }
        },
        check.what);
    line.add_if(!planned.services[1], "services udp");
    line.add_if(!planned.services[0], "services tcp");
    line.end(lines);
    return lines;
}

std::string better_without(const PlannedCheck& planned) {
    std::vector<std::string_view> words;
    const auto* question = std::get_if<core::DnsCheck>(&planned.check.what);
    if (planned.was_dig && question != nullptr && question->fail_on.empty())
        words.emplace_back("fail_on none (as dig: SERVFAIL passes)");
    if (planned.check.untested == core::Untested::in)
        words.emplace_back("untested in (as keepalived: serves before its first verdict)");
    return fmt::format("{}", fmt::join(words, ", "));
}

/// A netmask for IPv4, a length for IPv6.
std::string granularity_text(std::uint8_t prefix, Family family) {
    if (family == Family::ipv6) return std::to_string(prefix);
    const std::uint32_t mask = prefix == 0 ? 0 : ~std::uint32_t{0} << (32U - prefix);
    return fmt::format("{}.{}.{}.{}", mask >> 24U, mask >> 16U & 255U, mask >> 8U & 255U,
                       mask & 255U);
}

std::vector<std::string> lines_of_policies(const PlannedCluster& cluster) {
    const core::Service& like = cluster.like;
    const core::Service standard;
    std::vector<std::string> lines;
    std::vector<std::string> addresses;
    addresses.reserve(cluster.service_ips.size());
    for (const IpAddress& address : cluster.service_ips)
        addresses.push_back(address.to_string());
    constexpr std::size_t many = 3;  // that leave no room for more on their line
    Statements line;
    line.add_if(true, "service_ip {}", fmt::join(addresses, " "));
    if (addresses.size() > many) line.end(lines);
    line.add_if(like.key.port != 53, "port {}", like.key.port);
    line.add_if(!cluster.protocols[1], "protocol udp");
    line.add_if(!cluster.protocols[0], "protocol tcp");
    line.add_if(like.scheduler != standard.scheduler, "lb_algo {}",
                core::to_string(like.scheduler));
    const bool hashes =
        like.scheduler == core::Scheduler::sh || like.scheduler == core::Scheduler::mh;
    line.add_if(hashes && like.other_hash, "hash_port {}",
                like.scheduler == core::Scheduler::sh ? "on" : "off");
    static constexpr std::string_view methods[] = {"DR", "TUN", "NAT"};
    line.add_if(like.method != standard.method, "lb_kind {}",
                methods[static_cast<std::size_t>(like.method)]);
    line.add_if(like.quorum.required != 1, "quorum {}", like.quorum.required);
    line.add_if(like.quorum.hysteresis != 0, "hysteresis {}", like.quorum.hysteresis);
    line.add_if(like.on_all_down != core::OnAllDown::hold, "on_all_down {}",
                core::to_string(like.on_all_down));
    line.add_if(like.max_out_percent != 100, "max_out {}%", like.max_out_percent);
    line.add_if(like.slow_start.count() > 0, "slow_start {}", to_text(like.slow_start));
    line.add_if(like.omega, "omega on");
    const core::IpvsOptions& ipvs = like.ipvs;
    line.add_if(ipvs.persistence_timeout != 0, "persistence_timeout {}s", ipvs.persistence_timeout);
    line.add_if(ipvs.persistence_prefix != 0, "persistence_granularity {}",
                granularity_text(ipvs.persistence_prefix, cluster.service_ips.front().family()));
    line.add_if(
        ipvs.one_packet && !one_packet_by_default(like.scheduler, ipvs.persistence_timeout != 0,
                                                  like.method == core::ForwardingMethod::nat),
        "ops on");
    line.end(lines);
    if (like.quorum_up) lines.push_back("quorum_up " + command_text(*like.quorum_up));
    if (like.quorum_down) lines.push_back("quorum_down " + command_text(*like.quorum_down));
    if (!like.sorry_server) return lines;
    std::string sorry = "sorry_server";
    for (const auto& endpoint : cluster.sorry_server)
        if (endpoint) sorry += " " + endpoint->address.to_string();
    line.add_if(true, "{}", sorry);
    line.add_if(like.sorry_server->endpoint.port != like.key.port, "sorry_server_port {}",
                like.sorry_server->endpoint.port);
    line.add_if(like.sorry_server->inhibit, "sorry_server_inhibit");
    line.end(lines);
    return lines;
}

std::vector<std::string> statements_of_server(const PlannedServer& server,
                                              const PlannedCluster& cluster) {
    std::vector<std::string> statements;
    std::string addresses = "address";
    for (const auto& address : server.address)
        if (address) addresses += " " + address->to_string();
    statements.push_back(std::move(addresses));
    if (server.port != cluster.like.key.port)
        statements.push_back(fmt::format("port {}", server.port));
    if (server.weight != 1) statements.push_back(fmt::format("weight {}", server.weight));
    if (server.inhibit_on_failure) statements.emplace_back("inhibit_on_failure");
    if (server.thresholds.upper != 0)
        statements.push_back(fmt::format("uthreshold {}", server.thresholds.upper));
    if (server.thresholds.lower != 0)
        statements.push_back(fmt::format("lthreshold {}", server.thresholds.lower));
    if (server.notify_up) statements.push_back("notify_up " + command_text(*server.notify_up));
    if (server.notify_down)
        statements.push_back("notify_down " + command_text(*server.notify_down));
    return statements;
}

}  // namespace dnsdirector::config
