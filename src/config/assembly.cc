// SPDX-License-Identifier: Apache-2.0
#include "config/assembly.h"

#include <algorithm>

#include "config/limits.h"
#include "config/suggest.h"

namespace dnsdirector::config {
namespace {

bool is_link_local(const IpAddress& address) {
    const auto& bytes = address.bytes();
    if (address.is_v4()) return bytes[0] == 169 && bytes[1] == 254;
    return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

/// ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2)
bool is_mapped(const IpAddress& address) {
    const auto& bytes = address.bytes();
    if (address.is_v4() || bytes[10] != 0xff || bytes[11] != 0xff) return false;
    return std::all_of(bytes.begin(), bytes.begin() + 10, [](std::uint8_t b) { return b == 0; });
}

bool is_broadcast(const IpAddress& address) {
    const auto& bytes = address.bytes();
    return address.is_v4() && bytes[0] == 255 && bytes[1] == 255 && bytes[2] == 255 &&
           bytes[3] == 255;
}

}  // namespace

Assembly::Assembly(const Drafts& drafts, const Files& files, Diagnostics& diagnostics,
                   core::DataPlaneKind plane)
    : drafts_(drafts),
      files_(files),
      diagnostics_(diagnostics),
      known_checks_(CheckOrder{&configuration_.checks}) {
    configuration_.director = drafts.director.settings;
    configuration_.director.dataplane = plane;
    for (const CheckDraft& draft : drafts.checks)
        named_checks_.emplace(draft.name, &draft);
    const auto add_service_ip = [this](const IpAddress& address, const Position& at) {
        const auto [first, fresh] = service_ips_.emplace(address, at);
        if (!fresh && at.order < first->second.order) first->second = at;
    };
    for (const ClusterDraft& cluster : drafts.clusters)
        for (const Placed<IpAddress>& service_ip : cluster.service_ips)
            add_service_ip(service_ip.value, service_ip.position);
    for (const GroupDraft& group : drafts.groups)
        groups_.emplace(group.name, &group);
    for (const TrackFileDraft& file : drafts.track_files)
        track_files_.emplace(file.name, &file);
    // What is more than there is room for is an error anyway.
    std::uint32_t room = configuration_.director.limits.services;
    for (const VirtualServerDraft& server : drafts.virtual_servers) {
        if (server.readable && server.fwmark == 0 && server.group.value.empty())
            add_service_ip(server.endpoint.address, server.position);
        const GroupDraft* of_group = group(server.group.value);
        if (of_group == nullptr) continue;
        for (const GroupDraft::Entry& entry : of_group->entries) {
            if (entry.fwmark != 0) continue;
            if (entry.range.size() > room) break;
            room -= entry.range.size();
            for (const IpAddress& address : entry.range.addresses(UINT32_MAX))
                add_service_ip(address, entry.position);
        }
    }
}

const GroupDraft* Assembly::group(std::string_view name) const {
    const auto found = groups_.find(name);
    return found == groups_.end() ? nullptr : found->second;
}

core::ServiceKey key_of_mark(std::uint32_t fwmark, Family family) {
    return {family == Family::ipv4 ? IpAddress{} : IpAddress::from_v6({}), 0, Protocol::udp,
            fwmark};
}

std::vector<Placed<core::ServiceKey>> Assembly::services_of_group(const Placed<std::string>& name,
                                                                  Protocol protocol,
                                                                  Family family) const {
    std::vector<Placed<core::ServiceKey>> addresses;
    const GroupDraft* draft = group(name.value);
    if (draft == nullptr) {
        std::vector<std::string_view> names;
        names.reserve(drafts_.groups.size());
        for (const GroupDraft& other : drafts_.groups)
            names.push_back(other.name);
        const auto near = nearest(name.value, names);
        diagnostics_.error(name.position, "there is no virtual_server_group `{}`{}", name.value,
                           near.empty() ? "" : fmt::format("; did you mean `{}`?", near));
        return addresses;
    }
    if (draft->faulty) return addresses;
    const std::uint32_t most = configuration_.director.limits.services;
    std::uint64_t wanted = 0;
    for (const GroupDraft::Entry& entry : draft->entries)
        wanted += entry.fwmark != 0 ? 1 : entry.range.size();
    if (wanted > most) {
        diagnostics_.error(draft->position,
                           "virtual_server_group {} has {} addresses, each a service, and there is "
                           "room for {}; raise max_services in the director block, or name fewer",
                           name.value,
                           wanted >= UINT32_MAX ? "billions of" : std::to_string(wanted), most);
        return addresses;
    }
    for (const GroupDraft::Entry& entry : draft->entries) {
        if (entry.fwmark != 0)
            addresses.push_back(
                {key_of_mark(entry.fwmark, entry.family.value_or(family)), entry.position});
        else
            for (const IpAddress& address : entry.range.addresses(most))
                addresses.push_back({{address, entry.port, protocol}, entry.position});
    }
    return addresses;
}

const TrackFileDraft* Assembly::track_file(const Placed<std::string>& name) {
    const auto found = track_files_.find(name.value);
    if (found != track_files_.end()) return found->second->faulty ? nullptr : found->second;
    std::vector<std::string_view> names;
    names.reserve(drafts_.track_files.size());
    for (const TrackFileDraft& file : drafts_.track_files)
        names.push_back(file.name);
    const auto near = nearest(name.value, names);
    diagnostics_.error(name.position, "there is no track_file `{}` at top level; {}", name.value,
                       near.empty()
                           ? fmt::format("write `track_file {} {{ file /run/… }}`", name.value)
                           : fmt::format("did you mean `{}`?", near));
    return nullptr;
}

bool Assembly::check_program(const std::string& path, const Position& at,
                             std::string_view keyword) {
    if (!path.starts_with('/')) {
        if (!files_.find_program) return true;
        diagnostics_.error(at, "{}: no program {} is in {}; write its full path", keyword, path,
                           program_folders);
        return false;
    }
    if (!files_.judge_program) return true;
    const auto [found, fresh] = programs_.try_emplace(path);
    if (fresh) found->second = files_.judge_program(path);
    if (found->second.empty()) return true;
    diagnostics_.error(at, "{}: {} {}", keyword, path, found->second);
    return false;
}

bool Assembly::has_room(std::size_t services, std::size_t servers) {
    const core::Limits& limits = configuration_.director.limits;
    services_ += services;
    servers_ += std::uint64_t{services} * servers;
    return services_ <= limits.services && servers_ <= limits.real_servers;
}

void Assembly::no_effect(const Position& at, std::string_view keyword, std::string_view why) {
    if (said_no_effect_.insert(keyword).second)
        diagnostics_.warning(at, "{} has no effect here: {}", keyword, why);
}

const CheckDraft* Assembly::named_check(std::string_view name) const {
    const auto found = named_checks_.find(name);
    return found == named_checks_.end() ? nullptr : found->second;
}

std::vector<const CheckDraft*> Assembly::resolve_checks(const std::vector<CheckDraft>& drafts,
                                                        std::string_view owner) const {
    std::vector<const CheckDraft*> checks;
    for (const CheckDraft& draft : drafts) {
        const CheckDraft* check = draft.reference.empty() ? &draft : named_check(draft.reference);
        if (check == nullptr) {
            std::vector<std::string_view> names;
            names.reserve(drafts_.checks.size());
            for (const CheckDraft& named : drafts_.checks)
                names.push_back(named.name);
            const auto near = nearest(draft.reference, names);
            diagnostics_.error(draft.position, "there is no check `{}` at top level{}",
                               draft.reference,
                               near.empty() ? "" : fmt::format("; did you mean `{}`?", near));
        } else if (std::find(checks.begin(), checks.end(), check) != checks.end()) {
            diagnostics_.error(draft.position, "the check `{}` is used a second time in this {}",
                               draft.reference, owner);
        } else if (!check->faulty) {
            checks.push_back(check);
        }
    }
    return checks;
}

void Assembly::set_machine(core::RealServerMachine machine, Assembly& own) {
    configuration_.real_server_machine = std::move(machine);
    configuration_.machine_checks = std::move(own.configuration_.checks);
    configuration_.machine_services = std::move(own.configuration_.services);
}

core::CheckIndex Assembly::add_check(core::Check check, const Position& at) {
    const auto known = known_checks_.find(check);
    if (known != known_checks_.end()) {
        auto& others = places_.equal_checks;
        if (!(places_.checks[*known] == at) && (others.empty() || !(others.back().second == at)))
            others.emplace_back(*known, at);
        return *known;
    }
    const auto added = static_cast<core::CheckIndex>(configuration_.checks.size());
    configuration_.checks.push_back(std::move(check));
    places_.checks.push_back(at);
    known_checks_.insert(added);
    return added;
}

void Assembly::add_service(core::Service service, ServicePlaces places) {
    const auto [known, fresh] = known_services_.emplace(service.key, places.at);
    if (!fresh) {
        diagnostics_.error(places.at, "the service {} is given a second time; the first is at {}",
                           service.key.to_string(), diagnostics_.where(known->second));
        return;
    }
    configuration_.services.push_back(std::move(service));
    places_.services.push_back(std::move(places));
}

bool Assembly::usable(const IpAddress& address, const Position& at, std::string_view role) {
    std::string_view reason;
    if (address.is_unspecified())
        reason = "stands for no address; write the address itself";
    else if (address.is_multicast() || is_broadcast(address))
        reason = "stands for many hosts; write the address of one";
    else if (is_mapped(address))
        reason = "is an IPv4 address in IPv6 clothes; write it as IPv4";
    else if (is_link_local(address))
        reason = "is link-local, which means nothing without an interface; write a global address";
    else if (address.is_loopback() && xdp())
        reason =
            "is a loopback address, which direct routing by the xdp plane cannot reach; "
            "dataplane proxy and dataplane none take it";
    if (reason.empty()) return true;
    diagnostics_.error(at, "{}: {} {}", role, address.to_string(), reason);
    return false;
}

void Assembly::not_a_service_ip(const IpAddress& address, const Position& at,
                                std::string_view role) {
    if (!xdp()) return;
    const auto found = service_ips_.find(address);
    if (found != service_ips_.end())
        diagnostics_.error(at,
                           "{}: {} is a service IP, too, at {}, and the xdp plane would take what "
                           "it sends there for a client's; write the server's own address",
                           role, address.to_string(), diagnostics_.where(found->second));
}

/// Those that look into queries and answers.
void Assembly::check_not_of_proxy(core::Scheduler scheduler, const Position& at) {
    using core::Scheduler;
    if (scheduler != Scheduler::least && scheduler != Scheduler::latency &&
        scheduler != Scheduler::qname)
        return;
    diagnostics_.error(at,
                       "lb_algo {} looks at queries and answers, which the {} plane does not see; "
                       "write lb_algo wrr, or dataplane proxy, which has {}",
                       core::to_string(scheduler),
                       core::to_string(configuration_.director.dataplane),
                       core::to_string(scheduler));
}

void Assembly::check_scheduler(core::Scheduler scheduler, const Position& at,
                               std::string_view hint) {
    using core::Scheduler;
    /// What of the xdp plane serves in their place. Queries are short and alike, so that who
    /// gets his share of them has his share of the connections.
    struct Instead {
        Scheduler scheduler;
        std::string_view write;
    };
    static constexpr Instead instead[] = {
        {Scheduler::wlc, "wrr, which shares queries by weight"},
        {Scheduler::lc, "rr, which shares queries equally"},
        {Scheduler::sed, "wrr, which shares queries by weight"},
        {Scheduler::nq, "wrr, which shares queries by weight"},
    };
    if (xdp() || ipvs()) check_not_of_proxy(scheduler, at);
    if (proxy() && (scheduler == Scheduler::sed || scheduler == Scheduler::nq))
        diagnostics_.error(at,
                           "lb_algo {} is nothing that the proxy plane does; write lb_algo least, "
                           "which counts queries that wait for an answer, or latency",
                           core::to_string(scheduler));
    if (!xdp()) return;
    const auto* refused = std::ranges::find(instead, scheduler, &Instead::scheduler);
    if (refused == std::end(instead)) return;
    diagnostics_.error(at,
                       "lb_algo {0} counts connections, which the xdp plane does not do{1}; write "
                       "lb_algo {2} (mh, sh: by flow, by client), or dataplane ipvs, which has {0}",
                       core::to_string(scheduler), hint, refused->write);
}

void Assembly::check_method(core::ForwardingMethod method, const Position& at,
                            std::string_view hint) {
    if (!xdp() || method != core::ForwardingMethod::nat) return;
    diagnostics_.error(at,
                       "NAT is nothing that the xdp plane does{}; write DR (same network) or TUN "
                       "(behind routers), or dataplane ipvs, which can",
                       hint);
}

void Assembly::check_director() {
    if (!xdp() || !configuration_.director.interfaces.empty() || configuration_.services.empty())
        return;
    constexpr std::string_view then =
        "attaching to every interface that has a route to a real server";
    if (!drafts_.director.present)
        diagnostics_.warning({0, 0, 0, 0}, "no director block: {}", then);
    else if (!drafts_.director.faulty)
        diagnostics_.warning(drafts_.director.position, "no interface in the director block: {}",
                             then);
}

/// A server that is a service itself would be asked for ever.
void Assembly::check_proxy() {
    if (!proxy()) {
        if (drafts_.director.proxy_at)
            diagnostics_.warning(*drafts_.director.proxy_at,
                                 "the proxy block has no effect with dataplane {}",
                                 core::to_string(configuration_.director.dataplane));
        return;
    }
    // A cluster's own service IP has been refused already.
    if (diagnostics_.errors() != 0) return;
    std::set<std::uint32_t> said;
    for (std::size_t i = 0; i < configuration_.services.size(); ++i) {
        const core::Service& service = configuration_.services[i];
        for (std::size_t j = 0; j < service.real_servers.size(); ++j) {
            const Endpoint& server = service.real_servers[j].endpoint;
            if (known_services_.contains({server.address, server.port, service.key.protocol}) &&
                said.insert(places_.services[i].servers[j].order).second)
                diagnostics_.error(places_.services[i].servers[j],
                                   "the real server {} is a service of this director itself, which "
                                   "would ask itself for ever; write the server's own address or "
                                   "port",
                                   server.to_string());
        }
    }
}

core::Configuration Assembly::finish() {
    if (diagnostics_.errors() == 0 && configuration_.services.empty() &&
        !configuration_.real_server_machine)
        diagnostics_.error({0, 0, 0, 0},
                           "there is nothing to balance; write a dns_cluster or a virtual_server");
    check_limits(configuration_, places_, services_, servers_, diagnostics_);
    check_director();
    check_proxy();
    return std::move(configuration_);
}

}  // namespace dnsdirector::config
