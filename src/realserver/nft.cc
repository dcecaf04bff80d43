// SPDX-License-Identifier: Apache-2.0
#include "realserver/nft.h"

#include <fmt/format.h>

#include <vector>

#include "realserver/program.h"

namespace dnsdirector::realserver {
namespace {

/// It talks to the kernel alone, and takes milliseconds.
constexpr Nanoseconds limit = std::chrono::seconds{10};

/// The line that says what is wrong; the rest of what nft prints points at the place.
std::string complaint_in(const ProgramOutput& output) {
    std::string_view rest = output.err;
    while (!rest.empty()) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        if (line.find("rror") != std::string_view::npos) return std::string(line);
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    }
    const std::string first = output.err.substr(0, output.err.find('\n'));
    return first.empty() ? fmt::format("nothing; its exit status is {}", output.status) : first;
}

Result<void> feed(const std::string& ruleset, std::string_view purpose) {
    const auto output = run_program({"nft", "-f", "-"}, ruleset, limit);
    if (!output) return tl::unexpected(output.error());
    if (output->status == 0) return {};
    return fail("nft cannot {} the table `inet {}`; it says: {}", purpose, table_name,
                complaint_in(*output));
}

/// nullopt: our table is not there.
Result<std::optional<std::string>> list(const std::vector<std::string>& what) {
    std::vector<std::string> arguments = {"nft", "-j", "-t", "list"};
    arguments.insert(arguments.end(), what.begin(), what.end());
    const auto output = run_program(arguments, "", limit);
    if (!output) return tl::unexpected(output.error());
    if (output->status == 0) return output->out;
    // nft's exit status does not tell a table that is missing from other trouble.
    const auto tables = run_program({"nft", "-j", "list", "tables"}, "", limit);
    if (!tables) return tl::unexpected(tables.error());
    if (tables->status == 0) {
        const auto there = lists_our_table(tables->out);
        if (!there) return tl::unexpected(there.error());
        if (!*there) return std::nullopt;
    }
    return fail("nft cannot list the table `inet {}`; it says: {}", table_name,
                complaint_in(tables->status == 0 ? *output : *tables));
}

}  // namespace

Result<std::optional<std::string>> read_table() {
    const auto listing = list({"table", "inet", std::string(table_name)});
    if (!listing) return tl::unexpected(listing.error());
    if (!*listing) return std::nullopt;
    auto text = comparable(**listing);
    if (!text) return tl::unexpected(text.error());
    return std::move(*text);
}

Result<void> replace_table(const std::string& ruleset) {
    return ruleset.empty() ? remove_table() : feed(ruleset, "replace");
}

Result<void> remove_table() {
    // Added first: what is not there cannot be deleted.
    return feed(fmt::format("table inet {0} {{ }}\ndelete table inet {0}\n", table_name), "remove");
}

Result<Counters> read_counters() {
    const auto listing = list({"counters", "table", "inet", std::string(table_name)});
    if (!listing) return tl::unexpected(listing.error());
    if (!*listing) return Counters{};
    return counters_in(**listing);
}

}  // namespace dnsdirector::realserver
