// SPDX-License-Identifier: Apache-2.0
//
// The rules are those of dig.c of BIND 9.18 (parse_args, dash_option,
// plus_option); what it does with them, src/probe/dig_probe.h.
#include "config/dig_line.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string_view>

#include "config/dig_words.h"
#include "config/dns_values.h"
#include "core/by_hand.h"
#include "core/mnemonics.h"

namespace dnsdirector::config {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t most_tries = 100;
constexpr std::uint16_t first_free_port = 1024;  // those below are for root
constexpr std::uint16_t type_ptr = 12, type_ns = 2, type_any = 255;

/// Questions that are none: OPT, the transaction types, transfers.
constexpr std::uint16_t no_questions[] = {0, 41, 249, 250, 251, 252};

class DigLineReader {
public:
    explicit DigLineReader(std::span<const std::string> arguments) : arguments_(arguments) {}
    Result<DigLine> read();

private:
    /// What went wrong, or nothing.
    using Problem = std::optional<std::string>;
    struct Plus {
        std::string_view name;
        std::size_t needed;  ///< letters that dig tells it from others by, in lower case
        bool value;          ///< must have one; else it has none, or may
        bool refusable;      ///< +noNAME is allowed
        Problem (DigLineReader::*apply)(bool on, std::optional<std::string_view> value);
    };
    static const Plus pluses[];

    Problem read_word(std::string_view word);
    Problem read_plus(std::string_view word);
    Problem read_dash(std::string_view word);
    Problem apply_dash(char option, std::string_view value);
    Problem read_bare(std::string_view word);
    Problem finish();

    Problem set_time(bool on, std::optional<std::string_view> value);
    Problem set_tries(bool on, std::optional<std::string_view> value);
    Problem set_retry(bool on, std::optional<std::string_view> value);
    Problem set_tcp(bool on, std::optional<std::string_view> value);
    Problem set_recurse(bool on, std::optional<std::string_view> value);
    Problem set_dnssec(bool on, std::optional<std::string_view> value);
    Problem set_bufsize(bool on, std::optional<std::string_view> value);
    /// +short is how dig prints, +fail which server it asks next: here there is one.
    Problem set_nothing(bool on, std::optional<std::string_view> value);
    Problem set_ignore(bool on, std::optional<std::string_view> value);

    Problem set_server(std::string_view text);
    Problem set_source(std::string_view text);
    Problem set_type(std::string_view text);
    Problem set_class(std::string_view text);
    Problem set_name(std::string_view text);
    Problem set_reverse(std::string_view text);
    void use_type(std::uint16_t type);

