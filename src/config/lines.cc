// SPDX-License-Identifier: Apache-2.0
#include "config/lines.h"

#include <algorithm>

#include "config/line_text.h"

namespace dnsdirector::config {
namespace {

/// Lines that stand for lines that stand for lines …
constexpr std::size_t deepest = 32;
/// Bytes of a line with everything put in; keepalived has 1024 (MAXBUF).
constexpr std::size_t longest_line = std::size_t{16} << 10;
/// What definitions and sequences may grow to: bytes of their lines, and about
/// what each line and each word takes beside them. A configuration of this size
/// stays below 64 MB (tests/scripts/test_config_limits.py).
constexpr std::size_t most_growth = std::size_t{12} << 20;
constexpr std::size_t line_cost = 100;
constexpr std::size_t word_cost = 50;
/// What may be copied on the way, so that a text without an end has one soon.
constexpr std::size_t most_work = std::size_t{48} << 20;
constexpr std::size_t step_work = 200;

std::size_t cost_of(std::string_view text) {
    std::size_t words = 0;
    bool within = false;
    for (const char c : text) {
        const bool brace = c == '{' || c == '}';
        const bool blank = brace || blanks.find(c) != std::string_view::npos;
        if (brace || (!blank && !within)) ++words;
        within = !blank;
    }
    return line_cost + words * word_cost + text.size();
}

}  // namespace

Position Line::place(std::size_t offset) const {
    if (written) return written->place(offset);
    Position at = start;
    at.column += static_cast<std::uint32_t>(offset);
    return at;
}

bool TextState::within(bool limit, const Position& at) {
    if (limit || too_large) return limit;
    too_large = true;
    Position place = at;
    place.order = ++order;
    diagnostics.error(place,
                      "definitions and sequences grow to more than is read (about {} words in "
                      "all); write such a file out",
                      most_growth / word_cost);
    return false;
}

bool TextState::grow(std::size_t size, const Position& at) {
    grown += size;
    return within(grown <= most_growth, at);
}

bool TextState::work(std::size_t effort, const Position& at) {
    worked += effort;
    return within(worked <= most_work, at);
}

/// A definition that is being put in, and how much of the line stands behind it.
struct Lines::Active {
    std::string name;
    std::size_t behind;
};

Lines::Lines(std::string_view text, std::uint32_t file, std::string path, TextState& state)
    : text_(text), file_(file), path_(std::move(path)), state_(state) {
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;  // a byte order mark
}

template <typename... Args>
void Lines::error(const Position& at, fmt::format_string<Args...> format, Args&&... args) {
    Position place = at;
    place.order = ++state_.order;
    state_.diagnostics.error(place, format, std::forward<Args>(args)...);
}

/// The file's next line; the caller has seen that there is one.
std::string_view Lines::take_line() {
    const std::size_t start = at_;
    const std::size_t end = std::min(text_.find('\n', at_), text_.size());
    at_ = end + 1;
    ++line_;
    return text_.substr(start, end - start);
}

bool Lines::next(Line& line) {
    while (!state_.too_large) {
        changed_ = substituted();
        MappedText put_together;
        if (!from_frames(put_together)) {
            changed_ = false;
            if (at_ >= text_.size()) break;
            const std::uint32_t column = at_ == 3 && line_ == 0 ? 4 : 1;
            const std::string_view text = take_line();
            const Position start{0, file_, line_, column};
            if (text.find_first_of("$@~\\") == std::string_view::npos) {
                line = {text, start};
                return true;
            }
            put_together = cleaned({text, start});
        }
        if (!process(put_together)) continue;
        const std::string_view text = state_.arena.emplace_back(put_together.text());
        if (changed_ && !state_.grow(cost_of(text), put_together.place(0))) break;
        line = {text, {}, std::move(put_together)};
        if (changed_) {
            const Position used{0, file_, line_, 1};
            line.written->set_expansion(state_.diagnostics.add_expansion(text, used));
        }
        return true;
    }
    // Behind a line end a new line begins, at the end of the file too.
    const bool ended = text_.empty() || text_.ends_with('\n');
    const std::uint32_t last = std::max<std::uint32_t>(line_, 1);
    const auto start = text_.rfind('\n');
    const std::size_t length = text_.size() - (start == std::string_view::npos ? 0 : start + 1);
    line = {{},
            ended ? Position{0, file_, line_ + 1, 1}
                  : Position{0, file_, last, static_cast<std::uint32_t>(length + 1)}};
    return false;
}

/// The next line of what was pushed last. What is used up goes when more is asked
/// for, not before: its last line may name the definition that it is of.
bool Lines::from_frames(MappedText& line) {
    while (!frames_.empty()) {
        if (auto* waiting = std::get_if<Waiting>(&frames_.back())) {
            if (waiting->at < waiting->lines.size()) {
                line = waiting->lines[waiting->at++];
                return true;
            }
        } else {
            auto& repeating = std::get<Repeating>(frames_.back());
            if (const auto values = repeating.repetition.next()) {
                const auto& variables = repeating.repetition.variables();
                for (std::size_t i = 0; i < variables.size(); ++i)
                    state_.definitions.set(variables[i], (*values)[i], repeating.line.place(0));
                line = repeating.line;
                return state_.work(step_work + line.size(), line.place(0));
            }
        }
        frames_.pop_back();
    }
    return false;
}

/// Whether what is read next comes of a definition or a sequence.
bool Lines::substituted() const {
    return std::any_of(frames_.begin(), frames_.end(), [](const Frame& frame) {
        const auto* waiting = std::get_if<Waiting>(&frame);
        return waiting == nullptr || !waiting->name.empty();
    });
}

void Lines::push(Frame frame, const Position& at) {
    if (frames_.size() >= deepest)
        error(at, "definitions and sequences are nested deeper than {}", deepest);
    else
        frames_.push_back(std::move(frame));
}

/// Makes of a line what it stands for. False when nothing of it is left, or not yet.
bool Lines::process(MappedText& line) {
    for (;;) {
        const std::size_t first = skip_blanks(line.text(), 0);
        if (first > 0) line = line.slice(first, line.size());
        const std::string_view text = line.text();
        if (text.starts_with('@')) {
            if (!chosen(line)) return false;
        } else if (definition_head(text).length > 0) {
            define(line);
            return false;
        } else if (starts_repetition(text)) {
            repeat(line);
            return false;
        } else {
            split(line);
            const Fate fate = expand(line);
            if (fate == Fate::gone) return false;
            if (fate == Fate::again) continue;
            split(line);
            return !line.empty();
        }
    }
}

/// A conditional line: whether it counts here. What is chosen remains.
bool Lines::chosen(MappedText& line) {
    const std::string_view text = line.text();
    const bool reversed = text.starts_with("@^");
    const std::size_t start = reversed ? 2 : 1;
    const std::size_t end = std::min(text.find_first_of(blanks, start), text.size());
    const std::string_view id = text.substr(start, end - start);
    if (id.empty() || end == text.size()) {
        error(line.place(0),
              "a conditional line is @NAME or @^NAME, a blank, and what counts on that machine, as "
              "in `@{} weight 2`",
              id.empty() ? "main" : id);
        return false;
    }
    if ((id == state_.definitions.config_id()) == reversed) {
        // A definition that does not count takes all its lines with it.
        if (definition_head(text.substr(skip_blanks(text, end))).length > 0)
            skip_continuation(line);
        return false;
    }
    line = line.slice(skip_blanks(text, end), line.size());
    return true;
}

void Lines::skip_continuation(const MappedText& line) {
    if (!continues(line.text()) || substituted()) return;
    while (at_ < text_.size()) {
        const std::string_view raw = take_line();
        if (raw.empty() || raw == "\r") return;
        const std::string_view text = raw.substr(0, end_without_comment(raw));
        if (!text.empty() && !continues(text)) return;
    }
}

/// A line of a definition is kept, and a second time where it is put in.
bool Lines::keep(const MappedText& line) {
    return state_.grow(2 * line_cost + line.size(), line.place(0));
}

void Lines::define(const MappedText& line) {
    const auto [name, length] = definition_head(line.text());
    if (!keep(line)) return;
    MappedText value = line.slice(skip_blanks(line.text(), length), line.size());
    if (!continues(value.text())) {
        state_.definitions.set(name, {{std::move(value)}, false});
        return;
    }
    Definition definition{{without_backslash(value)}, true};
    if (definition.lines.front().empty()) definition.lines.clear();
    // An empty line ends a definition in spite of the backslash before it; lines that
    // hold only blanks or a comment do not (keepalived's lib/parser.c).
    bool more = !substituted();  // the lines of a definition have no backslash left
    while (more && at_ < text_.size()) {
        const std::string_view raw = take_line();
        if (raw.empty() || raw == "\r") break;
        MappedText next = cleaned({raw, {0, file_, line_, 1}});
        if (next.empty()) continue;
        more = continues(next.text());
        if (more) next = without_backslash(next);
        if (!keep(next)) return;
        if (!next.empty()) definition.lines.push_back(std::move(next));
    }
    if (definition.lines.empty()) definition = {{line.slice(length, length)}, false};
    state_.definitions.set(name, std::move(definition));
}

/// ~SEQ and ~LST: the rest of the line waits, and comes once for each value.
void Lines::repeat(const MappedText& line) {
    const std::size_t close = line.text().find(')');
    const std::size_t head_end = close == std::string::npos ? line.size() : close + 1;
    MappedText head = line.slice(0, head_end);
    MappedText rest = line.slice(skip_blanks(line.text(), head_end), line.size());
    const Position at = line.place(0);
    if (expand(head) == Fate::gone) return;
    std::size_t length = 0;
    auto repetition = parse_repetition(head.text(), length);
    if (!repetition)
        error(at, "{}: {}", head.text().substr(0, 4), repetition.error().message);
    else if (rest.empty())
        error(at, "{}: nothing stands behind it to be repeated", head.text().substr(0, 4));
    else
        push(Repeating{std::move(*repetition), std::move(rest)}, at);
}

/// What starts anew behind a brace waits for its own turn.
void Lines::split(MappedText& line) {
    const std::size_t rest = rest_behind_brace(line.text());
    if (rest == std::string_view::npos) return;
    push(Waiting{"", {line.slice(rest, line.size())}}, line.place(rest));
    line = line.slice(0, rest);
}

bool Lines::circular(std::string_view name, const std::vector<Active>& active) const {
    return std::any_of(active.begin(), active.end(),
                       [&](const Active& each) { return each.name == name; }) ||
           std::any_of(frames_.begin(), frames_.end(), [&](const Frame& frame) {
               const auto* waiting = std::get_if<Waiting>(&frame);
               return waiting != nullptr && waiting->name == name;
           });
}

/// Puts in what is defined; what is not stays. `again`: the line starts in a way
/// now that must be looked at before the rest is.
Lines::Fate Lines::expand(MappedText& line) {
    // The head of a sequence is expanded as it is; a sequence that comes to light
    // must set its variable before what it repeats is looked at.
    const bool head = starts_repetition(line.text());
    bool replaced = false;
    std::vector<Active> active;
    std::size_t at = 0;
    while ((at = line.text().find('$', at)) != std::string::npos) {
        while (!active.empty() && line.size() - at <= active.back().behind)
            active.pop_back();
        const auto reference = reference_at(line.text(), at);
        if (!reference || !reference->ended) {
            ++at;
            continue;
        }
        const Position place = line.place(at);
        const Fate fate = put_in(line, at, *reference, active);
        if (fate == Fate::gone) return Fate::gone;
        if (fate == Fate::done) continue;
        replaced = changed_ = true;
        // A character may have a place of its own, which takes four times as much.
        if (!state_.work(step_work + line.size() * 4, place)) return Fate::gone;
        if (line.size() > longest_line) {
            error(place, "with its definitions put in the line is longer than {} bytes",
                  longest_line);
            return Fate::gone;
        }
        if (!head && starts_repetition(trimmed(line.text()))) return Fate::again;
    }
    return replaced && starts_anew(trimmed(line.text())) ? Fate::again : Fate::done;
}

/// `again`: what was put in is to be looked at, from `at` on. `done`: it is no
/// definition that is known and stays, `at` is behind it.
Lines::Fate Lines::put_in(MappedText& line, std::size_t& at, const Reference& reference,
                          std::vector<Active>& active) {
    const Position place = line.place(at);
    const std::string name(reference.name);
    const std::size_t end = at + reference.length;
    const Definition* definition =
        reference.parameters.empty() ? state_.definitions.find(name) : nullptr;
    if (definition == nullptr) return put_in_predefined(line, at, reference);
    if (circular(name, active)) {
        error(place, "the definition ${} contains itself", name);
        return Fate::gone;
    }
    active.push_back({name, line.size() - end});
    if (!definition->several_lines) {
        MappedText with;
        with.append(definition->lines.front().text(), place, false);
        line.replace(at, end, with);
        return Fate::again;
    }
    if (end != line.size()) {
        error(place, "${} has several lines; nothing may stand behind it on its line", name);
        return Fate::gone;
    }
    line.replace(at, end, definition->lines.front());
    // The first line stands here, the others wait. Though there may be none: what
    // waits says that the definition is in work.
    push(Waiting{name, {definition->lines.begin() + 1, definition->lines.end()}}, place);
    return Fate::again;
}

Lines::Fate Lines::put_in_predefined(MappedText& line, std::size_t& at,
                                     const Reference& reference) {
    const std::size_t end = at + reference.length;
    const Position place = line.place(at);
    const auto value = state_.definitions.predefined(reference, path_);
    if (!value) {
        at = end;
        return Fate::done;
    }
    if (!*value) {
        error(place, "{}", value->error().message);
        return Fate::gone;
    }
    MappedText with;
    with.append(**value, place, false);
    line.replace(at, end, with);
    at += (*value)->size();  // its text is taken as it is, with a `$` that it may hold
    return Fate::again;
}

}  // namespace dnsdirector::config
