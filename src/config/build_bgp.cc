// SPDX-License-Identifier: Apache-2.0
//
// The bgp block, judged with the services that it announces.
#include <algorithm>
#include <map>
#include <set>

#include "config/assembly.h"
#include "config/suggest.h"

namespace dnsdirector::config {
namespace {

using core::RouteState;

/// FRR numbers a route-map's entries from 1 to 65535, and an announcement needs up to three.
constexpr std::size_t most_announcements = 21845;

class BgpBuilder {
public:
    BgpBuilder(const BgpDraft& draft, Assembly& assembly)
        : draft_(draft), assembly_(assembly), diagnostics_(assembly.diagnostics()) {
        // A file of a real server alone announces what that machine holds.
        for (const core::Service& service :
             assembly.services().empty() ? assembly.machine_services() : assembly.services())
            if (service.key.fwmark == 0) service_ips_.insert(service.key.address);
    }

    void build();

private:
    void judge_router();
    void judge_forwarding();
    void add_neighbor(const BgpNeighborDraft& draft);
    bool own_address(const IpAddress& address, const Position& at, std::string_view role);
    void judge_source(const BgpNeighborDraft& draft);
    void judge_times(const BgpNeighborDraft& draft, core::BgpNeighbor& neighbor);
    void set_next_hops(const BgpNeighborDraft& draft, core::BgpNeighbor& neighbor);
    void add_announcements(const BgpAnnounceDraft& draft);
    bool is_announced_here(const Placed<IpAddress>& service_ip);
    std::string did_you_mean(const IpAddress& address) const;
    core::BgpAnnouncement attributes_of(const BgpAnnounceDraft& draft);
    void judge_order(const BgpAnnounceDraft& draft, const core::BgpAnnouncement& announcement);
    void judge_families();
    void judge_bfd(const core::BgpNeighbor& neighbor);
    void warn();

