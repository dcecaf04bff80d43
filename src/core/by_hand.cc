// SPDX-License-Identifier: Apache-2.0
#include "core/by_hand.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/overloaded.h"
#include "core/mnemonics.h"

namespace dnsdirector::core {
namespace {

constexpr std::uint16_t dns_port = 53;
constexpr std::uint16_t dns_over_tls_port = 853;

/// At least one.
std::int64_t whole_seconds(Nanoseconds time) {
    return std::max<std::int64_t>(1, std::chrono::ceil<Seconds>(time).count());
}

/// What no option says, as a shell's comment.
std::string remark(const Via& via) {
    std::string text;
    if (!via.interface.empty()) text += "  # the check leaves by " + via.interface;
    if (via.mark != 0)
        text += fmt::format("{} with mark {}", text.empty() ? "  # the check's packets go" : "",
                            via.mark);
    return text;
}

std::string source_option(const Via& via, const char* option, const char* before_port) {
    if (!via.source) return "";
    const std::string port =
        via.source_port == 0 ? "" : fmt::format("{}{}", before_port, via.source_port);
    return fmt::format(" {} {}{}", option, via.source->to_string(), port);
}

std::string question(const std::string& name, std::uint16_t klass, std::uint16_t type) {
    return fmt::format(" {}{} {}", shell_word(name), klass == 1 ? "" : " " + class_name(klass),
                       type_name(type));
}

std::string edns_options(const std::optional<Edns>& edns) {
    if (!edns) return " +noedns";
    return fmt::format(" +nocookie +bufsize={}{}", edns->buffer_size,
                       edns->dnssec_ok ? " +dnssec" : "");
}

std::string dig(const Check& check, const DnsCheck& dns) {
    const bool through = dns.via.service_ip.has_value();
    std::string line = through ? "dig" : "dig" + source_option(dns.via, "-b", "#");
    const std::uint16_t usual = dns.tls ? dns_over_tls_port : dns_port;
    if (check.target.port != usual) line += fmt::format(" -p {}", check.target.port);
    line += fmt::format(" @{}", dns.via.service_ip.value_or(check.target.address).to_string());
    line += question(dns.random_label ? "any-label." + dns.name : dns.name, dns.klass, dns.type);
    if (dns.tls)
        line += " +tls";
    else if (dns.transport == Protocol::tcp)
        line += " +tcp";
    if (!dns.recursion_desired) line += " +norecurse";
    line += edns_options(dns.edns);
    if (dns.on_truncated != OnTruncated::ask_over_tcp) line += " +ignore";
    return fmt::format("{} +time={} +tries={}{}", line, whole_seconds(check.timing.timeout),
                       check.timing.tries,
                       through ? fmt::format("  # on {} itself, where the check's packet ends",
                                             check.target.address.to_string())
                               : remark(dns.via));
}

std::string ping(const Check& check, const Via& via) {
    const std::string from = !via.interface.empty() ? " -I " + via.interface
                             : via.source           ? " -I " + via.source->to_string()
                                                    : "";
    return fmt::format("ping -n -c 1 -W {}{} {}", whole_seconds(check.timing.timeout), from,
                       check.target.address.to_string());
}

std::string netcat(const Check& check, const Via& via) {
    return fmt::format("nc -vz -w {}{} {} {}{}", whole_seconds(check.timing.timeout),
                       source_option(via, "-s", " -p "), check.target.address.to_string(),
                       check.target.port, remark(via));
}

std::string curl(const Check& check, const HttpCheck& http) {
    if (http.urls.empty()) return "";
    const HttpCheck::Url& url = http.urls.front();
    const std::string from = !http.via.interface.empty()
                                 ? " --interface " + http.via.interface
                                 : source_option(http.via, "--interface", ":");
    const std::string host =
        url.virtual_host.empty() ? "" : " -H " + shell_word("Host: " + url.virtual_host);
    return fmt::format("curl -i -m {}{}{} {}", whole_seconds(check.timing.timeout), from, host,
                       shell_word("http://" + check.target.to_string() + url.path));
}

}  // namespace

std::string shell_word(const std::string& word) {
    constexpr std::string_view harmless =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-";
    if (!word.empty() && word.find_first_not_of(harmless) == std::string::npos) return word;
    std::string quoted = "'";
    for (const char c : word)
        quoted += c == '\'' ? std::string{"'\\''"} : std::string(1, c);
    return quoted + "'";
}

std::string shell_line(std::span<const std::string> words) {
    std::string line;
    for (const std::string& word : words)
        line += (line.empty() ? "" : " ") + shell_word(word);
    return line;
}

std::string by_hand(const Check& check) {
    return std::visit(Overloaded{
                          [&](const DnsCheck& dns) { return dig(check, dns); },
                          [](const DigCheck& dig) { return dig.command; },
                          [](const ScriptCheck& script) { return shell_line(script.arguments); },
                          [&](const TcpCheck& tcp) { return netcat(check, tcp.via); },
                          [](const UdpCheck&) { return std::string{}; },
                          [&](const PingCheck& echo) { return ping(check, echo.via); },
                          [](const FileCheck& file) { return "cat " + shell_word(file.path); },
                          [&](const HttpCheck& http) { return curl(check, http); },
                      },
                      check.what);
}

}  // namespace dnsdirector::core
