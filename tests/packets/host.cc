// SPDX-License-Identifier: Apache-2.0
#include "packets/host.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <list>
#include <memory>

#include "core/table.h"
#include "dataplane/xdp/keys.h"
#include "packets/ways.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#endif
#ifdef UNDER_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace abi = dnsdirector::dataplane::xdp::abi;

extern "C" {
/// As in host_program.c.
struct host_map {
    const void* map;
    const char* name;
    std::uint32_t type;
    std::uint32_t entries;
    std::uint32_t key;
    std::uint32_t value;
};
extern const host_map host_maps[];
extern const std::uint32_t host_maps_count;
int host_direct(xdp_md* context);
extern abi::directory directory;
extern abi::instance instance;
}

namespace dnsdirector::packets::host {
namespace {

using Bytes = std::unique_ptr<std::uint8_t[]>;

/// What a record of the ring buffer takes beside its data, and rounds it up to.
constexpr std::size_t ring_header = 8;

[[noreturn]] void die(const std::string& what) {
    std::fprintf(stderr, "packets/host: %s\n", what.c_str());
    std::abort();
}

class Map {
public:
    explicit Map(const host_map& of) : of_(of) { resize(of.entries); }

    void resize(std::uint32_t entries) {
        entries_ = entries;
        elements_.clear();
        if (!is_hash()) elements_.resize(entries);
        hash_.clear();
        order_.clear();
        ring_.clear();
        ring_used_ = 0;
    }

    void* lookup(const void* key) {
        if (is_hash()) {
            const auto found = hash_.find(name_of(key));
            return found == hash_.end() ? nullptr : found->second.get();
        }
        std::uint32_t index = 0;
        std::memcpy(&index, key, sizeof index);
        return index < entries_ ? element(index) : nullptr;
    }
    std::uint8_t* element(std::uint32_t index) {
        Bytes& bytes = elements_.at(index);
        if (!bytes) bytes = std::make_unique<std::uint8_t[]>(of_.value);
        return bytes.get();
    }

    long update(const void* key, const void* value) {
        if (!is_hash()) {
            void* at = lookup(key);
            if (at == nullptr) return -1;
            std::memcpy(at, value, of_.value);
            return 0;
        }
        const std::string name = name_of(key);
        auto found = hash_.find(name);
        if (found == hash_.end()) {
            if (hash_.size() == entries_ && !make_room()) return -1;
            found = hash_.emplace(name, std::make_unique<std::uint8_t[]>(of_.value)).first;
            order_.push_back(name);
        }
        std::memcpy(found->second.get(), value, of_.value);
        return 0;
    }
    long remove(const void* key) {
        const std::string name = name_of(key);
        order_.remove(name);
        return hash_.erase(name) == 1 ? 0 : -1;
    }
    [[nodiscard]] bool contains(std::uint32_t key) const {
        return hash_.contains({reinterpret_cast<const char*>(&key), sizeof key});
    }

    /// The kernel keeps a reserved record apart until it is submitted.
    void* reserve(std::size_t size) {
        const std::size_t takes = (size + ring_header + 7) / 8 * 8;
        if (ring_used_ + takes > entries_) return nullptr;
        ring_used_ += takes;
        reserved_ = std::make_unique<std::uint8_t[]>(size);
        reserved_size_ = size;
        return reserved_.get();
    }
    void submit(const void* data) {
        if (data != reserved_.get()) die("submitted what was not reserved");
        ring_.emplace_back(reserved_.get(), reserved_.get() + reserved_size_);
        reserved_.reset();
    }
    std::vector<std::vector<std::uint8_t>> take() {
        std::vector<std::vector<std::uint8_t>> all(ring_.begin(), ring_.end());
        ring_.clear();
        ring_used_ = 0;
        return all;
    }
    [[nodiscard]] std::size_t waiting() const { return ring_.size(); }
    [[nodiscard]] bool holds_reserved() const { return reserved_ != nullptr; }
    [[nodiscard]] const host_map& description() const { return of_; }
    [[nodiscard]] std::uint32_t entries() const { return entries_; }

private:
    [[nodiscard]] bool is_hash() const {
        return of_.type == BPF_MAP_TYPE_HASH || of_.type == BPF_MAP_TYPE_LRU_HASH ||
               of_.type == BPF_MAP_TYPE_DEVMAP_HASH;
    }
    [[nodiscard]] std::string name_of(const void* key) const {
        return {static_cast<const char*>(key), of_.key};
    }
    bool make_room() {
        if (of_.type != BPF_MAP_TYPE_LRU_HASH) return false;
        hash_.erase(order_.front());
        order_.pop_front();
        return true;
    }

