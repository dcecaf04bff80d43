// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/maps.h"

#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "dataplane/xdp/flows.h"
#include "dataplane/xdp/ledger.h"
#include "dataplane/xdp/pin_dir.h"

namespace dnsdirector::dataplane::xdp {
namespace {

/// Twice what the configuration may hold: a reload brings the new servers before
/// the old ones have gone. One more, since index 0 means "none".
std::uint32_t twice(std::uint32_t limit) {
    return 2 * limit + 1;
}
/// A record for each service and one for its address; the directory has 16 bits.
std::uint32_t service_records(const core::Limits& limits) {
    return twice(limits.services);
}
std::uint32_t members(const core::Limits& limits) {
    return twice(limits.real_servers);
}
/// The services, too, stand among the members.
std::uint32_t ledger_entries(const core::Limits& limits) {
    return members(limits) + service_records(limits);
}
/// A table starts with a block of its own, and a new one stands beside the old
/// until that has rested.
std::uint32_t slot_blocks(const core::Limits& limits) {
    return limits.slots / abi::SLOTS_PER_BLOCK + 2 * limits.services + 1;
}
std::uint32_t records(const core::Limits& limits) {
    return 4 * limits.real_servers + 1;
}
/// A MAC for each server and director, and one for each interface of the machine.
std::uint32_t insiders(const core::Limits& limits) {
    return twice(limits.real_servers) + 4096;
}
/// The kernel program's own business; the skeleton does not show it.
struct icmp_budget {
    std::uint64_t words[2];
};

static_assert(2 * core::xdp_most.services + 1 == abi::SERVICES_MAX);
static_assert(4 * core::xdp_most.real_servers == abi::RECORDS_MAX);
static_assert(core::xdp_most.slots == abi::BLOCKS_MAX / 2 * abi::SLOTS_PER_BLOCK);
static_assert(core::xdp_most_destinations == abi::TABLE_RECORDS_MAX);

/// check-config says so first; this is for whoever comes without one.
Result<void> fit_the_layout(const core::Limits& limits) {
    const auto fits = [](std::uint32_t limit, std::uint32_t most,
                         const char* what) -> Result<void> {
        if (limit <= most) return {};
        return fail("the limit of {} {} is more than the XDP plane can hold: at most {}", limit,
                    what, most);
    };
    constexpr core::Limits most = core::xdp_most;
    if (auto done = fits(limits.services, most.services, "services"); !done) return done;
    if (auto done = fits(limits.real_servers, most.real_servers, "real_servers"); !done)
        return done;
    if (auto done = fits(limits.slots, most.slots, "slots"); !done) return done;
    return fits(limits.flows, most.flows, "flows");
}

struct MapDescription {
    const char* pin;
    bpf_map* (*in)(abi::director&);
    std::uint32_t (*size)(const core::Limits&);  ///< null: as compiled
    const char* limit;                           ///< what the operator calls it
    std::uint32_t value_size;
};

#define MAP(name) #name, [](abi::director& program) { return program.maps.name; }
const std::array<MapDescription, map_count> descriptions{{
    {"directory", [](abi::director& program) { return program.maps.bss; }, nullptr, "",
     sizeof(abi::directory)},
    {MAP(services), service_records, "services", sizeof(abi::service)},
    {MAP(slots), slot_blocks, "slots", sizeof(abi::slot_block)},
    {MAP(destinations), records, "real_servers", sizeof(abi::destination)},
    {MAP(tunnels), records, "real_servers", sizeof(abi::tunnel)},
    {MAP(insiders), insiders, "real_servers", sizeof(std::uint32_t)},
    {MAP(service_states), service_records, "services", sizeof(abi::service_state)},
    {MAP(server_counters), members, "real_servers", sizeof(abi::count)},
    {MAP(reasons), nullptr, "", sizeof(std::uint64_t)},
    {MAP(icmp_budgets), nullptr, "", sizeof(icmp_budget)},
    {MAP(egress), nullptr, "", sizeof(bpf_devmap_val)},
    {MAP(members), ledger_entries, "real_servers", sizeof(abi::member)},
    {MAP(attachments), nullptr, "", sizeof(abi::attachment)},
    {MAP(fragments), nullptr, "", sizeof(abi::fragment_ports)},
    {MAP(too_big), nullptr, "", 0},
    {MAP(homes), members, "real_servers", sizeof(abi::home)},
    {MAP(flows), flow_buckets, "flows", sizeof(abi::flow_bucket)},
    {MAP(young_flows), young_flow_buckets, "flows", sizeof(abi::flow_bucket)},
    {"flow_control", [](abi::director& program) { return program.maps.data_flows; }, nullptr, "",
     sizeof(abi::flow_control)},
    {MAP(flow_states), nullptr, "", sizeof(abi::flow_state)},
    {MAP(layout), nullptr, "", sizeof(abi::layout_text)},
}};
#undef MAP

Result<void> write_layout(int map) {
    abi::layout_text layout{};
    const std::string text = own_description();
    if (text.size() >= sizeof layout.text) return fail("the description of the maps is too long");
    std::copy(text.begin(), text.end(), layout.text);
    const std::uint32_t first = 0;
    if (bpf_map_update_elem(map, &first, &layout, BPF_ANY) != 0)
        return fail_errno("cannot write the description of the maps", errno);
    return {};
}

}  // namespace

Result<bpf_map_info> info_of(int fd, const std::string& path) {
    bpf_map_info info{};
    std::uint32_t length = sizeof info;
    if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0)
        return fail_errno("cannot read about the BPF map " + path, errno);
    return info;
}

