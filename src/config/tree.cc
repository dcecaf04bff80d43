// SPDX-License-Identifier: Apache-2.0
#include "config/tree.h"

#include <algorithm>

namespace dnsdirector::config {
namespace {

/// keepalived's deepest blocks are five deep; more is a mistake or an attack.
constexpr unsigned deepest = 32;
/// Files read in all: two files that include each other's like twice double at each step.
constexpr std::size_t most_files = 1000;

bool has_wildcard(std::string_view pattern) {
    return pattern.find_first_of("*?[{") != std::string_view::npos;
}

std::string relative_to(const std::string& including, std::string_view path) {
    const auto slash = including.rfind('/');
    if (path.starts_with('/') || slash == std::string::npos) return std::string(path);
    return including.substr(0, slash + 1).append(path);
}

}  // namespace

struct TreeReader::Input {
    Lexer lexer;
    std::string path;
    std::optional<Token> pushed_back;
    bool ended = false;  ///< its end was met within a block, and that has been said

    Token next(bool semicolons, Style style) {
        if (!pushed_back) return lexer.next(semicolons, style);
        const Token token = *pushed_back;
        pushed_back.reset();
        return token;
    }
};

std::vector<Statement> TreeReader::read_file(const std::string& path) {
    std::vector<Statement> out;
    auto text = files_.read(path);
    if (!text) {
        const std::uint32_t file = diagnostics_.add_file(path);
        diagnostics_.error({++order_, file, 0, 0}, "{}", text.error().message);
        return out;
    }
    read_open_file(texts_.emplace_back(std::move(*text)), path, {}, out);
    return out;
}

std::vector<Statement> TreeReader::read_text(std::string_view text, const std::string& name) {
    std::vector<Statement> out;
    read_open_file(texts_.emplace_back(text), name, {}, out);
    return out;
}

void TreeReader::read_open_file(std::string_view text, const std::string& path, Surroundings where,
                                std::vector<Statement>& out) {
    ++files_read_;
    open_.push_back(files_.identity(path));
    const std::uint32_t file = diagnostics_.add_file(path, text);
    Input input{Lexer(text, file, diagnostics_, order_, arena_), path, {}, false};
    read_body(input, where, nullptr, "", out);
    open_.pop_back();
}

void TreeReader::read_body(Input& input, Surroundings where, const Position* opened_by,
                           std::string_view owner, std::vector<Statement>& out) {
    bool may_open = false;  // a `{` now belongs to out.back()
    while (!diagnostics_.full()) {
        // Among compatible blocks a `;` is part of a word; no word starts with one, though.
        const Token token = input.next(where.native || where.top, Style::plain);
        switch (token.kind) {
            case TokenKind::end_statement: may_open = may_open && !token.semicolon; break;
            case TokenKind::end_of_file:
                // One brace may be all that is missing: the innermost block says so.
                if (opened_by != nullptr && !input.ended)
                    diagnostics_.error(
                        token.position,
                        "the file ends within the block of `{}` opened at {}; a `}}` is missing",
                        owner, diagnostics_.where(*opened_by));
                input.ended = true;
                return;
            case TokenKind::close:
                if (opened_by != nullptr) {
                    input.pushed_back = token;
                    return;
                }
                diagnostics_.error(token.position, "this `}}` closes nothing; remove it");
                break;
            case TokenKind::open:
                if (may_open) {
                    read_block(input, where, out.back(), token.position);
                } else {
                    diagnostics_.error(token.position,
                                       "a block starts without a keyword before its `{{`");
                    Statement nameless;
                    nameless.words.push_back({"{", token.position});
                    read_block(input, where, nameless, token.position);
                }
                may_open = false;
                break;
            case TokenKind::word: {
                Statement statement;
                bool semicolon = false;
                may_open = read_statement(input, where, token, statement, semicolon);
                if (!may_open) break;
                if (statement.keyword().text == "include" && !statement.keyword().quoted) {
                    include(input, statement, where, out);
                    may_open = false;
                } else {
                    out.push_back(std::move(statement));
                    may_open = !semicolon;
                }
                break;
            }
        }
    }
}

void TreeReader::read_block(Input& input, Surroundings where, Statement& owner,
                            const Position& open) {
    owner.has_block = true;
    owner.open = open;
    Surroundings inner{false, where.native, where.depth + 1};
    if (where.top) inner.native = grammar_.native(owner.keyword().text);
    if (inner.depth > deepest) {
        diagnostics_.error(open, "blocks are nested deeper than {}", deepest);
        // Nothing sensible can follow: leave the rest of the file unread.
        while (input.next(false, Style::plain).kind != TokenKind::end_of_file) {
        }
        return;
    }
    read_body(input, inner, &open, owner.keyword().text, owner.body);
    const Token close = input.next(inner.native, Style::plain);
    owner.close = close.position;
}

bool TreeReader::read_statement(Input& input, Surroundings where, Token first, Statement& statement,
                                bool& semicolon) {
    const bool semicolons = where.native || (where.top && grammar_.native(first.text));
    Style style = Style::plain;
    if (first.text == "include") style = Style::file_name;
    if (grammar_.script(first.text)) style = Style::script;
    for (Token token = first;; token = input.next(semicolons, style)) {
        if (token.kind == TokenKind::word) {
            statement.words.push_back({token.text, token.position, token.quoted});
            statement.broken = statement.broken || token.broken;
            continue;
        }
        semicolon = token.semicolon;
        if (token.kind != TokenKind::end_statement) input.pushed_back = token;
        break;
    }
    return !reserved(statement);
}

/// keepalived's text processing, which is not read yet: each use is an error,
/// since the words mean something else without it. True: nothing is left.
bool TreeReader::reserved(Statement& statement) {
    const Word first = statement.words.front();
    if (!first.quoted && first.text.starts_with('$') &&
        first.text.find('=') != std::string_view::npos) {
        diagnostics_.error(
            first.position,
            "definitions ($NAME=value) are not supported yet; write the value where it is used");
        return true;
    }
    if (!first.quoted && first.text.starts_with('@')) {
        diagnostics_.error(first.position,
                           "conditional lines ({}) are not supported yet; keep a file for each "
                           "machine and include what is common",
                           first.text);
        statement.words.erase(statement.words.begin());
    }
    for (const Word& word : statement.words) {
        if (word.text.find("~SEQ(") != std::string_view::npos ||
            word.text.find("~LST(") != std::string_view::npos) {
            diagnostics_.error(word.position,
                               "~SEQ and ~LST are not supported yet; write the lines out");
            return true;
        }
        if (!word.quoted && word.text.starts_with('$'))
            diagnostics_.error(word.position,
                               "definitions ({}) are not supported yet; write the value itself",
                               word.text);
    }
    return statement.words.empty();
}

void TreeReader::include(const Input& input, const Statement& statement, Surroundings where,
                         std::vector<Statement>& out) {
    if (statement.words.size() != 2) {
        diagnostics_.error(statement.position(), "include takes one file name or pattern");
        return;
    }
    const Word& name = statement.words[1];
    const std::string pattern = relative_to(input.path, name.text);
    std::vector<std::string> paths = {pattern};
    if (has_wildcard(pattern)) {
        paths = files_.expand(pattern);
        if (paths.empty()) diagnostics_.warning(name.position, "no file matches {}", pattern);
    }
    for (const std::string& path : paths) {
        if (std::find(open_.begin(), open_.end(), files_.identity(path)) != open_.end()) {
            diagnostics_.error(name.position, "{} includes itself (a loop of includes); remove one",
                               path);
            return;
        }
        if (files_read_ >= most_files) {
            diagnostics_.error(name.position, "more than {} files are included", most_files);
            return;
        }
        auto text = files_.read(path);
        if (!text) {
            diagnostics_.error(name.position, "{}", text.error().message);
            continue;
        }
        read_open_file(texts_.emplace_back(std::move(*text)), path, where, out);
    }
}

}  // namespace dnsdirector::config
