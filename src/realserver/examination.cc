// SPDX-License-Identifier: Apache-2.0
#include "realserver/examination.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "realserver/nft.h"
#include "realserver/translation.h"

namespace dnsdirector::realserver {
namespace {

constexpr std::uint16_t rcode_servfail = 2;
constexpr std::uint16_t rcode_refused = 5;

/// What any DNS server has something to say about: not asked for its data, but whether it answers.
Question question_of_ours() {
    Question question;
    question.check.fail_on = {rcode_servfail, rcode_refused};
    question.ours = true;
    return question;
}

bool is_link_local(const IpAddress& address) {
    const auto& bytes = address.bytes();
    return address.is_v4() ? bytes[0] == 169 && bytes[1] == 254
                           : bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

/// As any_client() for IPv4: the first of the global unicast addresses, which nobody has.
IpAddress any_client_of(Family family) {
    return family == Family::ipv4 ? any_client() : IpAddress::from_v6({0x20});
}

void read_egress(Examination& examination, netlink::Socket& socket) {
    for (const IpAddress& service_ip : examination.order.machine.service_ips) {
        const Family family = service_ip.family();
        if (examination.egress.contains(family)) continue;
        const auto route = socket.route_to(any_client_of(family));
        if (!route || route->type != netlink::Route::Type::unicast) continue;
        const auto& links = examination.actual.links;
        const auto link = std::ranges::find(links, route->out_interface, &netlink::Link::index);
        examination.egress[family] = {*route, link == links.end() ? "" : link->name};
    }
}

/// Without "::", as connection tracking writes IPv6.
std::string whole_form(const IpAddress& address) {
    if (address.is_v4()) return address.to_string();
    std::string text;
    for (std::size_t at = 0; at < address.size(); ++at)
        text += fmt::format("{}{:02x}", at != 0 && at % 2 == 0 ? ":" : "", address.bytes()[at]);
    return text;
}

/// Lines of /proc/net/nf_conntrack whose first destination is a service IP's port. Of a table
/// that is larger than that nobody wants to read every line for a hint.
std::optional<std::size_t> count_tracked(const core::RealServerMachine& machine) {
    constexpr std::size_t most_lines = 100'000;
    std::ifstream file{"/proc/thread-self/net/nf_conntrack"};
    if (!file) return std::nullopt;
    std::set<std::string> destinations;
    for (const IpAddress& service_ip : machine.service_ips)
        destinations.insert(fmt::format(" dst={} ", whole_form(service_ip)));
    const std::string port = fmt::format(" dport={} ", machine.port);
    std::size_t tracked = 0;
    std::string line;
    for (std::size_t count = 0; count < most_lines && std::getline(file, line); ++count) {
        const std::size_t at = line.find(" dst=");
        if (at == std::string::npos) continue;
        const std::size_t end = line.find(' ', at + 1);
        const bool ours = destinations.contains(line.substr(at, end - at + 1));
        const std::size_t reply = line.find(" src=", end);
        const std::size_t asked_port = line.find(port, end);
        tracked += ours && asked_port != std::string::npos && asked_port < reply ? 1 : 0;
    }
    return tracked;
}

Result<void> read_machine(Examination& examination, Machine& machine) {
    Look look;
    look.clients = clients_of(examination.order.machine);
    for (const ChangedSetting& each : examination.journal.settings)
        look.settings.insert(each.path);
    look.table = true;
    auto actual = machine.read(look);
    if (!actual) {
        // Perhaps the table alone.
        examination.table_problem = actual.error().message;
        look.table = false;
        actual = machine.read(look);
        if (!actual) return tl::unexpected(actual.error());
    }
    examination.actual = std::move(*actual);
    return {};
}

void ask_all(Examination& examination, const std::vector<Question>& questions) {
    for (const Post& post : posts_of(examination.order.machine)) {
        const auto source = client_address(examination, post.at.address);
        for (const Question& question : questions) {
            Asked asked = ask(question, post.at, post.protocol, source);
            asked.process = post.process;
            examination.asked.push_back(asked);
            // Who says nothing at all need not be waited for again.
            if (!question.large && (asked.outcome == Asked::Outcome::silent ||
                                    asked.outcome == Asked::Outcome::refused))
                break;
        }
    }
}

}  // namespace

std::string Post::to_string() const {
    return fmt::format("{}{}{}/{}", process, process.empty() ? "" : ", ", at.to_string(),
                       dnsdirector::to_string(protocol));
}

std::vector<Post> posts_of(const core::RealServerMachine& machine) {
    std::vector<Post> posts;
    const auto add = [&](const std::string& process, const Endpoint& at) {
        for (const Protocol protocol : {Protocol::udp, Protocol::tcp})
            if (machine.protocols[static_cast<std::size_t>(protocol)])
                posts.push_back({process, at, protocol});
    };
    for (const core::DnsProcess& process : machine.processes)
        for (const Endpoint& listen : process.listen)
            add(process.name, listen);
    if (machine.processes.empty())
        for (const IpAddress& service_ip : machine.service_ips)
            add("", {service_ip, machine.port});
    return posts;
}

void conclude(Examination& examination) {
    examination.wishes =
        wishes_of(examination.order, without_us(examination.actual, examination.journal));
    examination.lacking = wishes_of(examination.order, examination.actual);
}

std::vector<Question> questions_of(const core::Configuration& configuration) {
    std::vector<Question> questions;
    for (const core::Check& check : configuration.machine_checks) {
        const auto* dns = std::get_if<core::DnsCheck>(&check.what);
        if (dns == nullptr || dns->tls) continue;  // the service IP's port has no TLS
        Question question{*dns, check.timing.timeout, check.timing.tries};
        // The checks of all processes and protocols: each question once.
        question.check.transport = Protocol::udp;
        question.check.via = {};
        if (std::ranges::find(questions, question.check, &Question::check) == questions.end())
            questions.push_back(std::move(question));
    }
    if (questions.empty()) questions.push_back(question_of_ours());
    if (configuration.real_server_machine && configuration.real_server_machine->large_query) {
        Question large{*configuration.real_server_machine->large_query};
        large.check.fail_on = {rcode_servfail, rcode_refused};
        large.large = true;
        questions.push_back(std::move(large));
    }
    return questions;
}

std::optional<IpAddress> client_address(const Examination& examination, const IpAddress& target) {
    const auto& service_ips = examination.order.machine.service_ips;
    for (const HeldAddress& held : examination.actual.addresses) {
        const IpAddress& address = held.address;
        const netlink::Link* link = examination.actual.link(held.interface);
        if (address.family() == target.family() && address != target && !address.is_loopback() &&
            !is_link_local(address) && link != nullptr && link->up &&
            std::ranges::find(service_ips, address) == service_ips.end())
            return address;
    }
    return std::nullopt;
}

Result<void> examine(Examination& examination, const std::vector<Question>& questions,
                     const std::string& run_dir, Machine& machine) {
    if (auto journal = peek_journal(run_dir))
        examination.journal = std::move(*journal);
    else
        examination.journal_problem = journal.error().message;
    if (auto read = read_machine(examination, machine); !read) return read;
    const core::RealServerMachine& wanted = examination.order.machine;
    if (auto counters = read_counters()) examination.counters = std::move(counters->processes);
    if (!wanted.processes.empty()) examination.tracked = count_tracked(wanted);
    const auto socket = netlink::Socket::open();
    if (!socket) return tl::unexpected(socket.error());
    read_egress(examination, **socket);
    std::set<std::uint16_t> ports;
    for (const Post& post : posts_of(wanted))
        ports.insert(post.at.port);
    examination.listeners = read_listeners(ports);
    ask_all(examination, questions);
    conclude(examination);
    return {};
}

core::Findings judge(const Examination& examination) {
    core::Findings findings;
    for (const auto& judges : {machine_judges(), table_judges(), dns_process_judges()})
        for (const Judge& each : judges) {
            Opinion opinion{each.check, findings};
            each.look(examination, opinion);
        }
    return findings;
}

}  // namespace dnsdirector::realserver
