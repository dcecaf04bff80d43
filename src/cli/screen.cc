// SPDX-License-Identifier: Apache-2.0
#include "cli/screen.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <ctime>
#include <optional>
#include <vector>

#include "control/memory.h"

namespace dnsdirector::cli {
namespace {

using nlohmann::json;

enum class Colour { none, green, red, yellow, bold, dim };

constexpr const char* sequence(Colour colour) {
    switch (colour) {
        case Colour::green: return "\033[32m";
        case Colour::red: return "\033[31m";
        case Colour::yellow: return "\033[33m";
        case Colour::bold: return "\033[1m";
        case Colour::dim: return "\033[2m";
        default: return "";
    }
}

struct Cell {
    std::string text;
    Colour colour = Colour::none;
    bool right = false;
};
using Row = std::vector<Cell>;

std::string paint(const std::string& text, Colour colour, bool enabled) {
    if (!enabled || colour == Colour::none) return text;
    return sequence(colour) + text + "\033[0m";
}

/// Columns as wide as their widest cell; the last one is not padded.
std::string table(const std::vector<Row>& rows, bool colour) {
    std::vector<std::size_t> widths;
    for (const Row& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) {
            if (i == widths.size()) widths.push_back(0);
            widths[i] = std::max(widths[i], row[i].text.size());
        }
    std::string out;
    for (const Row& row : rows) {
        out += " ";
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string padding(widths[i] - row[i].text.size(), ' ');
            const bool last = i + 1 == row.size();
            const std::string painted = paint(row[i].text, row[i].colour, colour);
            out += ' ';
            out += row[i].right ? padding + painted : painted + (last ? "" : padding);
            if (!last) out += ' ';
        }
        out += '\n';
    }
    return out;
}

double number_of(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

std::time_t parse_time(const std::string& text) {
    std::tm time{};
    return strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time) == nullptr ? 0 : timegm(&time);
}

Colour state_colour(const std::string& state, bool held) {
    if (held || state == "drained" || state == "unknown") return Colour::yellow;
    return state == "up" ? Colour::green : Colour::red;
}

/// The check that explains most: a failed one, else the slowest.
std::string last_check(const json& server) {
    const json checks = server.value("checks", json::array());
    if (checks.empty()) return "none";
    std::optional<std::int64_t> slowest;
    for (const json& check : checks) {
        const auto last = check.find("last");
        if (last == check.end() || !last->is_object()) continue;
        if (text_of(*last, "result") != "ok") return text_of(*last, "result");
        slowest =
            std::max(slowest.value_or(0), static_cast<std::int64_t>(number_of(*last, "rtt_us")));
    }
    return slowest ? "ok " + short_rtt(*slowest) : "not yet";
}

/// Hysteresis: met from required + hysteresis, lost below required - hysteresis.
std::string quorum_text(const json& quorum, bool met) {
    const double required = number_of(quorum, "required");
    const double hysteresis = number_of(quorum, "hysteresis");
    std::string needed = fmt::format("{}", required);
    if (hysteresis > 0 && !met) needed += fmt::format("+{} (hysteresis)", hysteresis);
    std::string text = fmt::format("quorum {} of {} needed", number_of(quorum, "up"), needed);
    if (!met) return text + ", NOT MET";
    if (hysteresis > 0)
        text += fmt::format(", lost below {}", std::max(1.0, required - hysteresis));
    return text;
}

std::string weight(const json& server) {
    const auto configured = static_cast<std::int64_t>(number_of(server, "weight"));
    const auto effective = static_cast<std::int64_t>(number_of(server, "effective_weight"));
    return configured == effective ? fmt::format("{}", configured)
                                   : fmt::format("{} of {}", effective, configured);
}

Row server_row(const json& server, double total_weight, const std::string& now) {
    const bool held = server.value("held", false);
    const std::string state = text_of(server, "state");
    std::string reason = text_of(server, "reason");
    // What a drain waits for.
    if (const auto connections = server.find("connections");
        connections != server.end() && number_of(server, "effective_weight") == 0 &&
        state != "down")
        reason +=
            fmt::format("{}{} connections left", reason.empty() ? "" : "; ",
                        number_of(*connections, "active") + number_of(*connections, "inactive"));
    const double share =
        total_weight > 0 ? 100 * number_of(server, "effective_weight") / total_weight : 0;
    const std::string name = text_of(server, "name");
    const std::string address = endpoint_of(server);
    return {{held ? state + " (held)" : state, state_colour(state, held)},
            {name == address ? "" : name, Colour::bold},
            {address},
            {weight(server), Colour::none, true},
            {fmt::format("{:.1f}%", share), Colour::none, true},
            {short_number(number_of(server, "packets_per_second")), Colour::none, true},
            {short_number(number_of(server.value("counters", json::object()), "packets")),
             Colour::none, true},
            {last_check(server)},
            {age(text_of(server, "since"), now), Colour::none, true},
            {reason, state == "down" ? Colour::red : Colour::yellow}};
}

std::string sorry_line(const json& service, bool colour) {
    const auto sorry = service.find("sorry_server");
    if (sorry == service.end() || !sorry->is_object()) return "";
    const bool used = sorry->value("in_use", false);
    const std::string reason = text_of(*sorry, "reason");
    const json counters = sorry->value("counters", json::object());
    const std::string line =
        fmt::format("  sorry server {}  {}{}{}  {}/s  {} packets", endpoint_of(*sorry),
                    used ? "IN USE" : "not in use", reason.empty() ? "" : ": ", reason,
                    short_number(number_of(*sorry, "packets_per_second")),
                    short_number(number_of(counters, "packets")));
    return paint(line, used ? Colour::yellow : Colour::dim, colour) + "\n";
}

std::string service_name(const json& service) {
    if (const double mark = number_of(service, "fwmark"); mark != 0)
        return fmt::format("fwmark {}", mark);
    return fmt::format("{}/{}", endpoint_of(service), text_of(service, "protocol"));
}

std::string service_block(const json& service, const std::string& now, bool colour) {
    const json quorum = service.value("quorum", json::object());
    const bool met = quorum.value("met", false);
    std::string cluster = text_of(service, "cluster");
    if (const std::string group = text_of(service, "group"); cluster.empty() && !group.empty())
        cluster = "group " + group;
    std::string out =
        fmt::format("{}{}  {} {}  {}  {}/s\n", paint(service_name(service), Colour::bold, colour),
                    cluster.empty() ? "" : "  " + cluster, text_of(service, "scheduler"),
                    text_of(service, "forwarding"),
                    paint(quorum_text(quorum, met), met ? Colour::none : Colour::red, colour),
                    short_number(number_of(service, "packets_per_second")));

    double total = 0;
    const json servers = service.value("real_servers", json::array());
    for (const json& server : servers)
        total += number_of(server, "effective_weight");
    std::vector<Row> rows = {{{"STATE", Colour::dim},
                              {"NAME", Colour::dim},
                              {"SERVER", Colour::dim},
                              {"WEIGHT", Colour::dim, true},
                              {"SHARE", Colour::dim, true},
                              {"PKT/S", Colour::dim, true},
                              {"PACKETS", Colour::dim, true},
                              {"LAST CHECK", Colour::dim},
                              {"SINCE", Colour::dim, true},
                              {"WHY", Colour::dim}}};
    for (const json& server : servers)
        rows.push_back(server_row(server, total, now));
    return out + table(rows, colour) + sorry_line(service, colour);
}

std::string header(const json& status, const std::string& now, bool colour) {
    const json config = status.value("config", json::object());
    const json plane = status.value("dataplane", json::object());
    std::string interfaces;
    for (const json& interface : plane.value("interfaces", json::array()))
        interfaces += fmt::format("{}{} ({})", interfaces.empty() ? " on " : ", ",
                                  text_of(interface, "name"), text_of(interface, "mode"));
    std::string out =
        fmt::format("{}  {}{}  configuration {} loaded {} ago  up {}\n{}\n",
                    paint("dnsdirector " + text_of(status, "version"), Colour::bold, colour),
                    text_of(plane, "kind"), interfaces, number_of(config, "generation"),
                    age(text_of(config, "loaded_at"), now), age(text_of(status, "started_at"), now),
                    paint(text_of(config, "path"), Colour::dim, colour));
    for (const json& interface : plane.value("interfaces", json::array()))
        if (const std::string warning = text_of(interface, "warning"); !warning.empty())
            out += paint(fmt::format("warning: {}: {}", text_of(interface, "name"), warning),
                         Colour::yellow, colour) +
                   "\n";
    for (const json& warning : plane.value("warnings", json::array()))
        if (warning.is_string())
            out += paint("warning: " + warning.get<std::string>(), Colour::yellow, colour) + "\n";
    if (const std::string error = text_of(config, "last_error"); !error.empty())
        out += paint("last reload refused: " + error, Colour::red, colour) + "\n";
    return out;
}

/// What neighbours are told of each service IP, or why nothing; only where there is a bgp block.
std::string announcements(const json& status, const std::string& now, bool colour) {
    std::vector<Row> rows;
    for (const json& entry : status.value("announcements", json::array())) {
        if (!entry.value("bgp", false)) continue;
        const std::string state = text_of(entry, "state");
        const json med = entry.value("med", json(nullptr));
        rows.push_back({{text_of(entry, "prefix")},
                        {state, state == "announced"   ? Colour::green
                                : state == "withdrawn" ? Colour::red
                                                       : Colour::yellow},
                        {med.is_number() ? fmt::format("med {}", med.get<std::uint32_t>()) : ""},
                        {age(text_of(entry, "since"), now), Colour::none, true},
                        {text_of(entry, "reason")}});
    }
    if (rows.empty()) return "";
    return paint("announcements", Colour::bold, colour) + "\n" + table(rows, colour) + "\n";
}

/// The routing daemon, and its sessions with the neighbours; only where there is a bgp block.
std::string bgp(const json& status, const std::string& now, bool colour) {
    const json state = status.value("bgp", json(nullptr));
    if (!state.is_object()) return "";
    const std::string problem = text_of(state, "problem");
    std::string out = paint("neighbors", Colour::bold, colour) + "  ";
    out += problem.empty()
               ? text_of(state, "daemon") + " answers"
               : paint(fmt::format("{}, for {}", problem, age(text_of(state, "since"), now)),
                       Colour::red, colour);
    out += "\n";
    std::vector<Row> rows;
    std::string problems;
    for (const json& each : state.value("neighbors", json::array())) {
        const std::string session = text_of(each, "session");
        const bool up = session == "established";
        const std::string bfd = text_of(each, "bfd");
        const auto flaps = static_cast<std::uint64_t>(number_of(each, "flaps"));
        rows.push_back({{text_of(each, "address")},
                        {text_of(each, "description")},
                        {session, up ? Colour::green : Colour::red},
                        {age(text_of(each, "since"), now), Colour::none, true},
                        {fmt::format("told {}", each.value("told", json::array()).size())},
                        {bfd.empty() ? "" : "bfd " + bfd},
                        {flaps == 0 ? "" : fmt::format("lost {} times", flaps)},
                        {text_of(each, "last_error"), up ? Colour::dim : Colour::red}});
        for (const json& sentence : each.value("problems", json::array()))
            if (sentence.is_string())
                problems += paint(fmt::format("  {}: {}", text_of(each, "address"),
                                              sentence.get<std::string>()),
                                  Colour::red, colour) +
                            "\n";
    }
    return out + table(rows, colour) + problems + "\n";
}

/// Services that share the kernel's table with ours and are left alone.
std::string foreign(const json& status) {
    std::string list;
    const json plane = status.value("dataplane", json::object());
    for (const json& name : plane.value("foreign_services", json::array()))
        if (name.is_string()) list += (list.empty() ? "" : ", ") + name.get<std::string>();
    return list.empty() ? "" : "made by others, left alone: " + list + "\n";
}

std::string drops(const json& status) {
    std::string list;
    const json plane = status.value("dataplane", json::object());
    const json reasons = plane.value("drops", json::object());
    for (const auto& [reason, packets] : reasons.items())
        if (packets.is_number() && packets.get<double>() > 0)
            list += fmt::format("{}{} {}", list.empty() ? "" : ", ", reason,
                                short_number(packets.get<double>()));
    return "not forwarded: " + (list.empty() ? std::string("none") : list) + "\n";
}

/// Of a proxy.
std::string events(const json& status) {
    std::string list;
    const json plane = status.value("dataplane", json::object());
    const json counts = plane.value("events", json::object());
    for (const auto& [what, count] : counts.items())
        if (count.is_number() && count.get<double>() > 0)
            list += fmt::format("{}{} {}", list.empty() ? "" : ", ", what,
                                short_number(count.get<double>()));
    return list.empty() ? "" : "proxy: " + list + "\n";
}

/// Nothing from a director of an older version.
std::string memory(const json& status) {
    const auto found = status.find("memory");
    if (found == status.end() || !found->is_object()) return "";
    const auto bytes = [](const json& of, const char* key) {
        return control::memory_text(static_cast<std::uint64_t>(number_of(of, key)));
    };
    const json kernel = found->value("kernel", json::object());
    const json process = found->value("process", json::object());
    std::string line = "memory:";
    if (number_of(kernel, "bytes") > 0)
        line += fmt::format(" {} of kernel tables ({} predicted),", bytes(kernel, "bytes"),
                            bytes(kernel, "predicted_bytes"));
    return line +
           fmt::format(" {} resident, what is mapped of them included (about {} predicted)\n",
                       bytes(process, "resident_bytes"), bytes(process, "predicted_bytes"));
}

/// Only where flows are remembered, and some were.
std::string flows(const json& status) {
    const json counts = status.value("dataplane", json::object()).value("flows", json(nullptr));
    if (!counts.is_object() || counts.value("young", 0.0) == 0) return "";
    const auto of = [&](const char* name) { return short_number(counts.value(name, 0.0)); };
    return fmt::format(
        "TCP flows remembered: about {} of {} ({} learnt; no room {}, too fast {})\n",
        of("remembered"), of("max"), of("learnt"), of("full"), of("capped"));
}

}  // namespace