    const BgpDraft& draft_;
    Assembly& assembly_;
    Diagnostics& diagnostics_;
    std::set<IpAddress> service_ips_;
    core::Bgp bgp_;
    std::map<IpAddress, Position> neighbors_;
    std::map<IpAddress, Position> announced_;
};

void BgpBuilder::judge_router() {
    const auto& [id, at] = draft_.router_id;
    if (draft_.faulty && id.is_unspecified()) return;
    if (!id.is_v4())
        diagnostics_.error(at,
                           "router_id: {} is an IPv6 address; the identifier has 32 bits and is "
                           "written as an IPv4 address, also of a router that has none",
                           id.to_string());
    else if (id.is_unspecified())
        diagnostics_.error(at,
                           "router_id: 0.0.0.0 identifies nobody; write an address of this "
                           "machine that no other router has");
    else if (service_ips_.contains(id))
        diagnostics_.error(at,
                           "router_id: {} is a service IP, which other directors have, too; write "
                           "an address that this machine alone has",
                           id.to_string());
}

void BgpBuilder::judge_forwarding() {
    const auto& services = assembly_.services();
    bgp_.ip_forwarding =
        assembly_.ipvs() && std::any_of(services.begin(), services.end(), [](const auto& service) {
            return service.method == core::ForwardingMethod::nat;
        });
    if (!draft_.ip_forwarding) return;
    bgp_.ip_forwarding = draft_.ip_forwarding->value;
    if (bgp_.daemon != core::RoutingDaemon::existing_frr)
        diagnostics_.warning(draft_.ip_forwarding->position,
                             "ip_forwarding has no effect here: BIRD leaves it as it is");
}

/// Whether `address` can be an end of a session; it must be one that this machine, or the
/// neighbour, alone has.
bool BgpBuilder::own_address(const IpAddress& address, const Position& at, std::string_view role) {
    if (address.is_loopback()) {
        diagnostics_.error(at, "{}: {} is a loopback address, and no router is there", role,
                           address.to_string());
        return false;
    }
    if (!assembly_.usable(address, at, role)) return false;
    if (!service_ips_.contains(address)) return true;
    diagnostics_.error(at, "{}: {} is a service IP; write a router's own address", role,
                       address.to_string());
    return false;
}

void BgpBuilder::judge_source(const BgpNeighborDraft& draft) {
    const core::BgpNeighbor& neighbor = draft.neighbor;
    if (neighbor.source) {
        const IpAddress& source = *neighbor.source;
        if (source.family() != neighbor.address.family())
            diagnostics_.error(*draft.source_at,
                               "source: {} is no {} address, as the neighbour's {} is",
                               source.to_string(), to_string(neighbor.address.family()),
                               neighbor.address.to_string());
        else if (source == neighbor.address)
            diagnostics_.error(*draft.source_at,
                               "source: {} is the neighbour itself; write an address of this "
                               "machine",
                               source.to_string());
        else
            own_address(source, *draft.source_at, "source");
    } else if (neighbor.bfd && neighbor.multihop > 1) {
        diagnostics_.error(*draft.bfd_at,
                           "bfd over several hops needs to know our end of it; write `source "
                           "ADDRESS` beside it");
    }
}

void BgpBuilder::judge_times(const BgpNeighborDraft& draft, core::BgpNeighbor& neighbor) {
    using namespace std::chrono_literals;
    if (!draft.keepalive) {
        neighbor.keepalive = std::chrono::floor<Seconds>(neighbor.hold_time / 3);
        return;
    }
    neighbor.keepalive = draft.keepalive->value;
    if (neighbor.keepalive * 2 > neighbor.hold_time)
        diagnostics_.error(draft.keepalive->position,
                           "keepalive {} is more than half of hold_time, {}, so that one sign of "
                           "life that is lost ends the session; a third of it is usual",
                           to_text(neighbor.keepalive), to_text(neighbor.hold_time));
}

void BgpBuilder::set_next_hops(const BgpNeighborDraft& draft, core::BgpNeighbor& neighbor) {
    for (const auto& [address, at] : draft.next_hops) {
        if (!own_address(address, at, "next_hop")) continue;
        auto& place = neighbor.next_hop[index(address.family())];
        if (place)
            diagnostics_.error(at, "next_hop: {} is a second {} address; one is told, {} or this",
                               address.to_string(), to_string(address.family()),
                               place->to_string());
        place = address;
    }
}

void BgpBuilder::add_neighbor(const BgpNeighborDraft& draft) {
    core::BgpNeighbor neighbor = draft.neighbor;
    if (neighbor.address == IpAddress{} && draft.faulty) return;
    own_address(neighbor.address, draft.position, "neighbor");
    const auto [first, fresh] = neighbors_.emplace(neighbor.address, draft.position);
    if (!fresh)
        diagnostics_.error(draft.position,
                           "the neighbor {} is given a second time; the first is at {}",
                           neighbor.address.to_string(), diagnostics_.where(first->second));
    judge_source(draft);
    judge_times(draft, neighbor);
    set_next_hops(draft, neighbor);
    bgp_.neighbors.push_back(std::move(neighbor));
}

std::string BgpBuilder::did_you_mean(const IpAddress& address) const {
    std::vector<std::string> texts;
    texts.reserve(service_ips_.size());
    for (const IpAddress& service_ip : service_ips_)
        texts.push_back(service_ip.to_string());
    const std::vector<std::string_view> words(texts.begin(), texts.end());
    const auto near = nearest(address.to_string(), words);
    return near.empty() ? "; write an address that a dns_cluster or a virtual_server has"
                        : fmt::format("; did you mean {}?", near);
}

bool BgpBuilder::is_announced_here(const Placed<IpAddress>& service_ip) {
    if (!service_ips_.contains(service_ip.value)) {
        // A cluster that is at fault has no services, and its addresses are not unknown.
        if (diagnostics_.errors() == 0 || !service_ips_.empty())
            diagnostics_.error(service_ip.position, "announce: {} is no service IP{}",
                               service_ip.value.to_string(), did_you_mean(service_ip.value));
        return false;
    }
    const auto [first, fresh] = announced_.emplace(service_ip.value, service_ip.position);
    if (!fresh)
        diagnostics_.error(service_ip.position,
                           "announce: {} is given a second time; the first is at {}",
                           service_ip.value.to_string(), diagnostics_.where(first->second));
    return fresh;
}

core::BgpAnnouncement BgpBuilder::attributes_of(const BgpAnnounceDraft& draft) {
    core::BgpAnnouncement announcement;
    if (draft.local_preference) announcement.local_preference = draft.local_preference->value;
    announcement.policy = draft.policy;
    announcement.policy.high_water =
        draft.high_water ? draft.high_water->value : draft.policy.low_water;
    const auto med = [&](RouteState state, std::uint32_t standard) {
        const auto& written = draft.med[index(state)];
        return written ? written->value : standard;
    };
    auto& [announced, degraded, draining] = announcement.states;
    announced.med = med(RouteState::announced, 0);
    // A MED near the end of the range has no room for the step.
    const std::uint64_t stepped = std::uint64_t{announced.med} + core::degraded_med_step;
    const auto behind =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(stepped, core::draining_med));
    degraded.med = med(RouteState::degraded, std::max(announced.med, behind));
    draining.med = med(RouteState::draining, std::max(degraded.med, core::draining_med));
    for (const RouteState state : core::route_states) {
        core::Communities& communities = announcement.states[index(state)].communities;
        communities = draft.communities[index(RouteState::announced)];
        communities.add(draft.communities[index(state)]);
    }
    if (draft_.graceful_shutdown)
        draining.communities.add({{core::graceful_shutdown_community}, {}});
    return announcement;
}

void BgpBuilder::judge_order(const BgpAnnounceDraft& draft,
                             const core::BgpAnnouncement& announcement) {
    for (const RouteState state : {RouteState::degraded, RouteState::draining}) {
        const auto& written = draft.med[index(state)];
        const RouteState better =
            state == RouteState::degraded ? RouteState::announced : RouteState::degraded;
        const std::uint32_t better_med = announcement.states[index(better)].med;
        if (written && written->value < better_med)
            diagnostics_.warning(written->position,
                                 "{}_med {} is less than the MED of the {} state, {}, so that "
                                 "routers would prefer this director when it is {}",
                                 to_string(state), written->value, to_string(better), better_med,
                                 to_string(state));
    }
    if (draft.high_water && draft.high_water->value < draft.policy.low_water)
        diagnostics_.error(draft.high_water->position,
                           "high_water {}% is less than low_water {}%; write as much or more",
                           draft.high_water->value, draft.policy.low_water);
    const bool internal = std::any_of(bgp_.neighbors.begin(), bgp_.neighbors.end(),
                                      [&](const auto& each) { return bgp_.is_internal(each); });
    if (draft.local_preference && !internal && !draft_.faulty)
        diagnostics_.warning(draft.local_preference->position,
                             "local_preference has no effect here: only neighbours in our own AS "
                             "are told of it, and none of these is");
}

void BgpBuilder::add_announcements(const BgpAnnounceDraft& draft) {
    if (draft.faulty) return;
    core::BgpAnnouncement announcement = attributes_of(draft);
    judge_order(draft, announcement);
    for (const Placed<IpAddress>& service_ip : draft.service_ips) {
        if (!is_announced_here(service_ip)) continue;
        announcement.service_ip = service_ip.value;
        bgp_.announcements.push_back(announcement);
    }
}

/// A service IP that no neighbour is told of, and a neighbour that is told of none.
void BgpBuilder::judge_families() {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        const auto carried =
            std::any_of(bgp_.neighbors.begin(), bgp_.neighbors.end(),
                        [&](const core::BgpNeighbor& each) { return each.carries(family); });
        const auto first =
            std::find_if(bgp_.announcements.begin(), bgp_.announcements.end(),
                         [&](const auto& each) { return each.service_ip.family() == family; });
        if (carried || first == bgp_.announcements.end()) continue;
        diagnostics_.error(announced_.at(first->service_ip),
                           "announce: no neighbor is told of {0}: a session over {2} carries {1} "
                           "only where the next hop is known; write `next_hop ADDRESS` with an "
                           "{1} address of this machine in a neighbor, or add an {1} neighbor",
                           first->service_ip.to_string(), to_string(family),
                           to_string(family == Family::ipv4 ? Family::ipv6 : Family::ipv4));
    }
    for (const core::BgpNeighbor& neighbor : bgp_.neighbors)
        if (std::none_of(
                bgp_.announcements.begin(), bgp_.announcements.end(),
                [&](const auto& each) { return neighbor.carries(each.service_ip.family()); }) &&
            !bgp_.announcements.empty())
            diagnostics_.warning(neighbors_.at(neighbor.address),
                                 "the neighbor {} is told of nothing: no service IP that is "
                                 "announced is of the family that it carries",
                                 neighbor.address.to_string());
}

