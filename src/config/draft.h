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
#include <string_view>
#include <utility>
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
    std::optional<Position> proxy_at;  ///< of the block for the proxy plane
    bool misc_native = true;           ///< MISC_CHECKs that can are run without a process
};

// ---- both forms ---------------------------------------------------------------

enum class Transport : std::uint8_t { udp, tcp, tls };

/// A DNS question and what its reply must be.
struct QuestionDraft {
    /// One line of `expect`, not yet read: that depends on the type that is asked for.
    struct Expected {
        core::AnswerMatch match;
        std::vector<std::string> words;
        Position position;
    };
    std::vector<Placed<Question>> queries;
    std::optional<Placed<std::uint32_t>> required;  ///< of the queries; 0: all
    std::array<bool, 3> transports = {true, true, false};
    std::optional<Placed<std::vector<std::uint16_t>>> fail_on;
    std::optional<Placed<std::uint16_t>> expect_rcode;
    std::vector<Expected> expected;
    core::AnswerMatch match = core::AnswerMatch::any;
    std::vector<std::string> answers;  ///< what `expected` says
    std::uint16_t required_flags = 0;
    std::uint16_t min_answers = 0;
    Nanoseconds max_time{0};
    std::optional<core::Edns> edns;
    bool random_label = false;
    core::OnTruncated on_truncated = core::OnTruncated::ask_over_tcp;
    bool recursion = true;
};

// ---- native form --------------------------------------------------------------

struct CheckDraft : Draft {
    std::string name;       ///< of a check at top level
    std::string reference;  ///< `check NAME` in a cluster: the rest stands there
    std::optional<Placed<std::string_view>> kind;  ///< the keyword that says what is asked
    core::Check::What what;                        ///< of a DNS question `question` says the rest
    QuestionDraft question;
    std::optional<Nanoseconds> every;
    std::optional<Nanoseconds> timeout;
    std::optional<std::uint32_t> tries;
    std::optional<std::uint32_t> rise;
    std::optional<std::uint32_t> fall;
    core::CheckTiming timing;                   ///< all of them, once the kind is known
    Position every_at;                          ///< where the times are set, or the block
    core::Via via;                              ///< without the source and the service IP
    std::optional<Position> via_service_ip_at;  ///< asks through the service IP
    PerFamily<std::optional<IpAddress>> source;
    std::optional<Position> source_at;  ///< of the first one
    std::optional<Placed<IpAddress>> target;
    std::optional<std::uint16_t> port;
    std::string user;
    std::optional<Position> script_at;
    core::Untested untested = core::Untested::out;
    PerProtocol<bool> services = {true, true};  ///< that go by it
};

using CommandDraft = std::optional<Placed<core::Command>>;

/// uthreshold and lthreshold of a server.
struct ThresholdsDraft {
    std::optional<Placed<std::uint32_t>> upper;
    std::optional<Placed<std::uint32_t>> lower;
};

/// How long a client stays with its server, and which clients count as one.
struct PersistenceDraft {
    std::optional<Placed<std::uint32_t>> timeout;  ///< seconds; 0: off
    std::vector<Placed<std::string>> granularity;  ///< as written
};

struct ServerDraft : Draft {
    std::string name;
    PerFamily<std::optional<Placed<IpAddress>>> address;
    core::Weight weight = 1;
    std::optional<Placed<std::uint16_t>> port;
    std::optional<bool> inhibit_on_failure;
    ThresholdsDraft thresholds;
    std::optional<Placed<bool>> proxy_protocol;
    std::optional<Placed<bool>> transparent;
    CommandDraft notify_up;
    CommandDraft notify_down;
    std::vector<CheckDraft> checks;
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
    std::optional<Placed<std::uint64_t>> hysteresis;
    std::optional<bool> hash_port;  ///< absent: as the scheduler does
    std::optional<Placed<bool>> one_packet;
    PersistenceDraft persistence;
    bool inhibit_on_failure = false;
    std::optional<Placed<bool>> proxy_protocol;  ///< of servers that say nothing themselves
    std::optional<Placed<bool>> transparent;     ///< likewise
    std::optional<Placed<core::ClientSubnet>> client_subnet;
    std::optional<Position> to_all_at;
    core::ToAll to_all;  ///< whatever the plane
    std::optional<Position> to_all_answers_at;
    std::optional<Position> to_all_from_at;
    bool omega = false;
    CommandDraft quorum_up;
    CommandDraft quorum_down;
    CommandDraft notify_up;  ///< of servers that have none of their own
    CommandDraft notify_down;
    PerFamily<std::optional<Placed<IpAddress>>> sorry_server;
    std::optional<Placed<std::uint16_t>> sorry_port;
    std::optional<Position> sorry_inhibit_at;
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
    core::Check::What what;  ///< as its own keywords make it; of a DNS_CHECK `question` does
    QuestionDraft question;
    Question asked;  ///< type, name and class, where there is no `query`
    std::optional<Position> asked_at;
    core::Via via;  ///< without the source
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
    ThresholdsDraft thresholds;
    CommandDraft notify_up;
    CommandDraft notify_down;
    std::string virtual_host;
    std::vector<CompatibleCheckDraft> checks;
};

