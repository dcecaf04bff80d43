// SPDX-License-Identifier: Apache-2.0
//
// Tokens → statements and blocks, with the included files in their place. It
// knows no keywords but those of including; what it must know of others it is told.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostics.h"
#include "config/include_check.h"
#include "config/lexer.h"

namespace dnsdirector::config {

struct Word {
    std::string_view text;
    Position position;
    bool quoted = false;
};

/// `words`, then perhaps `{ body }`. There is at least one word.
struct Statement;

/// What stands behind a statement's keyword in braces.
struct Braces {
    Position open;   ///< of the `{`
    Position close;  ///< of the `}`
    std::vector<Statement> body;
};

/// There are many: small, and without room to grow.
struct Statement {
    std::vector<Word> words;
    std::unique_ptr<Braces> block;  ///< none: no braces
    bool broken = false;            ///< a word is not whole; that has been said

    [[nodiscard]] const Word& keyword() const { return words.front(); }
    [[nodiscard]] const Position& position() const { return words.front().position; }
};

/// What the reading of text depends on.
struct Grammar {
    /// The block of this top-level keyword is native: `;` ends a statement in it.
    bool (*native)(std::string_view keyword);
    /// The keyword's argument is a command line.
    bool (*script)(std::string_view keyword);
    /// There is such a keyword at top level.
    bool (*known)(std::string_view keyword);
};

/// Reads files into one tree. Words point into texts that the reader owns: it
/// must outlive the statements.
class TreeReader {
public:
    TreeReader(const Files& files, const Grammar& grammar, Diagnostics& diagnostics)
        : files_(files), grammar_(grammar), diagnostics_(diagnostics), state_(files, diagnostics) {}

    [[nodiscard]] std::vector<Statement> read_file(const std::string& path);
    [[nodiscard]] std::vector<Statement> read_text(std::string_view text, const std::string& name);
    /// Definitions grew without end: the statements are of no use.
    [[nodiscard]] bool gave_up() const { return state_.too_large; }
    /// Of all definitions, the predefined ones too.
    [[nodiscard]] std::vector<std::string> names() const { return state_.definitions.names(); }

private:
    struct Input;  // one file being read
    struct Surroundings {
        bool top = true;
        bool native = false;
        unsigned depth = 0;
    };

    void read_open_file(std::string_view text, const std::string& path, Surroundings where,
                        std::vector<Statement>& out);
    void read_body(Input& input, Surroundings where, const Position* opened_by,
                   std::string_view owner, std::vector<Statement>& out);
    void read_block(Input& input, Surroundings where, Statement& owner, const Position& open);
    /// False when the statement turned out to be nothing to keep.
    bool read_statement(Input& input, Surroundings where, Token first, Statement& statement,
                        bool& semicolon);
    std::vector<std::string> files_named(const Word& name, const std::string& pattern,
                                         IncludeCheck check);
    void include(const Input& input, const Statement& statement, IncludeCheck check,
                 Surroundings where, std::vector<Statement>& out);
    void set_check(const Statement& statement);
    /// Puts a statement of the top level to the others.
    void keep(Statement statement, std::vector<Statement>& out);
    bool out_of_place(const Statement& statement);

    const Files& files_;
    const Grammar& grammar_;
    Diagnostics& diagnostics_;
    std::deque<std::string> texts_;
    std::vector<std::string> open_;  ///< identities of the files being read, outermost first
    TextState state_;
    IncludeCheck include_check_;
    std::size_t files_read_ = 0;
    std::size_t unknown_ = 0;  ///< statements at top level that no keyword starts
    std::vector<Word> words_;  ///< of the statement being read
};

}  // namespace dnsdirector::config
