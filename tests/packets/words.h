// SPDX-License-Identifier: Apache-2.0
//
// The words of a packet: "ip A > B ttl=3 more" is a layer with a pair, an option
// and a flag. Used while a table is read; errors are thrown and end there.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dnsdirector::packets {

/// What a person wrote and cannot be read.
struct Wrong {
    std::string what;
};

/// Decimal, or hexadecimal with 0x.
[[nodiscard]] std::size_t number_of(const std::string& word);
[[nodiscard]] std::vector<std::string> words_of(std::string_view text);

struct Layer {
    std::string name;
    std::vector<std::string> words;              ///< in their order
    std::map<std::string, std::string> options;  ///< key=value
    std::set<std::string> used;                  ///< options and flags that were asked for

    /// "A > B".
    [[nodiscard]] std::pair<std::string, std::string> pair();
    [[nodiscard]] std::pair<std::string, std::string> pair(const std::string& first,
                                                           const std::string& second);
    [[nodiscard]] std::string word(std::size_t position);
    [[nodiscard]] std::size_t positional(std::size_t position) { return number_of(word(position)); }
    [[nodiscard]] std::size_t positional_or(std::size_t position, std::size_t otherwise);
    [[nodiscard]] std::size_t number(const std::string& key, std::size_t otherwise);
    [[nodiscard]] std::optional<std::size_t> optional_number(const std::string& key);
    [[nodiscard]] bool flag(const std::string& name);
    /// Throws where a word is left that nobody asked for.
    void must_be_used_up() const;

private:
    std::set<std::size_t> used_words_;
};

/// Layers are separated by " / ".
[[nodiscard]] std::vector<Layer> layers_of(std::string_view text);

}  // namespace dnsdirector::packets
