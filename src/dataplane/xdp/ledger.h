// SPDX-License-Identifier: Apache-2.0
//
// The part of the pins that every version reads and writes (bpf/ledger.h), as
// values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "core/forwarding.h"
#include "dataplane/dataplane.h"
#include "dataplane/xdp/hop.h"
#include "dataplane/xdp/program.h"

namespace dnsdirector::dataplane::xdp {

struct LedgerMember {
    std::uint32_t counter = 0;
    std::uint32_t weight = 0;
    core::ForwardingMethod method = core::ForwardingMethod::dr;
    bool forwarded = false;  ///< false: only its counters are kept
    std::optional<Hop> hop;  ///< the way that was in use, where one was
};
struct LedgerService {
    core::Scheduler scheduler = core::Scheduler::wrr;
    core::ForwardingMethod method = core::ForwardingMethod::dr;
    bool other_hash = false;
    std::uint32_t counter = 0;  ///< 0: not known, and what it counted is lost
    std::map<Endpoint, LedgerMember> members;
};
using Ledger = std::map<core::ServiceKey, LedgerService>;

/// What a set of pins says of itself: the map `layout`.
struct Description {
    struct Counters {
        std::string map;
        std::uint32_t packets = 0;  ///< offset within an element, a multiple of 8
        std::uint32_t bytes = 0;
    };
    std::uint32_t layout = 0;
    Counters services;
    Counters servers;
    /// Maps of remembered flows, in the format that this version has, too.
    struct Flows {
        std::string established;
        std::string young;
        std::string control;
        std::string states;
    };
    /// Maps of tables, likewise, and offsets of the words of one within an element.
    struct Tables {
        std::string services;
        std::uint32_t table = 0;
        std::uint32_t previous = 0;
        std::string slots;
        std::string destinations;
        std::uint32_t counter = 0;
    };
    std::string reasons_map;
    std::vector<std::string> reasons;  ///< by index
    std::optional<Flows> flows;
    std::optional<Tables> tables;
};

/// That of this version's layout.
[[nodiscard]] std::string own_description();
/// Errors: it is none, or says nothing of the counters.
[[nodiscard]] Result<Description> parse_description(std::string_view text);

/// What stands in a map `members`, of layout 2 or later. What belongs to nothing
/// is left out.
[[nodiscard]] Result<Ledger> read_ledger(int members);

using MemberEntry = std::pair<abi::member_key, abi::member>;
[[nodiscard]] Result<std::vector<MemberEntry>> member_entries(int members);

[[nodiscard]] abi::member ledger_entry(const LedgerMember& member);
[[nodiscard]] abi::member ledger_entry(const LedgerService& service);
/// The key of a service's own entry.
[[nodiscard]] abi::member_key ledger_key(const core::ServiceKey& service);
[[nodiscard]] bool names_a_server(const abi::member_key& key);

/// The kernel's numbers are whatever was written there: nothing for strange ones.
[[nodiscard]] std::optional<core::Scheduler> scheduler_of(std::uint8_t number);
[[nodiscard]] std::optional<core::ForwardingMethod> method_of(std::uint8_t number);

/// All entries of a hash map whose values have the size of `Value`.
template <typename Key, typename Value>
[[nodiscard]] Result<std::vector<std::pair<Key, Value>>> entries_of(int map, const char* what) {
    std::vector<std::pair<Key, Value>> entries;
    std::uint32_t room = 4096;
    std::vector<Key> keys;
    std::vector<Value> values;
    std::uint64_t token[2] = {};  // the kernel says where it goes on; opaque
    for (bool first = true;;) {
        keys.resize(room);
        values.resize(room);
        std::uint32_t got = room;
        const int result = bpf_map_lookup_batch(map, first ? nullptr : token, token, keys.data(),
                                                values.data(), &got, nullptr);
        const int error = result == 0 ? 0 : errno;
        if (error == ENOSPC) {  // a bucket has more entries than there is room
            room *= 2;
            continue;
        }
        if (error != 0 && error != ENOENT)
            return fail_errno(std::string{"cannot read "} + what, error);
        for (std::uint32_t i = 0; i < got; ++i)
            entries.emplace_back(keys[i], values[i]);
        if (error == ENOENT) return entries;
        first = false;
    }
}

}  // namespace dnsdirector::dataplane::xdp
