// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/predecessor.h"

#include "dataplane/xdp/base_counts.h"
#include "dataplane/xdp/layout1.h"
#include "dataplane/xdp/maps.h"
#include "dataplane/xdp/pin_dir.h"

namespace dnsdirector::dataplane::xdp {
namespace {

Result<Fd> open_pin(const std::string& path) {
    Fd map{bpf_obj_get(path.c_str())};
    if (!map) return fail_errno("cannot open the pinned BPF map " + path, errno);
    return map;
}

/// Sums over all CPUs of a per-CPU array: 64-bit words, element by element.
struct Sums {
    std::vector<std::uint64_t> words;
    std::size_t words_each = 1;

    /// The word at this offset of an element; 0 beyond the end.
    [[nodiscard]] std::uint64_t at(std::size_t element, std::size_t offset) const {
        const std::size_t word = offset / sizeof(std::uint64_t);
        const std::size_t index = element * words_each + word;
        return word < words_each && index < words.size() ? words[index] : 0;
    }
};

Result<Sums> sums_of(const std::string& path) {
    const auto map = open_pin(path);
    if (!map) return tl::unexpected(map.error());
    const auto info = info_of(map->get(), path);
    if (!info) return tl::unexpected(info.error());
    Sums sums;
    sums.words_each = (info->value_size + sizeof(std::uint64_t) - 1) / sizeof(std::uint64_t);
    auto words = sum_per_cpu(map->get(), info->max_entries, sums.words_each);
    if (!words) return tl::unexpected(words.error());
    sums.words = std::move(*words);
    return sums;
}

}  // namespace

Result<std::vector<Predecessor>> Predecessor::find(const std::string& pin_dir,
                                                   const std::string& own) {
    std::vector<Predecessor> found;
    for (const std::string& directory : sets_of_pins(pin_dir)) {
        if (directory == own) continue;
        Predecessor predecessor;
        predecessor.directory_ = directory;
        if (auto done = predecessor.look(); !done) return tl::unexpected(done.error());
        found.push_back(std::move(predecessor));
    }
    return found;
}

Result<void> Predecessor::look() {
    if (layout_of_pins(directory_) == 1 && layout1::is_whole(directory_)) {
        description_ = *parse_description(layout1::description());
    } else if (const Fd map{bpf_obj_get((directory_ + "/layout").c_str())}; map) {
        const std::uint32_t first = 0;
        abi::layout_text layout{};
        const auto info = info_of(map.get(), directory_ + "/layout");
        if (!info) return tl::unexpected(info.error());
        if (info->value_size != sizeof layout ||
            bpf_map_lookup_elem(map.get(), &first, &layout) != 0)
            return {};
        auto description = parse_description({layout.text, sizeof layout.text});
        if (description) description_ = std::move(*description);
    }
    if (!whole()) return {};
    const auto map = open_pin(directory_ + "/attachments");
    if (!map) return tl::unexpected(map.error());
    const auto id = map_id(map->get());
    if (!id) return tl::unexpected(id.error());
    id_ = *id;
    const auto base = BaseCounts::open(directory_);
    if (!base) return tl::unexpected(base.error());
    included_ = base->included();
    return {};
}

bool Predecessor::forwards() const {
    return holds_links(directory_);
}

const Predecessor* source_among(const std::vector<Predecessor>& predecessors) {
    const Predecessor* source = nullptr;
    for (const Predecessor& each : predecessors)
        if (each.whole() && (source == nullptr || each.forwards() || !source->forwards()))
            source = &each;
    return source;
}

Result<Ledger> Predecessor::ledger() const {
    if (description_.layout == 1) return layout1::read(directory_);
    const std::string path = directory_ + "/members";
    const auto map = open_pin(path);
    if (!map) return tl::unexpected(map.error());
    const auto info = info_of(map->get(), path);
    if (!info) return tl::unexpected(info.error());
    if (info->key_size != sizeof(abi::member_key) || info->value_size != sizeof(abi::member))
        return fail("{} is not what every version of this program writes there", path);
    return read_ledger(map->get());
}

Result<Counters> Predecessor::count(const Ledger& ledger) const {
    const auto services = sums_of(directory_ + "/" + description_.services.map);
    if (!services) return tl::unexpected(services.error());
    const auto servers = sums_of(directory_ + "/" + description_.servers.map);
    if (!servers) return tl::unexpected(servers.error());
    Counters counters;
    for (const auto& [key, service] : ledger) {
        const Description::Counters& at = description_.services;
        if (service.counter != 0)
            counters.services[key] = {services->at(service.counter, at.packets),
                                      services->at(service.counter, at.bytes)};
        for (const auto& [server, member] : service.members)
            counters.servers[{key, server}] = {
                servers->at(member.counter, description_.servers.packets),
                servers->at(member.counter, description_.servers.bytes)};
    }
    if (description_.reasons_map.empty()) return counters;
    const auto reasons = sums_of(directory_ + "/" + description_.reasons_map);
    if (!reasons) return tl::unexpected(reasons.error());
    for (std::size_t i = 0; i < description_.reasons.size(); ++i)
        counters.drops[description_.reasons[i]] = reasons->at(i, 0);
    return counters;
}

Result<Counters> Predecessor::counters() const {
    const auto found = ledger();
    if (!found) return tl::unexpected(found.error());
    auto counters = count(*found);
    if (!counters) return counters;
    const auto base = BaseCounts::open(directory_);
    if (!base) return tl::unexpected(base.error());
    add(*counters, base->counts());
    return counters;
}

Result<Counters> counters_of(const std::vector<Predecessor>& predecessors,
                             const std::set<std::uint32_t>& included) {
    std::set<std::uint32_t> counted = included;
    for (const Predecessor& each : predecessors)
        counted.insert(each.included().begin(), each.included().end());
    Counters sum;
    for (const Predecessor& each : predecessors) {
        if (!each.whole() || counted.contains(each.id())) continue;
        const auto counters = each.counters();
        if (!counters) return counters;
        add(sum, *counters);
    }
    return sum;
}

}  // namespace dnsdirector::dataplane::xdp
