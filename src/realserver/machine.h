// SPDX-License-Identifier: Apache-2.0
//
// realserver/: the other side. Makes the machine that it runs on a real server: service IPs that
// nobody hears of by ARP or ND, the reverse-path filter, tunnels, and the translation to several
// DNS processes; and takes it all back. Read (actual.h), decide (wishes.h, plan.h: pure), apply
// (up.h); journal.h remembers what was there before. It checks no DNS server and talks to no
// director.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "realserver/actual.h"

namespace dnsdirector::realserver {

/// What to look for besides what there is of each interface.
struct Look {
    std::vector<IpAddress> clients;  ///< whose ways are wanted
    std::set<std::string> settings;  ///< paths
    /// The nftables table decides something: not to be able to read it is an error then.
    bool table = false;
    bool table_is_known =
        false;  ///< to the caller: it need not be listed, Actual::table stays empty
};

/// This machine, of the network namespace of the calling thread. Tests put a double in its place.
class Machine {
public:
    virtual ~Machine() = default;

    virtual Result<Actual> read(const Look& look) = 0;
    virtual Result<void> set(const std::string& path, const std::string& value) = 0;
    /// True when it was added, false when it was there.
    virtual Result<bool> add_address(const HeldAddress& address) = 0;
    virtual Result<void> remove_address(const HeldAddress& address) = 0;
    virtual Result<void> add_tunnel(const netlink::TunnelDevice& device) = 0;
    virtual Result<void> mend_tunnel(const netlink::TunnelDevice& device) = 0;
    virtual Result<void> remove_tunnel(const std::string& name) = 0;
    /// How nft lists what is in force then.
    virtual Result<std::string> replace_table(const std::string& ruleset) = 0;
    virtual Result<void> remove_table() = 0;
};

[[nodiscard]] Result<std::unique_ptr<Machine>> open_machine();

}  // namespace dnsdirector::realserver
