// SPDX-License-Identifier: Apache-2.0
#include "config/reader.h"

#include <algorithm>
#include <map>
#include <set>

#include "config/arguments.h"
#include "config/keywords.h"
#include "config/suggest.h"

namespace dnsdirector::config {
namespace {

/// Where the non-repeatable keywords of one block were first seen, by the name
/// that counts (an alias shares its original's).
using Seen = std::map<std::string_view, Position>;

/// The first keyword of that name in any block, one with an effect before others.
const Keyword* find_anywhere(std::string_view name) {
    const Keyword* found = nullptr;
    for (const Keyword* keyword : all_keywords())
        if (keyword->name == name && (found == nullptr || (found->status != Status::effective &&
                                                           keyword->status == Status::effective)))
            found = keyword;
    return found;
}

class Reader {
public:
    Reader(const std::vector<std::string>& definitions, const Files& files,
           Diagnostics& diagnostics)
        : definitions_(definitions), files_(files), diagnostics_(diagnostics) {}

    void body(Block block, const std::vector<Statement>& statements, const Position& opened_at);
    [[nodiscard]] Drafts take() { return std::move(current_.drafts); }

private:
    void statement(Block block, const Statement& statement, Seen& seen);
    /// Says what was probably meant, and returns it if it belongs here.
    std::string_view unknown(Block block, const Word& word);
    bool shape_fits(const Keyword& keyword, const Statement& statement);
    void apply(const Keyword& keyword, const Statement& statement);
    /// Gives a program without a path its own. One that is nowhere keeps its name: a dig line
    /// may need no program, and Assembly::check_program says so of the others.
    void find_program(std::string& program);
    /// Whether there is such a user; said when not.
    bool judge_user(const Keyword& keyword, const Statement& statement, const std::string& user);
    /// True, and said, when the word names a definition that there is not.
    bool undefined(const Word& word, bool script);

    /// Grows with every mistake that the block being read has.
    [[nodiscard]] std::size_t mistakes() const { return diagnostics_.errors() + broken_; }

