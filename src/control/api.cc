// SPDX-License-Identifier: Apache-2.0
#include "control/api.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "control/event_driver.h"
#include "control/why.h"

namespace dnsdirector::control {
namespace {

using nlohmann::json;
using Reply = std::function<void(ApiReply)>;

struct Context {
    Commands& commands;
    PostToLoop post_to_loop;
};

/// What we echo may hold any bytes: a path, a file's text, a target.
std::string text_of(const json& body) {
    return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

ApiReply error_reply(int status, const std::string& message) {
    return {status, text_of(json{{"errors", {message}}})};
}

json texts(const std::vector<config::Message>& messages) {
    json list = json::array();
    for (const config::Message& message : messages)
        list.push_back(message.to_string());
    return list;
}

ApiReply changes_reply(const Result<std::vector<std::string>>& result, const json& messages) {
    if (!result) return error_reply(409, result.error().message);
    return {200, text_of(json{{"changes", *result}, {"messages", messages}})};
}

ApiReply drained_reply(const Result<Drained>& result) {
    if (!result) return error_reply(404, result.error().message);
    json matches = json::array();
    for (const TargetMatch& match : result->matches)
        matches.push_back(to_string(match));
    return {200, text_of(json{{"matches", matches}, {"warnings", result->warnings}})};
}

ApiReply rendered(Snapshot snapshot, std::string (*render)(const Snapshot&),
                  const char* content_type) {
    auto shared = std::make_shared<const Snapshot>(std::move(snapshot));
    return {200, "", content_type, [shared, render] { return render(*shared); }};
}

// ---- the paths ----------------------------------------------------------------

void status(const Context& context, const ApiRequest&, const Reply& reply) {
    context.post_to_loop(
        [&commands = context.commands, reply] { reply({200, to_json(commands.snapshot())}); });
}

void metrics(const Context& context, const ApiRequest&, const Reply& reply) {
    context.post_to_loop([&commands = context.commands, reply] {
        reply(rendered(commands.snapshot(), to_metrics, "text/plain; version=0.0.4"));
    });
}

/// Answers when the event loop does.
void healthz(const Context& context, const ApiRequest&, const Reply& reply) {
    context.post_to_loop([reply] { reply({200, "ok\n", "text/plain"}); });
}

void reload(const Context& context, const ApiRequest&, const Reply& reply) {
    config::Loaded loaded =
        config::load(context.commands.config_path(), context.commands.config_id());
    context.post_to_loop([&commands = context.commands, reply, loaded = std::move(loaded)] {
        const json messages = texts(loaded.messages);
        const bool broken = !loaded.ok();
        const auto result = commands.reload(loaded);
        if (broken)
            reply({409, text_of(json{{"errors", messages}})});
        else
            reply(changes_reply(result, messages));
    });
}

void plan(const Context& context, const ApiRequest& request, const Reply& reply) {
    const json body = json::parse(request.body, nullptr, false);
    if (!body.is_object() || !body.contains("path") || !body["path"].is_string())
        return reply(error_reply(400, "plan wants {\"path\": \"/absolute/path\"}"));
    const std::string own = context.commands.config_id();
    const json id = body.value("config_id", json(own));
    config::Loaded loaded =
        config::load(body["path"].get<std::string>(), id.is_string() ? id.get<std::string>() : own);
    if (!loaded.ok()) return reply({409, text_of(json{{"errors", texts(loaded.messages)}})});
    context.post_to_loop([&commands = context.commands, reply, loaded = std::move(loaded)] {
        reply(changes_reply(commands.plan(loaded), texts(loaded.messages)));
    });
}

void set_drained(const Context& context, const ApiRequest& request, const Reply& reply,
                 bool drained) {
    const json body = json::parse(request.body, nullptr, false);
    if (body.is_object() && body.value("all", json(false)) == json(true))
        return context.post_to_loop([&commands = context.commands, reply, drained] {
            reply(drained_reply(commands.drain_all(drained)));
        });
    if (!body.is_object() || !body.contains("target") || !body["target"].is_string())
        return reply(error_reply(400, "drain wants {\"target\": \"...\"} or {\"all\": true}"));
    auto target = parse_target(body["target"].get<std::string>());
    if (!target) return reply(error_reply(404, target.error().message));
    context.post_to_loop(
        [&commands = context.commands, reply, drained, target = std::move(*target)] {
            reply(drained_reply(commands.drain(target, drained)));
        });
}

void drain(const Context& context, const ApiRequest& request, const Reply& reply) {
    set_drained(context, request, reply, true);
}

void undrain(const Context& context, const ApiRequest& request, const Reply& reply) {
    set_drained(context, request, reply, false);
}

/// {"192.0.2.53": "announced", …}: for track scripts, which ask once a second.
void announced(const Context& context, const ApiRequest&, const Reply& reply) {
    context.post_to_loop([&commands = context.commands, reply] {
        json states = json::object();
        for (const auto& [service_ip, state] : commands.announced())
            states[service_ip.to_string()] = core::to_string(state);
        reply({200, text_of(states)});
    });
}

void set_withdrawn(const Context& context, const ApiRequest& request, const Reply& reply,
                   bool withdrawn) {
    const json body = json::parse(request.body, nullptr, false);
    if (!body.is_object() || !body.contains("service_ip") || !body["service_ip"].is_string())
        return reply(error_reply(400, "this wants {\"service_ip\": \"...\"}"));
    const auto address = IpAddress::parse(body["service_ip"].get<std::string>());
    if (!address) return reply(error_reply(400, "a service IP is an address, without a port"));
    context.post_to_loop([&commands = context.commands, reply, withdrawn, address = *address] {
        const auto done = commands.withdraw(address, withdrawn);
        if (!done) return reply(error_reply(404, done.error().message));
        reply({200, text_of(json{{"announcement", *done}})});
    });
}

void withdraw(const Context& context, const ApiRequest& request, const Reply& reply) {
    set_withdrawn(context, request, reply, true);
}

void announce(const Context& context, const ApiRequest& request, const Reply& reply) {
    set_withdrawn(context, request, reply, false);
}

/// Where a client's packets go.
void follow(const Context& context, const json& body, const Reply& reply) {
    if (!body["client"].is_string() || !body.contains("service") || !body["service"].is_string())
        return reply(error_reply(400, "why wants {\"client\": \"...\", \"service\": \"...\"}"));
    if (std::max(body["client"].get_ref<const std::string&>().size(),
                 body["service"].get_ref<const std::string&>().size()) > max_target_length)
        return reply(
            error_reply(400, fmt::format("an address has at most {} bytes", max_target_length)));
    auto question =
        parse_flow(body["client"].get<std::string>(), body["service"].get<std::string>());
    if (!question) return reply(error_reply(404, question.error().message));
    context.post_to_loop([&commands = context.commands, reply, question = *question] {
        reply({200, to_json(commands.follow(question))});
    });
}

/// Why servers are in or out, and how services stand. The words are made on the API's thread.
void why(const Context& context, const ApiRequest& request, const Reply& reply) {
    const json body = json::parse(request.body, nullptr, false);
    if (body.is_object() && body.contains("client")) return follow(context, body, reply);
    if (!body.is_object() || !body.contains("target") || !body["target"].is_string())
        return reply(error_reply(400, "why wants {\"target\": \"...\"}"));
    auto target = parse_target(body["target"].get<std::string>());
    if (!target) return reply(error_reply(404, target.error().message));
    context.post_to_loop([&commands = context.commands, reply, target = std::move(*target)] {
        auto standings = commands.why(target);
        if (!standings) return reply(error_reply(404, standings.error().message));
        auto shared = std::make_shared<const Standings>(std::move(*standings));
        reply({200, "", "application/json",
               [shared, now = wall_now()] { return to_json(*shared, now); }});
    });
}

using Path = void (*)(const Context&, const ApiRequest&, const Reply&);
using Paths = std::map<std::string, Path>;  // "METHOD /path"

const Paths public_paths = {{"GET /metrics", metrics}, {"GET /healthz", healthz}};

const Paths command_paths = {
    {"GET /metrics", metrics},        {"GET /healthz", healthz},
    {"GET /v1/status", status},       {"POST /v1/reload", reload},
    {"POST /v1/plan", plan},          {"POST /v1/drain", drain},
    {"POST /v1/undrain", undrain},    {"POST /v1/why", why},
    {"POST /v1/withdraw", withdraw},  {"POST /v1/announce", announce},
    {"GET /v1/announced", announced},
};

ApiHandler handler(const Paths& paths, Context context) {
    return [&paths, context = std::move(context)](const ApiRequest& request, const Reply& reply) {
        const auto path = paths.find(request.method + " " + request.path);
        if (path == paths.end())
            return reply(error_reply(404, "nothing at " + request.method + " " + request.path));
        try {
            path->second(context, request, reply);
        } catch (const std::exception& error) {
            // A bug, or no memory; whichever request brings it out, forwarding goes on.
            reply(error_reply(500, error.what()));
        }
    };
}

}  // namespace

ApiHandler command_handler(Commands& commands, PostToLoop post_to_loop) {
    return handler(command_paths, {commands, std::move(post_to_loop)});
}

ApiHandler public_handler(Commands& commands, PostToLoop post_to_loop) {
    return handler(public_paths, {commands, std::move(post_to_loop)});
}

}  // namespace dnsdirector::control
