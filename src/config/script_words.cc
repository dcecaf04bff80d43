// SPDX-License-Identifier: Apache-2.0
#include "config/script_words.h"

#include <array>
#include <optional>

namespace dnsdirector::config {
namespace {

constexpr std::string_view white_space = " \t\r\n\f\v";

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool octal_digit(char c) {
    return c >= '0' && c <= '7';
}

/// `at` stands behind the backslash, before at least one character.
char read_escape(std::string_view text, std::size_t& at) {
    const auto peek = [&](std::size_t ahead) {
        return at + ahead < text.size() ? text[at + ahead] : '\0';
    };
    unsigned value = 0;
    if (text[at] == 'x' && hex_digit(peek(1)) >= 0) {
        for (++at; hex_digit(peek(0)) >= 0; ++at)
            value = value * 16 + static_cast<unsigned>(hex_digit(text[at]));
        return static_cast<char>(value & 0xffU);
    }
    if (text[at] == 'c' && peek(1) != '\0') {
        value = static_cast<unsigned char>(text[at + 1]) & 0x1fU;
        at += 2;
        return static_cast<char>(value);
    }
    if (octal_digit(text[at])) {
        for (int digits = 0; digits < 3 && octal_digit(peek(0)); ++digits, ++at)
            value = value * 8 + static_cast<unsigned>(text[at] - '0');
        return static_cast<char>(value & 0xffU);
    }
    constexpr std::string_view letters = "abEfnrtv";
    constexpr std::string_view meant = "\a\b\x1b\f\n\r\t\v";
    const char c = text[at++];
    const auto letter = letters.find(c);
    return letter == std::string_view::npos ? c : meant[letter];
}

/// Which streams a word redirects and where the file name starts in it.
struct Redirection {
    bool output = false;
    bool errors = false;
    std::string_view target;  ///< "": the next word
};

std::optional<Redirection> redirection(const ScriptWord& word) {
    if (word.quoted) return std::nullopt;
    struct Form {
        std::string_view prefix;
        bool output;
        bool errors;
    };
    static constexpr std::array<Form, 4> forms = {
        {{"&>", true, true}, {"1>", true, false}, {"2>", false, true}, {">", true, false}}};
    for (const Form& form : forms) {
        if (!word.text.starts_with(form.prefix)) continue;
        return Redirection{form.output, form.errors,
                           std::string_view(word.text).substr(form.prefix.size())};
    }
    return std::nullopt;
}

Result<std::string> redirection_file(std::string_view target) {
    if (target == "/dev/null") return std::string();
    if (target.empty() || target.front() != '/')
        return fail(
            "a redirection needs a file with an absolute path, such as > /dev/null, not `{}`",
            target);
    return std::string(target);
}

Result<std::vector<ScriptWord>> split(std::string_view command) {
    std::vector<ScriptWord> words;
    for (std::size_t at = 0;;) {
        at = command.find_first_not_of(white_space, at);
        if (at == std::string_view::npos) return words;
        auto word = read_script_word(command, at, "");
        if (!word) return tl::unexpected(word.error());
        words.push_back(std::move(*word));
    }
}

Result<void> redirect(core::ScriptCheck& script, const Redirection& where,
                      std::string_view target) {
    if (target.starts_with(">"))
        return fail(
            "appending by `>>` is not supported; write `>` and a file, or log in the script");
    if (target == "&1" && where.errors && !where.output) {
        script.stderr_to = "&1";
        return {};
    }
    if (target.starts_with("&"))
        return fail("of the redirections to another stream only `2>&1` is supported, not `>{}`",
                    target);
    auto file = redirection_file(target);
    if (!file) return tl::unexpected(file.error());
    if (where.output) script.stdout_to = *file;
    if (where.errors) script.stderr_to = where.output ? "&1" : *file;
    return {};
}

}  // namespace

Result<ScriptWord> read_script_word(std::string_view text, std::size_t& at, std::string_view ends) {
    ScriptWord word;
    char quote = '\0';
    while (at < text.size()) {
        const char c = text[at];
        if (c == '\\') {
            if (++at == text.size()) return fail("nothing follows the backslash at the end");
            word.quoted = true;
            word.text.push_back(read_escape(text, at));
        } else if (quote != '\0') {
            ++at;
            if (c == quote)
                quote = '\0';
            else
                word.text.push_back(c);
        } else if (c == '"' || c == '\'') {
            word.quoted = true;
            quote = c;
            ++at;
        } else if (white_space.find(c) != std::string_view::npos ||
                   ends.find(c) != std::string_view::npos) {
            break;
        } else {
            word.text.push_back(c);
            ++at;
        }
    }
    if (quote != '\0') return fail("the closing {} is missing", quote);
    return word;
}

Result<core::ScriptCheck> parse_script(std::string_view command) {
    const auto words = split(command);
    if (!words) return tl::unexpected(words.error());
    core::ScriptCheck script;
    for (std::size_t i = 0; i < words->size(); ++i) {
        const ScriptWord& word = (*words)[i];
        // A NUL can't be handed to exec; \0 and \x00 make one.
        if (word.text.find('\0') != std::string::npos)
            return fail("a command's word cannot hold a NUL character");
        const auto where = redirection(word);
        if (!where) {
            script.arguments.push_back(word.text);
            continue;
        }
        const bool in_next = where->target.empty();
        if (in_next && i + 1 == words->size()) return fail("`{}` names no file", word.text);
        if (auto done = redirect(script, *where, in_next ? (*words)[++i].text : where->target);
            !done)
            return tl::unexpected(done.error());
    }
    if (script.arguments.empty()) return fail("the command is empty");
    const std::string& program = script.arguments.front();
    if (program.empty() || (!program.starts_with('/') && program.find('/') != std::string::npos))
        return fail(
            "a command starts with a program's full path or its name alone, as in \"/usr/bin/dig "
            "…\" "
            "or \"dig …\", not `{}`",
            program);
    // Following a stream that goes nowhere is going nowhere.
    if (script.stderr_to == "&1" && script.stdout_to.empty()) script.stderr_to.clear();
    return script;
}

std::string_view shell_word(const core::ScriptCheck& script) {
    static constexpr std::array<std::string_view, 6> words = {"|", "||", "&&", "&", ";", "<"};
    for (const std::string& argument : script.arguments)
        for (const std::string_view word : words)
            if (argument == word) return argument;
    return {};
}

}  // namespace dnsdirector::config