    const std::vector<std::string>& definitions_;
    const Files& files_;
    Diagnostics& diagnostics_;
    Current current_;
    std::set<const Keyword*> warned_;  ///< keywords without effect that were met
    std::size_t broken_ = 0;  ///< statements that the lexer complained of, before they got here
    std::map<std::string, std::string> programs_;  ///< the path of each name, or ""
    std::map<std::string, std::string> users_;     ///< what is wrong with each, or ""
};

void Reader::body(Block block, const std::vector<Statement>& statements,
                  const Position& opened_at) {
    Seen seen;
    for (const Statement& each : statements) {
        if (diagnostics_.full()) return;
        statement(block, each, seen);
    }
    for (const Keyword* keyword : keywords_of(block))
        if (keyword->required && !seen.contains(keyword->name)) {
            const std::string takes = argument_text(*keyword);
            diagnostics_.error(opened_at, "this block needs `{0}`, as in `{0}{1}{2}{3}`",
                               keyword->name, takes.empty() ? "" : " ", takes,
                               keyword->opens == Block::none ? "" : " { … }");
        }
}

void Reader::statement(Block block, const Statement& statement, Seen& seen) {
    const Word& word = statement.keyword();
    const Keyword* keyword = word.quoted ? nullptr : find_keyword(block, word.text);
    if (keyword == nullptr) {
        if (undefined(word, false)) return;
        // global_defs is full of words about things that are not ours.
        if (block == Block::global_defs) {
            current_.global_skipped = true;
            return;
        }
        // The keyword that was meant is not missing as well.
        if (const auto meant = unknown(block, word); !meant.empty())
            seen.emplace(meant, word.position);
        return;
    }
    switch (keyword->status) {
        case Status::ignored:
            // In a file of a thousand servers once is enough.
            if (warned_.insert(keyword).second)
                diagnostics_.warning(word.position, "{} has no effect here: {}", keyword->name,
                                     keyword->instead);
            return;
        case Status::unsupported:
            diagnostics_.error(word.position, "{} is not supported yet{}{}", keyword->name,
                               keyword->instead.empty() ? "" : "; ", keyword->instead);
            return;
        case Status::refused:
            diagnostics_.error(word.position, "{} is not supported: {}", keyword->name,
                               keyword->instead);
            return;
        case Status::effective: break;
    }
    const std::string_view counts_as =
        keyword->alias_of.empty() ? keyword->name : keyword->alias_of;
    const auto [first, fresh] = seen.emplace(counts_as, word.position);
    if (!fresh && !keyword->repeats)
        diagnostics_.error(word.position, "{} is given a second time; the first is at {}",
                           keyword->name, diagnostics_.where(first->second));
    const bool script = keyword->kind == Kind::script;
    bool whole = !statement.broken;
    if (keyword->kind != Kind::anything)
        for (const Word& each : statement.words)
            whole = !undefined(each, script) && whole;
    if (!whole)
        ++broken_;
    else if (shape_fits(*keyword, statement))
        apply(*keyword, statement);
}

/// Whether a block stands behind the keyword exactly where there is one.
bool Reader::shape_fits(const Keyword& keyword, const Statement& statement) {
    const bool wants = keyword.opens != Block::none;
    if (statement.block && !wants) {
        diagnostics_.error(statement.block->open, "{} takes no block; remove the braces",
                           keyword.name);
        return false;
    }
    if (!statement.block && wants && !keyword.block_optional) {
        diagnostics_.error(statement.position(), "{} needs a block {{ … }} behind it",
                           keyword.name);
        return false;
    }
    return true;
}

void Reader::apply(const Keyword& keyword, const Statement& statement) {
    const std::size_t before = mistakes();
    Arguments arguments;
    arguments.valid = read_arguments(keyword, statement, diagnostics_, arguments);
    if (arguments.valid && (keyword.kind == Kind::user || keyword.kind == Kind::command))
        arguments.valid = judge_user(keyword, statement, arguments.text);
    if (!arguments.script.arguments.empty()) find_program(arguments.script.arguments.front());
    const bool opens = keyword.opens != Block::none;
    const Call call{current_, diagnostics_, keyword, arguments};
    if (!keyword.goes_with.empty() && arguments.valid)
        current_.of_kind.push_back({{keyword.name, arguments.position}, keyword.goes_with});
    if (keyword.handle != nullptr && (arguments.valid || opens)) keyword.handle(call);
    if (!opens) return;
    if (statement.block && keyword.opens != Block::skipped)
        body(keyword.opens, statement.block->body, statement.position());
    if (keyword.finish != nullptr) keyword.finish(call, mistakes() != before);
}

void Reader::find_program(std::string& program) {
    if (!files_.find_program || program.starts_with('/')) return;
    const auto [found, fresh] = programs_.try_emplace(program);
    if (fresh) found->second = files_.find_program(program);
    if (!found->second.empty()) program = found->second;
}

bool Reader::judge_user(const Keyword& keyword, const Statement& statement,
                        const std::string& user) {
    if (!files_.judge_user || user.empty()) return true;
    const auto [found, fresh] = users_.try_emplace(user);
    if (fresh) found->second = files_.judge_user(user);
    if (found->second.empty()) return true;
    const std::size_t word = keyword.kind == Kind::command ? 2 : 1;
    diagnostics_.error(statement.words[word].position,
                       "{}: `{}` {}; create it (useradd --system {}), or name one that is there",
                       keyword.name, user, found->second, user);
    return false;
}

bool Reader::undefined(const Word& word, bool script) {
    const auto at = word.text.find('$');
    if (at == std::string_view::npos) return false;
    const auto reference = reference_at(word.text, at);
    if (!reference) return false;
    const bool defined =
        std::find(definitions_.begin(), definitions_.end(), reference->name) != definitions_.end();
    const std::string_view written = word.text.substr(at, reference->length);
    if (script) {
        diagnostics_.warning(
            word.position, "{} is handed on as it is: {}, and no shell is there to expand it",
            written, defined ? "only ${NAME} is put in here" : "it is not defined");
        return false;
    }
    const std::vector<std::string_view> names(definitions_.begin(), definitions_.end());
    const auto near = defined ? std::string_view{} : nearest(reference->name, names);
    if (defined)
        diagnostics_.error(word.position, "write ${{{}}} where more text follows than a blank",
                           reference->name);
    else if (near.empty())
        diagnostics_.error(word.position, "{} is not defined; ${}=VALUE before this line does",
                           written, reference->name);
    else
        diagnostics_.error(word.position, "{} is not defined; did you mean ${{{}}}?", written,
                           near);
    return true;
}

std::string_view Reader::unknown(Block block, const Word& word) {
    const std::string place = block_name(block);
    if (const Keyword* other = find_anywhere(word.text)) {
        diagnostics_.error(word.position, "{} does not belong in {}, but in {}", word.text, place,
                           block_name(other->in));
        return {};
    }
    std::vector<std::string_view> names = {"include"};
    for (const Keyword* keyword : keywords_of(block))
        names.push_back(keyword->name);
    if (const auto near = nearest(word.text, names); !near.empty()) {
        diagnostics_.error(word.position, "unknown keyword `{}`; did you mean `{}`?", word.text,
                           near);
        return near;
    }
    names.clear();
    for (const Keyword* keyword : all_keywords())
        names.push_back(keyword->name);
    const auto near = nearest(word.text, names);
    if (near.empty())
        diagnostics_.error(word.position, "unknown keyword `{}` in {}", word.text, place);
    else
        diagnostics_.error(word.position,
                           "unknown keyword `{}` in {}; did you mean `{}`, which belongs in {}?",
                           word.text, place, near, block_name(find_anywhere(near)->in));
    return {};
}

}  // namespace

Drafts read_drafts(const std::vector<Statement>& tree, const std::vector<std::string>& definitions,
                   const Files& files, Diagnostics& diagnostics) {
    Reader reader(definitions, files, diagnostics);
    reader.body(Block::top, tree, {});
    return reader.take();
}

}  // namespace dnsdirector::config
