// SPDX-License-Identifier: Apache-2.0
#include "announce/control_protocol.h"

#include <algorithm>

namespace dnsdirector::announce {
namespace {

constexpr std::size_t code_digits = 4;

/// Four digits, then `-` when more of the reply follows, a blank when it was the last line.
bool has_code(std::string_view line, char behind) {
    return line.size() > code_digits && line[code_digits] == behind &&
           std::all_of(line.begin(), line.begin() + code_digits,
                       [](char c) { return c >= '0' && c <= '9'; });
}

bool has_code(std::string_view line) {
    return has_code(line, ' ') || has_code(line, '-');
}

int code_of(std::string_view line) {
    int code = 0;
    for (const char digit : line.substr(0, code_digits))
        code = code * 10 + (digit - '0');
    return code;
}

constexpr std::string_view end_of_frr("\0\0\0", 3);

}  // namespace

bool bird_reply_is_whole(std::string_view reply) {
    if (!reply.ends_with('\n')) return false;
    reply.remove_suffix(1);
    const auto start = reply.rfind('\n');
    return has_code(start == std::string_view::npos ? reply : reply.substr(start + 1), ' ');
}

Result<BirdReply> bird_reply(std::string_view reply) {
    constexpr int first_error = 8000;
    if (!has_code(reply.substr(0, reply.find('\n'))))
        return fail("it begins with `{}` instead of a code of four digits",
                    printable(reply.substr(0, std::min<std::size_t>(reply.find('\n'), 40))));
    BirdReply out;
    while (!reply.empty()) {
        const auto end = std::min(reply.find('\n'), reply.size() - 1);
        std::string_view line = reply.substr(0, end);
        reply.remove_prefix(end + 1);
        if (has_code(line)) {
            const int code = code_of(line);
            line.remove_prefix(code_digits + 1);
            if (code >= first_error && out.error.empty()) {
                out.code = code;
                out.error = printable(line);
            }
        } else if (line.starts_with(' ')) {
            line.remove_prefix(1);
        }
        if (!line.empty()) out.text.append(line).append("\n");
    }
    return out;
}

bool frr_reply_is_whole(std::string_view reply) {
    return reply.size() > end_of_frr.size() &&
           reply.substr(reply.size() - end_of_frr.size() - 1, end_of_frr.size()) == end_of_frr;
}

FrrReply frr_reply(std::string_view reply) {
    return {std::string(reply.substr(0, reply.size() - end_of_frr.size() - 1)),
            static_cast<unsigned char>(reply.back())};
}

std::string printable(std::string_view text) {
    constexpr std::size_t longest = 200;
    std::string out(text.substr(0, longest));
    std::replace_if(out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return out;
}

}  // namespace dnsdirector::announce
