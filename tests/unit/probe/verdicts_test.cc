// SPDX-License-Identifier: Apache-2.0
//
// What every kind of check says of every way in which a server misbehaves:
// verdicts.txt, over both families, with tests/lab/tools/misbehave.py in a
// namespace of its own.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <sstream>

#include "unit/probe/checks.h"
#include "unit/probe/drive.h"
#include "unit/probe/far_side.h"
#include "unit/support/child.h"

namespace dnsdirector::probe {
namespace {

using test::check_of;

constexpr const char* source_directory = DNSDIRECTOR_SOURCE_DIR;
constexpr const char* server_program = "/usr/bin/python3";
constexpr const char* dig_program = "/usr/bin/dig";
constexpr std::uint16_t first_port = 5300;
/// A late answer comes after the time-out by a multiple of what a busy machine
/// adds to either.
constexpr Milliseconds timeout{1000};
constexpr const char* late_by = "3.0";

/// The addresses of one family (far_side.h).
struct Side {
    const char* digit;
    const char *server, *other, *router, *unreachable, *silent;
};
constexpr Side sides[] = {
    {"4", "192.0.2.11", "192.0.2.12", "192.0.2.254", "198.51.100.9", "198.51.100.200"},
    {"6", "2001:db8::11", "2001:db8::12", "2001:db8::fe", "2001:db8:1::9", "2001:db8:3::9"},
};

core::Check::What dns(Protocol transport, bool expecting) {
    core::DnsCheck check{.name = "www.example.com.", .type = 1, .transport = transport};
    check.fail_on = {2, 5};
    if (expecting) {
        check.expect_rcode = 0;
        check.expect_answers = {"198.51.100.80"};
    }
    return check;
}

core::Check::What dns_without_tcp() {
    core::Check::What check = dns(Protocol::udp, false);
    std::get<core::DnsCheck>(check).on_truncated = core::OnTruncated::fail;
    return check;
}

core::Check::What native_dig(bool tcp) {
    return core::DigCheck{.name = "www.example.com.", .type = 1, .tcp = tcp, .edns = core::Edns{}};
}

core::Check::What real_dig(const Endpoint& target, const char* option) {
    return core::ScriptCheck{.arguments = {dig_program, "@" + target.address.to_string(), "-p",
                                           std::to_string(target.port), "www.example.com", "a",
                                           "+time=1", "+tries=1", option}};
}

/// What the lines of the table call a kind of check.
const std::map<std::string, core::Check::What (*)(const Endpoint&)>& kinds() {
    static const std::map<std::string, core::Check::What (*)(const Endpoint&)> table = {
        {"dns-udp", [](const Endpoint&) { return dns(Protocol::udp, false); }},
        {"dns-tcp", [](const Endpoint&) { return dns(Protocol::tcp, false); }},
        {"dns-udp-expecting", [](const Endpoint&) { return dns(Protocol::udp, true); }},
        {"dns-tcp-expecting", [](const Endpoint&) { return dns(Protocol::tcp, true); }},
        {"dns-udp-cut", [](const Endpoint&) { return dns_without_tcp(); }},
        {"dig", [](const Endpoint&) { return native_dig(false); }},
        {"dig-tcp", [](const Endpoint&) { return native_dig(true); }},
        {"misc-dig", [](const Endpoint& target) { return real_dig(target, "+notcp"); }},
        {"misc-dig-tcp", [](const Endpoint& target) { return real_dig(target, "+tcp"); }},
        {"tcp", [](const Endpoint&) -> core::Check::What { return core::TcpCheck{}; }},
        {"udp",
         [](const Endpoint&) -> core::Check::What { return core::UdpCheck{.payload = {1}}; }},
        {"udp-reply",
         [](const Endpoint&) -> core::Check::What {
             return core::UdpCheck{
                 .payload = {1, 2, 3}, .require_reply = true, .min_reply_length = 1};
         }},
        {"http",
         [](const Endpoint&) -> core::Check::What {
             return core::HttpCheck{.urls = {{"/", "", {{200, 200}}}}};
         }},
        {"ping", [](const Endpoint&) -> core::Check::What { return core::PingCheck{}; }},
    };
    return table;
}

/// One line of the table for one family.
struct Row {
    std::string name;  ///< "servfail dns-udp over IPv4"
    core::Check check;
    std::string expected;  ///< "passed", or "answer: SERVFAIL"
};

struct Table {
    std::vector<Row> rows;
    std::string mistake;
};

std::string filled_in(std::string text, const Side& side) {
    const std::pair<std::string, const char*> names[] = {{"{router}", side.router},
                                                         {"{server}", side.server}};
    for (const auto& [name, value] : names)
        if (const std::size_t at = text.find(name); at != std::string::npos)
            text.replace(at, name.size(), value);
    return text;
}

/// The host's own silence or absence is not a port's: ping needs hosts that
/// have it.
Endpoint target_of(const std::string& behaviour, const std::string& kind, std::uint16_t port,
                   const Side& side) {
    const char* address = side.server;
    if (kind == "ping" && behaviour == "unreachable") address = side.unreachable;
    if (kind == "ping" && behaviour == "silence") address = side.silent;
    return {*IpAddress::parse(address), port};
}

/// Behaviours stand at the beginning of a line, kinds indented below, "kind/4"
/// where a line is for one family.
Table read_table(const std::map<std::string, std::uint16_t>& ports) {
    Table table;
    const std::string path = std::string(source_directory) + "/tests/unit/probe/verdicts.txt";
    std::ifstream file(path);
    if (!file) table.mistake = "cannot read " + path;
    std::string line, behaviour;
    for (int number = 1; std::getline(file, line); ++number) {
        if (line.empty() || line[0] == '#') continue;
        std::istringstream words(line);
        std::string kind, expected;
        words >> kind;
        if (line[0] != ' ') {
            behaviour = kind;
            if (!ports.contains(behaviour))
                table.mistake = fmt::format("{}:{}: no such behaviour", path, number);
            continue;
        }
        std::getline(words >> std::ws, expected);
        const std::size_t slash = kind.find('/');
        const std::string family = slash == std::string::npos ? "46" : kind.substr(slash + 1);
        kind.resize(std::min(slash, kind.size()));
        const auto make = kinds().find(kind);
        if (make == kinds().end() || !ports.contains(behaviour)) {
            table.mistake = fmt::format("{}:{}: no such kind", path, number);
            continue;
        }
        for (const Side& side : sides) {
            if (family.find(side.digit) == std::string::npos) continue;
            const Endpoint target = target_of(behaviour, kind, ports.at(behaviour), side);
            core::Check check = check_of(target, make->second(target), timeout);
            if (kind.starts_with("misc")) check.timing.timeout = Seconds{20};
            table.rows.push_back({fmt::format("{} {} over IPv{}", behaviour, kind, side.digit),
                                  std::move(check), filled_in(expected, side)});
        }
    }
    return table;
}

std::string in_words(const core::Verdict& verdict) {
    return verdict.passed() ? "passed"
                            : fmt::format("{}: {}", to_string(verdict.failure), verdict.reason);
}

const std::string& program() {
    static const std::string path = std::string(source_directory) + "/tests/lab/tools/misbehave.py";
    return path;
}

/// Each behaviour has a port of its own, in the order in which the server lists
/// them.
std::map<std::string, std::uint16_t> ports_of_behaviours() {
    support::Child list({server_program, program(), "--list"});
    std::map<std::string, std::uint16_t> ports;
    std::uint16_t port = first_port;
    for (std::string line = list.read_line(); !line.empty(); line = list.read_line())
        ports[line] = port++;
    return ports;
}

TEST(Verdicts, AreWhatTheTableSaysForEveryKindAndBehaviour) {
    for (const char* needed : {server_program, dig_program}) {
        if (::access(needed, X_OK) == 0) continue;
        if (support::strict()) FAIL() << needed << " is missing";
        GTEST_SKIP() << needed << " is missing";
    }
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    support::NetworkNamespace far;
    ASSERT_EQ(far.obstacle(), "");
    far.leave();
    test::connect_far_side(far);

    const std::map<std::string, std::uint16_t> ports = ports_of_behaviours();
    std::vector<std::string> words = {server_program, program(), "--delay", late_by};
    for (const Side& side : sides)
        words.insert(words.end(), {"--other", side.other});
    for (const Side& side : sides)
        words.insert(words.end(), {side.server, std::to_string(first_port), "all"});
    const auto start_servers = [&] {
        const support::NetworkNamespace::Visit visit{far};
        return std::make_unique<support::Child>(words);
    };
    const std::unique_ptr<support::Child> servers = start_servers();
    ASSERT_EQ(servers->read_line(), "ready");

    const Table table = read_table(ports);
    ASSERT_EQ(table.mistake, "");
    ASSERT_GE(table.rows.size(), 200U);
    test::Recorder recorder;
    ASSERT_TRUE(test::far_side_answers(recorder));
    for (CheckId id = 0; id < table.rows.size(); ++id)
        recorder.prober->add(id, table.rows[id].check, true);
    std::vector<std::string> said(table.rows.size());
    std::size_t known = 0;
    recorder.prober->on_verdict = [&](CheckId id, const core::Verdict& verdict) {
        if (said[id].empty()) ++known;
        if (said[id].empty()) said[id] = in_words(verdict);
    };
    EXPECT_TRUE(test::drive(*recorder.prober, [&] { return known == said.size(); }, Seconds{30}));
    for (std::size_t row = 0; row < table.rows.size(); ++row)
        EXPECT_EQ(said[row], table.rows[row].expected) << table.rows[row].name;
}

}  // namespace
}  // namespace dnsdirector::probe
