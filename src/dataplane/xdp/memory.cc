// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/memory.h"

#include <linux/bpf.h>
#include <unistd.h>

#include <bit>
#include <fstream>

#include "dataplane/xdp/maps.h"

namespace dnsdirector::dataplane {
namespace {

// Sizes of the kernel's own structures (kernel/bpf/arraymap.c, hashtab.c,
// devmap.c of 6.1 to 6.18, 64 bits); a few hundred bytes for a map do not matter.
constexpr std::uint64_t map_header = 512;
constexpr std::uint64_t bucket = 16;
constexpr std::uint64_t element_header = 48;
constexpr std::uint64_t list_node = 8;
constexpr std::uint64_t pointer = 8;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) {
    return (value + to - 1) / to * to;
}

struct Shape {
    bpf_map_type type;
    std::uint64_t entries;
    std::uint64_t key;    ///< bytes, rounded up to 8
    std::uint64_t value;  ///< likewise
    std::uint32_t flags;
};

std::uint64_t bytes_of_array(const Shape& shape, std::uint64_t cpus) {
    if (shape.type == BPF_MAP_TYPE_PERCPU_ARRAY)
        return map_header + shape.entries * (pointer + shape.value * cpus);
    if ((shape.flags & BPF_F_MMAPABLE) == 0) return map_header + shape.entries * shape.value;
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    return page + round_up(shape.entries * shape.value, page);
}

std::uint64_t bytes_of_hash(const Shape& shape, std::uint64_t cpus, std::uint64_t filled) {
    const bool lru =
        shape.type == BPF_MAP_TYPE_LRU_HASH || shape.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
    const bool per_cpu =
        shape.type == BPF_MAP_TYPE_PERCPU_HASH || shape.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
    std::uint64_t element = element_header + shape.key + (per_cpu ? pointer : shape.value);
    if (per_cpu) element += shape.value * cpus;
    const std::uint64_t buckets = map_header + std::bit_ceil(shape.entries) * bucket;
    if ((shape.flags & BPF_F_NO_PREALLOC) != 0)
        return buckets + std::min(filled, shape.entries) * (element + list_node);
    // Every CPU keeps an element at hand, so that a replacement finds one.
    const std::uint64_t extra = lru || per_cpu ? 0 : cpus;
    return buckets + (shape.entries + extra) * element + extra * pointer;
}

std::uint64_t bytes_of(const Shape& shape, std::uint64_t cpus, std::uint64_t filled) {
    switch (shape.type) {
        case BPF_MAP_TYPE_ARRAY:
        case BPF_MAP_TYPE_PERCPU_ARRAY: return bytes_of_array(shape, cpus);
        case BPF_MAP_TYPE_HASH:
        case BPF_MAP_TYPE_LRU_HASH:
        case BPF_MAP_TYPE_PERCPU_HASH:
        case BPF_MAP_TYPE_LRU_PERCPU_HASH: return bytes_of_hash(shape, cpus, filled);
        case BPF_MAP_TYPE_RINGBUF:  // its data, and two pages of positions (ringbuf.c)
            return map_header + shape.entries +
                   2 * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
        default:  // tables of interfaces and the like, which are small
            return map_header + std::bit_ceil(shape.entries) * pointer;
    }
}

/// "memlock:" of /proc/self/fdinfo/FD: the kernel's own count (Documentation/filesystems/proc.rst).
std::uint64_t counted(int fd) {
    std::ifstream file{"/proc/self/fdinfo/" + std::to_string(fd)};
    std::string word;
    std::uint64_t bytes = 0;
    while (file >> word)
        if (word == "memlock:" && file >> bytes) return bytes;
    return 0;
}

}  // namespace

Result<unsigned> possible_cpus() {
    const int cpus = libbpf_num_possible_cpus();
    if (cpus > 0) return static_cast<unsigned>(cpus);
    return fail_errno("cannot count the machine's CPUs (/sys/devices/system/cpu/possible)", -cpus);
}

Result<std::vector<TableMemory>> xdp_memory(const core::Limits& limits, std::uint32_t servers,
                                            unsigned cpus) {
    xdp::keep_libbpf_log();
    const xdp::Program program{xdp::abi::director__open()};
    if (!program) return fail_errno("cannot open the embedded BPF object", errno);
    xdp::Maps::set_sizes(*program, limits);
    std::vector<TableMemory> tables;
    for (const auto& [name, map] : xdp::Maps::all(*program)) {
        const Shape shape{bpf_map__type(map), bpf_map__max_entries(map),
                          round_up(bpf_map__key_size(map), 8),
                          round_up(bpf_map__value_size(map), 8), bpf_map__map_flags(map)};
        tables.push_back(
            {name, bytes_of(shape, cpus, servers), (shape.flags & BPF_F_MMAPABLE) != 0});
    }
    return tables;
}

std::vector<TableMemory> xdp::memory_of(const Maps& maps) {
    std::vector<TableMemory> tables;
    for (std::size_t i = 0; i < map_count; ++i) {
        const auto id = static_cast<MapId>(i);
        if (const std::uint64_t bytes = counted(maps.fd(id)); bytes != 0)
            tables.push_back({Maps::name(id), bytes});
    }
    return tables;
}

}  // namespace dnsdirector::dataplane
