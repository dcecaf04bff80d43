// SPDX-License-Identifier: Apache-2.0
//
// usage: ecmp_simulation [--json FILE] [--quick] [--flows N] [--seed N]
//
// What 2 to 100 directors behind a router's ECMP lose when one leaves, joins, is
// drained or flaps: TCP flows that the router moves, those of them that break, and
// the shares of the directors. Computed, not measured: the directors' tables and
// hash are the real ones, the routers' are those of ecmp.h. bench/README.md explains
// the tables, docs/scaling.md draws the conclusions. No root, some seconds.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <tuple>

#include "ecmp_flows.h"

namespace {

using namespace dnsdirector::ecmp;

constexpr std::array<std::uint32_t, 6> director_counts{2, 4, 8, 16, 32, 100};
constexpr std::array<std::uint32_t, 3> server_counts{10, 100, 1000};
constexpr std::array<Hashing, 4> hashings{{{Hashing::Kind::modulo},
                                           {Hashing::Kind::threshold},
                                           {Hashing::Kind::resilient, 128},
                                           {Hashing::Kind::resilient, 1024}}};
/// Places in the order of the directors at which one leaves or joins; means are given.
constexpr std::uint32_t places = 4;
/// What the tables that vary something else hold still.
constexpr std::uint32_t usual_directors = 8;
constexpr std::uint32_t usual_servers = 100;

struct Options {
    std::string json;
    std::size_t flows = 100'000;
    std::uint64_t seed = 1;
};

[[noreturn]] void give_up(const std::string& what) {
    fmt::print(stderr, "ecmp_simulation: {}\n", what);
    std::exit(1);
}

std::uint64_t number(std::string_view option, const char* text) {
    std::uint64_t value = 0;
    const char* end = text == nullptr ? text : text + std::strlen(text);
    if (text == nullptr || std::from_chars(text, end, value).ptr != end || text == end ||
        value > 10'000'000)
        give_up(fmt::format("{} takes a number from 0 to 10000000", option));
    return value;
}

Options parse(char** argument) {
    Options options;
    while (const char* text = *++argument) {
        const std::string_view option = text;
        if (option == "--quick")
            options.flows = 10'000;
        else if (option == "--json" && argument[1] != nullptr)
            options.json = *++argument;
        else if (option == "--flows")
            options.flows = std::max<std::uint64_t>(1, number(option, *++argument));
        else if (option == "--seed")
            options.seed = number(option, *++argument);
        else
            give_up(
                fmt::format("{} is not understood; usage: ecmp_simulation [--json FILE] "
                            "[--quick] [--flows N] [--seed N]",
                            option));
    }
    return options;
}

// ---- counting -------------------------------------------------------------------

/// What the router does, whatever the servers are; percent of all flows, means.
struct Routed {
    double moved = 0;
    double cut_off = 0;
    double least_before = 1e9;  ///< of an even share
    double most_before = 0;
    double least_after = 1e9;
    double most_after = 0;
};
using RoutedKey = std::tuple<std::uint32_t, std::string, Event>;  // directors, hash
/// Percent of living flows that break; directors, hash, event, servers, past, choosing.
using BrokenKey =
    std::tuple<std::uint32_t, std::string, Event, std::uint32_t, std::string, Choosing>;

struct Figures {
    std::map<RoutedKey, Routed> routed;
    std::map<BrokenKey, double> broken;
};

struct Case {
    std::uint32_t servers;
    Choosing choosing;
    std::string past;
    Directors directors;
};

std::vector<Case> cases() {
    std::vector<Case> all;
    for (const std::uint32_t servers : server_counts)
        for (const Choosing choosing : {Choosing::maglev, Choosing::modulo, Choosing::own})
            for (const Past& past : pasts(servers))
                if (choosing == Choosing::maglev || servers == usual_servers)
                    all.push_back({servers, choosing, past.name, Directors(choosing, past)});
    return all;
}

void add(Routed& routed, const Ways& ways, double flows) {
    routed.moved += 100 * static_cast<double>(ways.moved.size()) / flows / places;
    routed.cut_off += 100 * static_cast<double>(ways.cut_off) / flows / places;
    const Ways::Share& before = ways.shares.front();
    const Ways::Share& after = ways.shares[1];
    routed.least_before = std::min(routed.least_before, before.least);
    routed.most_before = std::max(routed.most_before, before.most);
    routed.least_after = std::min(routed.least_after, after.least);
    routed.most_after = std::max(routed.most_after, after.most);
}

Figures simulate(const Options& options) {
    Figures figures;
    const std::vector<Flow> flows = random_flows(options.flows, options.seed);
    const std::vector<Case> all = cases();
    for (const std::uint32_t directors : director_counts)
        for (const Hashing& hashing : hashings)
            for (const Event event : events)
                for (std::uint32_t place = 0; place < places; ++place) {
                    const std::uint32_t at = (2 * place + 1) * directors / (2 * places);
                    const Ways found = ways(flows, hashing, directors, event, at);
                    add(figures.routed[{directors, hashing.name(), event}], found,
                        static_cast<double>(flows.size()));
                    for (const Case& one : all) {
                        // Yardsticks once: they are compared with each other only.
                        if (one.choosing != Choosing::maglev && directors != usual_directors)
                            continue;
                        const Outcome outcome =
                            dnsdirector::ecmp::outcome(flows, found, one.directors);
                        figures.broken[{directors, hashing.name(), event, one.servers, one.past,
                                        one.choosing}] +=
                            100.0 * static_cast<double>(outcome.broken) /
                            static_cast<double>(std::max<std::size_t>(outcome.living, 1)) / places;
                    }
                }
    return figures;
}

// ---- telling --------------------------------------------------------------------

void print_routed(const Figures& figures) {
    fmt::print(
        "What the router moves: percent of all flows; shares: the least and the most that a "
        "director has,\nof an even share, before and after one left; cut off: percent of "
        "flows at a director that died,\nuntil the routers notice (drained: none)\n\n");
    fmt::print("{:>9}  {:15}{:>7}{:>7}{:>7}{:>7}{:>9}   {:>12}   {:>12}\n", "directors", "hash",
               "leave", "join", "drain", "flap", "cut off", "shares", "one left");
    for (const std::uint32_t directors : director_counts)
        for (const Hashing& hashing : hashings) {
            fmt::print("{:>9}  {:15}", directors, hashing.name());
            for (const Event event : events)
                fmt::print("{:7.1f}", figures.routed.at({directors, hashing.name(), event}).moved);
            const Routed& left = figures.routed.at({directors, hashing.name(), Event::leave});
            fmt::print("{:9.1f}   {:4.2f} to {:4.2f}   {:4.2f} to {:4.2f}\n", left.cut_off,
                       left.least_before, left.most_before, left.least_after, left.most_after);
        }
}

void print_by_directors(const Figures& figures, Event event) {
    fmt::print("\nWhat breaks when a director {}: percent of all flows; {} servers\n\n",
               event == Event::join ? "joins" : "leaves or is drained", usual_servers);
    for (const Hashing& hashing : hashings) {
        fmt::print("{:32}", hashing.name());
        for (const std::uint32_t directors : director_counts)
            fmt::print("{:>8}", directors);
        fmt::print("  directors\n");
        for (const Past& past : pasts(usual_servers)) {
            fmt::print("  {:30}", past.name);
            for (const std::uint32_t directors : director_counts)
                fmt::print("{:8.2f}",
                           figures.broken.at({directors, hashing.name(), event, usual_servers,
                                              past.name, Choosing::maglev}));
            fmt::print("\n");
        }
    }
}

void print_by_servers(const Figures& figures) {
    fmt::print(
        "\nThe same by servers, and next to yardsticks; {} directors, one leaves or is "
        "drained, threshold\n\n",
        usual_directors);
    fmt::print("{:32}{:>30}{:>30}\n", "", "servers, as dnsdirector", "100 servers");
    fmt::print("{:32}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "", 10, 100, 1000, "maglev", "modulo",
               "own");
    const auto percent = [&](const Past& past, std::uint32_t servers, Choosing choosing) {
        return figures.broken.at(
            {usual_directors, "threshold", Event::leave, servers, past.name, choosing});
    };
    for (const Past& past : pasts(usual_servers)) {
        fmt::print("  {:30}", past.name);
        for (const std::uint32_t servers : server_counts)
            fmt::print("{:10.2f}", percent(past, servers, Choosing::maglev));
        for (const Choosing choosing : {Choosing::maglev, Choosing::modulo, Choosing::own})
            fmt::print("{:10.2f}", percent(past, usual_servers, choosing));
        fmt::print("\n");
    }
}

/// The worst share of flows that break while all directors have always agreed.
double worst_of_agreed(const Figures& figures) {
    const std::string agreed = pasts(usual_servers).front().name;
    double worst = 0;
    for (const auto& [key, percent] : figures.broken)
        if (std::get<4>(key) == agreed && std::get<Choosing>(key) == Choosing::maglev)
            worst = std::max(worst, percent);
    return worst;
}

nlohmann::json report(const Options& options, const Figures& figures) {
    nlohmann::json report{{"part", "ecmp"},
                          {"flows", options.flows},
                          {"seed", options.seed},
                          {"places", places},
                          {"moved", nlohmann::json::array()},
                          {"broken", nlohmann::json::array()}};
    for (const auto& [key, routed] : figures.routed) {
        const auto& [directors, hash, event] = key;
        report["moved"].push_back({{"directors", directors},
                                   {"hash", hash},
                                   {"event", name(event)},
                                   {"moved_percent", routed.moved},
                                   {"cut_off_percent", routed.cut_off},
                                   {"share_before", {routed.least_before, routed.most_before}},
                                   {"share_after", {routed.least_after, routed.most_after}}});
    }
    for (const auto& [key, percent] : figures.broken) {
        const auto& [directors, hash, event, servers, past, choosing] = key;
        report["broken"].push_back({{"directors", directors},
                                    {"hash", hash},
                                    {"event", name(event)},
                                    {"servers", servers},
                                    {"past", past},
                                    {"choosing", name(choosing)},
                                    {"broken_percent", percent}});
    }
    const double worst = worst_of_agreed(figures);
    report["targets"] = {{{"what", "TCP flows that break while all directors agree, worst case"},
                          {"value", worst},
                          {"limit", 0},
                          {"unit", "%"},
                          {"met", worst == 0}}};
    return report;
}

}  // namespace

int main(int, char** argument) {
    const Options options = parse(argument);
    const Figures figures = simulate(options);
    fmt::print(
        "{} TCP flows, seed {}; means over {} places at which a director leaves or joins\n\n",
        options.flows, options.seed, places);
    print_routed(figures);
    print_by_directors(figures, Event::leave);
    print_by_directors(figures, Event::join);
    print_by_servers(figures);
    if (options.json.empty()) return 0;
    std::ofstream file(options.json);
    file << report(options, figures).dump(1) << "\n";
    if (!file.flush()) give_up("cannot write " + options.json);
    return 0;
}