Result<Mapping> map_memory_of(int fd, std::size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) return fail_errno("cannot map a BPF map into memory", errno);
    return Mapping{memory, bytes};
}

Mapping::~Mapping() {
    if (memory_ != nullptr) munmap(memory_, bytes_);
}

Result<std::unique_ptr<Maps>> Maps::open(const core::Limits& limits, const std::string& pin_dir) {
    if (auto fits = fit_the_layout(limits); !fits) return tl::unexpected(fits.error());
    std::unique_ptr<Maps> maps{new Maps};
    maps->pin_dir_ = pin_dir;
    maps->remembers_flows_ = limits.flows != 0;
    maps->pins_ = pin_dir + "/v" + std::to_string(abi::ABI_VERSION);
    if (auto made = maps->make_place_for_pins(); !made) return tl::unexpected(made.error());
    if (auto done = maps->drop_what_was_taken_over(); !done) return tl::unexpected(done.error());
    if (auto found = maps->find_pinned(); !found) return tl::unexpected(found.error());
    auto ready = maps->adopted_ ? maps->check_sizes(limits) : maps->create(limits);
    if (!ready) {
        if (!maps->adopted_) (void)maps->unpin();
        return tl::unexpected(ready.error());
    }
    if (auto described = maps->describe(); !described) return tl::unexpected(described.error());
    if (auto mapped = maps->map_memory(); !mapped) return tl::unexpected(mapped.error());
    auto base = BaseCounts::open(maps->pins_);
    if (!base) return tl::unexpected(base.error());
    maps->base_ = std::make_unique<BaseCounts>(std::move(*base));
    return maps;
}

/// A successor of another layout was stopped between two steps: it has our counts,
/// and had not removed our pins yet. No link runs a program of theirs any more.
Result<void> Maps::drop_what_was_taken_over() {
    const Fd own{bpf_obj_get((pins_ + "/attachments").c_str())};
    if (!own) return {};
    const auto id = map_id(own.get());
    if (!id) return tl::unexpected(id.error());
    for (const std::string& other : sets_of_pins(pin_dir_)) {
        if (other == pins_) continue;
        const auto base = BaseCounts::open(other);
        if (!base) return tl::unexpected(base.error());
        if (base->included().contains(*id)) return remove_set_of_pins(pins_);
    }
    return {};
}

/// All of them, or none: they are pinned before any program is attached, so a
/// part of them is the rest of a start that was interrupted, or of a removal.
Result<void> Maps::find_pinned() {
    std::size_t found = 0;
    for (std::size_t i = 0; i < map_count; ++i) {
        const std::string path = pins_ + "/" + descriptions[i].pin;
        fds_[i] = Fd{bpf_obj_get(path.c_str())};
        if (fds_[i])
            ++found;
        else if (errno != ENOENT)
            return fail_errno("cannot open the pinned BPF map " + path +
                                  " (the XDP plane needs root, or CAP_BPF and CAP_NET_ADMIN)",
                              errno);
    }
    adopted_ = found == map_count;
    if (adopted_ || found == 0) return {};
    spdlog::warn("{} holds only {} of {} tables; starting with empty ones", pins_, found,
                 map_count);
    for (Fd& fd : fds_)
        fd = Fd{};
    return remove_set_of_pins(pins_);
}

