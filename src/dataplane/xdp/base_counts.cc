// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/base_counts.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "dataplane/xdp/keys.h"
#include "dataplane/xdp/ledger.h"
#include "dataplane/xdp/pin_dir.h"

namespace dnsdirector::dataplane::xdp {
namespace {

constexpr const char* pin = "base";
constexpr std::size_t name_bytes = 2 * sizeof abi::member_key::service_address;

using Entries = std::vector<std::pair<abi::member_key, abi::tally>>;

abi::member_key key_of_reason(const std::string& name) {
    abi::member_key key{};
    std::memcpy(&key, name.data(), std::min(name.size(), name_bytes - 1));
    key.port = abi::BASE_REASON;
    return key;
}

abi::member_key key_of_included(std::uint32_t id) {
    abi::member_key key{};
    key.service_address[0] = id;
    key.port = abi::BASE_INCLUDED;
    return key;
}

Entries entries_for(const Counters& counts, const std::set<std::uint32_t>& included) {
    Entries entries;
    for (const auto& [key, count] : counts.services)
        entries.push_back({ledger_key(key), {count.packets, count.bytes}});
    for (const auto& [member, count] : counts.servers)
        entries.push_back({member_key(member.first, member.second), {count.packets, count.bytes}});
    for (const auto& [name, packets] : counts.drops)
        entries.push_back({key_of_reason(name), {packets, 0}});
    for (const std::uint32_t id : included)
        entries.push_back({key_of_included(id), {}});
    return entries;
}

}  // namespace

Result<BaseCounts> BaseCounts::open(const std::string& directory) {
    BaseCounts base{directory + "/" + pin};
    base.map_ = Fd{bpf_obj_get(base.path_.c_str())};
    if (!base.map_) {
        if (errno == ENOENT) return base;
        return fail_errno("cannot open the pinned BPF map " + base.path_, errno);
    }
    const auto entries = entries_of<abi::member_key, abi::tally>(
        base.map_.get(), "what the predecessors had counted");
    if (!entries) return tl::unexpected(entries.error());
    for (const auto& [key, tally] : *entries) {
        const Count count{tally.packets, tally.bytes};
        if (const auto service = service_key(key.service_address, key.where)) {
            if (names_a_server(key))
                base.counts_.servers[{*service, server_of(key)}] = count;
            else
                base.counts_.services[*service] = count;
        } else if (key.where == 0 && key.port == abi::BASE_INCLUDED) {
            base.included_.insert(static_cast<std::uint32_t>(key.service_address[0]));
        } else if (key.where == 0 && key.port == abi::BASE_REASON) {
            char name[name_bytes + 1] = {};
            std::memcpy(name, &key, name_bytes);
            base.counts_.drops[name] = count.packets;
        }
    }
    return base;
}

Result<void> BaseCounts::replace(Counters counts, std::set<std::uint32_t> included) {
    const Entries entries = entries_for(counts, included);
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
    Fd map{bpf_map_create(BPF_MAP_TYPE_HASH, pin, sizeof(abi::member_key), sizeof(abi::tally),
                          static_cast<std::uint32_t>(std::max<std::size_t>(entries.size(), 1)),
                          &options)};
    if (!map) return fail_errno("cannot make the BPF map of the predecessors' counts", errno);
    for (const auto& [key, tally] : entries)
        if (bpf_map_update_elem(map.get(), &key, &tally, BPF_ANY) != 0)
            return fail_errno("cannot write down what the predecessors had counted", errno);
    // The new one has all counts or is not there: nothing is ever counted twice.
    const std::string beside = path_ + "_new";
    unlink(beside.c_str());
    if (bpf_obj_pin(map.get(), beside.c_str()) != 0 ||
        std::rename(beside.c_str(), path_.c_str()) != 0)
        return fail_errno("cannot pin a BPF map at " + path_, errno);
    map_ = std::move(map);
    counts_ = std::move(counts);
    included_ = std::move(included);
    return {};
}

void BaseCounts::forget(const core::ServiceKey& service, const std::optional<Endpoint>& server) {
    const bool had = server ? counts_.servers.erase({service, *server}) != 0
                            : counts_.services.erase(service) != 0;
    if (!had) return;
    const abi::member_key key = server ? member_key(service, *server) : ledger_key(service);
    (void)bpf_map_delete_elem(map_.get(), &key);
}

Result<std::string> BaseCounts::restore_pin() const {
    if (!map_ || is_there(path_)) return std::string{};
    if (bpf_obj_pin(map_.get(), path_.c_str()) != 0)
        return fail_errno("cannot pin a BPF map again at " + path_, errno);
    return path_;
}

Result<void> BaseCounts::unpin() const {
    for (const std::string& path : {path_, path_ + "_new"})
        if (unlink(path.c_str()) != 0 && errno != ENOENT)
            return fail_errno("cannot remove the pinned BPF map " + path, errno);
    return {};
}

void add(Counters& sum, const Counters& more) {
    const auto add_count = [](Count& to, const Count& from) {
        to.packets += from.packets;
        to.bytes += from.bytes;
    };
    for (const auto& [key, count] : more.services)
        add_count(sum.services[key], count);
    for (const auto& [member, count] : more.servers)
        add_count(sum.servers[member], count);
    for (const auto& [name, packets] : more.drops)
        sum.drops[name] += packets;
}

Result<std::uint32_t> map_id(int fd) {
    bpf_map_info info{};
    std::uint32_t length = sizeof info;
    if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0)
        return fail_errno("cannot read about a BPF map", errno);
    return info.id;
}

}  // namespace dnsdirector::dataplane::xdp
