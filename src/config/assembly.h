// SPDX-License-Identifier: Apache-2.0
//
// The configuration while it is put together: checks merged by value, services
// unique, and the rules that both forms of the language share.
#pragma once

#include <set>
#include <string_view>
#include <unordered_map>

#include "config/diagnostics.h"
#include "config/draft.h"
#include "config/places.h"
#include "core/model.h"

namespace dnsdirector::config {

class Assembly {
public:
    Assembly(const Drafts& drafts, const Files& files, Diagnostics& diagnostics)
        : Assembly(drafts, files, diagnostics, drafts.director.settings.dataplane) {}
    /// For another plane than the file's.
    Assembly(const Drafts& drafts, const Files& files, Diagnostics& diagnostics,
             core::DataPlaneKind plane);
    // known_checks_ looks into configuration_.
    Assembly(const Assembly&) = delete;
    Assembly& operator=(const Assembly&) = delete;

    [[nodiscard]] const Files& files() const { return files_; }
    [[nodiscard]] const Drafts& drafts() const { return drafts_; }
    [[nodiscard]] Diagnostics& diagnostics() { return diagnostics_; }
    [[nodiscard]] bool xdp() const {
        return configuration_.director.dataplane == core::DataPlaneKind::xdp;
    }

    [[nodiscard]] bool ipvs() const {
        return configuration_.director.dataplane == core::DataPlaneKind::ipvs;
    }
    [[nodiscard]] bool proxy() const {
        return configuration_.director.dataplane == core::DataPlaneKind::proxy;
    }
    /// Whether a server that is reached in this way keeps the port that was asked: only the
    /// kernel's address translation changes it. Planes that forward nothing do not mind.
    [[nodiscard]] bool keeps_port(core::ForwardingMethod method) const {
        return (xdp() || ipvs()) && method != core::ForwardingMethod::nat;
    }
    /// Whether each server of a service may be reached in a way of its own.
    [[nodiscard]] bool methods_may_differ() const { return xdp() || ipvs(); }

    /// Warns that a keyword has no effect on this plane; in a file of a thousand servers once
    /// is enough.
    void no_effect(const Position& at, std::string_view keyword, std::string_view why);

    /// The check declared at top level; nullptr when there is none.
    [[nodiscard]] const CheckDraft* named_check(std::string_view name) const;

    /// The checks that blocks in `owner` ("cluster", "server") hold or use by name, without those
    /// that are at fault.
    [[nodiscard]] std::vector<const CheckDraft*> resolve_checks(
        const std::vector<CheckDraft>& drafts, std::string_view owner) const;

    /// The services of a virtual_server_group; says so when there is none of that name, or when
    /// it has more than there is room for. Empty then. `family`: of marks that name none.
    [[nodiscard]] std::vector<Placed<core::ServiceKey>> services_of_group(
        const Placed<std::string>& name, Protocol protocol, Family family) const;

    /// nullptr when there is none of that name, which it says, or when its block is at fault.
    [[nodiscard]] const TrackFileDraft* track_file(const Placed<std::string>& name);

    /// Whether a program that the configuration names can and may be run; says so when not.
    bool check_program(const std::string& path, const Position& at, std::string_view keyword);

    /// Whether so many services of so many servers each still fit; when not, they count for the
    /// message of finish(). Asked before they are made: a few words may stand for millions.
    bool has_room(std::size_t services, std::size_t servers);

    /// The index of a check equal to this one, added if there is none yet.
    core::CheckIndex add_check(core::Check check, const Position& at);

    /// Says so when another block has the same service already.
    void add_service(core::Service service, ServicePlaces places);

    /// The services so far.
    [[nodiscard]] const std::vector<core::Service>& services() const {
        return configuration_.services;
    }
    /// The services that an agent on this machine watches over; none without a realserver block.
    [[nodiscard]] const std::vector<core::Service>& machine_services() const {
        return configuration_.machine_services;
    }
    /// `own` holds the machine's services.
    void set_machine(core::RealServerMachine machine, Assembly& own);
    void set_bgp(core::Bgp bgp) { configuration_.bgp = std::move(bgp); }

    /// Whether packets can be sent to or received for `address`; `role` is
    /// "service_ip", "address" or the like, for the message.
    bool usable(const IpAddress& address, const Position& at, std::string_view role);

    /// Says so when another block's service has the address of this real server: on the
    /// xdp plane that would loop, since the director takes what is sent there for a client's.
    void not_a_service_ip(const IpAddress& address, const Position& at, std::string_view role);

    /// Whether the plane has the scheduler and the forwarding method.
    void check_scheduler(core::Scheduler scheduler, const Position& at, std::string_view hint);
    void check_method(core::ForwardingMethod method, const Position& at, std::string_view hint);

    /// The whole's own rules (sizes, a director block, anything to do), then the result.
    core::Configuration finish();
    /// Where its parts stand.
    [[nodiscard]] Places take_places() { return std::move(places_); }

private:
    void check_director();
    void check_proxy();
    void check_not_of_proxy(core::Scheduler scheduler, const Position& at);

    struct CheckOrder {
        const std::vector<core::Check>* checks;
        using is_transparent = void;
        bool operator()(core::CheckIndex a, core::CheckIndex b) const {
            return (*checks)[a] < (*checks)[b];
        }
        bool operator()(core::CheckIndex a, const core::Check& b) const { return (*checks)[a] < b; }
        bool operator()(const core::Check& a, core::CheckIndex b) const { return a < (*checks)[b]; }
    };

    [[nodiscard]] const GroupDraft* group(std::string_view name) const;

    const Drafts& drafts_;
    const Files& files_;
    Diagnostics& diagnostics_;
    core::Configuration configuration_;
    Places places_;
    std::set<core::CheckIndex, CheckOrder> known_checks_;
    std::unordered_map<core::ServiceKey, Position> known_services_;
    std::unordered_map<IpAddress, Position> service_ips_;  ///< of all blocks, the first of each
    std::unordered_map<std::string_view, const CheckDraft*> named_checks_;
    std::unordered_map<std::string_view, const GroupDraft*> groups_;
    std::unordered_map<std::string_view, const TrackFileDraft*> track_files_;
    std::set<std::string_view> said_no_effect_;
    std::unordered_map<std::string, std::string> programs_;  ///< what is wrong with each, or ""
    std::uint64_t services_ = 0;                             ///< asked for by has_room()
    std::uint64_t servers_ = 0;
};

/// The key of a service by firewall mark.
[[nodiscard]] core::ServiceKey key_of_mark(std::uint32_t fwmark, Family family);

void build_cluster(const ClusterDraft& cluster, Assembly& assembly);
void build_virtual_server(const VirtualServerDraft& server, Assembly& assembly);
/// After the clusters, whose service IPs it may have.
void build_real_server_machine(const RealServerMachineDraft& draft, Assembly& assembly);
/// After all services, which it speaks of.
void build_bgp(const BgpDraft& bgp, Assembly& assembly);

}  // namespace dnsdirector::config
