// SPDX-License-Identifier: Apache-2.0
#include "config/convert.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "config/convert_comments.h"
#include "config/convert_plan.h"
#include "config/convert_text.h"
#include "config/files.h"
#include "config/same_state.h"
#include "config/values.h"

namespace dnsdirector::config {
namespace {

enum class Fate : std::uint8_t { kept, rewritten, left_out };

/// What becomes of a block at top level.
Fate fate_of(std::string_view keyword) {
    for (const std::string_view native : {"director", "http", "bgp", "dns_cluster", "check"})
        if (keyword == native) return Fate::kept;
    for (const std::string_view compatible :
         {"virtual_server", "virtual_server_group", "global_defs", "track_file", "vrrp_track_file"})
        if (keyword == compatible) return Fate::rewritten;
    return Fate::left_out;
}

class Writer {
public:
    explicit Writer(const Whole& whole)
        : whole_(whole),
          comments_(whole.diagnostics),
          plan_(plan_clusters(whole.configuration, whole.places)) {}

    std::string write();
    [[nodiscard]] const std::vector<Leftover>& left() const { return plan_.left; }

private:
    void name_clusters();
    void name_servers(PlannedCluster& cluster);
    void keep_blocks();
    void name_words_without_effect(const Statement& block);
    void write_director();
    void write_named_checks();
    void write_cluster(const PlannedCluster& cluster);
    void write_check(const PlannedCheck& check, std::string_view head, std::size_t depth);
    void write_server(const PlannedServer& server, const PlannedCluster& cluster);
    std::vector<std::string> comments_of(const std::vector<Position>& places);
    template <typename... Args>
    void line(std::size_t depth, fmt::format_string<Args...> format, Args&&... args) {
        out_.append(depth * 4, ' ');
        fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
        out_ += '\n';
    }

