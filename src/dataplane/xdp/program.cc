// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/program.h"

#include <cstdarg>
#include <cstdio>

namespace dnsdirector::dataplane::xdp {
namespace {

thread_local std::string collected;

int collect(libbpf_print_level level, const char* format, va_list arguments) {
    if (level == LIBBPF_DEBUG) return 0;
    char line[512];
    std::vsnprintf(line, sizeof line, format, arguments);
    // The verifier's log can be long; its end says what was wrong.
    if (collected.size() > 4000) collected.erase(0, 2000);
    for (const char* c = line; *c != 0; ++c)
        collected += *c == '\n' ? ' ' : *c;
    return 0;
}

}  // namespace

void keep_libbpf_log() {
    libbpf_set_print(collect);
    collected.clear();
}

std::string take_libbpf_log() {
    std::string log;
    log.swap(collected);
    while (!log.empty() && log.back() == ' ')
        log.pop_back();
    return log;
}

}  // namespace dnsdirector::dataplane::xdp
