// SPDX-License-Identifier: Apache-2.0
//
// From a check's verdict to the table in the kernel: the real engine and the
// real XDP plane, with verdicts given by hand. Timed is the call that hands the
// engine a verdict and the tick that puts it into force: when that returns, the
// kernel program uses the new tables.
// README.md says how to read the output.
#include <fmt/core.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <fstream>

#include "verdict_rig.h"

namespace dnsdirector::bench {
namespace {

struct Options {
    std::string json;
    std::vector<std::string> only;
    std::size_t repetitions = 0;  ///< 0: as fits the case
    bool quick = false;
};

struct Outcome {
    Case what;
    Measured down, up;
    Samples floor;
    std::uint32_t storm_servers = 0;
    Nanoseconds storm{0};
};

constexpr int cannot = 77;  ///< exit status: could not run here

/// A prime, so that victims come from everywhere and not one after the other.
constexpr std::uint32_t stride = 7919;

Result<Outcome> measure(const Case& c, const Options& options) {
    auto rig = VerdictRig::start(c);
    if (!rig) return tl::unexpected(rig.error());
    Outcome outcome;
    outcome.what = c;
    std::size_t repetitions = options.repetitions;
    if (repetitions == 0) repetitions = options.quick ? 8 : (*rig)->cheap() ? 300 : 50;
    const std::uint32_t servers = all_servers(c);

    Outcome warm_up;
    for (std::uint32_t i = 0; i < 2; ++i)
        if (auto done =
                (*rig)->repetition(i % servers, i == 0, warm_up.down, warm_up.up, warm_up.floor);
            !done)
            return tl::unexpected(done.error());
    for (std::size_t i = 0; i < repetitions; ++i) {
        const auto victim = static_cast<std::uint32_t>((i + 2) * stride % servers);
        const bool verify = i + 1 == repetitions;
        if (auto done = (*rig)->repetition(victim, verify, outcome.down, outcome.up, outcome.floor);
            !done)
            return tl::unexpected(done.error());
    }
    outcome.storm_servers = std::min<std::uint32_t>(servers / 4, options.quick ? 20 : 100);
    auto storm = (*rig)->storm(0, outcome.storm_servers);
    if (!storm) return tl::unexpected(storm.error());
    outcome.storm = *storm;
    return outcome;
}

Nanoseconds worst(const Outcome& outcome) {
    return std::max(outcome.down.own.quantile(0.99), outcome.up.own.quantile(0.99));
}
bool on_time(const Outcome& outcome) {
    return worst(outcome) <= outcome.what.target;
}

void print_row(const char* verdict, const Measured& measured, const Outcome& outcome) {
    const Nanoseconds floor = outcome.floor.median();
    fmt::print("  {:<5} {:>6}", verdict, measured.changes);
    const Samples& own = measured.own;
    for (const Nanoseconds time : {own.quantile(0), own.median(), own.quantile(0.99),
                                   own.quantile(1), measured.plane.median(), floor})
        fmt::print(" {:>8.3f}", ms(time));
    fmt::print(" {:>8.1f} {:>9.3f}\n", ms(own.median()) / std::max(ms(floor), 1e-6),
               ms(measured.wall.quantile(1)));
}

void print(const Outcome& outcome) {
    fmt::print("{}\n", outcome.what.title);
    print_row("down", outcome.down, outcome);
    print_row("up", outcome.up, outcome);
    fmt::print("  target {:.0f} ms: {}; {} servers failing at once: {:.1f} ms in all\n\n",
               ms(outcome.what.target), on_time(outcome) ? "met" : "MISSED (99th percentile)",
               outcome.storm_servers, ms(outcome.storm));
    std::fflush(stdout);
}

nlohmann::json json_of(const Measured& measured) {
    return {{"own", measured.own.json()},
            {"wall", measured.wall.json()},
            {"plane_apply", measured.plane.json()},
            {"changes", measured.changes}};
}

nlohmann::json json_of(const Outcome& outcome) {
    return {{"case", outcome.what.name},
            {"title", outcome.what.title},
            {"down", json_of(outcome.down)},
            {"up", json_of(outcome.up)},
            {"floor", outcome.floor.json()},
            {"target_ms", ms(outcome.what.target)},
            {"target_met", on_time(outcome)},
            {"storm", {{"servers", outcome.storm_servers}, {"total_ms", ms(outcome.storm)}}}};
}

nlohmann::json target_of(const Outcome& outcome) {
    return {{"what", "verdict to table, 99th percentile: " + outcome.what.title},
            {"value", ms(worst(outcome))},
            {"limit", ms(outcome.what.target)},
            {"unit", "ms"},
            {"met", on_time(outcome)}};
}

std::string neighbours() {
    // Permanent ones: the kernel keeps them whatever their number (gc_thresh3).
    std::string lines;
    std::uint32_t most = 0;
    for (const Case& c : cases())
        most = std::max(most, all_servers(c));
    for (std::uint32_t i = 0; i < most; ++i)
        lines += fmt::format("neigh add {} lladdr 02:00:00:00:{:02x}:{:02x} nud permanent dev {}\n",
                             server_endpoint(i).address.to_string(), i >> 8, i & 0xff,
                             PrivateNetwork::interface);
    return lines;
}

int run(const Options& options) {
    const auto complain = [](const Error& error) {
        fmt::print(stderr, "verdict_bench: {}\n", error.message);
        return 1;
    };
    spdlog::set_level(spdlog::level::err);  // attached and detached, for each case
    if (auto entered = PrivateNetwork::enter(); !entered) {
        complain(entered.error());
        return cannot;
    }
    if (auto added = ip_batch(neighbours()); !added) return complain(added.error());

    fmt::print(
        "From a verdict to the table in the kernel; milliseconds\n"
        "        {:>6} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>9}\n",
        "change", "min", "median", "p99", "max", "in plane", "floor", "x floor", "max wall");
    nlohmann::json report{{"part", "verdict"},
                          {"results", nlohmann::json::array()},
                          {"targets", nlohmann::json::array()}};
    for (const Case& c : cases()) {
        if (!options.only.empty() &&
            std::find(options.only.begin(), options.only.end(), c.name) == options.only.end())
            continue;
        auto outcome = measure(c, options);
        if (!outcome)
            return complain(Error{fmt::format("{}: {}", c.name, outcome.error().message)});
        print(*outcome);
        report["results"].push_back(json_of(*outcome));
        report["targets"].push_back(target_of(*outcome));
    }
    if (!options.json.empty()) {
        std::ofstream file{options.json};
        file << report.dump(2) << '\n';
        if (!file.flush()) return complain(Error{fmt::format("cannot write {}", options.json)});
    }
    return 0;
}

}  // namespace
}  // namespace dnsdirector::bench

int main(int argc, char** argv) {
    using namespace dnsdirector::bench;
    Options options;
    CLI::App app{"Time from a check's verdict to the table in the kernel (needs root)"};
    std::vector<std::string> names;
    for (const Case& c : cases())
        names.push_back(c.name);
    app.add_option("--json", options.json, "write the figures to this file");
    app.add_option("--case", options.only, "only this case; may be repeated")
        ->check(CLI::IsMember(names));
    app.add_option("--repetitions", options.repetitions,
                   "of each case (default 50 to 300, 8 with --quick)")
        ->check(CLI::Range(1, 100000));
    app.add_flag("--quick", options.quick, "few repetitions");
    CLI11_PARSE(app, argc, argv);
    return run(options);
}
