// SPDX-License-Identifier: Apache-2.0
#include "config/arguments.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "config/address_range.h"
#include "config/bgp_values.h"
#include "config/script_words.h"
#include "config/suggest.h"
#include "config/values.h"

namespace dnsdirector::config {
namespace {

using Words = std::span<const Word>;

class ArgumentReader {
public:
    ArgumentReader(const Keyword& keyword, Words words, Diagnostics& diagnostics, Arguments& out)
        : keyword_(keyword), words_(words), diagnostics_(diagnostics), out_(out) {}

    bool read();

private:
    template <typename T>
    bool store(const Word& word, Result<T> value, T& into) {
        if (!value) return say(word, value.error().message);
        into = std::move(*value);
        return true;
    }
    bool say(const Word& word, std::string_view text) {
        diagnostics_.error(word.position, "{}: {}", keyword_.name, text);
        return false;
    }
    bool choice(const Word& word);
    bool read_choices();
    bool read_addresses(Words words);
    bool read_port(const Word& word);
    bool read_address_port();
    bool read_service();
    bool read_mark(Words words);
    bool read_group_entry();
    bool read_user(Words words);
    bool read_method();
    bool read_path(const Word& word);
    /// The word of a number or duration.
    [[nodiscard]] std::string number_text() const;
    bool read_hex();
    bool read_requirement(const Word& word);
    bool read_edns();
    bool read_http_statuses();
    bool read_file_weight();
    bool read_endpoint(const Word& word);
    bool read_listen();
    bool read_networks();
    bool read_prefix_lengths();
    bool read_interfaces();
    bool read_question();
    bool read_statuses();
    bool read_expectation();
    bool read_daemon();
    bool read_bfd();
    bool read_communities();

