// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <iterator>
#include <nlohmann/json.hpp>

#include "cli/cli.h"
#include "cli/message_text.h"
#include "config/findings.h"
#include "control/memory.h"

namespace dnsdirector::cli {

namespace {

struct CheckOptions {
    std::string path = default_config;
    std::string config_id;
    bool json = false;
    bool plain = false;
    bool quiet = false;
    bool verbose = false;
    bool memory = false;
};

void print_messages(const config::Loaded& loaded, const CheckOptions& options) {
    if (options.json) {
        fmt::print("{}", messages_json(loaded.messages));
        return;
    }
    for (const config::Message& message : loaded.messages) {
        if (options.quiet && message.severity != config::Severity::error) continue;
        const bool plain = options.plain || options.quiet;
        fmt::print(stderr, "{}", plain ? message.to_string() + '\n' : text_with_caret(message));
    }
}

/// How many MISC_CHECKs need no process; with --verbose each, and why not.
void print_misc_checks(const std::vector<config::MiscCheckNote>& checks, bool each) {
    if (checks.empty()) return;
    const auto native = std::ranges::count_if(checks, &config::MiscCheckNote::native);
    if (each)
        for (const config::MiscCheckNote& check : checks)
            fmt::print("{}\n", check.to_string());
    fmt::print("{} of {} MISC_CHECKs run natively{}\n", native, checks.size(),
               each || native == std::ssize(checks) ? "" : " (why not: --verbose)");
}

int no_forecast(const Error& error) {
    fmt::print(stderr, "dnsdirector: cannot predict the memory: {}\n", error.message);
    return failed;
}

/// One line; with --memory each table of the kernel, too.
int print_memory(const core::Configuration& configuration, bool each) {
    const auto forecast = control::forecast_memory(configuration);
    if (!forecast) return no_forecast(forecast.error());
    if (each)
        for (const dataplane::TableMemory& table : forecast->tables)
            fmt::print("  {:<16} {:>9}\n", table.name, control::memory_text(table.bytes));
    fmt::print("{}\n", forecast->to_string());
    return ok;
}

int print_memory_json(const core::Configuration& configuration) {
    const auto forecast = control::forecast_memory(configuration);
    if (!forecast) return no_forecast(forecast.error());
    nlohmann::ordered_json tables = nlohmann::ordered_json::array();
    for (const dataplane::TableMemory& table : forecast->tables)
        tables.push_back({{"name", table.name}, {"bytes", table.bytes}});
    const nlohmann::ordered_json root = {
        {"kernel",
         {{"bytes", dataplane::total(forecast->tables)},
          {"possible_cpus", forecast->cpus},
          {"tables", tables}}},
        {"process", {{"bytes", forecast->process}, {"resident_bytes", forecast->resident()}}}};
    fmt::print("{}\n", root.dump(2));
    return ok;
}

int check_config(const CheckOptions& options) {
    const config::Loaded loaded = config::examine(options.path, options.config_id);
    // One document on standard output: the messages, or what fine files take.
    if (!options.json || !options.memory || !loaded.ok()) print_messages(loaded, options);
    if (!loaded.ok()) return failed;
    if (options.quiet || (options.json && !options.memory)) return ok;
    if (options.json) return print_memory_json(*loaded.configuration);
    print_misc_checks(loaded.misc_checks, options.verbose);
    if (const int status = print_memory(*loaded.configuration, options.memory); status != ok)
        return status;
    fmt::print("{}: fine: {} services, {} checks\n", options.path,
               loaded.configuration->services.size(), loaded.configuration->checks.size());
    return ok;
}

}  // namespace

void add_check_config(Program program) {
    auto* command = program.app.add_subcommand("check-config", "Is this configuration right?");
    auto options = std::make_shared<CheckOptions>();
    command->add_option("-f,--file", options->path, "Configuration")->capture_default_str();
    add_config_id(*command, options->config_id);
    command->add_flag("--json", options->json,
                      "All messages as one JSON array, for editors and pipelines");
    command->add_flag("--plain", options->plain, "One line a message, without the file's line");
    command->add_flag("-q,--quiet", options->quiet, "Errors alone, one line each");
    command->add_flag("-v,--verbose", options->verbose,
                      "Each MISC_CHECK with how it is run, and why not natively");
    command->add_flag("-m,--memory", options->memory,
                      "What each of the kernel's tables will take; with --json as one object");
    command->footer(
        "Every message is FILE:LINE:COLUMN: error: what, and what would be right; then the\n"
        "line with a caret. Exit status: 0 fine (warnings included), 1 errors. Needs no\n"
        "privileges.\n"
        "\n"
        "  dnsdirector check-config -f resolvers.conf && dnsdirector reload");
    command->callback(
        [program, options] { program.action = [options] { return check_config(*options); }; });
}

void add_reference(Program program) {
    auto* command = program.app.add_subcommand("reference",
                                               "Print the reference of the configuration language");
    auto markdown = std::make_shared<bool>(true);
    command->add_flag("--markdown", *markdown, "As docs/configuration.md (the default)");
    command->callback([program] {
        program.action = [] {
            fmt::print("{}", config::reference_markdown());
            return ok;
        };
    });
}

}  // namespace dnsdirector::cli
