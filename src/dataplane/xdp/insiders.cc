// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/insiders.h"

#include <atomic>
#include <cstring>

namespace dnsdirector::dataplane::xdp {
namespace {

std::uint64_t word_of(const netlink::Mac& mac) {
    std::uint64_t word = 0;
    std::memcpy(&word, mac.data(), mac.size());
    return word;
}

}  // namespace

std::vector<std::uint64_t> Insiders::in_kernel() const {
    std::vector<std::uint64_t> words;
    const int fd = maps_->fd(MapId::insiders);
    std::uint64_t word = 0;
    for (const std::uint64_t* before = nullptr; bpf_map_get_next_key(fd, before, &word) == 0;
         before = &words.back()) {
        // Should somebody change the map meanwhile, the walk may start again.
        if (words.size() > maps_->capacity(MapId::insiders)) break;
        words.push_back(word);
    }
    return words;
}

Result<void> Insiders::set(const InsiderMacs& macs) {
    const int fd = maps_->fd(MapId::insiders);
    std::vector<std::uint64_t> bits(abi::INSIDER_WORDS);
    std::map<std::uint64_t, std::uint32_t> wanted;
    for (const auto& [mac, whose] : macs)
        wanted[word_of(mac)] = whose;
    for (const auto& [word, whose] : wanted) {
        const std::uint32_t bit = abi::insider_bit(word);
        bits[bit / 64] |= std::uint64_t{1} << bit % 64;
        if (bpf_map_update_elem(fd, &word, &whose, BPF_ANY) != 0)
            return fail_errno("cannot tell the kernel program whose frames not to forward", errno);
    }
    for (std::size_t i = 0; i < bits.size(); ++i) {
        std::atomic_ref<__u64> in_force{maps_->directory().insider_bits[i]};
        if (in_force.load(std::memory_order_relaxed) != bits[i])
            in_force.store(bits[i], std::memory_order_release);
    }
    for (const std::uint64_t word : in_kernel())
        if (!wanted.contains(word)) (void)bpf_map_delete_elem(fd, &word);
    return {};
}

}  // namespace dnsdirector::dataplane::xdp
