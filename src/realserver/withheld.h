// SPDX-License-Identifier: Apache-2.0
//
// Service IPs that are kept from everybody outside for a while, since nobody answers there. Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/real_server_machine.h"

namespace dnsdirector::realserver {

/// Whether withholding a service IP takes the address off its interface, too. Not where the DNS
/// server listens on it: it may stop to (BIND does when an address goes), and the checks, which
/// ask there, would never find it well again; or they would be answered by another machine.
[[nodiscard]] bool goes_when_withheld(const core::RealServerMachine& machine);

/// ruleset_of(machine) without the withheld service IPs, and packets for them are dropped as they
/// come in: where the machine forwards, those that do not find the address would go to the
/// director again.
[[nodiscard]] std::string ruleset_of(const core::RealServerMachine& machine,
                                     const std::set<IpAddress>& withheld);

/// Those of the service IPs that this ruleset withholds.
[[nodiscard]] std::set<IpAddress> withheld_by(const std::string& ruleset,
                                              const std::vector<IpAddress>& service_ips);

}  // namespace dnsdirector::realserver
