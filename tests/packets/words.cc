// SPDX-License-Identifier: Apache-2.0
#include "packets/words.h"

#include <algorithm>
#include <charconv>

namespace dnsdirector::packets {

std::size_t number_of(const std::string& word) {
    const bool hexadecimal = word.starts_with("0x");
    const char* first = word.data() + (hexadecimal ? 2 : 0);
    const char* last = word.data() + word.size();
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(first, last, value, hexadecimal ? 16 : 10);
    if (error != std::errc{} || end != last || first == last) throw Wrong{"no number: " + word};
    return value;
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    for (std::size_t at = 0; (at = text.find_first_not_of(" \t", at)) != std::string_view::npos;) {
        const std::size_t end = std::min(text.find_first_of(" \t", at), text.size());
        words.emplace_back(text.substr(at, end - at));
        at = end;
    }
    return words;
}

std::pair<std::string, std::string> Layer::pair() {
    const auto arrow = std::find(words.begin(), words.end(), ">");
    if (arrow == words.begin() || arrow == words.end() || arrow + 1 == words.end())
        throw Wrong{name + " needs: from > to"};
    const auto at = static_cast<std::size_t>(arrow - words.begin());
    used_words_.insert({at - 1, at, at + 1});
    return {words[at - 1], words[at + 1]};
}

std::pair<std::string, std::string> Layer::pair(const std::string& first,
                                                const std::string& second) {
    if (std::find(words.begin(), words.end(), ">") == words.end()) return {first, second};
    return pair();
}

std::string Layer::word(std::size_t position) {
    if (position >= words.size()) throw Wrong{name + " needs more words"};
    used_words_.insert(position);
    return words[position];
}

std::size_t Layer::positional_or(std::size_t position, std::size_t otherwise) {
    return position < words.size() ? positional(position) : otherwise;
}

std::optional<std::size_t> Layer::optional_number(const std::string& key) {
    used.insert(key);
    const auto found = options.find(key);
    if (found == options.end()) return std::nullopt;
    return number_of(found->second);
}

std::size_t Layer::number(const std::string& key, std::size_t otherwise) {
    return optional_number(key).value_or(otherwise);
}

bool Layer::flag(const std::string& flag_name) {
    const auto found = std::find(words.begin(), words.end(), flag_name);
    if (found == words.end()) return false;
    used_words_.insert(static_cast<std::size_t>(found - words.begin()));
    return true;
}

void Layer::must_be_used_up() const {
    for (std::size_t i = 0; i < words.size(); ++i)
        if (!used_words_.contains(i)) throw Wrong{name + " has no use for: " + words[i]};
    for (const auto& [key, value] : options)
        if (!used.contains(key)) throw Wrong{name + " has no option " + key};
}

std::vector<Layer> layers_of(std::string_view text) {
    std::vector<Layer> layers;
    bool begins = true;
    for (const std::string& word : words_of(text)) {
        if (word == "/") {
            begins = true;
        } else if (begins) {
            layers.emplace_back().name = word;
            begins = false;
        } else if (const auto equals = word.find('='); equals != std::string::npos) {
            layers.back().options.emplace(word.substr(0, equals), word.substr(equals + 1));
        } else {
            layers.back().words.push_back(word);
        }
    }
    return layers;
}

}  // namespace dnsdirector::packets