    std::span<const std::string> arguments_;
    std::size_t at_ = 1;
    DigLine line_{{}, {}, 5s, 3};
    std::optional<IpAddress> server_;
    std::uint16_t port_ = 53;
    std::optional<Family> only_;  ///< -4, -6
    bool named_ = false;
    bool type_set_ = false;
    bool tcp_set_ = false;
    bool open_ = true;  ///< a bare word may be a type or a class
};

const DigLineReader::Plus DigLineReader::pluses[] = {
    {"timeout", 2, true, false, &DigLineReader::set_time},
    {"tries", 3, true, false, &DigLineReader::set_tries},
    {"retry", 3, true, false, &DigLineReader::set_retry},
    {"retries", 3, true, false, &DigLineReader::set_retry},
    {"tcp", 3, false, true, &DigLineReader::set_tcp},
    {"vc", 1, false, true, &DigLineReader::set_tcp},
    {"fail", 2, false, true, &DigLineReader::set_nothing},
    {"recurse", 3, false, true, &DigLineReader::set_recurse},
    {"dnssec", 4, false, true, &DigLineReader::set_dnssec},
    {"do", 2, false, true, &DigLineReader::set_dnssec},
    {"bufsize", 2, false, false, &DigLineReader::set_bufsize},
    {"short", 4, false, true, &DigLineReader::set_nothing},
    {"ignore", 1, false, true, &DigLineReader::set_ignore},
};

// ---- +options -------------------------------------------------------------------

DigLineReader::Problem DigLineReader::read_plus(std::string_view word) {
    const std::string_view option = word.substr(1);
    const std::size_t equals = option.find('=');
    std::string_view name = option.substr(0, equals);
    std::optional<std::string_view> value;
    if (equals != std::string_view::npos) value = option.substr(equals + 1);
    const bool on = !same_letters(name.substr(0, 2), "NO");
    if (!on) name.remove_prefix(2);
    for (const Plus& plus : pluses) {
        if (name.size() < plus.needed || name.size() > plus.name.size() ||
            name.substr(0, plus.needed) != plus.name.substr(0, plus.needed) ||
            !same_letters(name, plus.name.substr(0, name.size())))
            continue;
        if (!on && !plus.refusable) return fmt::format("dig refuses {}", word);
        if (plus.value && (!value || value->empty()))
            return fmt::format("dig refuses {} without a number", word);
        return (this->*plus.apply)(on, value);
    }
    return fmt::format("+{} is not run natively", option.substr(0, equals));
}

DigLineReader::Problem DigLineReader::set_time(bool /*on*/, std::optional<std::string_view> value) {
    const auto seconds = number(*value, 65535);
    if (!seconds) return fmt::format("dig refuses +time={}", *value);
    line_.timeout = Seconds{std::max(*seconds, 1U)};
    line_.check.tcp_timeout = line_.timeout;
    return std::nullopt;
}

DigLineReader::Problem DigLineReader::set_tries(bool /*on*/,
                                                std::optional<std::string_view> value) {
    const auto tries = number(*value, most_tries);
    if (!tries) return fmt::format("+tries={} is no number from 0 to {}", *value, most_tries);
    line_.tries = std::max(*tries, 1U);
    return std::nullopt;
}

DigLineReader::Problem DigLineReader::set_retry(bool /*on*/,
                                                std::optional<std::string_view> value) {
    const auto retries = number(*value, most_tries - 1);
    if (!retries) return fmt::format("+retry={} is no number from 0 to {}", *value, most_tries - 1);
    line_.tries = *retries + 1;
    return std::nullopt;
}

DigLineReader::Problem DigLineReader::set_tcp(bool on, std::optional<std::string_view> /*value*/) {
    line_.check.tcp = on;
    tcp_set_ = true;
    return std::nullopt;
}

DigLineReader::Problem DigLineReader::set_recurse(bool on,
                                                  std::optional<std::string_view> /*value*/) {
    line_.check.recursion_desired = on;
    return std::nullopt;
}

DigLineReader::Problem DigLineReader::set_dnssec(bool on,
                                                 std::optional<std::string_view> /*value*/) {
    line_.check.edns->dnssec_ok = on;
    return std::nullopt;
}

DigLineReader::Problem DigLineReader::set_bufsize(bool /*on*/,
                                                  std::optional<std::string_view> value) {
    const auto size = !value || value->empty() ? core::Edns{}.buffer_size : number(*value, 65535);
    if (!size) return fmt::format("dig refuses +bufsize={}", *value);
    line_.check.edns->buffer_size = static_cast<std::uint16_t>(*size);
    return std::nullopt;
}

DigLineReader::Problem DigLineReader::set_nothing(bool /*on*/,
                                                  std::optional<std::string_view> /*value*/) {
    return std::nullopt;
}

DigLineReader::Problem DigLineReader::set_ignore(bool on,
                                                 std::optional<std::string_view> /*value*/) {
    line_.check.ignore_truncation = on;
    return std::nullopt;
}

// ---- -options -------------------------------------------------------------------

DigLineReader::Problem DigLineReader::read_dash(std::string_view word) {
    std::string_view option = word.substr(1);
    for (; !option.empty() && (option[0] == '4' || option[0] == '6'); option.remove_prefix(1)) {
        const Family family = option[0] == '4' ? Family::ipv4 : Family::ipv6;
        if (only_.value_or(family) != family) return "dig refuses -4 and -6 together";
        only_ = family;
    }
    if (option.empty()) return word.size() > 1 ? std::nullopt : Problem("`-` is no option of dig");
    if (std::string_view("bcpqtx").find(option[0]) == std::string_view::npos)
        return fmt::format("-{} is not run natively", option[0]);
    if (option.size() > 1) return apply_dash(option[0], option.substr(1));
    if (++at_ >= arguments_.size()) return fmt::format("-{} lacks its word", option[0]);
    return apply_dash(option[0], arguments_[at_]);
}

DigLineReader::Problem DigLineReader::apply_dash(char option, std::string_view value) {
    switch (option) {
        case 'b': return set_source(value);
        case 'c': open_ = false; return set_class(value);
        case 'p': {
            const auto port = number(value, 65535);
            if (!port || *port == 0) return fmt::format("-p {} is no port", value);
            port_ = static_cast<std::uint16_t>(*port);
            return std::nullopt;
        }
        case 't': open_ = false; return set_type(value);
        case 'x': return set_reverse(value);
        default: return set_name(value);
    }
}

DigLineReader::Problem DigLineReader::set_source(std::string_view text) {
    core::Via& via = line_.check.via;
    via.source_port = 0;
    if (const std::size_t hash = text.find('#'); hash != std::string_view::npos) {
        const auto port = number(text.substr(hash + 1), 65535);
        if (!port) return fmt::format("-b {}: no port follows the #", text);
        if (*port != 0 && *port < first_free_port)
            return fmt::format("-b {}: a port below {} is for root only", text, first_free_port);
        via.source_port = static_cast<std::uint16_t>(*port);
        text = text.substr(0, hash);
    }
    via.source = IpAddress::parse(text);
    if (!via.source) return fmt::format("-b {} is no address", text);
    return std::nullopt;
}

DigLineReader::Problem DigLineReader::set_type(std::string_view text) {
    const auto type = core::type_number(text);
    if (!type) return fmt::format("the type {} is not known here", text);
    if (numbered(text, "TYPE") && text.size() > 9)
        return fmt::format("dig does not read {} as a type", text);
    if (std::ranges::find(no_questions, *type) != std::end(no_questions))
        return fmt::format("{} is a transfer, or nothing that is asked for", text);
    use_type(*type);
    return std::nullopt;
}

void DigLineReader::use_type(std::uint16_t type) {
    line_.check.type = type;
    type_set_ = true;
    if (type == type_any && !tcp_set_) line_.check.tcp = true;
}

DigLineReader::Problem DigLineReader::set_class(std::string_view text) {
    const auto klass = class_of(text);
    if (!klass || (numbered(text, "CLASS") && text.size() > 10))
        return fmt::format("the class {} is not known here", text);
    line_.check.klass = *klass;
    return std::nullopt;
}

DigLineReader::Problem DigLineReader::set_name(std::string_view text) {
    constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.*/";
    if (named_) return fmt::format("it asks a second question, {}", text);
    named_ = true;
    if (text.find_first_not_of(plain) != std::string_view::npos)
        return fmt::format("the name {} has more than letters, digits and - _ * /", text);
    auto name = parse_dns_name(text);
    if (!name) return name.error().message;
    line_.check.name = *name;
    return std::nullopt;
}

DigLineReader::Problem DigLineReader::set_reverse(std::string_view text) {
    const auto address = IpAddress::parse(text);
    if (!address) return fmt::format("-x {} is no whole address", text);
    if (!type_set_) line_.check.type = type_ptr;
    return set_name(reverse_name(*address));
}

// ---- words ----------------------------------------------------------------------

DigLineReader::Problem DigLineReader::set_server(std::string_view text) {
    if (server_) return fmt::format("@{} is a second server", text);
    server_ = IpAddress::parse(text);
    if (!server_) return fmt::format("@{} is no address, and names are not looked up", text);
    const auto& bytes = server_->bytes();
    const bool mapped =
        server_->is_v6() && bytes[10] == 0xff && bytes[11] == 0xff &&
        std::all_of(bytes.begin(), bytes.begin() + 10, [](auto b) { return b == 0; });
    if (mapped || server_->is_unspecified() || server_->is_multicast())
        return fmt::format("@{} is not the address of one server", text);
    return std::nullopt;
}

DigLineReader::Problem DigLineReader::read_bare(std::string_view word) {
    if (open_) {
        if (is_other_type(word)) return fmt::format("the type {} is not known here", word);
        if (numbered(word, "TYPE") || core::type_number(word)) return set_type(word);
        if (numbered(word, "CLASS") || class_of(word)) return set_class(word);
    }
    return set_name(word);
}

DigLineReader::Problem DigLineReader::read_word(std::string_view word) {
    if (word.empty()) return "an empty word";
    if (word[0] == '@') return set_server(word.substr(1));
    if (word[0] == '+') return read_plus(word);
    if (word[0] == '-') return read_dash(word);
    return read_bare(word);
}

DigLineReader::Problem DigLineReader::finish() {
    core::DigCheck& check = line_.check;
    if (!server_) return "without @server it depends on this machine's resolv.conf";
    const Family family = server_->family();
    if (only_.value_or(family) != family)
        return fmt::format("@{} is no {} address", server_->to_string(), to_string(*only_));
    if (check.via.source && check.via.source->family() != family)
        return fmt::format("-b {} and @{} are not of one address family",
                           check.via.source->to_string(), server_->to_string());
    if (!named_) check.type = type_ns;  // of the root, whatever type was given
    if (check.via.source && check.via.source->is_unspecified()) check.via.source.reset();
    check.command = core::shell_line(arguments_);
    line_.server = {*server_, port_};
    return std::nullopt;
}

Result<DigLine> DigLineReader::read() {
    line_.check.edns = core::Edns{};
    line_.check.tcp_timeout = 10s;
    for (; at_ < arguments_.size(); ++at_)
        if (const Problem problem = read_word(arguments_[at_])) return fail("{}", *problem);
    if (const Problem problem = finish()) return fail("{}", *problem);
    return std::move(line_);
}

}  // namespace

Result<DigLine> parse_dig_line(std::span<const std::string> arguments) {
    return DigLineReader(arguments).read();
}

}  // namespace dnsdirector::config
