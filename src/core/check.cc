// SPDX-License-Identifier: Apache-2.0
#include "core/check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/overloaded.h"
#include "core/mnemonics.h"

namespace dnsdirector::core {
namespace {

std::string question(const std::string& name, std::uint16_t klass, std::uint16_t type) {
    return klass == 1 ? fmt::format("{} {}", name, type_name(type))
                      : fmt::format("{} {} {}", name, class_name(klass), type_name(type));
}

std::string_view transport(const DnsCheck& check) {
    return check.tls ? "tls" : to_string(check.transport);
}

// ---- everything -----------------------------------------------------------------

std::string quoted(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words)
        text += fmt::format("{}'{}'", text.empty() ? "" : " ", word);
    return text;
}

std::string rcodes(const std::vector<std::uint16_t>& list) {
    std::vector<std::string> names;
    names.reserve(list.size());
    for (const std::uint16_t rcode : list)
        names.push_back(rcode_name(rcode));
    return fmt::format("{}", fmt::join(names, " "));
}

std::string via_text(const Via& via) {
    return fmt::format("source {} port {}, interface '{}', mark {}{}{}{}",
                       via.source ? via.source->to_string() : "any", via.source_port, via.interface,
                       via.mark, via.service_ip ? ", through " : "",
                       via.service_ip ? via.service_ip->to_string() : "",
                       via.tunnel ? " by a tunnel" : "");
}

std::string edns_text(const std::optional<Edns>& edns) {
    if (!edns) return "off";
    return fmt::format("{}{}", edns->buffer_size, edns->dnssec_ok ? " do" : "");
}

std::string_view match_text(AnswerMatch match) {
    switch (match) {
        case AnswerMatch::any: return "any of";
        case AnswerMatch::all: return "all of";
        case AnswerMatch::exactly: return "exactly";
        case AnswerMatch::pattern: return "matching";
    }
    return "";
}

std::string text(const DnsCheck& check) {
    return fmt::format(
        "dns {} over {}, {}, fail_on [{}], expect rcode {}, answers {} [{}], flags {:#06x}, at "
        "least {}, within {}, recursion {}, edns {}, random label {}, on_truncated {}",
        question(check.name, check.klass, check.type), transport(check), via_text(check.via),
        rcodes(check.fail_on), check.expect_rcode ? rcode_name(*check.expect_rcode) : "any",
        match_text(check.match), quoted(check.expect_answers), check.required_flags,
        check.min_answers, to_text(check.max_time), check.recursion_desired ? "on" : "off",
        edns_text(check.edns), check.random_label ? "on" : "off",
        static_cast<int>(check.on_truncated));
}

std::string text(const DigCheck& check) {
    return fmt::format("dig {} over {}, {}, recursion {}, edns {}, ignore {}, {} over tcp: '{}'",
                       question(check.name, check.klass, check.type), check.tcp ? "tcp" : "udp",
                       via_text(check.via), check.recursion_desired ? "on" : "off",
                       edns_text(check.edns), check.ignore_truncation, to_text(check.tcp_timeout),
                       check.command);
}

std::string text(const ScriptCheck& check) {
    return fmt::format("script {} > '{}' 2> '{}' as '{}'{}", quoted(check.arguments),
                       check.stdout_to, check.stderr_to, check.user,
                       check.dynamic ? ", dynamic" : "");
}

std::string text(const TcpCheck& check) {
    return "tcp, " + via_text(check.via);
}

std::string text(const UdpCheck& check) {
    return fmt::format("udp, {}, payload {:02x}, reply {}, {} to {} bytes", via_text(check.via),
                       fmt::join(check.payload, ""), check.require_reply ? "required" : "optional",
                       check.min_reply_length, check.max_reply_length);
}

std::string text(const PingCheck& check) {
    return "ping, " + via_text(check.via);
}

std::string text(const FileCheck& check) {
    return fmt::format("file '{}' weight {}{}", check.path, check.weight,
                       check.reverse ? " reverse" : "");
}

std::string text(const HttpCheck& check) {
    std::string urls;
    for (const HttpCheck::Url& url : check.urls) {
        urls += fmt::format(" '{}' of '{}'", url.path, url.virtual_host);
        for (const auto& [from, to] : url.statuses)
            urls += fmt::format(" {}-{}", from, to);
    }
    return fmt::format("http, {},{}", via_text(check.via), urls);
}

}  // namespace

std::string_view kind_of(const Check::What& what) {
    static constexpr std::string_view kinds[] = {"dns", "dig",  "misc", "tcp",
                                                 "udp", "ping", "file", "http"};
    static_assert(std::size(kinds) == std::variant_size_v<Check::What>);
    return kinds[what.index()];
}

std::string summary_of(const Check::What& what) {
    return std::visit(
        Overloaded{
            [](const DnsCheck& check) {
                return fmt::format("{} {}{}{}", question(check.name, check.klass, check.type),
                                   transport(check), check.via.service_ip ? " through " : "",
                                   check.via.service_ip ? check.via.service_ip->to_string() : "");
            },
            [](const DigCheck& check) {
                return fmt::format("{} {} as dig", question(check.name, check.klass, check.type),
                                   check.tcp ? "tcp" : "udp");
            },
            [](const ScriptCheck& check) {
                return check.arguments.empty() ? std::string{} : check.arguments.front();
            },
            [](const TcpCheck&) { return std::string{"connect"}; },
            [](const UdpCheck& check) {
                return fmt::format("datagram of {} bytes", check.payload.size());
            },
            [](const PingCheck&) { return std::string{"echo"}; },
            [](const FileCheck& check) { return check.path; },
            [](const HttpCheck& check) {
                return check.urls.empty() ? std::string{} : "GET " + check.urls.front().path;
            },
        },
        what);
}

std::string full_text(const Check& check) {
    const CheckTiming& timing = check.timing;
    return fmt::format(
        "{} to {}, every {}, timeout {}, tries {}, limit {}, rise {}, fall {}, retry after {}, "
        "warmup {}, {}",
        std::visit([](const auto& what) { return text(what); }, check.what),
        check.target.to_string(), to_text(timing.every), to_text(timing.timeout), timing.tries,
        to_text(timing.limit), timing.rise, timing.fall, to_text(timing.retry_after),
        to_text(timing.warmup),
        check.untested == Untested::in ? "in until tested" : "out until tested");
}

}  // namespace dnsdirector::core
