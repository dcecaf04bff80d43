// SPDX-License-Identifier: Apache-2.0
#include "realserver/translation.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "realserver/rule_words.h"
#include "realserver/too_big.h"

namespace dnsdirector::realserver {
namespace {

using core::DnsProcess;

constexpr Protocol protocols[] = {Protocol::udp, Protocol::tcp};

/// A questioner waits some seconds; recursive servers give up after ten themselves.
constexpr std::string_view udp_memory = "10s";
/// A connection that nothing is sent over any more is remembered so long; DNS servers close an
/// idle one much sooner.
constexpr std::string_view tcp_memory = "10m";
/// One that is not yet established, as long as the kernel repeats its SYN-ACK.
constexpr std::string_view syn_memory = "1m";
/// Checks and people ask directly: few.
constexpr unsigned direct_size = 65536;
/// Unanswered questions to a further service IP; about 32 MB when full.
constexpr unsigned asked_size = 262144;

constexpr std::string_view new_connection = "tcp flags & (syn | ack) == syn";
constexpr std::string_view dns_question = "@th,80,8 & 0x80 == 0x0";  // QR (RFC 1035, 4.1.1)
constexpr std::string_view dns_answer = "@th,80,8 & 0x80 == 0x80";

class Ruleset {
public:
    explicit Ruleset(const core::RealServerMachine& machine);
    std::string text();

private:
    void line(unsigned depth, const std::string& text) {
        text_ += std::string(4UL * depth, ' ') + text + '\n';
    }
    void rule(const std::string& text) { line(2, text); }
    void open(const std::string& head) { line(1, head + " {"); }
    void close() { line(1, "}\n"); }

    [[nodiscard]] const std::vector<IpAddress>& service_ips(const FamilyWords& words) const {
        return service_ips_[words.family == Family::ipv4 ? 0 : 1];
    }
    /// "asked_udp4_2": the flows that asked the second service IP of the family.
    [[nodiscard]] static std::string asked(Protocol protocol, const FamilyWords& words,
                                           std::size_t nth) {
        return fmt::format("asked_{}{}_{}", to_string(protocol), words.digit, nth + 1);
    }
    [[nodiscard]] static std::string direct(Protocol protocol, const FamilyWords& words) {
        return fmt::format("direct_{}{}", to_string(protocol), words.digit);
    }
    /// "replies.bind1.udp4"
    [[nodiscard]] static std::string chain_of(std::string_view way, const ListenPlace& place,
                                              Protocol protocol) {
        return fmt::format("{}.{}.{}{}", way, place.process->name, to_string(protocol),
                           place.words->digit);
    }
    [[nodiscard]] std::string to_listen(const ListenPlace& place, Protocol protocol) const;
    [[nodiscard]] std::string to_service(const ListenPlace& place, Protocol protocol,
                                         std::size_t nth) const;
    [[nodiscard]] std::vector<std::string> other_tcp_memories(
        const FamilyWords& words, std::optional<std::size_t> asked_nth) const;
    [[nodiscard]] std::vector<std::string> endpoints(const FamilyWords& words,
                                                     std::string_view way) const;

    void counters();
    void memories();
    void memory(const std::string& name, Protocol protocol, const FamilyWords& words, unsigned size,
                const std::string& comment);
    void questions_udp(const ListenPlace& place, std::size_t nth);
    void questions_tcp(const ListenPlace& place, std::size_t nth);
    void fragments(const ListenPlace& place, std::size_t nth);
    void process_chain(const DnsProcess& process);
    void direct_udp(const ListenPlace& place);
    void direct_tcp(const ListenPlace& place);
    void replies_udp(const ListenPlace& place);
    void replies_tcp(const ListenPlace& place);
    void prerouting();
    void tunnels();
    void output();

