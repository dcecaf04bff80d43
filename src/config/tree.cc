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
        diagnostics_.error({++state_.order, file, 0, 0}, "{}", text.error().message);
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
    const IncludeCheck check = include_check_;
    const std::uint32_t file = diagnostics_.add_file(path, text);
    Input input{Lexer(text, file, path, state_), path, {}, false};
    read_body(input, where, nullptr, "", out);
    open_.pop_back();
    include_check_ = check;
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
                if (opened_by != nullptr && !input.ended && !state_.too_large)
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
                const Word& keyword = statement.keyword();
                const auto variant = keyword.quoted ? std::nullopt : include_variant(keyword.text);
                if (variant) {
                    include(input, statement, *variant, where, out);
                    may_open = false;
                } else if (keyword.text == "include_check" && owner == "global_defs") {
                    set_check(statement);
                    may_open = false;
                } else {
                    if (where.top)
                        keep(std::move(statement), out);
                    else
                        out.push_back(std::move(statement));
                    may_open = !semicolon;
                }
                break;
            }
        }
    }
}

/// A file that is no configuration at all is not kept whole for its first hundred
/// messages: of what is unknown beyond them only the last stays, as its block may follow.
void TreeReader::keep(Statement statement, std::vector<Statement>& out) {
    const bool crowded = unknown_ > Diagnostics::most;
    if (crowded && !out.empty() && !grammar_.known(out.back().keyword().text)) out.pop_back();
    if (!grammar_.known(statement.keyword().text)) ++unknown_;
    out.push_back(std::move(statement));
}

void TreeReader::read_block(Input& input, Surroundings where, Statement& owner,
                            const Position& open) {
    owner.block = std::make_unique<Braces>();
    owner.block->open = open;
    Surroundings inner{false, where.native, where.depth + 1};
    if (where.top) inner.native = grammar_.native(owner.keyword().text);
    if (inner.depth > deepest) {
        diagnostics_.error(open, "blocks are nested deeper than {}", deepest);
        // Nothing sensible can follow: leave the rest of the file unread.
        while (input.next(false, Style::plain).kind != TokenKind::end_of_file) {
        }
        return;
    }
    read_body(input, inner, &open, owner.keyword().text, owner.block->body);
    owner.block->body.shrink_to_fit();
    const Token close = input.next(inner.native, Style::plain);
    owner.block->close = close.position;
}

bool TreeReader::read_statement(Input& input, Surroundings where, Token first, Statement& statement,
                                bool& semicolon) {
    const bool semicolons = where.native || (where.top && grammar_.native(first.text));
    Style style = Style::plain;
    if (include_variant(first.text)) style = Style::file_name;
    if (grammar_.script(first.text)) style = Style::script;
    words_.clear();
    for (Token token = first;; token = input.next(semicolons, style)) {
        if (token.kind == TokenKind::word) {
            words_.push_back({token.text, token.position, token.quoted});
            statement.broken = statement.broken || token.broken;
            continue;
        }
        semicolon = token.semicolon;
        if (token.kind != TokenKind::end_statement) input.pushed_back = token;
        break;
    }
    statement.words.assign(words_.begin(), words_.end());
    return !out_of_place(statement);
}

/// What counts at the start of a line only, and stands elsewhere.
bool TreeReader::out_of_place(const Statement& statement) {
    const Word& first = statement.words.front();
    if (!first.quoted && (first.text.starts_with('@') || definition_head(first.text).length > 0)) {
        diagnostics_.error(first.position, "`{}` has its meaning at the start of a line only",
                           first.text);
        return true;
    }
    for (const Word& word : statement.words)
        if (!word.quoted && starts_repetition(word.text)) {
            diagnostics_.error(word.position, "{} stands at the start of the line that it repeats",
                               word.text.substr(0, 4));
            return true;
        }
    return false;
}

/// The files that an include names. What is missing is said here, but for a single
/// file, which says so itself when it is read.
std::vector<std::string> TreeReader::files_named(const Word& name, const std::string& pattern,
                                                 IncludeCheck check) {
    if (!has_wildcard(pattern)) return {pattern};
    // Before anybody expands it: a few braces may mean millions of names.
    const auto alternatives = brace_alternatives(pattern);
    if (!alternatives) {
        diagnostics_.error(name.position, "{}", alternatives.error().message);
        return {};
    }
    std::vector<std::string> paths = files_.expand(pattern);
    if (paths.empty()) {
        if (check.wildcard_match || check.brace_match)
            diagnostics_.error(name.position, "no file matches {}", pattern);
        else
            diagnostics_.warning(name.position, "no file matches {}", pattern);
    }
    if (!check.brace_match || paths.empty()) return paths;
    for (const std::string& alternative : *alternatives)
        if (files_.expand(alternative).empty())
            diagnostics_.error(name.position, "no file matches {}, one of {}", alternative,
                               pattern);
    return paths;
}

void TreeReader::include(const Input& input, const Statement& statement, IncludeCheck check,
                         Surroundings where, std::vector<Statement>& out) {
    if (statement.words.size() != 2) {
        diagnostics_.error(statement.position(), "{} takes one file name or pattern",
                           statement.keyword().text);
        return;
    }
    check.wildcard_match = check.wildcard_match || include_check_.wildcard_match;
    check.brace_match = check.brace_match || include_check_.brace_match;
    const Word& name = statement.words[1];
    const std::string pattern = relative_to(input.path, name.text);
    for (const std::string& path : files_named(name, pattern, check)) {
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

/// include_check of global_defs holds from its line on, to the end of the file.
void TreeReader::set_check(const Statement& statement) {
    std::vector<std::string_view> words;
    for (std::size_t i = 1; i < statement.words.size(); ++i)
        words.push_back(statement.words[i].text);
    const auto check = set_include_check(words, include_check_);
    if (check)
        include_check_ = *check;
    else
        diagnostics_.error(statement.position(), "{}", check.error().message);
}

}  // namespace dnsdirector::config