    host_map of_;
    std::uint32_t entries_ = 0;
    std::vector<Bytes> elements_;
    std::map<std::string, Bytes> hash_;
    std::list<std::string> order_;
    std::deque<std::vector<std::uint8_t>> ring_;
    std::size_t ring_used_ = 0;
    Bytes reserved_;
    std::size_t reserved_size_ = 0;
};

std::map<const void*, Map>& maps() {
    static std::map<const void*, Map> all = [] {
        std::map<const void*, Map> made;
        for (std::uint32_t i = 0; i < host_maps_count; ++i)
            made.emplace(host_maps[i].map, Map{host_maps[i]});
        return made;
    }();
    return all;
}
Map& map_at(const void* address) {
    const auto found = maps().find(address);
    if (found == maps().end()) die("a map of the program is not listed in host_program.c");
    return found->second;
}
Map& map_named(const std::string& name) {
    for (auto& [address, map] : maps())
        if (name == map.description().name) return map;
    die("no map " + name + " in host_program.c");
}

std::uint64_t clock_now = 1'000'000'000'000;

/// struct xdp_md has addresses of 32 bits: the frame lies below 4 GiB, with the
/// room in front of it that drivers leave (XDP_PACKET_HEADROOM).
constexpr std::size_t headroom = 256;
constexpr std::size_t area_size = headroom + frame_max + 4096;
std::uint8_t* area() {
    static auto* const memory = [] {
        void* low = mmap(reinterpret_cast<void*>(0x10000000), area_size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (low == MAP_FAILED) die("no memory below 4 GiB");
        return static_cast<std::uint8_t*>(low);
    }();
    return memory;
}

/// Only the frame may be touched.
void fence(std::size_t begin, std::size_t end) {
    ASAN_POISON_MEMORY_REGION(area(), area_size);
    ASAN_UNPOISON_MEMORY_REGION(area() + begin, end - begin);
}

std::uint32_t low_address(std::size_t offset) {
    return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(area() + offset));
}

std::vector<std::uint64_t> reason_counts() {
    static Map& reasons = map_named("reasons");
    std::vector<std::uint64_t> counts;
    for (std::uint32_t i = 0; i < abi::REASON_COUNT; ++i) {
        std::uint64_t count = 0;
        std::memcpy(&count, reasons.element(i), sizeof count);
        counts.push_back(count);
    }
    return counts;
}

constexpr const char* reason_names[] = {
#define REASON_NAME(name, verdict, text) #name,
    FOR_EACH_REASON(REASON_NAME)
#undef REASON_NAME
};

template <typename T>
T& element_of(const char* map, std::uint32_t index) {
    return *reinterpret_cast<T*>(map_named(map).element(index));
}

void empty_maps() {
    for (auto& [address, map] : maps())
        map.resize(map.description().entries);
    directory = {};
}

void set_instance() {
    instance = {};
    std::memcpy(&instance.mac_first, director_mac.data(), 4);
    std::memcpy(&instance.mac_last, director_mac.data() + 4, 2);
    instance.ifindex = near_interface;
    instance.flags = abi::INSTANCE_TRANSMIT;
}

void open_egress(std::uint32_t ifindex) {
    const bpf_devmap_val value{ifindex, {0}};
    map_named("egress").update(&ifindex, &value);
}

/// The next free element of each map, while serve() fills them.
struct Fill {
    std::uint32_t service = 1;
    std::uint32_t block = 1;
    std::uint32_t record = 1;
    std::uint32_t local = 0;  ///< counter of the service's server that is this machine

    void put_destination(const core::Destination& destination, std::uint32_t at) {
        const IpAddress& address = destination.server.address;
        const auto hop = way_to(address.family(), address.bytes()[address.size() - 1],
                                near_interface, far_interface);
        element_of<abi::destination>("destinations", at) = dataplane::xdp::record_of(hop, at);
        element_of<abi::tunnel>("tunnels", at) = dataplane::xdp::outer_of(hop);
        if (hop.local)
            local = at;
        else
            put_insider(hop.server);
    }

