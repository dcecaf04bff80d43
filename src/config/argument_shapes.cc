// SPDX-License-Identifier: Apache-2.0
#include <fmt/ranges.h>

#include <algorithm>

#include "config/arguments.h"
#include "config/values.h"

namespace dnsdirector::config {
namespace {

constexpr Shape shapes[] = {
    {Kind::nothing, 0, 0, ""},
    {Kind::anything, 0, 0, "…"},
    {Kind::flag, 0, 1, "on|off"},
    {Kind::number, 1, 1, "NUMBER"},
    {Kind::maybe_number, 0, 1, "[NUMBER]"},
    {Kind::percent, 1, 1, "PERCENT"},
    {Kind::duration, 1, 1, "DURATION"},
    {Kind::address, 1, 1, "ADDRESS"},
    {Kind::addresses, 1, 0, "ADDRESS…"},
    {Kind::address_port, 1, 2, "ADDRESS [PORT]"},
    {Kind::service, 1, 2, "ADDRESS [PORT]|fwmark NUMBER|group NAME"},
    {Kind::mark, 1, 2, "NUMBER [inet|inet6]"},
    {Kind::group_entry, 1, 2, "[PORT]"},
    {Kind::endpoint, 1, 1, "ADDRESS:PORT"},
    {Kind::listen, 1, 0, "ADDRESS[:PORT]…"},
    {Kind::networks, 1, 0, "ADDRESS|NETWORK/LENGTH…"},
    {Kind::lengths, 2, 2, "IPV4_LENGTH IPV6_LENGTH"},
    {Kind::name, 1, 1, "NAME"},
    {Kind::optional_name, 0, 1, "[NAME]"},
    {Kind::interface, 1, 1, "INTERFACE"},
    {Kind::interfaces, 1, 0, "INTERFACE…"},
    {Kind::one_of, 1, 1, ""},
    {Kind::some_of, 1, 0, ""},
    {Kind::user, 1, 2, "USER [GROUP]"},
    {Kind::script, 1, 1, "\"COMMAND ARGUMENT…\""},
    {Kind::command, 1, 3, "\"COMMAND ARGUMENT…\" [USER [GROUP]]"},
    {Kind::method, 1, 0, ""},
    {Kind::path, 1, 1, "PATH"},
    {Kind::text, 1, 1, "TEXT"},
    {Kind::hex, 1, 0, "HEX…"},
    {Kind::maybe_hex, 0, 0, "[HEX…]"},
    {Kind::requirement, 1, 1, "all|any|NUMBER"},
    {Kind::edns, 1, 2, "BUFSIZE [do]"},
    {Kind::http_statuses, 1, 0, "STATUS[-STATUS]…"},
    {Kind::file_weight, 1, 2, "NUMBER [reverse|noreverse]"},
    {Kind::question, 1, 3, "\"NAME TYPE [CLASS]\""},
    {Kind::statuses, 1, 0, "none|RCODE…"},
    {Kind::expectation, 2, 0, "rcode RCODE|answer|all|exactly RDATA|pattern REGEX"},
    {Kind::dns_type, 1, 1, "TYPE"},
    {Kind::dns_name, 1, 1, "NAME"},
    {Kind::dns_class, 1, 1, "CLASS"},
    {Kind::daemon, 1, 2, "bird|existing bird|existing frr"},
    {Kind::bfd, 1, 2, "INTERVAL [MULTIPLIER]"},
    {Kind::communities, 1, 0, "COMMUNITY…"},
};

}  // namespace

const Shape& shape_of(Kind kind) {
    return *std::find_if(std::begin(shapes), std::end(shapes),
                         [&](const Shape& shape) { return shape.kind == kind; });
}

std::string argument_text(const Keyword& keyword) {
    if (keyword.kind == Kind::one_of || keyword.kind == Kind::some_of ||
        keyword.kind == Kind::method) {
        const std::string words = fmt::format("{}", fmt::join(choices_of(keyword), "|"));
        return keyword.kind == Kind::some_of ? words + "…" : words;
    }
    return std::string(shape_of(keyword.kind).text);
}

std::string range_text(const Keyword& keyword) {
    if (keyword.kind == Kind::number || keyword.kind == Kind::maybe_number ||
        keyword.kind == Kind::file_weight)
        return fmt::format("{} to {}", keyword.minimum, keyword.maximum);
    if (keyword.kind == Kind::duration)
        return fmt::format("{} to {}", to_text(Nanoseconds{keyword.minimum}),
                           to_text(Nanoseconds{keyword.maximum}));
    if (keyword.kind == Kind::percent) return "0% to 100%";
    return "";
}

}  // namespace dnsdirector::config