Result<void> Maps::check_sizes(const core::Limits& limits) {
    for (std::size_t i = 0; i < map_count; ++i) {
        const MapDescription& wanted = descriptions[i];
        const std::string path = pins_ + "/" + wanted.pin;
        const auto info = info_of(fds_[i].get(), path);
        if (!info) return tl::unexpected(info.error());
        capacity_[i] = info->max_entries;
        if (info->value_size != wanted.value_size)
            return fail(
                "the BPF map {} has another layout than this program's: stop the director "
                "that made it cleanly, or remove {}",
                path, pins_);
        if (wanted.size == nullptr || info->max_entries == wanted.size(limits)) continue;
        if (info->max_entries < wanted.size(limits))
            return fail(
                "the tables that are in force have room for {} entries in {}, and the limit {} "
                "asks for {}: stop the director cleanly once (that removes them), or keep the "
                "limit as it was",
                info->max_entries, path, wanted.limit, wanted.size(limits));
        spdlog::warn(
            "{} has room for {} entries, more than the limit {} asks for ({}): used as it "
            "is until the next clean stop",
            path, info->max_entries, wanted.limit, wanted.size(limits));
    }
    return {};
}

void Maps::set_sizes(abi::director& program, const core::Limits& limits) {
    for (const MapDescription& map : descriptions)
        if (map.size != nullptr) bpf_map__set_max_entries(map.in(program), map.size(limits));
}

std::vector<std::pair<std::string, bpf_map*>> Maps::all(abi::director& program) {
    std::vector<std::pair<std::string, bpf_map*>> maps;
    maps.reserve(descriptions.size());
    for (const MapDescription& map : descriptions)
        maps.emplace_back(map.pin, map.in(program));
    return maps;
}

std::string Maps::name(MapId id) {
    return descriptions[static_cast<std::size_t>(id)].pin;
}

/// Loads the object without its program, which makes the maps with their types,
/// so that `bpftool map dump` prints fields by name.
Result<void> Maps::create(const core::Limits& limits) {
    if (auto made = make_place_for_pins(); !made) return made;
    keep_libbpf_log();
    const Program program{abi::director__open()};
    if (!program) return fail_errno("cannot open the embedded BPF object", errno);
    bpf_program__set_autoload(program->progs.director, false);
    set_sizes(*program, limits);
    if (const int error = abi::director__load(program.get()); error != 0)
        return fail(
            "cannot make the BPF maps: {} (the XDP plane needs root, or CAP_BPF and "
            "CAP_NET_ADMIN): {}",
            std::strerror(-error), take_libbpf_log());
    for (std::size_t i = 0; i < map_count; ++i) {
        bpf_map* map = descriptions[i].in(*program);
        if (static_cast<MapId>(i) == MapId::layout)
            if (auto written = write_layout(bpf_map__fd(map)); !written) return written;
        const std::string path = pins_ + "/" + descriptions[i].pin;
        if (bpf_obj_pin(bpf_map__fd(map), path.c_str()) != 0)
            return fail_errno("cannot pin a BPF map at " + path, errno);
        fds_[i] = Fd{bpf_obj_get(path.c_str())};
        if (!fds_[i]) return fail_errno("cannot open the pinned BPF map " + path, errno);
        capacity_[i] = bpf_map__max_entries(map);
    }
    return {};
}

/// Pins that an earlier version of the same layout made may say less of themselves.
Result<void> Maps::describe() const {
    const std::uint32_t first = 0;
    abi::layout_text layout{};
    if (bpf_map_lookup_elem(fd(MapId::layout), &first, &layout) == 0 &&
        std::string_view{layout.text, strnlen(layout.text, sizeof layout.text)} ==
            own_description())
        return {};
    return write_layout(fd(MapId::layout));
}

Result<void> Maps::map_memory(MapId id, Mapping& mapping) const {
    auto memory = map_memory_of(
        fd(id), std::size_t{capacity(id)} * descriptions[static_cast<std::size_t>(id)].value_size);
    if (!memory) return tl::unexpected(memory.error());
    mapping = std::move(*memory);
    return {};
}

Result<void> Maps::map_memory() {
    const auto map = [&](MapId id, Mapping& mapping) { return map_memory(id, mapping); };
    if (auto done = map(MapId::directory, directory_); !done) return done;
    if (auto done = map(MapId::services, services_); !done) return done;
    if (auto done = map(MapId::slots, slots_); !done) return done;
    if (auto done = map(MapId::destinations, destinations_); !done) return done;
    if (auto done = map(MapId::tunnels, tunnels_); !done) return done;
    if (auto done = map(MapId::homes, homes_); !done) return done;
    if (auto done = map(MapId::flows, flows_); !done) return done;
    if (auto done = map(MapId::young_flows, young_flows_); !done) return done;
    return map(MapId::flow_control, flow_control_);
}

