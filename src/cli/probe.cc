// SPDX-License-Identifier: Apache-2.0
#include "cli/probe.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "config/dig_line.h"
#include "config/probe_words.h"
#include "config/script_words.h"
#include "config/values.h"
#include "core/mnemonics.h"
#include "core/status_pattern.h"
#include "dns/present.h"
#include "probe/ask_once.h"

namespace dnsdirector::cli {
namespace {

constexpr int healthy = 0, unhealthy = 1, usage = 2;
constexpr std::uint16_t dns_port = 53, dns_over_tls_port = 853;  // RFC 7858, 3.1

constexpr const char* examples =
    "Examples:\n"
    "  dnsdirector probe --server 203.0.113.11 --name www.example.com --type A\n"
    "      healthy unless it answers SERVFAIL or REFUSED, or not at all\n"
    "  dnsdirector probe --server '[2001:db8:1::11]:53' --tcp --name example.com --type SOA \\\n"
    "      --source 2001:db8::1 --timeout 1s --tries 3 --expect-rcode NOERROR\n"
    "  dnsdirector probe --server 203.0.113.11 --name www.example.com --type A \\\n"
    "      --expect-answer 198.51.100.80\n"
    "  dnsdirector probe --server 203.0.113.11 --name example.com --type NS --no-recursion \\\n"
    "      --match exactly --expect-answer ns1.example.com. --expect-answer ns2.example.com. \\\n"
    "      --flags aa --max-time 50ms\n"
    "  dnsdirector probe --server 203.0.113.11 --name test.example.com --random-label --tls \\\n"
    "      --do --flags ad --show-reply\n"
    "\n"
    "The words of the classic dig wrapper, for MISC_CHECK lines that exist already:\n"
    "  dnsdirector probe FROM_IP CLASS QTYPE QNAME TO_IP TIME TRIES ERROR_STATUS_REGEX [udp|tcp]\n"
    "  dnsdirector probe 203.0.113.1 IN A www.example.com 203.0.113.11 1 5 'SERVFAIL|REFUSED' udp\n"
    "      FROM_IP 0.0.0.0 or :: leaves the choice to the kernel; TO_IP may carry a port\n"
    "      (203.0.113.11:5353, [2001:db8::11]:5353); TIME is seconds for one try and may have\n"
    "      a fraction. The expression is matched against the reply's status (NOERROR,\n"
    "      SERVFAIL, …) from its start, case-sensitive (RE2): a match is a failure.\n"
    "\n"
    "A dig line as a MISC_CHECK has it, run as the director runs it, without dig:\n"
    "  dnsdirector probe --dig '/usr/bin/dig -b 203.0.113.1 a www.example.com @203.0.113.11'\n"
    "\n"
    "Exit status: 0 healthy, 1 unhealthy, 2 wrong usage; with --dig that of dig (0 a reply,\n"
    "9 none), 2 for a line that only dig itself can run.";

struct Question {
    Endpoint server;
    core::DnsCheck check;
    core::CheckTiming timing;
};

/// What was written, before it is understood; both forms of the command fill it in.
struct Words {
    std::string server, source, klass = "IN", type, name, timeout = "500ms", tries = "2";
    std::vector<std::string> fail_on;
    std::string expect_rcode;
    std::vector<std::string> expect_answers;
    std::string on_truncated = "tcp", transport = "udp";
    bool no_recursion = false, random_label = false, tls = false, dnssec_ok = false;
    std::string edns, match = "any", min_answers, max_time;
    std::vector<std::string> flags;
    std::string source_port, interface, mark;
    bool show_reply = false;
};

/// Decimal, or hexadecimal with 0x, as marks are written; `what` is for the message.
Result<std::uint32_t> parse_number(const std::string& text, const char* what, std::uint32_t minimum,
                                   std::uint32_t maximum) {
    const bool hexadecimal = text.starts_with("0x");
    std::uint32_t number = 0;
    const char* end = text.data() + text.size();
    const auto [rest, status] =
        std::from_chars(text.data() + (hexadecimal ? 2 : 0), end, number, hexadecimal ? 16 : 10);
    if (status != std::errc{} || rest != end || number < minimum || number > maximum)
        return fail("\"{}\" is no {}: {} to {}", text, what, minimum, maximum);
    return number;
}

/// Where a number may be left out: `number` stays as it is then.
template <typename Number>
Result<std::monostate> read_number(const std::string& text, const char* what, std::uint32_t minimum,
                                   Number& number) {
    if (text.empty()) return {};
    Result<std::uint32_t> read =
        parse_number(text, what, minimum, std::numeric_limits<Number>::max());
    if (!read) return tl::unexpected(read.error());
    number = static_cast<Number>(*read);
    return {};
}

Result<std::vector<std::uint16_t>> parse_fail_on(const std::vector<std::string>& patterns) {
    std::vector<std::uint16_t> all;
    for (const std::string& pattern : patterns) {
        Result<std::vector<std::uint16_t>> statuses = core::statuses_matching(pattern);
        if (!statuses) return statuses;
        all.insert(all.end(), statuses->begin(), statuses->end());
    }
    std::ranges::sort(all);
    const auto repeated = std::ranges::unique(all);
    all.erase(repeated.begin(), repeated.end());
    return all;
}

Result<std::optional<IpAddress>> parse_source(const std::string& text, Family family) {
    if (text.empty()) return std::nullopt;
    const std::optional<IpAddress> address = IpAddress::parse(text);
    if (!address) return fail("\"{}\" is no source address", text);
    if (address->is_unspecified()) return std::nullopt;
    if (address->family() != family)
        return fail("the source {} and the server are not of one address family", text);
    return address;
}

Result<std::monostate> read_question(const Words& words, core::DnsCheck& check) {
    const std::string type = !words.type.empty() ? words.type : words.name.empty() ? "SOA" : "A";
    const std::optional<std::uint16_t> type_number = core::type_number(type);
    const std::optional<std::uint16_t> class_number = core::class_number(words.klass);
    if (!type_number) return fail("\"{}\" is no record type: A, AAAA, SOA, TYPE65280 …", type);
    if (!class_number) return fail("\"{}\" is no class: IN, CH, HS, CLASS4 …", words.klass);
    if (words.transport != "udp" && words.transport != "tcp")
        return fail("\"{}\" is no transport: udp or tcp", words.transport);
    check.name = words.name.empty() ? "." : words.name;
    check.type = *type_number;
    check.klass = *class_number;
    check.transport = words.transport == "tcp" ? Protocol::tcp : Protocol::udp;
    check.recursion_desired = !words.no_recursion;
    check.random_label = words.random_label;
    check.tls = words.tls;
    if (words.tls) check.transport = Protocol::tcp;
    if (words.edns.empty() && !words.dnssec_ok) return {};
    check.edns = core::Edns{.dnssec_ok = words.dnssec_ok};
    return read_number(words.edns, "EDNS buffer size", 512, check.edns->buffer_size);
}

Result<std::uint16_t> parse_flags(const std::vector<std::string>& names) {
    constexpr std::pair<std::string_view, std::uint16_t> flags[] = {{"aa", core::header_flag::aa},
                                                                    {"ra", core::header_flag::ra},
                                                                    {"ad", core::header_flag::ad}};
    std::uint16_t bits = 0;
    for (const std::string& name : names) {
        const auto* flag = std::ranges::find(std::begin(flags), std::end(flags), name,
                                             [](const auto& known) { return known.first; });
        if (flag == std::end(flags)) return fail("\"{}\" is no flag: aa, ra, ad", name);
        bits = static_cast<std::uint16_t>(bits | flag->second);
    }
    return bits;
}

Result<std::monostate> read_answers(const Words& words, core::DnsCheck& check) {
    using core::AnswerMatch;
    check.expect_answers = words.expect_answers;
    check.match = words.match == "all"       ? AnswerMatch::all
                  : words.match == "exactly" ? AnswerMatch::exactly
                  : words.match == "pattern" ? AnswerMatch::pattern
                                             : AnswerMatch::any;
    const Result<std::uint16_t> flags = parse_flags(words.flags);
    if (!flags) return tl::unexpected(flags.error());
    check.required_flags = *flags;
    if (!words.max_time.empty()) {
        const Result<Nanoseconds> time =
            config::parse_duration(words.max_time, Milliseconds{1}, Seconds{3600});
        if (!time) return tl::unexpected(time.error());
        check.max_time = *time;
    }
    return read_number(words.min_answers, "number of answers", 1, check.min_answers);
}

Result<std::monostate> read_via(const Words& words, Family family, core::Via& via) {
    Result<std::optional<IpAddress>> source = parse_source(words.source, family);
    if (!source) return tl::unexpected(source.error());
    via.source = *source;
    if (!words.interface.empty()) {
        Result<std::string> interface = config::parse_interface(words.interface);
        if (!interface) return tl::unexpected(interface.error());
        via.interface = std::move(*interface);
    }
    if (auto read = read_number(words.mark, "firewall mark", 1, via.mark); !read) return read;
    return read_number(words.source_port, "port", 1, via.source_port);
}

Result<std::monostate> read_criteria(const Words& words, core::DnsCheck& check) {
    Result<std::vector<std::uint16_t>> fail_on = parse_fail_on(words.fail_on);
    if (!fail_on) return tl::unexpected(fail_on.error());
    check.fail_on = std::move(*fail_on);
    if (!words.expect_rcode.empty()) {
        check.expect_rcode = core::rcode_number(words.expect_rcode);
        if (!check.expect_rcode)
            return fail("\"{}\" is no status: NOERROR, NXDOMAIN, RCODE11 …", words.expect_rcode);
    }
    check.on_truncated = words.on_truncated == "pass"   ? core::OnTruncated::pass
                         : words.on_truncated == "fail" ? core::OnTruncated::fail
                                                        : core::OnTruncated::ask_over_tcp;
    return read_answers(words, check);
}

Result<Question> understand(const Words& words) {
    Question question;
    const std::optional<Endpoint> server =
        Endpoint::parse(words.server, words.tls ? dns_over_tls_port : dns_port);
    if (!server || server->address.is_unspecified())
        return fail("\"{}\" is no server: ADDRESS, ADDRESS:PORT or [IPV6]:PORT", words.server);
    question.server = *server;
    if (auto read = read_question(words, question.check); !read)
        return tl::unexpected(read.error());
    if (auto read = read_criteria(words, question.check); !read)
        return tl::unexpected(read.error());
    if (auto read = read_via(words, server->address.family(), question.check.via); !read)
        return tl::unexpected(read.error());
    Result<Nanoseconds> timeout =
        config::parse_duration(words.timeout, Milliseconds{1}, Seconds{3600});
    if (!timeout) return tl::unexpected(timeout.error());
    question.timing.timeout = *timeout;
    Result<std::uint32_t> tries = parse_number(words.tries, "number of tries", 1, 10);
    if (!tries) return tl::unexpected(tries.error());
    question.timing.tries = *tries;
    return question;
}

int complain(const std::string& message) {
    fmt::print(stderr, "dnsdirector probe: {}\n", message);
    return usage;
}

int show(const probe::Report& report, bool with_reply = false) {
    const core::Verdict& verdict = report.verdict;
    const std::string status = report.rcode ? core::rcode_name(*report.rcode) : "no status";
    std::string line = fmt::format("{} {}", verdict.passed() ? "healthy" : "unhealthy", status);
    if (verdict.rtt.count() > 0)
        line += fmt::format(" {:.3f} ms", static_cast<double>(verdict.rtt.count()) / 1000);
    if (!verdict.passed()) line += ": " + verdict.reason;
    fmt::print("{}\n", line);
    if (with_reply && verdict.reply) fmt::print("{}", dns::in_dig_form(*verdict.reply));
    return verdict.passed() ? healthy : unhealthy;
}

int ask(const Question& question, bool with_reply = false) {
    const Result<probe::Report> report =
        probe::ask_once(question.server, question.check, question.timing);
    return report ? show(*report, with_reply) : complain(report.error().message);
}

int run_words(const std::vector<std::string>& given) {
    Result<config::ProbeWords> words = config::parse_probe_words(given);
    if (!words) return complain(words.error().message);
    Question question{words->server, std::move(words->check), {}};
    question.timing.timeout = words->timeout;
    question.timing.tries = words->tries;
    return ask(question);
}

/// --dig LINE: dig's exit status, or `usage` where only dig itself will do.
int run_dig(const std::string& line) {
    // In a file a program has its full path; in a shell nobody types it.
    const bool bare = line.starts_with("dig ") || line == "dig";
    const Result<core::ScriptCheck> script = config::parse_script(bare ? "/usr/bin/" + line : line);
    if (!script) return complain(script.error().message);
    const Result<config::DigLine> dig = config::parse_dig_line(script->arguments);
    if (!dig) return complain(dig.error().message);
    core::CheckTiming timing;
    timing.timeout = dig->timeout;
    timing.tries = dig->tries;
    const Result<probe::DigReport> report = probe::dig_once(dig->server, dig->check, timing);
    if (!report) return complain(report.error().message);
    // What dig is content with (SERVFAIL, say) need not be healthy.
    const core::Verdict& verdict = report->report.verdict;
    if (!verdict.passed()) fmt::print("{}; ", verdict.reason);
    if (report->report.rcode) fmt::print("status {}; ", core::rcode_name(*report->report.rcode));
    fmt::print("dig ends with exit status {}\n", report->exit_status);
    return report->exit_status;
}

/// What goes beyond a plain question: EDNS, criteria, how packets leave.
void add_more_options(CLI::App& app, Words& words) {
    app.add_flag("--tls", words.tls, "ask over TLS (port 853); the certificate is not judged");
    app.add_flag("--random-label", words.random_label,
                 "a new random label in front of the name, which no cache knows");
    app.add_option("--edns", words.edns, "send EDNS with this buffer size, 512 to 65535");
    app.add_flag("--do", words.dnssec_ok, "send EDNS with DO: DNSSEC records are wanted");
    app.add_option("--match", words.match,
                   "any or all of the expected answers, exactly them, or a pattern (RE2)")
        ->check(CLI::IsMember({"any", "all", "exactly", "pattern"}))
        ->capture_default_str();
    app.add_option("--flags", words.flags, "flags that the reply must carry: aa, ra, ad")
        ->delimiter(',');
    app.add_option("--min-answers", words.min_answers, "as many records of the type at least");
    app.add_option("--max-time", words.max_time, "a reply that took longer fails");
    app.add_option("--source-port", words.source_port, "port to send from");
    app.add_option("--interface", words.interface, "interface to send through");
    app.add_option("--fwmark", words.mark, "firewall mark of what is sent (needs CAP_NET_ADMIN)");
    app.add_flag("--show-reply", words.show_reply, "print a reply that failed, in dig's form");
}

int run_options(std::vector<std::string> arguments) {
    Words words;
    std::string dig;
    bool tcp = false;
    CLI::App app{"Asks one server one DNS question and judges the answer, as a check would.",
                 "dnsdirector probe"};
    app.footer(examples);
    auto* server = app.add_option("--server", words.server, "ADDRESS[:PORT] that is asked");
    app.add_option("--dig", dig, "a dig command line, asked without dig and with its exit status")
        ->excludes(server);
    app.add_option("--name", words.name, "name asked for (default: .)");
    app.add_option("--type", words.type, "record type (default: A, for . SOA)");
    app.add_option("--class", words.klass, "class")->capture_default_str();
    app.add_option("--source", words.source, "address to send from");
    app.add_option("--timeout", words.timeout, "time for one try")->capture_default_str();
    app.add_option("--tries", words.tries, "tries until silence counts")->capture_default_str();
    app.add_flag("--tcp", tcp, "ask over TCP");
    app.add_flag("--no-recursion", words.no_recursion, "ask without RD, as of an authority");
    app.add_option("--fail-on", words.fail_on,
                   "statuses that are failures, regular expressions (default: SERVFAIL REFUSED)");
    app.add_option("--expect-rcode", words.expect_rcode, "the one status that passes");
    app.add_option("--expect-answer", words.expect_answers,
                   "record data, one of which must be among the answers (see --match)");
    app.add_option("--on-truncated", words.on_truncated,
                   "a truncated reply over UDP: ask again over tcp, pass or fail")
        ->check(CLI::IsMember({"tcp", "pass", "fail"}))
        ->capture_default_str();
    add_more_options(app, words);
    try {
        std::ranges::reverse(arguments);  // CLI11 takes a vector from its end
        app.parse(std::move(arguments));
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? healthy : usage;
    }
    if (tcp) words.transport = "tcp";
    if (!dig.empty()) return run_dig(dig);
    if (words.server.empty()) return complain("--server is missing: whom to ask");
    if (words.fail_on.empty()) words.fail_on = {"SERVFAIL$", "REFUSED$"};
    const Result<Question> question = understand(words);
    return question ? ask(*question, words.show_reply) : complain(question.error().message);
}

}  // namespace

int run_probe(int argc, char** argv) {
    std::vector<std::string> arguments(argv, argv + argc);
    const bool words = !arguments.empty() && !arguments[0].starts_with('-');
    return words ? run_words(arguments) : run_options(std::move(arguments));
}

}  // namespace dnsdirector::cli