struct VirtualServerDraft : Draft {
    bool readable = false;      ///< its head could be read
    Endpoint endpoint;          ///< where it has neither group nor mark; port 0: all ports
    std::uint32_t fwmark = 0;   ///< 0: none
    Placed<std::string> group;  ///< virtual_server_group's name
    std::optional<Placed<Family>> family;  ///< of a fwmark
    Protocol protocol = Protocol::udp;
    std::optional<Placed<core::Scheduler>> scheduler;      ///< there: wlc
    std::optional<Placed<core::ForwardingMethod>> method;  ///< there: NAT
    Placed<std::string> encapsulation;                     ///< of TUN, where it is not IPIP
    std::optional<Position> sh_port;
    std::optional<Position> mh_port;
    bool sh_fallback = false;
    bool mh_fallback = false;
    std::optional<Position> flag_1_at;  ///< of the scheduler, whichever it is
    std::optional<Position> flag_2_at;
    std::optional<Position> ops_at;
    PersistenceDraft persistence;
    core::Weight weight = 1;
    std::optional<Placed<std::uint64_t>> quorum;
    std::optional<Placed<std::uint64_t>> hysteresis;
    CompatibleTiming timing;
    bool inhibit_on_failure = false;
    bool omega = false;
    CommandDraft quorum_up;
    CommandDraft quorum_down;
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
        std::uint16_t port = 0;        ///< 0: all ports
        std::uint32_t fwmark = 0;      ///< instead of the range; 0: none
        std::optional<Family> family;  ///< of the mark
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

// ---- bgp ------------------------------------------------------------------------

/// What is said of one neighbour, with the places of what may turn out wrong.
struct BgpNeighborDraft : Draft {
    core::BgpNeighbor neighbor;
    Position remote_as_at;
    std::optional<Position> source_at;
    std::optional<Placed<Nanoseconds>> keepalive;  ///< absent: a third of the hold time
    std::optional<Position> bfd_at;
    std::vector<Placed<IpAddress>> next_hops;
};

/// One `announce` of one or more service IPs.
struct BgpAnnounceDraft : Draft {
    std::vector<Placed<IpAddress>> service_ips;
    std::optional<Placed<std::uint32_t>> local_preference;
    core::AnnouncementPolicy policy;
    std::optional<Placed<std::uint32_t>> high_water;  ///< absent: the low_water
    /// By core::RouteState; of those that are absent see core/bgp.h.
    std::array<std::optional<Placed<std::uint32_t>>, core::route_states.size()> med;
    std::array<core::Communities, core::route_states.size()> communities;
};

struct BgpDraft : Draft {
    bool present = false;
    core::RoutingDaemon daemon = core::RoutingDaemon::bird;
    Placed<core::AsNumber> local_as;
    Placed<IpAddress> router_id;
    bool graceful_shutdown = true;
    std::optional<Placed<bool>> ip_forwarding;
    std::optional<Nanoseconds> draining_time;
    std::vector<BgpNeighborDraft> neighbors;
    std::vector<BgpAnnounceDraft> announcements;
};

// ---- realserver -------------------------------------------------------------------

struct ProcessDraft : Draft {
    core::DnsProcess process;
    Position input_at;
    std::vector<Placed<Endpoint>> listen;
};

/// What makes this machine a real server.
struct RealServerMachineDraft : Draft {
    bool present = false;
    core::RealServerMachine machine;
    std::vector<Placed<IpAddress>> service_ips;  ///< none: those of the file's services
    std::vector<Placed<IpAddress>> tunnel_ends;
    std::optional<Position> tunnel_from_at;
    std::vector<ProcessDraft> processes;
    std::vector<CheckDraft> checks;
};

/// Everything the files hold.
struct Drafts {
    DirectorDraft director;
    std::vector<CheckDraft> checks;  ///< declared at top level
    std::vector<ClusterDraft> clusters;
    std::vector<VirtualServerDraft> virtual_servers;
    std::vector<GroupDraft> groups;
    std::vector<TrackFileDraft> track_files;
    BgpDraft bgp;
    RealServerMachineDraft real_server_machine;
};

/// The block being read; a block of a list is its last element.
struct Current {
    Drafts drafts;
    CheckDraft* check = nullptr;
    /// The keywords of that check which not every kind of check has, each with
    /// its Keyword::goes_with.
    std::vector<std::pair<Placed<std::string_view>, std::string_view>> of_kind;
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
