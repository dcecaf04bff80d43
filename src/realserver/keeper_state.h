// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/time.h"
#include "realserver/listing.h"

namespace dnsdirector::realserver {

struct HeldServiceIp {
    IpAddress address;
    bool held = false;      ///< it is on the interface
    bool withheld = false;  ///< kept from everybody outside: nobody answers there
};

/// What somebody had changed, as it was put right.
struct Repair {
    WallTime at;
    std::string what;  ///< "set net.ipv4.conf.all.arp_ignore to 1 (was 0)"
};

/// What the keeper found at its last look, for status.
struct KeeperState {
    std::string interface;
    std::vector<HeldServiceIp> service_ips;  ///< in the order of the file
    bool well = false;                       ///< all is as the file wants it
    std::vector<std::string> problems;       ///< why it is not, each with its mend
    std::vector<std::string> notes;
    std::uint64_t repairs = 0;
    std::deque<Repair> last_repairs;  ///< the newest last; a few
    std::uint64_t looks = 0;
    WallTime looked_at;
    Counters counters;           ///< of the rules; some seconds old
    std::string counters_error;  ///< "" when they could be read
};

}  // namespace dnsdirector::realserver
