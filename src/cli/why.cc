// SPDX-License-Identifier: Apache-2.0
#include <set>

#include "cli/client.h"
#include "cli/screen.h"

namespace dnsdirector::cli {
namespace {

using nlohmann::json;

json list_of(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_array() ? *found : json::array();
}

void print_field(const char* name, const std::string& text) {
    if (!text.empty()) fmt::print("    {:<9}{}\n", name, text);
}

/// Every line of it, indented.
void print_block(const std::string& text) {
    for (std::size_t from = 0; from < text.size();) {
        const std::size_t end = std::min(text.find('\n', from), text.size());
        fmt::print("        {}\n", text.substr(from, end - from));
        from = end + 1;
    }
}

void print_check(const json& check, const std::string& now, std::set<std::string>& shown) {
    const std::string what = text_of(check, "kind") + " " + text_of(check, "what");
    if (!shown.insert(text_of(check, "full")).second)
        return print_field("check", what + ": as above, one check for all these services");
    std::string line =
        fmt::format("{}: {}: {}", what, text_of(check, "state"), text_of(check, "runs"));
    const json verdicts = list_of(check, "verdicts");
    if (!verdicts.empty()) {
        const json& last = verdicts.back();
        line += fmt::format("; the last {} ago", age(text_of(last, "at"), now));
        if (const auto rtt = last.value("rtt_us", std::int64_t{0}); rtt > 0)
            line += " after " + short_rtt(rtt);
    }
    print_field("check", line);
    print_field("by hand", text_of(check, "by_hand"));
    const auto reply = check.find("failing_reply");
    if (reply == check.end() || !reply->is_object() || text_of(check, "state") == "up") return;
    print_field("reply", fmt::format("of {} ago, {}:", age(text_of(*reply, "at"), now),
                                     text_of(*reply, "reason")));
    print_block(text_of(*reply, "text"));
}

void print_decisions(const json& decisions) {
    bool first = true;
    for (auto decision = decisions.rbegin(); decision != decisions.rend(); ++decision) {
        const std::string written = text_of(*decision, "written");
        const std::string reason = text_of(*decision, "reason");
        print_field(
            first ? "past" : "",
            fmt::format("{}  {} by {}{}{}", text_of(*decision, "at"), text_of(*decision, "state"),
                        text_of(*decision, "rule"), reason.empty() ? "" : ": ", reason));
        if (!written.empty())
            print_field("",
                        fmt::format("{}: {}",
                                    decision->value("refused", false) ? "the data plane refused"
                                                                      : "the data plane was told",
                                    written));
        first = false;
    }
}

void print_server(const json& server, const std::string& now, std::set<std::string>& shown) {
    const std::string cluster = text_of(server, "cluster");
    fmt::print("\n{}{}\n", text_of(server, "service"), cluster.empty() ? "" : " (" + cluster + ")");
    print_field("", text_of(server, "answer"));
    print_field("state",
                fmt::format("{}{}{} for {}, weight {} of {}, {:.3g}% of new work",
                            text_of(server, "state"), server.value("held", false) ? ", held" : "",
                            server.value("drained", false) ? ", " + text_of(server, "health") : "",
                            age(text_of(server, "since"), now), server.value("effective_weight", 0),
                            server.value("weight", 0), server.value("share", 0.0) * 100));
    print_field("rule", text_of(server, "rule_text"));
    print_field("back by", text_of(server, "way_back"));
    for (const json& check : list_of(server, "checks"))
        print_check(check, now, shown);
    print_decisions(list_of(server, "decisions"));
}

/// A line for each of its servers; `why NAME` says more of one.
void print_service(const json& service) {
    const std::string cluster = text_of(service, "cluster");
    fmt::print("\n{}{}\n", text_of(service, "service"),
               cluster.empty() ? "" : " (" + cluster + ")");
    print_field("", text_of(service, "answer"));
    const json quorum = service.value("quorum", json::object());
    print_field("quorum",
                fmt::format("{}, up {}, needed {}", quorum.value("met", false) ? "met" : "NOT MET",
                            quorum.value("up", 0), text_of(service, "needed")));
    if (const auto sorry = service.find("sorry_server");
        sorry != service.end() && sorry->is_object())
        print_field("sorry", fmt::format("{} {}", endpoint_of(*sorry),
                                         sorry->value("in_use", false) ? "in use" : "not in use"));
    else
        print_field("all down", "on_all_down " + text_of(service, "on_all_down"));
    const char* heading = "servers";
    for (const json& server : list_of(service, "servers")) {
        print_field(heading, text_of(server, "answer"));
        heading = "";
    }
}

void print_why(const json& body) {
    fmt::print("{}\n", text_of(body, "answer"));
    const std::string now = text_of(body, "at");
    for (const json& service : list_of(body, "services"))
        print_service(service);
    std::set<std::string> shown;
    for (const json& server : list_of(body, "servers"))
        print_server(server, now, shown);
}

/// "ns1 203.0.113.11:53"; in the compatible form the name is the address.
std::string named(const json& share) {
    const std::string name = text_of(share, "name"), server = text_of(share, "server");
    return name.empty() || name == server ? server : name + " " + server;
}

void print_flows(const json& body) {
    const json flows = list_of(body, "flows");
    for (const json& flow : flows)
        fmt::print("{}\n", text_of(flow, "answer"));
    for (const json& flow : flows) {
        const json shares = list_of(flow, "shares");
        if (text_of(flow, "by") == "rotation" || shares.empty()) continue;
        const double slots = flow.value("slots", 1.0);
        fmt::print("\n{}: shares of all flows\n", text_of(flow, "service"));
        for (const json& share : shares)
            fmt::print("    {:5.1f}%  {}\n", 100 * share.value("slots", 0.0) / slots, named(share));
    }
}

}  // namespace

void add_why(Program program) {
    auto* command = program.app.add_subcommand(
        "why", "Why a real server is in or out; how a service stands; where a client's packets go");
    auto run_dir = std::make_shared<std::string>();
    auto target = std::make_shared<std::string>();
    auto service = std::make_shared<std::string>();
    auto as_json = std::make_shared<bool>(false);
    add_run_dir(*command, *run_dir);
    command
        ->add_option("target", *target,
                     "[CLUSTER/]NAME or ADDRESS[:PORT][/udp|/tcp] of a real server, sorry server "
                     "or service IP; with a service CLIENT:PORT")
        ->required();
    command->add_option("service", *service, "SERVICE_IP[:PORT][/udp|/tcp]");
    command->add_flag("--json", *as_json, "All of it, for programs");
    command->footer(
        "The first line is the answer.\n"
        "Exit status: 0, 1 unknown target, 3 no director.\n"
        "\n"
        "  dnsdirector why ns2\n"
        "  dnsdirector why 203.0.113.12/tcp\n"
        "  dnsdirector why 192.0.2.53\n"
        "  dnsdirector why 198.51.100.10:4242 192.0.2.53/tcp");
    command->callback([program, run_dir, target, service, as_json] {
        program.action = [run_dir, target, service, as_json]() -> int {
            const json question = service->empty()
                                      ? json{{"target", *target}}
                                      : json{{"client", *target}, {"service", *service}};
            const ApiAnswer answer = call_api(*run_dir, "POST", "/v1/why", question);
            if (const int status = print_errors(answer, *run_dir); status != ok) return status;
            if (*as_json)
                fmt::print("{}\n", answer.text);
            else if (service->empty())
                print_why(answer.body);
            else
                print_flows(answer.body);
            return ok;
        };
    });
}

}  // namespace dnsdirector::cli
