// SPDX-License-Identifier: Apache-2.0
#include "config/same_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <sstream>

#include "core/configuration_text.h"

namespace dnsdirector::config {
namespace {

/// What dig waits over TCP, where that is not what it waits over UDP; 0: it is.
template <typename Dig>
Nanoseconds tcp_timeout_of(const Dig& dig) {
    if constexpr (requires { dig.tcp_timeout; }) return dig.tcp_timeout;
    return {};
}

/// Names taken out, services and checks in an order that depends on nothing else.
core::Configuration normal(const core::Configuration& configuration) {
    core::Configuration out;
    out.director = configuration.director;
    out.services = configuration.services;
    std::sort(out.services.begin(), out.services.end(),
              [](const auto& a, const auto& b) { return a.key < b.key; });
    for (core::Service& service : out.services) {
        service.cluster.clear();
        service.group.clear();
        for (core::RealServer& server : service.real_servers) {
            server.name.clear();
            std::vector<core::Check> checks;
            checks.reserve(server.checks.size());
            for (const core::CheckIndex check : server.checks)
                checks.push_back(with_question(configuration.checks[check]));
            if (server.some_of.empty()) std::sort(checks.begin(), checks.end());
            server.checks.clear();
            for (core::Check& check : checks) {
                server.checks.push_back(static_cast<core::CheckIndex>(out.checks.size()));
                out.checks.push_back(std::move(check));
            }
        }
    }
    return out;
}

/// The lines of each service, so that like lines of two of them are told apart.
std::vector<std::string> lines_of(const core::Configuration& configuration) {
    std::istringstream text(core::full_text(normal(configuration)));
    std::vector<std::string> lines;
    std::string head;
    std::string server;
    for (std::string line; std::getline(text, line);) {
        const auto depth = line.find_first_not_of(' ');
        if (depth == 0) head = line.substr(0, line.find(": "));
        if (depth == 2) server = line.substr(depth, line.find(": ") - depth);
        if (depth == 0)
            lines.push_back(line);
        else if (depth == 2)
            lines.push_back(head + line.substr(1));
        else
            lines.push_back(fmt::format("{} {} {}", head, server, line.substr(depth)));
    }
    std::sort(lines.begin(), lines.end());
    return lines;
}

}  // namespace

core::Check with_question(const core::Check& check) {
    using namespace std::chrono_literals;
    const auto* dig = std::get_if<core::DigCheck>(&check.what);
    if (dig == nullptr) return check;
    core::Check out = check;
    const Nanoseconds tcp_timeout = tcp_timeout_of(*dig);
    if (dig->tcp && tcp_timeout.count() > 0) out.timing.timeout = tcp_timeout;
    if (out.timing.tries < 1 || out.timing.tries > 10 || out.timing.timeout > Nanoseconds{1min})
        return check;
    core::DnsCheck question;
    question.name = dig->name;
    question.type = dig->type;
    question.klass = dig->klass;
    question.transport = dig->tcp ? Protocol::tcp : Protocol::udp;
    question.via = dig->via;
    question.recursion_desired = dig->recursion_desired;
    question.edns = dig->edns;
    question.on_truncated =
        dig->ignore_truncation ? core::OnTruncated::pass : core::OnTruncated::ask_over_tcp;
    out.what = std::move(question);
    return out;
}

std::vector<std::string> differences_of_state(const core::Configuration& before,
                                              const core::Configuration& after) {
    const std::vector<std::string> old_lines = lines_of(before);
    const std::vector<std::string> new_lines = lines_of(after);
    std::vector<std::string> gone;
    std::vector<std::string> added;
    std::set_difference(old_lines.begin(), old_lines.end(), new_lines.begin(), new_lines.end(),
                        std::back_inserter(gone));
    std::set_difference(new_lines.begin(), new_lines.end(), old_lines.begin(), old_lines.end(),
                        std::back_inserter(added));
    std::vector<std::string> differences;
    differences.reserve(gone.size() + added.size());
    for (const std::string& line : gone)
        differences.push_back("- " + line);
    for (const std::string& line : added)
        differences.push_back("+ " + line);
    return differences;
}

}  // namespace dnsdirector::config