Result<void> Maps::use_instead(MapId id, const std::string& path) {
    Fd map{bpf_obj_get(path.c_str())};
    if (!map) return fail_errno("cannot open the pinned BPF map " + path, errno);
    const auto info = info_of(map.get(), path);
    if (!info) return tl::unexpected(info.error());
    const std::string place = pins_ + "/" + name(id);
    const std::string beside = place + "_new";
    unlink(beside.c_str());
    if (bpf_obj_pin(map.get(), beside.c_str()) != 0 ||
        std::rename(beside.c_str(), place.c_str()) != 0)
        return fail_errno("cannot pin a BPF map at " + place, errno);
    fds_[static_cast<std::size_t>(id)] = std::move(map);
    capacity_[static_cast<std::size_t>(id)] = info->max_entries;
    switch (id) {
        case MapId::flows: return map_memory(id, flows_);
        case MapId::young_flows: return map_memory(id, young_flows_);
        case MapId::flow_control: return map_memory(id, flow_control_);
        default: return {};
    }
}

void Maps::forget_flows() const {
    for (const auto buckets : {flows(), young_flows()})
        for (abi::flow_bucket& bucket : buckets)
            for (__u64& flow : bucket.flow)
                std::atomic_ref<__u64>{flow}.store(0, std::memory_order_relaxed);
}

Result<void> Maps::lend_to(abi::director& program) const {
    for (std::size_t i = 0; i < map_count; ++i)
        if (const int error = bpf_map__reuse_fd(descriptions[i].in(program), fds_[i].get());
            error != 0)
            return fail_errno(std::string{"cannot use the BPF map "} + descriptions[i].pin, -error);
    return {};
}

Result<void> Maps::make_place_for_pins() {
    if (!owns_pins()) {
        auto lock = PinLock::take(pin_dir_);
        if (!lock) return tl::unexpected(lock.error());
        lock_ = std::move(*lock);
    }
    return is_there(pins_) ? Result<void>{} : make_pin_dir(pins_);
}

Result<std::vector<std::string>> Maps::restore_pins() {
    if (auto made = make_place_for_pins(); !made) return tl::unexpected(made.error());
    std::vector<std::string> restored;
    for (std::size_t i = 0; i < map_count; ++i) {
        const std::string path = pins_ + "/" + descriptions[i].pin;
        if (is_there(path)) continue;
        if (bpf_obj_pin(fds_[i].get(), path.c_str()) != 0)
            return fail_errno("cannot pin a BPF map again at " + path, errno);
        restored.push_back(path);
    }
    auto base = base_->restore_pin();
    if (!base) return tl::unexpected(base.error());
    if (!base->empty()) restored.push_back(std::move(*base));
    return restored;
}

Result<void> Maps::unpin() {
    if (!owns_pins()) return {};  // removed, or another director's by now
    if (auto done = remove_set_of_pins(pins_); !done) return done;
    remove_pin_dir(pin_dir_);
    return {};
}

Result<std::vector<std::uint64_t>> sum_per_cpu(int fd, std::uint32_t count, std::size_t words) {
    std::vector<std::uint64_t> sums(count * words);
    const auto cpus = static_cast<std::size_t>(libbpf_num_possible_cpus());
    constexpr std::uint32_t at_once = 1024;
    std::vector<std::uint32_t> keys(at_once);
    std::vector<std::uint64_t> values(at_once * words * cpus);
    std::uint32_t token = 0;
    for (std::uint32_t done = 0; done < count;) {
        std::uint32_t got = std::min(at_once, count - done);
        const int result = bpf_map_lookup_batch(fd, done == 0 ? nullptr : &token, &token,
                                                keys.data(), values.data(), &got, nullptr);
        if (result != 0 && errno != ENOENT) return fail_errno("cannot read BPF counters", errno);
        for (std::size_t i = 0; i < got && done + i < count; ++i)
            for (std::size_t cpu = 0; cpu < cpus; ++cpu)
                for (std::size_t word = 0; word < words; ++word)
                    sums[(done + i) * words + word] += values[(i * cpus + cpu) * words + word];
        if (got == 0) break;
        done += got;
    }
    return sums;
}

Result<std::uint64_t> first_word_per_cpu(int fd, std::uint32_t index, std::size_t words) {
    const auto cpus = static_cast<std::size_t>(libbpf_num_possible_cpus());
    std::vector<std::uint64_t> values(words * cpus);
    if (bpf_map_lookup_elem(fd, &index, values.data()) != 0)
        return fail_errno("cannot read a BPF counter", errno);
    std::uint64_t sum = 0;
    for (std::size_t cpu = 0; cpu < cpus; ++cpu)
        sum += values[cpu * words];
    return sum;
}

Result<void> clear_per_cpu(int fd, std::uint32_t index, std::size_t words) {
    const auto cpus = static_cast<std::size_t>(libbpf_num_possible_cpus());
    const std::vector<std::uint64_t> zeros(words * cpus);
    if (bpf_map_update_elem(fd, &index, zeros.data(), BPF_ANY) != 0)
        return fail_errno("cannot clear a BPF counter", errno);
    return {};
}

}  // namespace dnsdirector::dataplane::xdp
