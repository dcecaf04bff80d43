// SPDX-License-Identifier: Apache-2.0
//
// keepalived's definitions: $NAME=VALUE, and what stands for $NAME and ${NAME}.
// They are text: a value is looked at when it is put in, not before, and goes on
// over all files, in the order of reading.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/mapped_text.h"

namespace dnsdirector::config {

struct Definition {
    std::vector<MappedText> lines;  ///< at least one
    bool several_lines = false;
};

/// `${NAME}`, `${NAME WORD…}` or `$NAME` in a text.
struct Reference {
    std::string_view name;
    std::string_view parameters;  ///< trimmed; "" without
    std::size_t length = 0;       ///< of all that it takes
    bool braces = false;
    /// Without braces: what follows lets it count (keepalived: a blank, a comma, a
    /// closing parenthesis, the end; here also a brace and `;`).
    bool ended = true;
};

/// The reference that starts at text[at], which is a `$`.
[[nodiscard]] std::optional<Reference> reference_at(std::string_view text, std::size_t at);

/// `$NAME=` at the start of a text: how long it is, and the name; else 0.
struct DefinitionHead {
    std::string_view name;
    std::size_t length = 0;
};
[[nodiscard]] DefinitionHead definition_head(std::string_view text);

class Definitions {
public:
    explicit Definitions(const Files& files) : files_(files) {}

    void set(std::string_view name, Definition definition);
    void set(std::string_view name, std::string_view value, const Position& at);
    /// nullptr when there is none of that name; not the predefined ones.
    [[nodiscard]] const Definition* find(std::string_view name) const;
    /// A predefined one, as `_PWD`; an error is one for the operator. Nothing
    /// when there is none of that name.
    [[nodiscard]] std::optional<Result<std::string>> predefined(const Reference& reference,
                                                                const std::string& file) const;
    /// All names, for suggestions.
    [[nodiscard]] std::vector<std::string> names() const;
    [[nodiscard]] const std::string& config_id() const { return files_.config_id; }

private:
    const Files& files_;
    std::map<std::string, Definition, std::less<>> definitions_;
};

}  // namespace dnsdirector::config
