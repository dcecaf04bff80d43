// SPDX-License-Identifier: Apache-2.0
#include "config/native_misc.h"

#include <span>
#include <string_view>

#include "config/dig_line.h"
#include "config/probe_words.h"

namespace dnsdirector::config {
namespace {

std::string_view program_of(const core::ScriptCheck& script) {
    const std::string_view path = script.arguments.front();
    return path.substr(path.rfind('/') + 1);
}

Result<NativeMisc> dig(const core::ScriptCheck& script) {
    auto line = parse_dig_line(script.arguments);
    if (!line) return tl::unexpected(line.error());
    return NativeMisc{line->server, std::move(line->check), line->timeout, line->tries};
}

Result<NativeMisc> probe(const core::ScriptCheck& script) {
    auto words = parse_probe_words(std::span(script.arguments).subspan(2));
    if (!words) return tl::unexpected(words.error());
    return NativeMisc{words->server, std::move(words->check), words->timeout, words->tries};
}

}  // namespace

Result<NativeMisc> native_misc(const core::ScriptCheck& script) {
    if (script.arguments.empty()) return fail("there is no command");
    const std::string_view program = program_of(script);
    const bool is_probe = program == "dnsdirector" && script.arguments.size() > 2 &&
                          script.arguments[1] == "probe" && !script.arguments[2].starts_with('-');
    if (program != "dig" && !is_probe) return fail("{} is neither dig nor our probe", program);
    // 1 would be a failure there and 9 a weight of 7, dig's own words for "no answer".
    if (script.dynamic) return fail("misc_dynamic makes weights of its exit status");
    for (const std::string& file : {script.stdout_to, script.stderr_to})
        if (file.starts_with('/')) return fail("what it prints goes to {}", file);
    return is_probe ? probe(script) : dig(script);
}

}  // namespace dnsdirector::config
