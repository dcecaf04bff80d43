// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/old_tables.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "dataplane/xdp/fd.h"

namespace dnsdirector::dataplane::xdp {

template <typename Word>
Word OldTables::Array::at(std::size_t element, std::size_t offset) const {
    Word word{};
    if (element < length)
        std::memcpy(&word, memory.as<std::byte>().data() + element * stride + offset, sizeof word);
    return word;
}

Result<OldTables::Array> OldTables::open_array(const std::string& path,
                                               std::size_t bytes_at_least) {
    const Fd map{bpf_obj_get(path.c_str())};
    if (!map) return fail_errno("cannot open the pinned BPF map " + path, errno);
    const auto info = info_of(map.get(), path);
    if (!info) return tl::unexpected(info.error());
    if (info->value_size < bytes_at_least)
        return fail("the elements of {} are smaller than its description says", path);
    Array array;
    constexpr std::size_t word = sizeof(std::uint64_t);  // to which the kernel rounds up
    array.stride = (info->value_size + word - 1) / word * word;
    array.length = info->max_entries;
    auto memory = map_memory_of(map.get(), array.stride * array.length);
    if (!memory) return tl::unexpected(memory.error());
    array.memory = std::move(*memory);
    return array;
}

Result<OldTables> OldTables::open(const std::string& directory, const Description::Tables& where) {
    OldTables tables;
    tables.where_ = where;
    const auto open = [&](Array& array, const std::string& pin,
                          std::size_t bytes_at_least) -> Result<void> {
        auto opened = open_array(directory + "/" + pin, bytes_at_least);
        if (!opened) return tl::unexpected(opened.error());
        array = std::move(*opened);
        return {};
    };
    const std::size_t last_word = std::max(where.table, where.previous);
    if (auto done = open(tables.services_, where.services, last_word + sizeof(std::uint64_t));
        !done)
        return tl::unexpected(done.error());
    if (auto done = open(tables.slots_, where.slots, sizeof(abi::slot_block)); !done)
        return tl::unexpected(done.error());
    if (auto done =
            open(tables.destinations_, where.destinations, where.counter + sizeof(std::uint32_t));
        !done)
        return tl::unexpected(done.error());
    return tables;
}

OldTable OldTables::in_force(std::uint32_t service) const {
    return table(services_.at<std::uint64_t>(service, where_.table));
}

OldTable OldTables::before_change(std::uint32_t service) const {
    return table(services_.at<std::uint64_t>(service, where_.previous));
}

OldTable OldTables::table(std::uint64_t word) const {
    const std::uint32_t length = abi::table_length(word);
    const std::size_t first = std::size_t{abi::table_block(word)} * abi::SLOTS_PER_BLOCK;
    OldTable found;
    if (first + length > slots_.length * abi::SLOTS_PER_BLOCK) return found;
    found.servers.reserve(length);
    found.moved.reserve(length);
    for (std::size_t i = first; i < first + length; ++i) {
        const auto slot = slots_.at<std::uint16_t>(
            i / abi::SLOTS_PER_BLOCK, i % abi::SLOTS_PER_BLOCK * sizeof(std::uint16_t));
        const std::size_t record =
            abi::table_record(word) + (slot & std::size_t{abi::SLOT_MOVED - 1});
        found.servers.push_back(destinations_.at<std::uint32_t>(record, where_.counter));
        found.moved.push_back((slot & abi::SLOT_MOVED) != 0);
    }
    return found;
}

}  // namespace dnsdirector::dataplane::xdp