    const Keyword& keyword_;
    Words words_;
    Diagnostics& diagnostics_;
    Arguments& out_;
};

bool same_ignoring_case(std::string_view a, std::string_view b) {
    return a.size() == b.size() && edit_distance(a, b) == 0;
}

bool ArgumentReader::choice(const Word& word) {
    const auto choices = choices_of(keyword_);
    for (std::size_t i = 0; i < choices.size(); ++i)
        if (same_ignoring_case(word.text, choices[i])) {
            if (std::find(out_.choices.begin(), out_.choices.end(), i) != out_.choices.end())
                return say(word, fmt::format("`{}` is named twice", word.text));
            out_.choices.push_back(i);
            return true;
        }
    const std::string_view near = nearest(word.text, choices);
    std::string text = fmt::format("`{}` is not one of {}", word.text, fmt::join(choices, ", "));
    if (!near.empty()) text += fmt::format("; did you mean `{}`?", near);
    return say(word, text);
}

bool ArgumentReader::read_choices() {
    return std::all_of(words_.begin(), words_.end(),
                       [&](const Word& word) { return choice(word); });
}

bool ArgumentReader::read_addresses(Words words) {
    bool good = true;
    for (const Word& word : words) {
        Placed<IpAddress> address{{}, word.position};
        const bool read = store(word, parse_address(word.text), address.value);
        if (read) out_.addresses.push_back(address);
        good = good && read;
    }
    return good;
}

bool ArgumentReader::read_port(const Word& word) {
    std::uint64_t port = 0;
    auto number = parse_number(word.text, 1, 65535);
    if (!number) number = fail("port {}", number.error().message);
    const bool good = store(word, std::move(number), port);
    out_.port = static_cast<std::uint16_t>(port);
    return good;
}

bool ArgumentReader::read_address_port() {
    const bool address = read_addresses(words_.first(1));
    return (words_.size() == 1 || read_port(words_[1])) && address;
}

bool ArgumentReader::read_service() {
    const bool mark = words_[0].text == "fwmark";
    const bool group = words_[0].text == "group";
    if ((mark || group) && words_.size() == 1)
        return say(words_[0], mark ? "the firewall mark's number is missing"
                                   : "the virtual_server_group's name is missing");
    if (mark) return read_mark(words_.subspan(1));
    if (!group) return read_address_port();
    return store(words_[1], parse_name(words_[1].text), out_.text);
}

bool ArgumentReader::read_mark(Words words) {
    out_.has_number = true;
    if (!store(words[0], parse_number(words[0].text, 1, UINT32_MAX), out_.number)) return false;
    if (words.size() == 1) return true;
    if (words[1].text != "inet" && words[1].text != "inet6")
        return say(words[1], fmt::format("`{}` is no family; write inet or inet6", words[1].text));
    out_.choices.push_back(words[1].text == "inet6" ? 1 : 0);
    return true;
}

/// The keyword itself is the first word.
bool ArgumentReader::read_group_entry() {
    const Word& word = words_[0];
    auto range = parse_address_range(word.text);
    if (!range) {
        diagnostics_.error(word.position, "virtual_server_group: {}", range.error().message);
        return false;
    }
    out_.range = *range;
    return words_.size() == 1 || read_port(words_[1]);
}

bool ArgumentReader::read_user(Words words) {
    if (words.empty()) return true;
    out_.text = words[0].text;
    if (words.size() > 1) out_.texts.emplace_back(words[1].text);
    return !out_.text.empty() || say(words[0], "the user's name is empty");
}

/// `DR`, `NAT`, `TUN [type ipip|gue|gre] [port N] [nocsum|csum|remcsum]`.
bool ArgumentReader::read_method() {
    if (!choice(words_[0])) return false;
    const bool tunnel = words_[0].text == "TUN" || words_[0].text == "tun";
    for (std::size_t i = 1; i < words_.size(); ++i) {
        const std::string_view word = words_[i].text;
        const std::string_view next = i + 1 < words_.size() ? words_[i + 1].text : "";
        const bool known = next == "ipip" || next == "gue" || next == "gre";
        if (tunnel && word == "type" && known) out_.text = next;
        if (tunnel &&
            ((word == "type" && known) || (word == "port" && parse_number(next, 1, 65535))))
            ++i;
        else if (!tunnel || (word != "nocsum" && word != "csum" && word != "remcsum"))
            return say(words_[i],
                       fmt::format("`{}` is not understood here; write DR, NAT, or TUN, perhaps "
                                   "with `type ipip`, `type gue port N` or `type gre`",
                                   word));
    }
    return true;
}

bool ArgumentReader::read_path(const Word& word) {
    if (!word.text.starts_with('/') || word.text.find('\0') != std::string_view::npos)
        return say(word, fmt::format("`{}` is not a full path, which begins with /", word.text));
    out_.text = word.text;
    return true;
}

bool ArgumentReader::read_hex() {
    for (const Word& word : words_)
        for (const std::string_view part : split_words(word.text)) {
            auto bytes = parse_hex(part);
            if (!bytes) return say(word, bytes.error().message);
            out_.bytes.insert(out_.bytes.end(), bytes->begin(), bytes->end());
        }
    constexpr std::size_t longest = 65507;  // what IPv4 leaves of 65535 behind its header and UDP's
    return out_.bytes.size() <= longest || say(words_[0], "it is longer than a UDP datagram");
}

bool ArgumentReader::read_requirement(const Word& word) {
    if (word.text == "all") return true;
    if (word.text == "any") {
        out_.number = 1;
        return true;
    }
    auto number = parse_number(word.text, 1, 1000);
    if (!number) return say(word, fmt::format("`{}` is not all, any or a number", word.text));
    out_.number = *number;
    return true;
}

bool ArgumentReader::read_edns() {
    if (!store(words_[0], parse_number(words_[0].text, 512, 65535), out_.number)) return false;
    out_.flag = words_.size() > 1;
    return !out_.flag || same_ignoring_case(words_[1].text, "do") ||
           say(words_[1], fmt::format("`{}` is not understood; write do", words_[1].text));
}

bool ArgumentReader::read_http_statuses() {
    for (const Word& word : words_)
        if (!store(word, parse_status_range(word.text), out_.ranges.emplace_back())) return false;
    std::sort(out_.ranges.begin(), out_.ranges.end());
    // Ranges that touch are one, so that equal sets are equal values.
    std::size_t last = 0;
    for (std::size_t i = 1; i < out_.ranges.size(); ++i) {
        if (out_.ranges[i].first <= out_.ranges[last].second + 1)
            out_.ranges[last].second = std::max(out_.ranges[last].second, out_.ranges[i].second);
        else
            out_.ranges[++last] = out_.ranges[i];
    }
    out_.ranges.resize(last + 1);
    return true;
}

bool ArgumentReader::read_file_weight() {
    if (!store(words_[0], parse_signed(words_[0].text, keyword_.minimum, keyword_.maximum),
               out_.signed_number))
        return false;
    out_.flag = words_.size() > 1 && words_[1].text == "reverse";
    return words_.size() == 1 || out_.flag || words_[1].text == "noreverse" ||
           say(words_[1], fmt::format("`{}` is not understood; write reverse", words_[1].text));
}

bool ArgumentReader::read_endpoint(const Word& word) {
    const auto endpoint = Endpoint::parse(word.text);
    if (!endpoint)
        return say(
            word,
            fmt::format("`{}` is not an address and a port; write 127.0.0.1:8080 or [::1]:8080",
                        word.text));
    out_.addresses.push_back({endpoint->address, word.position});
    out_.port = endpoint->port;
    return true;
}

bool ArgumentReader::read_listen() {
    for (const Word& word : words_) {
        // Without a port an IPv6 address needs no brackets; Endpoint::parse tells them apart.
        const auto address = IpAddress::parse(word.text);
        const auto endpoint =
            address ? std::optional(Endpoint{*address, 0}) : Endpoint::parse(word.text);
        if (!endpoint)
            return say(word, fmt::format("`{}` is no address, and none with a port; write "
                                         "203.0.113.11, 203.0.113.11:5301 or [2001:db8::11]:5301",
                                         word.text));
        out_.endpoints.push_back({*endpoint, word.position});
    }
    return true;
}

bool ArgumentReader::read_networks() {
    for (const Word& word : words_) {
        Placed<core::Prefix> network{{}, word.position};
        if (!store(word, parse_network(word.text), network.value)) return false;
        out_.networks.push_back(network);
    }
    return true;
}

bool ArgumentReader::read_prefix_lengths() {
    constexpr std::uint64_t most[] = {32, 128};
    for (std::size_t i = 0; i < out_.prefix_lengths.size(); ++i) {
        std::uint64_t length = 0;
        if (!store(words_[i], parse_number(words_[i].text, 0, most[i]), length)) return false;
        out_.prefix_lengths[i] = static_cast<std::uint8_t>(length);
    }
    return true;
}

bool ArgumentReader::read_interfaces() {
    for (const Word& word : words_)
        if (!store(word, parse_interface(word.text), out_.texts.emplace_back())) return false;
    return true;
}

bool ArgumentReader::read_question() {
    std::vector<std::string_view> parts;
    for (const Word& word : words_) {
        const auto of_word = split_words(word.text);
        parts.insert(parts.end(), of_word.begin(), of_word.end());
    }
    return store(words_[0], parse_question(parts), out_.question);
}

bool ArgumentReader::read_statuses() {
    if (words_.size() == 1 && words_[0].text == "none") return true;
    for (const Word& word : words_) {
        std::uint16_t status = 0;
        if (!store(word, parse_rcode(word.text), status)) return false;
        if (std::find(out_.statuses.begin(), out_.statuses.end(), status) != out_.statuses.end())
            return say(word, fmt::format("`{}` is named twice", word.text));
        out_.statuses.push_back(status);
    }
    std::sort(out_.statuses.begin(), out_.statuses.end());
    return true;
}

bool ArgumentReader::read_expectation() {
    if (!choice(words_[0])) return false;
    const bool rcode = out_.choices.front() == 0;
    out_.argument_at = words_[1].position;
    if (rcode && words_.size() != 2)
        return say(words_[0], "write one status, as in `expect rcode NOERROR`");
    if (rcode) return store(words_[1], parse_rcode(words_[1].text), out_.statuses.emplace_back());
    for (const Word& word : words_.subspan(1))
        out_.texts.emplace_back(word.text);
    return true;
}

/// `bird` is our own; of `existing` the make must be said.
bool ArgumentReader::read_daemon() {
    const bool existing = same_ignoring_case(words_[0].text, "existing");
    if (existing && words_.size() == 1)
        return say(words_[0], "which one runs already? Write `existing bird` or `existing frr`");
    std::string written(words_[0].text);
    if (words_.size() > 1) written.append(" ").append(words_[1].text);
    for (const auto daemon : {core::RoutingDaemon::bird, core::RoutingDaemon::existing_bird,
                              core::RoutingDaemon::existing_frr})
        if (same_ignoring_case(written, core::to_string(daemon))) {
            out_.number = static_cast<std::uint64_t>(daemon);
            return true;
        }
    return say(words_[0], fmt::format("`{}` is none of bird (our own instance), existing bird and "
                                      "existing frr",
                                      written));
}

bool ArgumentReader::read_bfd() {
    using namespace std::chrono_literals;
    if (!store(words_[0], parse_duration(words_[0].text, 10ms, 1min), out_.duration)) return false;
    if (out_.duration % 1ms != 0ns)
        return say(words_[0],
                   fmt::format("{} is no whole number of milliseconds", to_text(out_.duration)));
    out_.number = core::Bfd{}.multiplier;
    return words_.size() == 1 ||
           store(words_[1], parse_number(words_[1].text, 2, 255), out_.number);
}

bool ArgumentReader::read_communities() {
    for (const Word& word : words_) {
        core::Communities community;
        if (!store(word, parse_community(word.text), community)) return false;
        out_.communities.add(community);
    }
    return true;
}

std::string ArgumentReader::number_text() const {
    const std::string_view text = words_[0].text;
    return is_compatible(keyword_.in) ? as_keepalived_reads(text) : std::string(text);
}

bool ArgumentReader::read() {
    switch (keyword_.kind) {
        case Kind::nothing:
        case Kind::anything: return true;
        case Kind::flag:
            return words_.empty() || store(words_[0], parse_flag(words_[0].text), out_.flag);
        case Kind::maybe_number:
            out_.has_number = !words_.empty();
            if (words_.empty()) return true;
            [[fallthrough]];
        case Kind::number:
            return store(words_[0],
                         parse_number(number_text(), static_cast<std::uint64_t>(keyword_.minimum),
                                      static_cast<std::uint64_t>(keyword_.maximum)),
                         out_.number);
        case Kind::percent: {
            std::uint32_t percent = 0;
            const bool good = store(words_[0], parse_percent(words_[0].text), percent);
            out_.number = percent;
            return good;
        }
        case Kind::duration:
            return store(words_[0],
                         parse_duration(number_text(), Nanoseconds{keyword_.minimum},
                                        Nanoseconds{keyword_.maximum}),
                         out_.duration);
        case Kind::address:
        case Kind::addresses: return read_addresses(words_);
        case Kind::address_port: return read_address_port();
        case Kind::service: return read_service();
        case Kind::mark: return read_mark(words_);
        case Kind::group_entry: return read_group_entry();
        case Kind::endpoint: return read_endpoint(words_[0]);
        case Kind::listen: return read_listen();
        case Kind::networks: return read_networks();
        case Kind::lengths: return read_prefix_lengths();
        case Kind::optional_name:
            if (words_.empty()) return true;
            [[fallthrough]];
        case Kind::name: return store(words_[0], parse_name(words_[0].text), out_.text);
        case Kind::interface:
        case Kind::interfaces: return read_interfaces();
        case Kind::one_of:
        case Kind::some_of: return read_choices();
        case Kind::user: return read_user(words_);
        case Kind::command:
            if (!read_user(words_.subspan(1))) return false;
            [[fallthrough]];
        case Kind::script: return store(words_[0], parse_script(words_[0].text), out_.script);
        case Kind::method: return read_method();
        case Kind::path: return read_path(words_[0]);
        case Kind::text:
            out_.text = words_[0].text;
            return !out_.text.empty() || say(words_[0], "it is empty");
        case Kind::hex:
        case Kind::maybe_hex: return read_hex();
        case Kind::requirement: return read_requirement(words_[0]);
        case Kind::edns: return read_edns();
        case Kind::http_statuses: return read_http_statuses();
        case Kind::file_weight: return read_file_weight();
        case Kind::question: return read_question();
        case Kind::statuses: return read_statuses();
        case Kind::expectation: return read_expectation();
        case Kind::dns_type: {
            std::uint16_t type = 0;
            const bool good = store(words_[0], parse_type(words_[0].text), type);
            out_.number = type;
            return good;
        }
        case Kind::dns_class: {
            std::uint16_t klass = 0;
            const bool good = store(words_[0], parse_class(words_[0].text), klass);
            out_.number = klass;
            return good;
        }
        case Kind::dns_name: return store(words_[0], parse_dns_name(words_[0].text), out_.text);
        case Kind::daemon: return read_daemon();
        case Kind::bfd: return read_bfd();
        case Kind::communities: return read_communities();
    }
    return false;
}

}  // namespace

bool read_arguments(const Keyword& keyword, const Statement& statement, Diagnostics& diagnostics,
                    Arguments& arguments) {
    const Shape& shape = shape_of(keyword.kind);
    const Words words = Words(statement.words).subspan(keyword.any_word ? 0 : 1);
    arguments.position = statement.position();
    arguments.has_block = statement.block != nullptr;
    arguments.argument_at = words.empty() ? statement.position() : words[0].position;
    if (keyword.kind == Kind::anything) return true;

    std::string usage = fmt::format("`{}", keyword.name);
    if (const std::string takes = argument_text(keyword); !takes.empty()) usage += ' ' + takes;
    usage += '`';
    if (words.size() < shape.least) {
        diagnostics.error(statement.position(), "{} is not complete: write {}", keyword.name,
                          usage);
        return false;
    }
    const bool limited = shape.most > 0 || keyword.kind == Kind::nothing;
    if (limited && words.size() > shape.most) {
        const Word& extra = words[shape.most];
        std::string hint;
        if (keyword.kind == Kind::script)
            hint = " (the whole command stands in one pair of quotes)";
        else if (!keyword.instead.empty())
            hint = fmt::format(" ({})", keyword.instead);
        else if (find_keyword(keyword.in, extra.text) != nullptr)
            hint = " (each statement has a line of its own, or in native blocks a `;` behind it)";
        diagnostics.error(extra.position, "`{}` is too much behind {}: write {}{}", extra.text,
                          keyword.name, usage, hint);
        return false;
    }
    return ArgumentReader(keyword, words, diagnostics, arguments).read();
}

}  // namespace dnsdirector::config
