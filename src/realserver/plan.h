// SPDX-License-Identifier: Apache-2.0
//
// The difference between what a machine is and what it should be. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "realserver/journal.h"
#include "realserver/wishes.h"

namespace dnsdirector::realserver {

struct AddAddress {
    HeldAddress held;
};
struct RemoveAddress {
    HeldAddress held;
};
struct SetSetting {
    std::string path, from, to;
};
/// To what it was before us.
struct RestoreSetting {
    std::string path, from, to;
};
struct AddTunnel {
    netlink::TunnelDevice device;
};
struct MendTunnel {
    netlink::TunnelDevice device;
};
struct RemoveTunnel {
    std::string name;
};
struct ReplaceTable {
    std::string ruleset;
    bool is_there = false;
};
struct RemoveTable {};
/// Of the journal alone: what it speaks of is not ours any more.
struct Forget {
    std::variant<std::string, HeldAddress, netlink::TunnelDevice, OwnTable> what;  ///< string: path
    std::string why;  ///< "": as it should be, nothing to say
};

using Change = std::variant<AddAddress, RemoveAddress, SetSetting, RestoreSetting, AddTunnel,
                            MendTunnel, RemoveTunnel, ReplaceTable, RemoveTable, Forget>;

/// In the order in which they are to be made. The service IPs come last and go first: no ARP
/// answer goes out in between. Nothing wished: everything of ours goes.
[[nodiscard]] std::vector<Change> plan(const Wishes& wishes, const Actual& actual,
                                       const Journal& journal);

enum class Tense : std::uint8_t { to_do, done };
/// "add 192.0.2.53/32 to lo", "added …"; "" for what nobody needs to be told.
[[nodiscard]] std::string to_string(const Change& change, Tense tense);

/// What the journal must say before the change is made, and after.
void write_before(const Change& change, Journal& journal);
void write_after(const Change& change, Journal& journal);

}  // namespace dnsdirector::realserver
