// SPDX-License-Identifier: Apache-2.0
#include "config/definitions.h"

#include <algorithm>

namespace dnsdirector::config {
namespace {

bool letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool digit(char c) {
    return c >= '0' && c <= '9';
}

bool blank(char c) {
    return c == ' ' || c == '\t';
}

/// The name at the start of a text; "" when there is none.
std::string_view name_of(std::string_view text) {
    if (text.empty() || !letter(text[0])) return {};
    const auto* const end =
        std::find_if_not(text.begin(), text.end(), [](char c) { return letter(c) || digit(c); });
    return text.substr(0, static_cast<std::size_t>(end - text.begin()));
}

std::string directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

std::optional<Reference> reference_at(std::string_view text, std::size_t at) {
    Reference reference;
    reference.braces = at + 1 < text.size() && text[at + 1] == '{';
    const std::size_t start = at + (reference.braces ? 2 : 1);
    if (start > text.size()) return std::nullopt;
    reference.name = name_of(text.substr(start));
    if (reference.name.empty()) return std::nullopt;
    std::size_t end = start + reference.name.size();
    if (!reference.braces) {
        reference.length = end - at;
        constexpr std::string_view ends = " \t\r,);{}";
        reference.ended = end == text.size() || ends.find(text[end]) != std::string_view::npos;
        return reference;
    }
    const std::size_t close = text.find('}', end);
    if (close == std::string_view::npos) return std::nullopt;
    std::string_view parameters = text.substr(end, close - end);
    const bool plain = std::all_of(parameters.begin(), parameters.end(),
                                   [](char c) { return letter(c) || digit(c) || blank(c); });
    if (!plain || (!parameters.empty() && blank(parameters.back()))) return std::nullopt;
    while (!parameters.empty() && blank(parameters.front()))
        parameters.remove_prefix(1);
    reference.parameters = parameters;
    reference.length = close + 1 - at;
    return reference;
}

DefinitionHead definition_head(std::string_view text) {
    if (!text.starts_with('$')) return {};
    const std::string_view name = name_of(text.substr(1));
    if (name.empty() || !text.substr(1 + name.size()).starts_with('=')) return {};
    return {name, name.size() + 2};
}

void Definitions::set(std::string_view name, Definition definition) {
    const auto found = definitions_.find(name);
    if (found != definitions_.end())
        found->second = std::move(definition);
    else
        definitions_.emplace(name, std::move(definition));
}

void Definitions::set(std::string_view name, std::string_view value, const Position& at) {
    MappedText text;
    text.append(value, at, false);
    set(name, {{std::move(text)}, false});
}

const Definition* Definitions::find(std::string_view name) const {
    const auto found = definitions_.find(name);
    return found == definitions_.end() ? nullptr : &found->second;
}

std::optional<Result<std::string>> Definitions::predefined(const Reference& reference,
                                                           const std::string& file) const {
    using Value = std::optional<Result<std::string>>;
    const std::string_view name = reference.name;
    if (name == "_ENV") {
        if (reference.parameters.empty() ||
            reference.parameters.find_first_of(" \t") != std::string_view::npos)
            return fail("${{_ENV NAME}} takes the name of one environment variable");
        const std::string variable(reference.parameters);
        if (auto value = files_.environment ? files_.environment(variable) : std::nullopt)
            return Value{std::move(*value)};
        return fail("there is no environment variable {}", variable);
    }
    if (name == "_RANDOM")
        return fail("${{_RANDOM}} is not supported: a file means the same each time it is read");
    if (!reference.parameters.empty()) return std::nullopt;
    if (name == "_PWD") return Value{directory_of(files_.identity(file))};
    if (name == "_INSTANCE") return Value{files_.config_id};
    if (name == "_HASH") return Value{"#"};
    if (name == "_BANG") return Value{"!"};
    return std::nullopt;
}

std::vector<std::string> Definitions::names() const {
    std::vector<std::string> names = {"_ENV", "_PWD", "_INSTANCE", "_HASH", "_BANG"};
    for (const auto& [name, definition] : definitions_)
        names.push_back(name);
    return names;
}

}  // namespace dnsdirector::config
