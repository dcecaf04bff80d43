// SPDX-License-Identifier: Apache-2.0
#include "config/build_native_check.h"

#include <algorithm>

namespace dnsdirector::config {
namespace {

core::Check check_around(const CheckDraft& draft, const Endpoint& server, core::Check::What what) {
    core::Check check;
    check.target = {draft.target ? draft.target->value : server.address,
                    draft.port.value_or(server.port)};
    check.what = std::move(what);
    check.timing = draft.timing;
    check.untested = draft.untested;
    return check;
}

std::vector<CheckGroup> question_groups(const CheckDraft& draft, const Endpoint& server,
                                        const core::Via& via, Assembly& assembly) {
    std::vector<CheckGroup> groups;
    for (const Transport transport : {Transport::udp, Transport::tcp, Transport::tls}) {
        if (!draft.question.transports[index(transport)]) continue;
        CheckGroup& group = groups.emplace_back();
        group.protocol = transport == Transport::udp ? Protocol::udp : Protocol::tcp;
        if (draft.question.required) group.required = draft.question.required->value;
        for (core::DnsCheck& question : questions_of(draft.question, transport, via)) {
            core::Check check = check_around(draft, server, std::move(question));
            if (transport == Transport::tls) check.target.port = draft.port.value_or(tls_port);
            group.checks.push_back(assembly.add_check(std::move(check), draft.position));
        }
    }
    return groups;
}

/// Of a kind that knows no transport.
core::Check::What filled(const CheckDraft& draft, const ServerWords& server, const core::Via& via) {
    core::Check::What what = draft.what;
    std::visit(
        [&](auto& kind) {
            if constexpr (requires { kind.via; }) kind.via = via;
            if constexpr (requires { kind.arguments; }) {
                for (std::string& argument : kind.arguments)
                    argument = server.fill(argument);
                kind.user = draft.user;
            }
            if constexpr (requires { kind.reverse; }) kind.path = server.fill(kind.path);
        },
        what);
    return what;
}

}  // namespace

std::string ServerWords::fill(std::string_view text) const {
    const std::pair<std::string_view, std::string> words[] = {
        {"{{address}}", "{address}"},
        {"{{port}}", "{port}"},
        {"{{name}}", "{name}"},
        {"{address}", endpoint.address.to_string()},
        {"{port}", std::to_string(endpoint.port)},
        {"{name}", name}};
    std::string out;
    while (!text.empty()) {
        const auto* const word =
            std::find_if(std::begin(words), std::end(words),
                         [&](const auto& each) { return text.starts_with(each.first); });
        if (word == std::end(words)) {
            out.push_back(text.front());
            text.remove_prefix(1);
        } else {
            out += word->second;
            text.remove_prefix(word->first.size());
        }
    }
    return out;
}

core::Command ServerWords::fill(const core::Command& command) const {
    core::Command filled = command;
    for (std::string& argument : filled.arguments)
        argument = fill(argument);
    return filled;
}

void ServerChecks::add_to(core::RealServer& real, Protocol protocol, bool all) const {
    for (const OfBlock& block : blocks) {
        if (!block.services[index(protocol)]) continue;
        const auto fits = [&](const CheckGroup& group) {
            return !group.protocol || *group.protocol == protocol;
        };
        const bool any_fits = std::any_of(block.groups.begin(), block.groups.end(), fits);
        for (const CheckGroup& group : block.groups)
            if (all || !any_fits || fits(group)) group.add_to(real);
    }
}

ServerChecks::OfBlock build_native_check(const CheckDraft& draft, const ServerWords& server,
                                         const ThroughService& through, Assembly& assembly) {
    ServerChecks::OfBlock block;
    block.services = draft.services;
    if (draft.target && !assembly.usable(draft.target->value, draft.target->position, "target"))
        return block;
    core::Via via = draft.via;
    if (draft.via_service_ip_at) {
        via.service_ip = through.service_ip;
        via.tunnel = through.method == core::ForwardingMethod::tun;
    }
    const IpAddress& asked = draft.target ? draft.target->value : server.endpoint.address;
    via.source = draft.source[index(asked.family())];
    if (std::holds_alternative<core::DnsCheck>(draft.what)) {
        block.groups = question_groups(draft, server.endpoint, via, assembly);
        return block;
    }
    CheckGroup& group = block.groups.emplace_back();
    const core::Check::What what = filled(draft, server, via);
    if (const auto* script = std::get_if<core::ScriptCheck>(&what))
        if (!assembly.check_program(script->arguments.front(), *draft.script_at, "script"))
            return block;
    group.checks.push_back(
        assembly.add_check(check_around(draft, server.endpoint, what), draft.position));
    return block;
}

}  // namespace dnsdirector::config