/// FRR sets the TTL of an eBGP neighbour with ttl-security to 255, and takes any TTL but 1 for
/// several hops (bgpd/bgp_bfd.h, PEER_IS_MULTIHOP).
void BgpBuilder::judge_bfd(const core::BgpNeighbor& neighbor) {
    if (bgp_.daemon != core::RoutingDaemon::existing_frr || !neighbor.bfd ||
        !neighbor.ttl_security || neighbor.multihop > 1 || bgp_.is_internal(neighbor))
        return;
    diagnostics_.warning(
        neighbors_.at(neighbor.address),
        "neighbor {}: FRR makes a multihop session of BFD (RFC 5883, UDP port 4784) of a "
        "neighbour in another AS that has ttl_security; unless that router asks for one, too, "
        "BFD stays down, and only hold_time is left; where its BFD is of one hop (RFC 5881), "
        "leave out bfd here, or ttl_security at both ends",
        neighbor.address.to_string());
}

/// Of service IPs that no `announce` names, and of what is valid and will hardly work.
void BgpBuilder::warn() {
    for (const core::BgpNeighbor& neighbor : bgp_.neighbors)
        judge_bfd(neighbor);
    for (const IpAddress& service_ip : service_ips_)
        if (!announced_.contains(service_ip))
            diagnostics_.warning(draft_.position,
                                 "bgp: the service IP {0} is not announced; `announce {0}` does it",
                                 service_ip.to_string());
}

void BgpBuilder::build() {
    bgp_.daemon = draft_.daemon;
    bgp_.local_as = draft_.local_as.value;
    bgp_.router_id = draft_.router_id.value;
    if (draft_.draining_time) bgp_.draining_time = *draft_.draining_time;
    judge_router();
    judge_forwarding();
    for (const BgpNeighborDraft& neighbor : draft_.neighbors)
        add_neighbor(neighbor);
    for (const BgpAnnounceDraft& announce : draft_.announcements)
        add_announcements(announce);
    if (bgp_.announcements.size() > most_announcements)
        diagnostics_.error(draft_.position, "bgp: {} service IPs are announced, and {} is the most",
                           bgp_.announcements.size(), most_announcements);
    // What is missing may only be at fault.
    if (!draft_.faulty) judge_families();
    if (diagnostics_.errors() == 0) warn();
    assembly_.set_bgp(std::move(bgp_));
}

}  // namespace

void build_bgp(const BgpDraft& bgp, Assembly& assembly) {
    BgpBuilder(bgp, assembly).build();
}

}  // namespace dnsdirector::config
