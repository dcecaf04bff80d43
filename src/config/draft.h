// SPDX-License-Identifier: Apache-2.0
//
// What the files say, before it is put together: each block as it stands, with
// the positions that later messages point at. Names may be used before they are
// declared and the director block may come last, so nothing here is judged by
// anything outside its own block; build.cc does that.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/address_range.h"
#include "config/diagnostics.h"
#include "config/dns_values.h"
#include "core/model.h"

namespace dnsdirector::config {

/// One value for each family, indexed by Family.
template <typename T>
using PerFamily = std::array<T, 2>;
/// One value for each protocol, indexed by Protocol.
template <typename T>
using PerProtocol = std::array<T, 2>;

template <typename Enum>
[[nodiscard]] constexpr std::size_t index(Enum value) {
    return static_cast<std::size_t>(value);
}

/// Blocks have in common: where, and whether something in them was wrong, which
/// silences messages that would only follow from that.
struct Draft {
    Position position;
    bool faulty = false;
};

struct DirectorDraft : Draft {
    bool present = false;
    core::DirectorSettings settings;
    std::optional<Position> script_user_at;
};

// ---- native form --------------------------------------------------------------

struct CheckDraft : Draft {
    std::string name;       ///< of a check at top level
    std::string reference;  ///< `check NAME` in a cluster: the rest stands there
    Question question;
    core::CheckTiming timing;
    Position every_at;  ///< where the times are set, or the block
    PerProtocol<bool> transports = {true, true};
    PerFamily<std::optional<IpAddress>> source;
    std::optional<Position> source_at;  ///< of the first one
    std::optional<Placed<std::vector<std::uint16_t>>> fail_on;
    std::optional<Placed<std::uint16_t>> expect_rcode;
    std::vector<Placed<std::vector<std::string>>> expect_answers;  ///< words, not yet read
    std::vector<std::string> answers;                              ///< read, once the type is known
    core::OnTruncated on_truncated = core::OnTruncated::ask_over_tcp;
    bool recursion = true;
    std::optional<std::uint16_t> port;
};

struct ServerDraft : Draft {
    std::string name;
    PerFamily<std::optional<Placed<IpAddress>>> address;
    core::Weight weight = 1;
    std::optional<Placed<std::uint16_t>> port;
};

struct ClusterDraft : Draft {
    std::string name;
    std::vector<Placed<IpAddress>> service_ips;
    std::uint16_t port = 53;
    PerProtocol<bool> protocols = {true, true};
    Placed<core::Scheduler> scheduler;
    Placed<core::ForwardingMethod> method;
    Placed<std::uint64_t> quorum{1, {}};
    core::OnAllDown on_all_down = core::OnAllDown::hold;
    std::uint32_t max_out_percent = 100;
    Nanoseconds slow_start{0};
    bool require_all = false;
    std::vector<CheckDraft> checks;
    std::vector<ServerDraft> servers;
};

// ---- compatible form ----------------------------------------------------------

/// keepalived's keywords that a check inherits from its server and that from
/// the virtual server.
struct CompatibleTiming {
    std::optional<Nanoseconds> delay_loop;
    std::optional<Nanoseconds> connect_timeout;
    std::optional<Nanoseconds> warmup;
    std::optional<Nanoseconds> delay_before_retry;
    std::optional<std::uint32_t> retry;
    std::optional<bool> alpha;
};

struct CompatibleCheckDraft : Draft {
    CompatibleTiming timing;
    core::Check::What what;  ///< as its own keywords make it
    core::Via via;           ///< without the source
    std::optional<Placed<IpAddress>> connect_ip;
    std::optional<std::uint16_t> connect_port;
    std::optional<Placed<IpAddress>> bind_to;
    std::optional<Nanoseconds> misc_timeout;
    std::string user;
    std::optional<Position> script_at;
    Placed<std::string> track_file;
    bool own_weight = false;   ///< FILE_CHECK's weight counts, not that of its track_file
    std::string virtual_host;  ///< of the URLs that have none
};

struct CompatibleServerDraft : Draft {
    bool readable = false;  ///< its head could be read
    Endpoint endpoint;      ///< port 0: the virtual server's
    std::optional<core::Weight> weight;
    CompatibleTiming timing;
    std::optional<bool> inhibit_on_failure;
    std::optional<Placed<core::ForwardingMethod>> method;
    std::optional<Placed<core::Command>> notify_up;
    std::optional<Placed<core::Command>> notify_down;
    std::string virtual_host;
    std::vector<CompatibleCheckDraft> checks;
};

struct VirtualServerDraft : Draft {
    Endpoint endpoint;          ///< port 0: its head could not be read, or it has a group
    Placed<std::string> group;  ///< virtual_server_group's name
    Protocol protocol = Protocol::udp;
    std::optional<Placed<core::Scheduler>> scheduler;      ///< there: wlc
    std::optional<Placed<core::ForwardingMethod>> method;  ///< there: NAT
    bool sh_port = false;
    bool mh_port = false;
    core::Weight weight = 1;
    std::optional<Placed<std::uint64_t>> quorum;
    std::optional<Placed<std::uint64_t>> hysteresis;
    CompatibleTiming timing;
    bool inhibit_on_failure = false;
    bool omega = false;
    std::optional<Placed<core::Command>> quorum_up;
    std::optional<Placed<core::Command>> quorum_down;
    std::optional<Placed<Endpoint>> sorry_server;  ///< port 0: the virtual server's
    std::optional<Position> sorry_inhibit_at;
    std::optional<Placed<core::ForwardingMethod>> sorry_method;
    std::string virtual_host;
    std::vector<CompatibleServerDraft> servers;
};

/// virtual_server_group: addresses and ports that share one virtual_server.
struct GroupDraft : Draft {
    struct Entry {
        AddressRange range;
        std::uint16_t port = 0;
        Position position;
    };
    std::string name;
    std::vector<Entry> entries;
};

/// track_file: a file with a number that FILE_CHECKs look at.
struct TrackFileDraft : Draft {
    std::string name;
    std::string path;
    std::int32_t weight = 1;
    bool reverse = false;
};

/// Everything the files hold.
struct Drafts {
    DirectorDraft director;
    std::vector<CheckDraft> checks;  ///< declared at top level
    std::vector<ClusterDraft> clusters;
    std::vector<VirtualServerDraft> virtual_servers;
    std::vector<GroupDraft> groups;
    std::vector<TrackFileDraft> track_files;
};

/// The block being read; a block of a list is its last element.
struct Current {
    Drafts drafts;
    CheckDraft* check = nullptr;
    bool global_skipped = false;  ///< the global_defs being read has words that are not read

    [[nodiscard]] ClusterDraft& cluster() { return drafts.clusters.back(); }
    [[nodiscard]] ServerDraft& server() { return cluster().servers.back(); }
    [[nodiscard]] VirtualServerDraft& virtual_server() { return drafts.virtual_servers.back(); }
    [[nodiscard]] CompatibleServerDraft& compatible_server() {
        return virtual_server().servers.back();
    }
    [[nodiscard]] CompatibleCheckDraft& compatible_check() {
        return compatible_server().checks.back();
    }
};

}  // namespace dnsdirector::config