    const Whole& whole_;
    Comments comments_;
    Plan plan_;
    std::string out_;
    std::map<const PlannedServer*, std::vector<std::string>> server_comments_;
    std::map<std::string, std::string> named_checks_;  ///< lines → name
};

/// Comments of the same thing in several blocks, each once.
std::vector<std::string> Writer::comments_of(const std::vector<Position>& places) {
    std::vector<std::string> all;
    for (const Position& at : places)
        for (std::string& comment : comments_.take(at))
            if (std::find(all.begin(), all.end(), comment) == all.end())
                all.push_back(std::move(comment));
    return all;
}

void Writer::name_clusters() {
    std::set<std::string> used;
    for (const core::Service& service : whole_.configuration.services)
        used.insert(service.cluster);
    std::size_t number = 0;
    for (PlannedCluster& cluster : plan_.clusters) {
        std::string name = cluster.like.group;
        while (!parse_name(name) || used.contains(name))
            name = plan_.clusters.size() == 1 && number++ == 0 ? "dns"
                                                               : fmt::format("dns{}", ++number);
        used.insert(name);
        cluster.name = name;
        name_servers(cluster);
    }
}

/// A comment of one word is taken for the name of its server.
void Writer::name_servers(PlannedCluster& cluster) {
    std::set<std::string> used;
    std::size_t number = 0;
    for (PlannedServer& server : cluster.servers) {
        std::vector<std::string>& comments = server_comments_[&server] = comments_of(server.places);
        if (comments.size() == 1 && parse_name(comments.front()) &&
            used.insert(comments.front()).second) {
            server.name = comments.front();
            comments.clear();
            continue;
        }
        do
            server.name = fmt::format("s{}", ++number);
        while (!used.insert(server.name).second);
    }
}

/// Words within a block that is written anew.
void Writer::name_words_without_effect(const Statement& block) {
    const bool global = block.keyword().text == "global_defs";
    if (!block.block) return;
    for (const Statement& each : block.block->body) {
        const std::string_view word = each.keyword().text;
        const bool persists =
            whole_.configuration.director.dataplane != core::DataPlaneKind::ipvs &&
            word.starts_with("persistence_");
        if (global ? word != "script_user" : persists)
            line(0, "# left out, since it has no effect here: {} of {} ({})", word,
                 block.keyword().text, whole_.diagnostics.where(each.position()));
    }
}

/// The native blocks, which stay as they stand, and a word on those that have no effect.
void Writer::keep_blocks() {
    const bool any = std::any_of(whole_.tree.begin(), whole_.tree.end(), [](const Statement& each) {
        return fate_of(each.keyword().text) == Fate::kept;
    });
    if (const std::string definitions = comments_.definitions(); any && !definitions.empty())
        out_ += definitions + "\n";
    for (const Statement& statement : whole_.tree) {
        const std::string_view keyword = statement.keyword().text;
        switch (fate_of(keyword)) {
            case Fate::kept: out_ += comments_.verbatim(statement) + '\n'; break;
            case Fate::rewritten: name_words_without_effect(statement); break;
            case Fate::left_out:
                line(0, "# left out, since it has no effect here: {} ({})", keyword,
                     whole_.diagnostics.where(statement.position()));
                (void)comments_.verbatim(statement);  // its comments belong to it
                break;
        }
    }
}

/// What global_defs has to say about the director.
void Writer::write_director() {
    const bool present =
        std::any_of(whole_.tree.begin(), whole_.tree.end(),
                    [](const Statement& each) { return each.keyword().text == "director"; });
    const std::string& user = whole_.configuration.director.script_user;
    if (present || user.empty()) return;
    line(0, "director {{ script_user {} }}\n", user);
}

std::string joined(const std::vector<std::string>& lines) {
    return fmt::format("{}", fmt::join(lines, "\n"));
}

/// A check that several clusters have is declared once.
void Writer::write_named_checks() {
    std::map<std::string, std::size_t> uses;
    for (const PlannedCluster& cluster : plan_.clusters)
        for (const PlannedCheck& check : cluster.checks)
            ++uses[joined(lines_of_check(check))];
    std::set<std::string> taken;
    for (const Statement& statement : whole_.tree)
        if (statement.keyword().text == "check" && statement.words.size() > 1)
            taken.insert(std::string(statement.words[1].text));
    std::size_t number = 0;
    for (const PlannedCluster& cluster : plan_.clusters)
        for (const PlannedCheck& check : cluster.checks) {
            const std::string text = joined(lines_of_check(check));
            if (uses[text] < 2 || named_checks_.contains(text)) continue;
            std::string name;
            do
                name = fmt::format("check{}", ++number);
            while (!taken.insert(name).second);
            write_check(check, "check " + name, 0);
            line(0, "");
            named_checks_.emplace(text, name);
        }
}

void Writer::write_check(const PlannedCheck& check, std::string_view head, std::size_t depth) {
    const std::string worse = better_without(check);
    line(depth, "{} {{{}{}", head, worse.empty() ? "" : "   # better without: ", worse);
    for (const std::string& text : lines_of_check(check))
        line(depth + 1, "{}", text);
    line(depth, "}}");
}

void Writer::write_server(const PlannedServer& server, const PlannedCluster& cluster) {
    const std::vector<std::string>& comments = server_comments_[&server];
    std::string behind;
    if (comments.size() == 1) behind = "   # " + comments.front();
    if (comments.size() > 1)
        for (const std::string& comment : comments)
            line(1, "# {}", comment);
    const std::vector<std::string> statements = statements_of_server(server, cluster);
    if (server.checks.empty()) {
        line(1, "real_server {} {{ {} }}{}", server.name, fmt::join(statements, "; "), behind);
        return;
    }
    line(1, "real_server {} {{{}", server.name, behind);
    line(2, "{}", fmt::join(statements, "; "));
    for (const PlannedCheck& check : server.checks)
        write_check(check, "check", 2);
    line(1, "}}");
}

void Writer::write_cluster(const PlannedCluster& cluster) {
    for (const std::string& comment : comments_of(cluster.places))
        line(0, "# {}", comment);
    line(0, "dns_cluster {} {{", cluster.name);
    for (const std::string& text : lines_of_policies(cluster))
        line(1, "{}", text);
    for (const PlannedCheck& check : cluster.checks) {
        const auto named = named_checks_.find(joined(lines_of_check(check)));
        if (named != named_checks_.end())
            line(1, "check {}", named->second);
        else
            write_check(check, "check", 1);
    }
    for (const PlannedServer& server : cluster.servers)
        write_server(server, cluster);
    line(0, "}}\n");
}

std::string Writer::write() {
    const std::vector<std::string> head = comments_.take_head();
    for (const std::string& comment : head)
        line(0, "# {}", comment);
    if (!head.empty()) line(0, "");
    keep_blocks();
    write_director();
    name_clusters();
    write_named_checks();
    for (const PlannedCluster& cluster : plan_.clusters)
        write_cluster(cluster);
    for (std::size_t at = 0; (at = out_.find(" \n", at)) != std::string::npos;)
        out_.erase(at, 1);
    while (out_.ends_with("\n\n"))
        out_.pop_back();
    return std::move(out_);
}

/// What is printed must not pass for the whole: no keyword is called so.
void mark_incomplete(Converted& converted, const std::vector<std::string>& lost) {
    std::string head;
    for (const std::string& text : lost) {
        head += "# no native form: ";
        for (const char c : text)
            head += c == '\n' ? ' ' : c;
        head += '\n';
    }
    converted.text = head +
                     "incomplete   # an error on purpose: write what the lines above name, then "
                     "delete this line\n\n" +
                     converted.text;
    converted.complete = false;
}

/// Reads what was written and compares.
void prove(const core::Configuration& before, const std::string& config_id, Converted& converted) {
    // Programs that are missing here have been looked at in the file itself.
    Files nothing;
    nothing.read = [](const std::string& path) -> Result<std::string> {
        return fail("{} is not read", path);
    };
    nothing.expand = [](const std::string&) { return std::vector<std::string>(); };
    nothing.identity = [](const std::string& path) { return path; };
    nothing.config_id = config_id;
    const Loaded again = parse(converted.text, "native", nothing);
    std::vector<std::string> wrong;
    if (again.ok()) {
        wrong = differences_of_state(before, *again.configuration);
    } else {
        for (const Message& message : again.messages)
            if (message.severity == Severity::error) wrong.push_back(message.to_string());
    }
    if (wrong.empty()) return;
    constexpr std::size_t most = 10;
    std::string text = "the native form printed does not mean quite the same:";
    for (std::size_t i = 0; i < std::min(wrong.size(), most); ++i)
        text += "\n  " + wrong[i];
    if (wrong.size() > most) text += fmt::format("\n  and {} more", wrong.size() - most);
    if (wrong.size() > most) wrong.resize(most);
    mark_incomplete(converted, wrong);
    const auto& messages = converted.loaded.messages;
    const std::string file = messages.empty() ? "convert" : messages.front().file;
    converted.loaded.messages.push_back({Severity::error, file, 0, 0, std::move(text)});
}

template <typename Load>
Converted convert_by(const Load& load_with, const std::string& config_id) {
    Converted converted;
    core::Configuration before;
    converted.loaded = load_with([&](const Whole& whole) {
        Writer writer(whole);
        before = whole.configuration;
        converted.text = writer.write();
        converted.complete = writer.left().empty();
        std::vector<std::string> lost;
        for (const Leftover& leftover : writer.left()) {
            lost.push_back(
                fmt::format("{} ({})", leftover.text, whole.diagnostics.where(leftover.at)));
            whole.diagnostics.error(leftover.at, "no native form: {}", leftover.text);
        }
        if (!lost.empty()) mark_incomplete(converted, lost);
    });
    if (!converted.text.empty() && converted.complete) prove(before, config_id, converted);
    return converted;
}

}  // namespace

Converted convert(const std::string& path, const std::string& config_id) {
    const Files files = real_files(config_id);
    return convert_by([&](const Visit& visit) { return load(path, files, visit); },
                      files.config_id);
}

Converted convert(std::string_view text, const std::string& name, const Files& files) {
    return convert_by([&](const Visit& visit) { return parse(text, name, files, visit); },
                      files.config_id);
}

}  // namespace dnsdirector::config