    const core::RealServerMachine& machine_;
    std::vector<IpAddress> service_ips_[2];
    std::vector<Protocol> protocols_;
    std::vector<ListenPlace> places_;
    std::string text_;
};

Ruleset::Ruleset(const core::RealServerMachine& machine)
    : machine_(machine), places_(places_of(machine)) {
    for (const IpAddress& each : machine.service_ips)
        service_ips_[each.is_v4() ? 0 : 1].push_back(each);
    for (const Protocol each : protocols)
        if (machine.protocols[static_cast<std::size_t>(each)]) protocols_.push_back(each);
}

// ---- what is remembered ------------------------------------------------------

void Ruleset::memory(const std::string& name, Protocol protocol, const FamilyWords& words,
                     unsigned size, const std::string& comment) {
    const bool udp = protocol == Protocol::udp;
    open("set " + name);
    rule("typeof " + (udp ? question_key(words) : connection_key(words)));
    rule("flags dynamic,timeout");
    rule(fmt::format("timeout {}", udp ? udp_memory : syn_memory));
    rule(fmt::format("size {}", size));
    rule(fmt::format("comment \"{}\"", comment));
    close();
}

void Ruleset::memories() {
    for (const FamilyWords& words : family_words) {
        if (std::none_of(places_.begin(), places_.end(),
                         [&](const ListenPlace& place) { return place.words == &words; }))
            continue;
        for (const Protocol protocol : protocols_) {
            memory(direct(protocol, words), protocol, words, direct_size,
                   "asked at a process's own address");
            for (std::size_t nth = 1; nth < service_ips(words).size(); ++nth)
                memory(asked(protocol, words, nth), protocol, words, asked_size,
                       "asked " + service_ips(words)[nth].to_string());
        }
    }
}

/// What else may still hold a connection's ends, of an earlier one.
std::vector<std::string> Ruleset::other_tcp_memories(const FamilyWords& words,
                                                     std::optional<std::size_t> asked_nth) const {
    std::vector<std::string> names;
    if (asked_nth) names.push_back(direct(Protocol::tcp, words));
    for (std::size_t nth = 1; nth < service_ips(words).size(); ++nth)
        if (nth != asked_nth) names.push_back(asked(Protocol::tcp, words, nth));
    return names;
}

// ---- questions ---------------------------------------------------------------

std::string Ruleset::to_listen(const ListenPlace& place, Protocol protocol) const {
    std::string text = fmt::format("notrack counter name {} {} daddr set {}",
                                   counter_name(place.process->name, protocol, Way::queries),
                                   place.words->ip, place.listen.address.to_string());
    if (place.listen.port != machine_.port)
        text += fmt::format(" {} dport set {}", to_string(protocol), place.listen.port);
    return text;
}

void Ruleset::questions_udp(const ListenPlace& place, std::size_t nth) {
    const FamilyWords& words = *place.words;
    const std::string match =
        fmt::format("{} daddr {} udp dport {}{}", words.ip, service_ips(words)[nth].to_string(),
                    machine_.port, place.from);
    const std::string remember =
        nth == 0 ? ""
                 : fmt::format("update @{} {{ {} }} ", asked(Protocol::udp, words, nth),
                               question_key(words));
    const std::string translate = remember + to_listen(place, Protocol::udp);
    // nft would make a sum of the zero that says there is none (RFC 768).
    const bool may_lack_sum = words.family == Family::ipv4 && place.listen.port != machine_.port;
    if (may_lack_sum) {
        rule(fmt::format("{} udp checksum != 0 {} accept", match, translate));
        rule(fmt::format("{} udp checksum 0 {} udp checksum set 0 accept", match, translate));
    } else {
        rule(fmt::format("{} {} accept", match, translate));
    }
    if (nth != 0)  // The answer would have another source than was asked.
        rule(fmt::format("{} counter name {} drop", match,
                         counter_name(place.process->name, Protocol::udp, Way::refused)));
}

void Ruleset::questions_tcp(const ListenPlace& place, std::size_t nth) {
    const FamilyWords& words = *place.words;
    const std::string match =
        fmt::format("{} daddr {} tcp dport {}{}", words.ip, service_ips(words)[nth].to_string(),
                    machine_.port, place.from);
    const std::string translate = to_listen(place, Protocol::tcp) + " accept";
    const std::string key = connection_key_to(place);
    std::string arrival = fmt::format("{} {}", match, new_connection);
    for (const std::string& name : other_tcp_memories(words, nth))
        arrival += fmt::format(" delete @{} {{ {} }}", name, key);
    if (nth != 0) {
        rule(fmt::format("{} update @{} {{ {} timeout {} }} {}", arrival,
                         asked(Protocol::tcp, words, nth), key, syn_memory, translate));
        rule(fmt::format("{} {} counter name {} drop", match, new_connection,
                         counter_name(place.process->name, Protocol::tcp, Way::refused)));
    } else {
        rule(arrival);
    }
    rule(fmt::format("{} {}", match, translate));
}

void Ruleset::fragments(const ListenPlace& place, std::size_t nth) {
    const FamilyWords& words = *place.words;
    std::vector<std::string> names;
    names.reserve(protocols_.size());
    for (const Protocol protocol : protocols_)
        names.emplace_back(to_string(protocol));
    rule(fmt::format(
        "{0} daddr {1} {2} meta l4proto {3}{4} notrack counter {0} daddr set {5} accept", words.ip,
        service_ips(words)[nth].to_string(), words.fragment, braced(names), place.from,
        place.listen.address.to_string()));
}

void Ruleset::process_chain(const DnsProcess& process) {
    line(1, fmt::format("# What comes in on {} for a service IP.", process.input));
    open("chain process." + process.name);
    const auto of_each_service_ip = [&](const auto& write) {
        for (const ListenPlace& place : places_)
            for (std::size_t nth = 0;
                 place.process == &process && nth < service_ips(*place.words).size(); ++nth)
                write(place, nth);
    };
    for (const Protocol protocol : protocols_)
        of_each_service_ip([&](const ListenPlace& place, std::size_t nth) {
            protocol == Protocol::udp ? questions_udp(place, nth) : questions_tcp(place, nth);
        });
    of_each_service_ip([&](const ListenPlace& place, std::size_t nth) {
        fragments(place, nth);
        rule(too_big_rule({service_ips(*place.words)[nth], machine_.port}, place.listen));
    });
    close();
}

void Ruleset::direct_udp(const ListenPlace& place) {
    const FamilyWords& words = *place.words;
    open("chain " + chain_of("direct", place, Protocol::udp));
    rule(fmt::format("{} counter name {} update @{} {{ {} }}", dns_question,
                     counter_name(place.process->name, Protocol::udp, Way::direct),
                     direct(Protocol::udp, words), question_key(words)));
    close();
}

void Ruleset::direct_tcp(const ListenPlace& place) {
    const FamilyWords& words = *place.words;
    const std::string key = connection_key(words);
    open("chain " + chain_of("direct", place, Protocol::tcp));
    std::string arrival =
        fmt::format("{} counter name {}", new_connection,
                    counter_name(place.process->name, Protocol::tcp, Way::direct));
    for (const std::string& name : other_tcp_memories(words, std::nullopt))
        arrival += fmt::format(" delete @{} {{ {} }}", name, key);
    rule(fmt::format("{} update @{} {{ {} timeout {} }}", arrival, direct(Protocol::tcp, words),
                     key, syn_memory));
    close();
}

// ---- replies -----------------------------------------------------------------

std::string Ruleset::to_service(const ListenPlace& place, Protocol protocol,
                                std::size_t nth) const {
    std::string text = fmt::format("notrack counter name {} {} saddr set {}",
                                   counter_name(place.process->name, protocol, Way::replies),
                                   place.words->ip, service_ips(*place.words)[nth].to_string());
    if (place.listen.port != machine_.port)
        text += fmt::format(" {} sport set {}", to_string(protocol), machine_.port);
    return text;
}

void Ruleset::replies_udp(const ListenPlace& place) {
    const FamilyWords& words = *place.words;
    const std::string key = answer_key(words);
    open("chain " + chain_of("replies", place, Protocol::udp));
    // A question has one answer: what is remembered of it goes with that.
    rule(fmt::format("{0} @{1} delete @{1} {{ {0} }} accept", key, direct(Protocol::udp, words)));
    for (std::size_t nth = 1; nth < service_ips(words).size(); ++nth)
        rule(fmt::format("{0} @{1} delete @{1} {{ {0} }} {2} accept", key,
                         asked(Protocol::udp, words, nth), to_service(place, Protocol::udp, nth)));
    rule(fmt::format("{} {} accept", dns_answer, to_service(place, Protocol::udp, 0)));
    close();
}

void Ruleset::replies_tcp(const ListenPlace& place) {
    const FamilyWords& words = *place.words;
    const std::string key = connection_key_of_reply(words);
    const std::string chain = chain_of("replies", place, Protocol::tcp);
    // Only what a socket sends keeps a memory; SYN-ACK and RST anybody can call forth.
    const auto keep = [&](const std::string& memory) {
        rule(fmt::format("tcp flags & (syn | rst) == 0x0 update @{} {{ {} timeout {} }}", memory,
                         key, tcp_memory));
    };
    open("chain " + chain);
    rule(fmt::format("{} @{} goto {}.direct", key, direct(Protocol::tcp, words), chain));
    for (std::size_t nth = 1; nth < service_ips(words).size(); ++nth)
        rule(fmt::format("{} @{} goto {}.{}", key, asked(Protocol::tcp, words, nth), chain,
                         nth + 1));
    rule(to_service(place, Protocol::tcp, 0) + " accept");
    close();
    open(fmt::format("chain {}.direct", chain));
    keep(direct(Protocol::tcp, words));
    close();
    for (std::size_t nth = 1; nth < service_ips(words).size(); ++nth) {
        open(fmt::format("chain {}.{}", chain, nth + 1));
        keep(asked(Protocol::tcp, words, nth));
        rule(to_service(place, Protocol::tcp, nth) + " accept");
        close();
    }
}

// ---- where packets come by ----------------------------------------------------

/// "203.0.113.11 . udp . 5301 : goto direct.bind1.udp4" for each place.
std::vector<std::string> Ruleset::endpoints(const FamilyWords& words, std::string_view way) const {
    std::vector<std::string> elements;
    for (const ListenPlace& place : places_)
        for (const Protocol protocol : protocols_)
            if (place.words == &words)
                elements.push_back(fmt::format(
                    "{} . {} . {} : goto {}", place.listen.address.to_string(), to_string(protocol),
                    place.listen.port, chain_of(way, place, protocol)));
    return elements;
}

void Ruleset::tunnels() {
    if (machine_.tunnel_from.empty()) return;
    for (const FamilyWords& words : family_words) {
        std::vector<std::string> ends;
        for (const IpAddress& end : machine_.tunnel_ends)
            if (end.family() == words.family) ends.push_back(end.to_string());
        if (ends.empty()) continue;
        const auto networks = networks_of(machine_.tunnel_from, words.family);
        const std::string others =
            networks.empty() ? "" : fmt::format(" {} saddr != {}", words.ip, braced(networks));
        rule(fmt::format("{} daddr {} meta l4proto {{ 4, 41 }}{} counter name {} drop", words.ip,
                         braced(ends), others, tunnel_counter));
    }
}

void Ruleset::prerouting() {
    open("chain prerouting");
    rule("type filter hook prerouting priority raw; policy accept;");
    std::vector<std::string> inputs;
    inputs.reserve(machine_.processes.size());
    for (const DnsProcess& process : machine_.processes)
        inputs.push_back(fmt::format("{} : jump process.{}", quoted(process.input), process.name));
    if (!inputs.empty()) rule("iifname vmap " + braced(inputs));
    for (const FamilyWords& words : family_words)
        if (const auto elements = endpoints(words, "direct"); !elements.empty())
            rule(fmt::format("{} daddr . meta l4proto . th dport vmap {}", words.ip,
                             braced(elements)));
    tunnels();
    close();
}

void Ruleset::output() {
    open("chain output");
    rule("type filter hook output priority raw; policy accept;");
    for (const FamilyWords& words : family_words)
        if (const auto elements = endpoints(words, "replies"); !elements.empty())
            rule(fmt::format("{} saddr . meta l4proto . th sport vmap {}", words.ip,
                             braced(elements)));
    close();
}

void Ruleset::counters() {
    for (const DnsProcess& process : machine_.processes)
        for (const Protocol protocol : protocols_)
            for (const Way way : {Way::queries, Way::replies, Way::direct, Way::refused})
                line(1, fmt::format("counter {} {{ }}", counter_name(process.name, protocol, way)));
    if (!machine_.tunnel_from.empty()) line(1, fmt::format("counter {} {{ }}", tunnel_counter));
    text_ += '\n';
}

std::string Ruleset::text() {
    // Added first, since what is not there cannot be deleted.
    text_ =
        fmt::format("table inet {0} {{ }}\ndelete table inet {0}\ntable inet {0} {{\n", table_name);
    counters();
    memories();
    for (const DnsProcess& process : machine_.processes)
        process_chain(process);
    for (const ListenPlace& place : places_)
        for (const Protocol protocol : protocols_) {
            protocol == Protocol::udp ? direct_udp(place) : direct_tcp(place);
            protocol == Protocol::udp ? replies_udp(place) : replies_tcp(place);
        }
    prerouting();
    if (!places_.empty()) output();
    text_.pop_back();  // the empty line
    text_ += "}\n";
    return std::move(text_);
}

}  // namespace

std::string counter_name(std::string_view process, Protocol protocol, Way way) {
    return fmt::format("process.{}.{}.{}", process, to_string(protocol), to_string(way));
}

std::string ruleset_of(const core::RealServerMachine& machine) {
    if (machine.processes.empty() && (machine.tunnel_from.empty() || machine.tunnel_ends.empty()))
        return "";
    return Ruleset(machine).text();
}

}  // namespace dnsdirector::realserver