std::string text_of(const json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string endpoint_of(const json& object) {
    const std::string address = text_of(object, "address");
    const int port = static_cast<int>(number_of(object, "port"));
    return address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port)
                                                  : fmt::format("[{}]:{}", address, port);
}

std::string short_number(double value) {
    if (value < 1000) return fmt::format("{:.0f}", value);
    static constexpr std::array units = {"k", "M", "G", "T", "P", "E"};
    std::size_t unit = 0;
    for (value /= 1000; value >= 999.5 && unit + 1 < units.size(); value /= 1000)
        ++unit;
    const int digits = value < 10 ? 2 : value < 100 ? 1 : 0;
    return fmt::format("{:.{}f}{}", value, digits, units[unit]);
}

std::string short_rtt(std::int64_t microseconds) {
    const double milliseconds = static_cast<double>(microseconds) / 1000;
    if (milliseconds < 10) return fmt::format("{:.2f} ms", milliseconds);
    if (milliseconds < 1000) return fmt::format("{:.0f} ms", milliseconds);
    return fmt::format("{:.2f} s", milliseconds / 1000);
}

std::string age(const std::string& since, const std::string& now) {
    const std::time_t then = parse_time(since);
    if (then == 0) return "";
    const auto seconds = std::max<std::int64_t>(0, parse_time(now) - then);
    if (seconds < 120) return fmt::format("{}s", seconds);
    if (seconds < 7200) return fmt::format("{}m", seconds / 60);
    if (seconds < 172800) return fmt::format("{}h", seconds / 3600);
    return fmt::format("{}d", seconds / 86400);
}

std::string render_status(const json& status, bool colour) {
    const std::string now = text_of(status, "at");
    std::string out = header(status, now, colour);
    for (const json& service : status.value("services", json::array()))
        out += "\n" + service_block(service, now, colour);
    return out + "\n" + render_real_server(status, now) + announcements(status, now, colour) +
           bgp(status, now, colour) + foreign(status) + flows(status) + events(status) +
           drops(status) + memory(status);
}

}  // namespace dnsdirector::cli
