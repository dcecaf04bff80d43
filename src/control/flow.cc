// SPDX-License-Identifier: Apache-2.0
#include "control/flow.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

namespace dnsdirector::control {
namespace {

using dataplane::Choice;
using json = nlohmann::ordered_json;
using By = Choice::By;

constexpr std::uint16_t dns_port = 53;

/// "ADDRESS", "ADDRESS:PORT", IPv6 in brackets or, without a port, bare.
struct Place {
    IpAddress address;
    std::optional<std::uint16_t> port;
};
std::optional<Place> parse_place(std::string_view text) {
    if (const auto endpoint = Endpoint::parse(text))
        return Place{endpoint->address, endpoint->port};
    if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
    if (const auto address = IpAddress::parse(text)) return Place{*address, std::nullopt};
    return std::nullopt;
}

std::string named(const std::string& name, const Endpoint& server) {
    const std::string address = server.to_string();
    return name.empty() || name == address ? address : name + " " + address;
}

std::string name_of(const core::Service& service, const Endpoint& server) {
    for (const core::RealServer& one : service.real_servers)
        if (one.endpoint == server) return one.name;
    if (service.sorry_server && service.sorry_server->endpoint == server) return "sorry server";
    return "";
}

FlowAnswer answer_for(const dataplane::DataPlane& plane, const dataplane::Flow& flow) {
    return {flow, "", core::Scheduler::wrr, plane.choose(flow), {}, {}};
}

std::string shares_text(const FlowAnswer& answer) {
    std::string text;
    for (std::size_t i = 0; i < answer.choice->shares.size(); ++i) {
        const Choice::Share& share = answer.choice->shares[i];
        text +=
            fmt::format("{}{} {:.3g}%", i == 0 ? "" : ", ", named(answer.names[i], share.server),
                        100.0 * share.slots / answer.choice->slots);
    }
    return text;
}

std::string called(const FlowAnswer& answer, const std::optional<Endpoint>& server) {
    const Choice& choice = *answer.choice;
    for (std::size_t i = 0; i < choice.shares.size(); ++i)
        if (choice.shares[i].server == server) return named(answer.names[i], *server);
    return server ? server->to_string() : "";
}

std::string chosen(const FlowAnswer& answer) {
    return called(answer, answer.choice->server);
}

/// Where a flow that begins now would go, when this one goes elsewhere.
std::string a_new_one(const FlowAnswer& answer) {
    if (!answer.choice->by_table) return "a new one would find no server";
    if (answer.choice->by_table == answer.choice->server) return "a new one would go there, too";
    return "a new one would go to " + called(answer, answer.choice->by_table);
}

std::string by_hash(const FlowAnswer& answer, const std::string& what) {
    return fmt::format("{} is slot {} of {} of the Maglev table over the weights ({})", what,
                       answer.choice->slot, answer.choice->slots,
                       core::to_string(answer.scheduler));
}

const char* name_of(By by) {
    switch (by) {
        case By::not_a_service: return "not_a_service";
        case By::nobody: return "nobody";
        case By::flow_hash: return "flow_hash";
        case By::source_hash: return "source_hash";
        case By::rotation: return "rotation";
        case By::remembered: return "remembered";
        case By::previous: return "previous";
        case By::load: return "load";
    }
    return "";
}

json flow_json(const FlowAnswer& answer) {
    json entry = {{"client", answer.flow.client.to_string()},
                  {"service", answer.flow.service.to_string()},
                  {"cluster", answer.cluster.empty() ? json(nullptr) : json(answer.cluster)},
                  {"scheduler", core::to_string(answer.scheduler)},
                  {"answer", sentence_of(answer)}};
    if (!answer.choice) {
        entry["error"] = answer.choice.error().message;
        return entry;
    }
    const Choice& choice = *answer.choice;
    json shares = json::array();
    for (std::size_t i = 0; i < choice.shares.size(); ++i)
        shares.push_back({{"name", answer.names[i]},
                          {"server", choice.shares[i].server.to_string()},
                          {"slots", choice.shares[i].slots}});
    entry["by"] = name_of(choice.by);
    entry["server"] = choice.server ? json(choice.server->to_string()) : json(nullptr);
    entry["by_table"] = choice.by_table ? json(choice.by_table->to_string()) : json(nullptr);
    entry["slot"] = choice.server ? json(choice.slot) : json(nullptr);
    entry["slots"] = choice.slots;
    entry["shares"] = shares;
    return entry;
}

}  // namespace

Result<FlowQuestion> parse_flow(std::string_view client, std::string_view service) {
    const auto from = parse_place(client);
    if (!from || !from->port)
        return fail("'{}' is no client; write ADDRESS:PORT, IPv6 in brackets: 198.51.100.10:4242",
                    client);
    FlowQuestion question;
    question.client = {from->address, *from->port};
    std::string_view rest = service;
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp})
        if (const std::string suffix = fmt::format("/{}", to_string(protocol));
            rest.ends_with(suffix)) {
            question.protocol = protocol;
            rest.remove_suffix(suffix.size());
            break;
        }
    const auto to = parse_place(rest);
    if (!to)
        return fail("'{}' is no service; write ADDRESS[:PORT][/udp|/tcp], IPv6 in brackets",
                    service);
    if (to->address.family() != from->address.family())
        return fail("client {} and service {} are of different families", client, service);
    question.service = to->address;
    question.port = to->port;
    return question;
}

