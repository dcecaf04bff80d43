// SPDX-License-Identifier: Apache-2.0
//
// The pinned maps: made at the first start, adopted by every later one.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "core/model.h"
#include "dataplane/xdp/base_counts.h"
#include "dataplane/xdp/fd.h"
#include "dataplane/xdp/pin_dir.h"
#include "dataplane/xdp/program.h"

namespace dnsdirector::dataplane::xdp {

enum class MapId : std::uint8_t {
    directory,
    services,
    slots,
    destinations,
    tunnels,
    insiders,
    service_states,
    server_counters,
    reasons,
    icmp_budgets,
    egress,
    members,
    attachments,
    fragments,
    too_big,
    homes,
    flows,
    young_flows,
    flow_control,
    flow_states,
    layout,  ///< the last to be pinned, the first to go: with it the set is whole
};
inline constexpr std::size_t map_count = 21;

/// Memory of a map that the kernel program reads at the same time.
class Mapping {
public:
    Mapping() = default;
    Mapping(void* memory, std::size_t bytes) : memory_(memory), bytes_(bytes) {}
    Mapping(Mapping&& other) noexcept { swap(other); }
    Mapping& operator=(Mapping&& other) noexcept {
        swap(other);
        return *this;
    }
    ~Mapping();

    template <typename T>
    [[nodiscard]] std::span<T> as() const {
        return {static_cast<T*>(memory_), bytes_ / sizeof(T)};
    }

private:
    void swap(Mapping& other) noexcept {
        std::swap(memory_, other.memory_);
        std::swap(bytes_, other.bytes_);
    }
    void* memory_ = nullptr;
    std::size_t bytes_ = 0;
};

/// What the kernel says of an open map; `path` is for the error.
[[nodiscard]] Result<bpf_map_info> info_of(int fd, const std::string& path);
/// Maps `bytes` of a memory-mappable map.
[[nodiscard]] Result<Mapping> map_memory_of(int fd, std::size_t bytes);

class Maps {
public:
    /// Errors: no bpffs at `pin_dir`, no permission, pinned maps that are smaller
    /// than `limits` ask for, another director on the same directory. Larger maps
    /// are used as they are. Pins of another layout stay what they are; where one
    /// of those has all that this layout's pins had counted, they are removed.
    static Result<std::unique_ptr<Maps>> open(const core::Limits& limits,
                                              const std::string& pin_dir);

    /// Makes the maps of an object that is not loaded yet as large as the limits ask for.
    static void set_sizes(abi::director& program, const core::Limits& limits);

    /// Its maps by the names of their pins, in the order of MapId.
    [[nodiscard]] static std::vector<std::pair<std::string, bpf_map*>> all(abi::director& program);
    [[nodiscard]] static std::string name(MapId id);

    [[nodiscard]] int fd(MapId id) const { return fds_[static_cast<std::size_t>(id)].get(); }
    /// Number of elements the kernel has room for.
    [[nodiscard]] std::uint32_t capacity(MapId id) const {
        return capacity_[static_cast<std::size_t>(id)];
    }

    [[nodiscard]] abi::directory& directory() const {
        return directory_.as<abi::directory>().front();
    }
    [[nodiscard]] std::span<abi::service> services() const { return services_.as<abi::service>(); }
    [[nodiscard]] std::span<abi::slot_block> slots() const { return slots_.as<abi::slot_block>(); }
    [[nodiscard]] std::span<abi::destination> destinations() const {
        return destinations_.as<abi::destination>();
    }
    /// As many as destinations, and at the same indices.
    [[nodiscard]] std::span<abi::tunnel> tunnels() const { return tunnels_.as<abi::tunnel>(); }

    [[nodiscard]] std::span<abi::home> homes() const { return homes_.as<abi::home>(); }
    [[nodiscard]] std::span<abi::flow_bucket> flows() const {
        return flows_.as<abi::flow_bucket>();
    }
    [[nodiscard]] std::span<abi::flow_bucket> young_flows() const {
        return young_flows_.as<abi::flow_bucket>();
    }
    [[nodiscard]] abi::flow_control& flow_control() const {
        return flow_control_.as<abi::flow_control>().front();
    }
    /// TCP flows are to be remembered.
    [[nodiscard]] bool remembers_flows() const { return remembers_flows_; }

    /// Uses the map that is pinned at `path` in the place of its own, and pins it here, too.
    /// `id` is one of those below, and no program runs that has the other one.
    Result<void> use_instead(MapId id, const std::string& path);
    void forget_flows() const;

    /// Lets a program that is being opened use these maps instead of new ones.
    Result<void> lend_to(abi::director& program) const;

    /// Where the pins of all layouts lie.
    [[nodiscard]] const std::string& pin_dir() const { return pin_dir_; }
    /// Where this layout's lie: PIN_DIR/vN.
    [[nodiscard]] const std::string& directory_of_pins() const { return pins_; }
    /// The maps were there already: a predecessor's tables are in them.
    [[nodiscard]] bool adopted() const { return adopted_; }

    /// What is to be added to what these maps count.
    [[nodiscard]] BaseCounts& base() const { return *base_; }

    /// Makes the directories again where somebody removed them. Errors: it can't
    /// be; another director has taken the place meanwhile.
    Result<void> make_place_for_pins();
    /// False when what lies under the pin directory's path is not ours (any more).
    [[nodiscard]] bool owns_pins() const { return lock_.holds(pin_dir_); }
    /// Pins again what somebody removed, and says which.
    Result<std::vector<std::string>> restore_pins();

    /// Takes the pins and the directories away. The memory stays until the end.
    Result<void> unpin();

private:
    Maps() = default;
    Result<void> find_pinned();
    Result<void> drop_what_was_taken_over();
    Result<void> check_sizes(const core::Limits& limits);
    Result<void> create(const core::Limits& limits);
    Result<void> describe() const;
    Result<void> map_memory();
    Result<void> map_memory(MapId id, Mapping& mapping) const;

    PinLock lock_;
    std::string pin_dir_;
    std::string pins_;
    bool adopted_ = false;
    std::unique_ptr<BaseCounts> base_;
    Fd fds_[map_count];
    std::uint32_t capacity_[map_count] = {};
    Mapping directory_;
    Mapping services_;
    Mapping slots_;
    Mapping destinations_;
    Mapping tunnels_;
    Mapping homes_;
    Mapping flows_;
    Mapping young_flows_;
    Mapping flow_control_;
    bool remembers_flows_ = false;
};

/// Sum over all CPUs of the elements [0, count) of a per-CPU array, whose
/// elements are `words` 64-bit words: element i at result[i * words].
[[nodiscard]] Result<std::vector<std::uint64_t>> sum_per_cpu(int fd, std::uint32_t count,
                                                             std::size_t words);
/// Of one element, the first word only.
[[nodiscard]] Result<std::uint64_t> first_word_per_cpu(int fd, std::uint32_t index,
                                                       std::size_t words);
/// Sets an element of a per-CPU array to zero on all CPUs.
Result<void> clear_per_cpu(int fd, std::uint32_t index, std::size_t words);

}  // namespace dnsdirector::dataplane::xdp
