// SPDX-License-Identifier: Apache-2.0
//
// What a real server's agent keeps, in a few lines of `status`.
#include <fmt/format.h>

#include <map>
#include <string>
#include <utility>

#include "cli/screen.h"

namespace dnsdirector::cli {
namespace {

using nlohmann::json;

std::uint64_t whole_number(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

/// "192.0.2.53 held, 2001:db8::53 WITHDRAWN"
std::string kept_service_ips(const json& state) {
    std::string list;
    for (const json& each : state.value("service_ips", json::array())) {
        const bool withdrawn = each.value("withdrawn", false);
        const bool held = each.value("held", false);
        list += fmt::format("{}{} {}", list.empty() ? "" : ", ", text_of(each, "address"),
                            withdrawn ? "WITHDRAWN"
                            : held    ? "held"
                                      : "MISSING");
    }
    return list;
}

/// "  bind1: 12 queries by udp, 3 by tcp; asked directly 20 times"
std::string kept_rules(const json& state) {
    std::map<std::string, std::map<std::string, std::uint64_t>> processes;
    for (const json& each : state.value("rules", json::array()))
        processes[text_of(each, "process")]
                 [text_of(each, "way") + " " + text_of(each, "protocol")] +=
            whole_number(each, "packets");
    std::string lines;
    for (auto& [name, packets] : processes) {
        const auto of = [&packets = packets](const char* way) {
            return short_number(static_cast<double>(packets[std::string(way) + " udp"])) +
                   " udp, " +
                   short_number(static_cast<double>(packets[std::string(way) + " tcp"])) + " tcp";
        };
        lines += fmt::format("  process {}  packets in {}  out {}  asked directly {}\n", name,
                             of("queries"), of("replies"), of("direct"));
    }
    return lines;
}

std::string kept_repairs(const json& state, const std::string& now) {
    const json list = state.value("last_repairs", json::array());
    if (list.empty()) return "";
    const json& last = list.back();
    return fmt::format("  {} repaired, the last {} ago: {}\n", whole_number(state, "repairs"),
                       age(text_of(last, "at"), now), text_of(last, "what"));
}

}  // namespace

std::string render_real_server(const json& status, const std::string& now) {
    const auto state = status.find("realserver");
    if (state == status.end() || !state->is_object()) return "";
    std::string out = fmt::format(
        "real server  {} on {}  {}\n", kept_service_ips(*state), text_of(*state, "interface"),
        state->value("well", false) ? "all as the file says" : "NOT as the file says");
    for (const char* kind : {"problems", "notes"})
        for (const json& line : state->value(kind, json::array()))
            if (line.is_string()) out += "  " + line.get<std::string>() + "\n";
    return out + kept_repairs(*state, now) + kept_rules(*state) + "\n";
}

}  // namespace dnsdirector::cli
