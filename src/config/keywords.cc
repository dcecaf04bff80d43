// SPDX-License-Identifier: Apache-2.0
#include "config/keywords.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "config/script_words.h"

namespace dnsdirector::config {
namespace {

struct Table {
    std::vector<const Keyword*> all;
    std::map<Block, std::vector<const Keyword*>> of_block;
    std::map<Block, std::unordered_map<std::string_view, const Keyword*>> by_name;
    std::map<Block, const Keyword*> any_word;
    std::unordered_set<std::string_view> scripts;
};

Table make_table() {
    Table table;
    for (const auto part :
         {director_keywords(), proxy_keywords(), cluster_keywords(), check_keywords(),
          real_server_machine_keywords(), bgp_keywords(), virtual_server_keywords(),
          real_server_keywords(), compatible_check_keywords(), foreign_keywords()})
        for (const Keyword& keyword : part) {
            table.all.push_back(&keyword);
            table.of_block[keyword.in].push_back(&keyword);
            table.by_name[keyword.in].emplace(keyword.name, &keyword);
            if (keyword.any_word) table.any_word.emplace(keyword.in, &keyword);
            if (keyword.kind == Kind::script || keyword.kind == Kind::command)
                table.scripts.insert(keyword.name);
        }
    return table;
}

const Table& table() {
    static const Table made = make_table();
    return made;
}

bool is_native(std::string_view keyword) {
    static constexpr std::string_view blocks[] = {"director", "http", "proxy",     "dns_cluster",
                                                  "check",    "bgp",  "realserver"};
    return std::find(std::begin(blocks), std::end(blocks), keyword) != std::end(blocks);
}

bool is_script(std::string_view keyword) {
    // Blocks that are skipped have command lines too, which must not break their braces.
    return table().scripts.contains(keyword) || keyword == "script" ||
           keyword.starts_with("notify");
}

bool is_known(std::string_view keyword) {
    return find_keyword(Block::top, keyword) != nullptr;
}

}  // namespace

std::span<const Keyword* const> all_keywords() {
    return table().all;
}

std::span<const Keyword* const> keywords_of(Block block) {
    const auto found = table().of_block.find(block);
    if (found == table().of_block.end()) return {};
    return found->second;
}

const Keyword* find_keyword(Block block, std::string_view name) {
    const auto of_block = table().by_name.find(block);
    if (of_block == table().by_name.end()) return nullptr;
    const auto found = of_block->second.find(name);
    if (found != of_block->second.end()) return found->second;
    const auto any = table().any_word.find(block);
    return any == table().any_word.end() ? nullptr : any->second;
}

std::vector<std::string_view> choices_of(const Keyword& keyword) {
    std::vector<std::string_view> choices;
    std::string_view rest = keyword.choices;
    while (!rest.empty()) {
        const auto blank = std::min(rest.find(' '), rest.size());
        choices.push_back(rest.substr(0, blank));
        rest.remove_prefix(std::min(blank + 1, rest.size()));
    }
    return choices;
}

std::string block_name(Block block) {
    if (block == Block::top) return "the top level";
    for (const BlockInfo& info : all_blocks())
        if (info.block == block)
            return fmt::format("`{}`", info.title.substr(0, info.title.find(' ')));
    return "another block";
}

void note_encapsulation(const Call& call) {
    const std::string& type = call.arguments.text;
    if (!type.empty() && type != "ipip")
        call.current.virtual_server().encapsulation = {type, call.arguments.argument_at};
}

void warn_of_group(const Call& call) {
    if (!call.arguments.texts.empty())
        call.diagnostics.warning(
            call.arguments.position,
            "{}: the group has no effect; scripts run with the user's own groups",
            call.keyword.name);
}

void warn_of_shell(const Call& call) {
    const std::string_view word = shell_word(call.arguments.script);
    if (!word.empty())
        call.diagnostics.warning(call.arguments.argument_at,
                                 "{}: no shell reads this; `{}` is handed to the program as a "
                                 "word. Write a script of your own, or \"/bin/sh -c '…'\"",
                                 call.keyword.name, word);
}

void add_networks(const Call& call, std::vector<core::Prefix>& list) {
    for (const Placed<core::Prefix>& network : call.arguments.networks)
        if (std::find(list.begin(), list.end(), network.value) == list.end())
            list.push_back(network.value);
        else
            call.diagnostics.error(network.position, "{}: {} is given a second time",
                                   call.keyword.name, network.value.to_string());
}

Placed<core::Command> command_of(const Call& call) {
    warn_of_shell(call);
    warn_of_group(call);
    return {{call.arguments.script.arguments, call.arguments.text}, call.arguments.argument_at};
}

Grammar keyword_grammar() {
    return {is_native, is_script, is_known};
}

}  // namespace dnsdirector::config
