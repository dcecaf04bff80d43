// SPDX-License-Identifier: Apache-2.0
//
// What is forwarded: takes changes and puts each service's into force by one
// store of its table word.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "core/table_cache.h"
#include "dataplane/dataplane.h"
#include "dataplane/xdp/hop.h"
#include "dataplane/xdp/ledger.h"
#include "dataplane/xdp/mirror.h"
#include "dataplane/xdp/old_tables.h"

namespace dnsdirector::dataplane::xdp {

class Services {
public:
    /// The way to a server, or nullptr while it is not known.
    using HopOf = std::function<const Hop*(const Target&)>;

    Services(const Maps& maps, HopOf hop_of);

    /// Reads everything back; what it finds is what later changes start from.
    /// A service whose table is broken is reported with weights that nobody can
    /// wish for.
    Result<core::Forwarding> read();
    Result<void> apply(std::span<const core::Change> changes, TimePoint now);
    /// The ways to these servers may have changed: tables that have other MACs, or
    /// lack them, are made anew.
    Result<void> refresh(std::span<const IpAddress> servers, TimePoint now);

    /// Gives the services of a predecessor that remember flows, and their servers, the indices
    /// that they have there, since flows name them by these: what is added next gets them.
    /// False: some can't have them.
    bool keep_indices(const Ledger& ledger);
    void end_keeping();
    /// A flow that is elsewhere than these tables say is to be asked for, or goes by the table
    /// before a change: marks and that table as they were there. By the same indices.
    void take_over_moves(const OldTables& old, TimePoint now);

    /// Counters of servers that are neither forwarded to nor listed are forgotten
    /// when room for them gets short.
    void track(std::span<const std::pair<core::ServiceKey, Endpoint>> servers, TimePoint now);

    /// The kernel program's own way to a server, step by step over the same maps.
    [[nodiscard]] Result<Choice> choose(const Flow& flow) const;

    /// Services and servers; not the reasons.
    Result<void> count(Counters& counters) const;
    /// The ways that the tables in force hold: after a start, from a predecessor.
    [[nodiscard]] std::map<Target, Hop> hops_in_use() const;

    /// The ways to all servers of a service that the table in force knows, each once.
    [[nodiscard]] std::vector<Hop> ways_of(const core::ServiceKey& key) const;

    /// The program may send by this port.
    Result<void> open_egress(std::uint32_t ifindex);
    /// An interface is gone; another one may get its index.
    void forget_egress(std::uint32_t ifindex) { egress_.erase(ifindex); }

    [[nodiscard]] Grace& grace() { return grace_; }

    /// When on_deadline() has work: what rested is free, or the time of a table
    /// before a change is over.
    [[nodiscard]] std::optional<TimePoint> deadline() const;
    void on_deadline(TimePoint now);
    /// Services (by record) of which no flow was remembered in the last round
    /// through all of them: their flows are where their tables say.
    void forget_moves(const std::vector<bool>& idle);

    /// A flow that nobody remembers is taken for older than the first of changes
    /// that follow each other within this time: one that is silent for longer after
    /// them may lose its server.
    static constexpr Nanoseconds previous_for = Seconds{60};

private:
    using Entry = Mirror::value_type;

    Result<void> apply_to_one_service(std::span<const core::Change> changes, TimePoint now);
    Result<void> apply_one(const core::Change& change, TimePoint now);
    Result<void> add_service(const core::AddService& change);
    Result<void> remove_service(const core::ServiceKey& key, TimePoint now);
    Result<void> set_destination(const core::ServiceKey& key, const core::Destination& destination);
    Result<void> remove_destination(const core::ServiceKey& key, const Endpoint& server);

    [[nodiscard]] bool outdated(const IpAddress& server, const Member& member) const;
    [[nodiscard]] std::uint32_t local_counter(const MirrorService& service) const;
    [[nodiscard]] Hop hop_in_table(std::uint32_t record) const;
    Result<void> commit(Entry& entry, TimePoint now);
    Result<Range> write_records(Entry& entry, std::uint32_t count);
    Result<Range> write_slots(const core::Table& table);
    [[nodiscard]] bool remembers(const core::ServiceKey& key) const;
    [[nodiscard]] bool has_served(const Entry& entry) const;
    bool mark_moves(const MirrorService& service, Range records, Range blocks,
                    std::uint32_t length);
    void retire(Entry& entry, bool moves, TimePoint now);
    void end_previous(MirrorService& service);
    void end_all_previous();
    void adopt_previous(Entry& entry);
    bool mark_moves_since(const MirrorService& service, const OldTable& old);
    void set_previous(Entry& entry, const OldTable& old, TimePoint now);
    Result<Range> take_service_record(const core::ServiceKey& key);
    Result<Range> take_counter(const core::ServiceKey& key, const Endpoint& server);
    void set_home(const MirrorService& service, const Member& member);
    void give_up(Ranges& owner, Range range);
    void rest(TimePoint now);
    Result<void> keep_old(Error error);
    void put_in_force(Entry& entry, Range records, Range blocks, std::uint32_t length);

    Result<void> write_member(const core::ServiceKey& key, const Endpoint& server,
                              const Member& member) const;
    Result<void> write_service(const core::ServiceKey& key, const MirrorService& service) const;
    void forget_member(const core::ServiceKey& key, const Endpoint& server, const Member& member);
    Result<void> hold_address(const IpAddress& address);
    void release_address(const IpAddress& address);
    Result<Range> take(Ranges& from, std::uint32_t length, const char* limit);
    void adopt(ReadBack found);
    bool take_ranges(const MirrorService& service);
    void choose_by_memory(const Flow& flow, const Mirror::value_type& entry, Choice& choice) const;

    const Maps* maps_;
    HopOf hop_of_;
    Directory directory_;
    core::TableCache tables_;
    Mirror mirror_;
    std::set<std::uint32_t> egress_;  ///< interfaces entered in this life
    std::vector<bool> visible_;       ///< by service record: published

    /// Services with a previous table, and until when; none: adopted, to be set.
    std::map<core::ServiceKey, std::optional<TimePoint>> windows_;
    std::set<core::ServiceKey> just_closed_;  ///< since the last forget_moves()

    /// Reserved by keep_indices(), and not used yet.
    std::map<core::ServiceKey, std::uint32_t> kept_records_;
    std::map<std::pair<core::ServiceKey, Endpoint>, std::uint32_t> kept_counters_;

    /// Still named by a table in force, but not by the one that follows it.
    std::vector<std::pair<Ranges*, Range>> given_up_;

    Ranges service_records_;
    Ranges slots_;
    Ranges destinations_;
    Ranges counters_;
    Grace grace_;
};

}  // namespace dnsdirector::dataplane::xdp