std::vector<FlowAnswer> follow_flow(const core::Configuration& configuration,
                                    const dataplane::DataPlane& plane,
                                    const FlowQuestion& question) {
    std::vector<FlowAnswer> answers;
    std::vector<std::string> elsewhere;
    const std::uint16_t port = question.port.value_or(dns_port);
    for (const core::Service& service : configuration.services) {
        const core::ServiceKey& key = service.key;
        if (key.address != question.service) continue;
        elsewhere.push_back(key.to_string());
        if (key.port != port || question.protocol.value_or(key.protocol) != key.protocol) continue;
        FlowAnswer& answer = answers.emplace_back(answer_for(plane, {question.client, key}));
        answer.cluster = service.cluster;
        answer.scheduler = service.scheduler;
        if (answer.choice)
            for (const Choice::Share& share : answer.choice->shares)
                answer.names.push_back(name_of(service, share.server));
    }
    if (!answers.empty()) return answers;
    const core::ServiceKey key{question.service, port, question.protocol.value_or(Protocol::udp)};
    answers.push_back(answer_for(plane, {question.client, key}));
    answers.back().elsewhere = std::move(elsewhere);
    return answers;
}

std::string sentence_of(const FlowAnswer& answer) {
    const std::string service = answer.flow.service.to_string();
    std::string who = fmt::format("{} to {}", answer.flow.client.to_string(), service);
    if (!answer.choice) return fmt::format("{}: {}", who, answer.choice.error().message);
    switch (answer.choice->by) {
        case By::not_a_service:
            return fmt::format("{}: not a service here, so it passes to the local stack{}", who,
                               answer.elsewhere.empty()
                                   ? std::string{}
                                   : fmt::format("; services on this address: {}",
                                                 fmt::join(answer.elsewhere, ", ")));
        case By::nobody:
            return fmt::format(
                "{}: no server of it has work, so it passes to the local stack, which refuses it "
                "(counted as no_server)",
                who);
        case By::flow_hash:
            return fmt::format("{} goes to {}: {}; all packets of this flow do", who,
                               chosen(answer), by_hash(answer, "the hash of addresses and ports"));
        case By::source_hash:
            return fmt::format("{} goes to {}: {}; all packets of this client do", who,
                               chosen(answer), by_hash(answer, "the hash of the client's address"));
        case By::remembered:
            return fmt::format("{} goes to {}: this flow is remembered with it; {}", who,
                               chosen(answer), a_new_one(answer));
        case By::previous:
            return fmt::format(
                "{} goes to {}: the table changed within the last minute or while changes went on, "
                "and before that it named this server; {}",
                who, chosen(answer), a_new_one(answer));
        case By::rotation:
            return fmt::format("{}: every packet anew, by turns ({}): {}", who,
                               core::to_string(answer.scheduler), shares_text(answer));
        case By::load:
            return fmt::format("{}: whoever is least busy then ({}): {}", who,
                               core::to_string(answer.scheduler), shares_text(answer));
    }
    return who;
}

std::string to_json(const std::vector<FlowAnswer>& answers) {
    json flows = json::array();
    for (const FlowAnswer& answer : answers)
        flows.push_back(flow_json(answer));
    const json root = {{"answer", sentence_of(answers.front())}, {"flows", flows}};
    return root.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace dnsdirector::control
