// SPDX-License-Identifier: Apache-2.0
#include "realserver/withheld.h"

#include <fmt/format.h>

#include "realserver/translation.h"

namespace dnsdirector::realserver {
namespace {

/// What the machine asks itself (its checks) goes by the loopback device.
std::string drop_rule(const IpAddress& service_ip) {
    return fmt::format("iifname != \"lo\" {} daddr {} drop\n", service_ip.is_v4() ? "ip" : "ip6",
                       service_ip.to_string());
}

}  // namespace

bool goes_when_withheld(const core::RealServerMachine& machine) {
    return !machine.processes.empty();
}

std::string ruleset_of(const core::RealServerMachine& machine,
                       const std::set<IpAddress>& withheld) {
    core::RealServerMachine shown = machine;
    std::erase_if(shown.service_ips,
                  [&](const IpAddress& each) { return withheld.contains(each); });
    std::string text = ruleset_of(shown);
    if (shown.service_ips.size() == machine.service_ips.size()) return text;
    // A further part of the same table, in the same transaction.
    if (text.empty())
        text = fmt::format("table inet {0} {{ }}\ndelete table inet {0}\n", table_name);
    text += fmt::format("table inet {} {{\n    chain withheld {{\n", table_name);
    // Before the translation, which is at raw (-300), and after fragments are put together (-400).
    text += "        type filter hook prerouting priority -310; policy accept;\n";
    for (const IpAddress& each : machine.service_ips)
        if (withheld.contains(each)) text += "        " + drop_rule(each);
    return text + "    }\n}\n";
}

std::set<IpAddress> withheld_by(const std::string& ruleset,
                                const std::vector<IpAddress>& service_ips) {
    std::set<IpAddress> found;
    for (const IpAddress& each : service_ips)
        if (ruleset.find(drop_rule(each)) != std::string::npos) found.insert(each);
    return found;
}

}  // namespace dnsdirector::realserver
