// SPDX-License-Identifier: Apache-2.0
#include "realserver/dns_programs.h"

#include <fmt/format.h>

#include <algorithm>

namespace dnsdirector::realserver {
namespace {

struct Words {
    std::string_view program;               ///< what the process's name begins with
    std::string_view listen_v4, listen_v6;  ///< {0}: the address, {1}: the port
    std::string_view large;
    std::string_view file;
};

constexpr Words words[] = {
    {"named", "listen-on port {1} {{ {0}; }};", "listen-on-v6 port {1} {{ {0}; }};",
     "max-udp-size 4096;", "named.conf"},
    {"unbound", "interface: {0}@{1}", "interface: {0}@{1}", "max-udp-size: 4096", "unbound.conf"},
    {"pdns_recursor", "local-address={0}:{1}", "local-address=[{0}]:{1}",
     "udp-truncation-threshold=4096", "recursor.conf"},
    {"kresd", "net.listen('{0}', {1})", "net.listen('{0}', {1})", "net.bufsize(4096)",
     "kresd.conf"},
    {"nsd", "ip-address: {0}@{1}", "ip-address: {0}@{1}",
     "ipv4-edns-size: 4096 and ipv6-edns-size: 4096", "nsd.conf"},
    {"knotd", "listen: {0}@{1}", "listen: {0}@{1}", "udp-max-payload: 4096", "knot.conf"},
    {"dnsdist", "addLocal('{0}:{1}')", "addLocal('[{0}]:{1}')", "", "dnsdist.conf"},
};

const Words* words_of(std::string_view program) {
    const auto found = std::ranges::find_if(
        words, [&](const Words& each) { return program.starts_with(each.program); });
    return found == std::end(words) ? nullptr : &*found;
}

}  // namespace

std::string how_to_listen(std::string_view program, const Endpoint& at) {
    const Words* known = words_of(program);
    if (known == nullptr)
        return fmt::format("have {} listen at {} itself, and restart it",
                           program.empty() ? "the DNS server" : program, at.to_string());
    const auto format = at.address.is_v4() ? known->listen_v4 : known->listen_v6;
    const std::string address = at.address.to_string();
    return fmt::format("write `{}` into {}, and restart {}",
                       fmt::vformat(format, fmt::make_format_args(address, at.port)), known->file,
                       known->program);
}

std::string how_to_serve(std::string_view program, Protocol protocol) {
    // The others serve both protocols wherever they listen.
    if (program.starts_with("unbound"))
        return fmt::format("write `do-{}: yes` into unbound.conf, and restart unbound",
                           to_string(protocol));
    return fmt::format("have {} serve {}, too; its log says why it does not",
                       program.empty() ? "the DNS server" : program, to_string(protocol));
}

std::string how_to_send_large(std::string_view program) {
    const Words* known = words_of(program);
    if (known == nullptr || known->large.empty())
        return "have the DNS server send up to 4,096 bytes over UDP";
    return fmt::format("write `{}` into {}, and restart {}", known->large, known->file,
                       known->program);
}

}  // namespace dnsdirector::realserver