    static void put_insider(const Mac& mac) {
        std::uint64_t word = 0;
        std::memcpy(&word, mac.data(), mac.size());
        const std::uint32_t bit = abi::insider_bit(word), whose = abi::INSIDER_SERVER;
        directory.insider_bits[bit / 64] |= std::uint64_t{1} << bit % 64;
        map_named("insiders").update(&word, &whose);
    }

    void put(const core::ServiceForwarding& wish) {
        const core::Table table = core::build_table(wish);
        local = 0;
        for (std::size_t i = 0; i < wish.destinations.size(); ++i)
            put_destination(wish.destinations[i], record + static_cast<std::uint32_t>(i));
        for (std::size_t i = 0; i < table.slots.size(); ++i)
            element_of<abi::slot_block>(
                "slots", block + static_cast<std::uint32_t>(i / abi::SLOTS_PER_BLOCK))
                .position[i % abi::SLOTS_PER_BLOCK] = static_cast<__u16>(table.slots[i]);
        const auto length = static_cast<std::uint32_t>(table.slots.size());
        publish(wish.key.address, dataplane::xdp::where_of(wish.key),
                dataplane::xdp::select_of(wish.key, wish.scheduler, wish.other_hash, false),
                abi::table_word(block, record, length));
        record += static_cast<std::uint32_t>(wish.destinations.size());
        block += length / abi::SLOTS_PER_BLOCK + 1;
    }

    void publish(const IpAddress& address, std::uint32_t where, std::uint32_t select,
                 std::uint64_t table) {
        auto& service_record = element_of<abi::service>("services", service);
        const auto words = dataplane::xdp::words_of(address);
        std::copy(words.begin(), words.end(), service_record.address);
        service_record.where = where;
        service_record.select = select;
        service_record.table = table;
        service_record.local = local;
        auto& first = directory.first[abi::directory_bucket(words[0], words[1], where)];
        service_record.next = first;
        first = static_cast<__u16>(service++);
    }
};

}  // namespace

void serve(std::span<const core::ServiceForwarding> services) {
    empty_maps();
    set_instance();
    std::uint32_t blocks = 1, records = 1;
    for (const core::ServiceForwarding& wish : services) {
        blocks += static_cast<std::uint32_t>(core::build_table(wish).slots.size()) /
                      abi::SLOTS_PER_BLOCK +
                  1;
        records += static_cast<std::uint32_t>(wish.destinations.size());
    }
    const auto most = static_cast<std::uint32_t>(2 * services.size() + 1);
    map_named("services").resize(most);
    map_named("service_states").resize(most);
    map_named("slots").resize(blocks);
    map_named("destinations").resize(records);
    map_named("tunnels").resize(records);
    map_named("insiders").resize(records);
    map_named("server_counters").resize(records);
    open_egress(near_interface);
    open_egress(far_interface);
    Fill fill;
    std::map<IpAddress, bool> addresses;
    for (const core::ServiceForwarding& wish : services) {
        fill.put(wish);
        fill.local = 0;
        if (addresses.emplace(wish.key.address, true).second)
            fill.publish(wish.key.address, dataplane::xdp::where_of(wish.key.address), 0, 0);
    }
}

void adopt(const abi::directory& of, std::span<const abi::service> services,
           std::span<const abi::slot_block> slots, std::span<const abi::destination> destinations,
           std::span<const abi::tunnel> tunnels, const abi::instance& with,
           std::span<const std::uint32_t> egress) {
    empty_maps();
    instance = with;
    directory = of;
    const auto copy = [](const char* name, const auto& from) {
        Map& map = map_named(name);
        map.resize(static_cast<std::uint32_t>(from.size()));
        for (std::uint32_t i = 0; i < from.size(); ++i)
            std::memcpy(map.element(i), &from[i], sizeof from[i]);
    };
    copy("services", services);
    copy("slots", slots);
    copy("destinations", destinations);
    copy("tunnels", tunnels);
    map_named("service_states").resize(static_cast<std::uint32_t>(services.size()));
    map_named("server_counters").resize(static_cast<std::uint32_t>(destinations.size()));
    for (const std::uint32_t ifindex : egress)
        open_egress(ifindex);
}

void forget_packets() {
    for (const char* name :
         {"service_states", "server_counters", "reasons", "fragments", "too_big", "icmp_budgets"})
        map_named(name).resize(map_named(name).entries());
}

Outcome run(std::span<const std::uint8_t> frame) {
    if (frame.size() > frame_max) die("a frame that is too long");
    const std::vector<std::uint64_t> before = reason_counts();
    const std::size_t waiting = map_named("too_big").waiting();
    fence(headroom, headroom + frame.size());
    if (!frame.empty()) std::memcpy(area() + headroom, frame.data(), frame.size());
    xdp_md context{};
    context.data = low_address(headroom);
    context.data_end = low_address(headroom + frame.size());
    context.data_meta = context.data;
    context.ingress_ifindex = near_interface;

    Outcome outcome;
    outcome.verdict = static_cast<std::uint32_t>(host_direct(&context));
    if (map_named("too_big").holds_reserved()) die("a message was reserved and never handed over");
    const std::size_t begin = context.data - low_address(0),
                      end = context.data_end - low_address(0);
    outcome.frame.assign(area() + begin, area() + end);
    const std::vector<std::uint64_t> after = reason_counts();
    for (std::size_t i = 0; i < after.size(); ++i)
        if (after[i] != before[i]) outcome.reasons[reason_names[i]] = after[i] - before[i];
    outcome.handed_over = map_named("too_big").waiting() - waiting;
    return outcome;
}

void set_clock(std::uint64_t now) {
    clock_now = now;
}

std::vector<std::vector<std::uint8_t>> take_messages() {
    return map_named("too_big").take();
}

}  // namespace dnsdirector::packets::host

// ---- helpers --------------------------------------------------------------------

using namespace dnsdirector::packets;

extern "C" {

void* host_bpf_map_lookup_elem(const void* map, const void* key) {
    return host::map_at(map).lookup(key);
}
long host_bpf_map_update_elem(const void* map, const void* key, const void* value,
                              __u64 /*flags*/) {
    return host::map_at(map).update(key, value);
}
long host_bpf_map_delete_elem(const void* map, const void* key) {
    return host::map_at(map).remove(key);
}
long host_bpf_redirect_map(const void* map, __u64 key, __u64 flags) {
    return host::map_at(map).contains(static_cast<std::uint32_t>(key))
               ? static_cast<long>(XDP_REDIRECT)
               : static_cast<long>(flags & 3);
}
void* host_bpf_ringbuf_reserve(const void* map, __u64 size, __u64 /*flags*/) {
    return host::map_at(map).reserve(size);
}
void host_bpf_ringbuf_submit(void* data, __u64 /*flags*/) {
    host::map_named("too_big").submit(data);
}
/// Bytes that the frame grows by are whatever lay there.
long host_bpf_xdp_adjust_head(xdp_md* context, int delta) {
    const long begin = static_cast<long>(context->data - host::low_address(0)) + delta;
    const long end = context->data_end - host::low_address(0);
    if (begin < 0 || begin + 14 > end) return -22;
    host::fence(static_cast<std::size_t>(begin), static_cast<std::size_t>(end));
    context->data = context->data_meta = host::low_address(static_cast<std::size_t>(begin));
    return 0;
}
long host_bpf_xdp_adjust_tail(xdp_md* context, int delta) {
    const long begin = static_cast<long>(context->data - host::low_address(0));
    const long end = static_cast<long>(context->data_end - host::low_address(0)) + delta;
    if (delta > 0 || begin + 14 > end) return -22;
    host::fence(static_cast<std::size_t>(begin), static_cast<std::size_t>(end));
    context->data_end = host::low_address(static_cast<std::size_t>(end));
    return 0;
}
/// Only as the program uses it: nothing is taken away.
__s64 host_bpf_csum_diff(const void* /*from*/, __u32 /*from_size*/, const void* to, __u32 to_size,
                         __u32 seed) {
    std::uint64_t sum = seed;
    for (std::uint32_t at = 0; at < to_size; at += 4) {
        std::uint32_t word = 0;
        std::memcpy(&word, static_cast<const char*>(to) + at, sizeof word);
        sum += word;
    }
    while (sum > 0xffffffff)
        sum = (sum & 0xffffffff) + (sum >> 32);
    return static_cast<__s64>(sum);
}
__u64 host_bpf_ktime_get_ns(void) {
    return host::clock_now;
}
__u64 host_bpf_ktime_get_coarse_ns(void) {
    return host::clock_now;
}
__u32 host_bpf_get_prandom_u32(void) {
    static __u32 state = 1;
    return state = state * 1664525 + 1013904223;
}

}  // extern "C"
