// SPDX-License-Identifier: Apache-2.0
//
// usage: layout1_director PIN_DIR INTERFACE… < FORWARDING
//
// Leaves in the kernel what a director of layout 1 left when it was killed: its
// program on the interfaces (generic mode), its maps and links pinned, its tables
// filled. The kernel program is the one of that time (layout1/).
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include "layout1/hash.h"
#include "upgrade/forwarding_text.h"

namespace dnsdirector::dataplane::xdp::abi {
#include "layout1.skel.h"
}  // namespace dnsdirector::dataplane::xdp::abi

namespace dnsdirector::upgrade {
namespace {

namespace abi = dataplane::xdp::abi;

constexpr std::uint32_t service_records = 129;
constexpr std::uint32_t slot_blocks = 4096;
constexpr std::uint32_t records = 1025;
constexpr std::uint32_t members = 513;

void check(bool fine, const std::string& what) {
    if (!fine) die(what + ": " + std::strerror(errno));
}

struct Pin {
    const char* name;
    bpf_map* map;
};
std::vector<Pin> pins_of(abi::layout1& object) {
    const auto& maps = object.maps;
    return {{"directory", maps.bss},
            {"services", maps.services},
            {"slots", maps.slots},
            {"destinations", maps.destinations},
            {"service_states", maps.service_states},
            {"server_counters", maps.server_counters},
            {"reasons", maps.reasons},
            {"egress", maps.egress},
            {"members", maps.members},
            {"attachments", maps.attachments}};
}

template <typename T>
T* memory_of(const bpf_map* map) {
    void* memory = mmap(nullptr, std::size_t{bpf_map__max_entries(map)} * bpf_map__value_size(map),
                        PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
    check(memory != MAP_FAILED, "mmap");
    return static_cast<T*>(memory);
}

std::array<std::uint8_t, 6> mac_of(const std::string& interface) {
    const int socket = ::socket(AF_INET, SOCK_DGRAM, 0);
    ifreq request{};
    interface.copy(request.ifr_name, IFNAMSIZ - 1);
    check(ioctl(socket, SIOCGIFHWADDR, &request) == 0, "MAC of " + interface);
    close(socket);
    std::array<std::uint8_t, 6> mac{};
    std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
    return mac;
}

std::uint32_t family_bits(const IpAddress& address) {
    return (address.is_v4() ? 4U : 6U) << abi::WHERE_FAMILY_SHIFT;
}
void copy_address(__u64* words, const IpAddress& address) {
    std::memcpy(words, address.bytes().data(), address.size());
}

/// Fills the tables; what it gives out is never given back.
class Tables {
public:
    Tables(abi::layout1& object, std::string leaves_by)
        : object_(object),
          interface_(std::move(leaves_by)),
          own_mac_(mac_of(interface_)),
          directory_(memory_of<abi::directory>(object.maps.bss)),
          services_(memory_of<abi::service>(object.maps.services)),
          slots_(memory_of<abi::slot_block>(object.maps.slots)),
          destinations_(memory_of<abi::destination>(object.maps.destinations)) {}

    void add(Service service) {
        std::sort(
            service.servers.begin(), service.servers.end(),
            [](const Server& left, const Server& right) { return left.endpoint < right.endpoint; });
        abi::service record{};
        copy_address(record.address, service.key.address);
        record.where = htons(service.key.port) | protocol(service) << abi::WHERE_PROTOCOL_SHIFT |
                       family_bits(service.key.address);
        record.scheduler = static_cast<std::uint8_t>(service.scheduler);
        const bool cursor =
            service.key.protocol == Protocol::udp &&
            (service.scheduler == core::Scheduler::wrr || service.scheduler == core::Scheduler::rr);
        record.select = cursor                                     ? abi::SELECT_CURSOR
                        : service.scheduler == core::Scheduler::sh ? abi::SELECT_SOURCE
                                                                   : abi::SELECT_FLOW;
        record.table = table(service, record.where);
        publish(record);
        if (!addresses_.emplace(service.key.address, true).second) return;
        abi::service address{};
        copy_address(address.address, service.key.address);
        address.where = family_bits(service.key.address);
        publish(address);
    }

private:
    static std::uint32_t protocol(const Service& service) {
        return service.key.protocol == Protocol::udp ? IPPROTO_UDP : IPPROTO_TCP;
    }

    void publish(abi::service record) {
        __u16& first =
            directory_
                ->first[abi::directory_bucket(record.address[0], record.address[1], record.where)];
        record.next = first;
        services_[next_service_] = record;
        first = static_cast<__u16>(next_service_++);
    }

    /// Each server stands in as many slots as its weight says, one after the other.
    std::uint64_t table(const Service& service, std::uint32_t where) {
        const std::uint32_t first_record = next_destination_;
        const std::uint32_t block = next_block_;
        std::uint32_t length = 0;
        std::uint32_t position = 0;
        for (const Server& server : service.servers) {
            remember(service, where, server);
            if (!server.forwarded) continue;
            abi::destination& to = destinations_[next_destination_++];
            std::memcpy(to.server_mac, server.mac.data(), server.mac.size());
            std::memcpy(to.own_mac, own_mac_.data(), own_mac_.size());
            to.ifindex = if_nametoindex(interface_.c_str());
            to.counter = next_counter_++;
            for (std::uint32_t i = 0; i < server.weight; ++i)
                slots_[block].position[length++] = static_cast<__u16>(position);
            ++position;
        }
        next_block_ += length / abi::SLOTS_PER_BLOCK + 1;
        return abi::table_word(block, first_record, length);
    }

    void remember(const Service& service, std::uint32_t where, const Server& server) {
        abi::member_key key{};
        copy_address(key.service_address, service.key.address);
        copy_address(key.server_address, server.endpoint.address);
        key.where = where;
        key.port = htons(server.endpoint.port);
        const abi::member member{server.forwarded ? next_counter_ : next_gone_++, server.weight,
                                 server.forwarded ? 1U : 0U, 0};
        check(bpf_map_update_elem(bpf_map__fd(object_.maps.members), &key, &member, BPF_ANY) == 0,
              "members");
    }

    abi::layout1& object_;
    const std::string interface_;
    const std::array<std::uint8_t, 6> own_mac_;
    abi::directory* directory_;
    abi::service* services_;
    abi::slot_block* slots_;
    abi::destination* destinations_;
    std::map<IpAddress, bool> addresses_;
    std::uint32_t next_service_ = 1;
    std::uint32_t next_block_ = 1;
    std::uint32_t next_destination_ = 1;
    std::uint32_t next_counter_ = 1;
    std::uint32_t next_gone_ = members / 2;
};

abi::layout1* make_maps(const std::string& pins) {
    abi::layout1* object = abi::layout1__open();
    check(object != nullptr, "open");
    bpf_program__set_autoload(object->progs.director, false);
    bpf_map__set_max_entries(object->maps.services, service_records);
    bpf_map__set_max_entries(object->maps.service_states, service_records);
    bpf_map__set_max_entries(object->maps.slots, slot_blocks);
    bpf_map__set_max_entries(object->maps.destinations, records);
    bpf_map__set_max_entries(object->maps.server_counters, members);
    bpf_map__set_max_entries(object->maps.members, members);
    check(abi::layout1__load(object) == 0, "load");
    for (const Pin& pin : pins_of(*object))
        check(bpf_obj_pin(bpf_map__fd(pin.map), (pins + "/" + pin.name).c_str()) == 0, pin.name);
    return object;
}

void attach(abi::layout1& tables, const std::string& pins, const std::string& interface) {
    abi::layout1* object = abi::layout1__open();
    check(object != nullptr, "open");
    const std::vector<Pin> shared = pins_of(tables);
    const std::vector<Pin> own = pins_of(*object);
    for (std::size_t i = 0; i < own.size(); ++i)
        check(bpf_map__reuse_fd(own[i].map, bpf_map__fd(shared[i].map)) == 0, own[i].name);
    const auto mac = mac_of(interface);
    abi::instance instance{};
    std::memcpy(&instance.mac_first, mac.data(), 4);
    std::memcpy(&instance.mac_last, mac.data() + 4, 2);
    instance.ifindex = if_nametoindex(interface.c_str());
    instance.flags = abi::INSTANCE_TRANSMIT;
    std::memcpy(&object->rodata->instance, &instance, sizeof instance);
    check(abi::layout1__load(object) == 0, "load the program");
    LIBBPF_OPTS(bpf_link_create_opts, options, .flags = XDP_FLAGS_SKB_MODE);
    const int link = bpf_link_create(bpf_program__fd(object->progs.director),
                                     static_cast<int>(instance.ifindex), BPF_XDP, &options);
    check(link >= 0, "attach to " + interface);
    const std::string pin = pins + "/link_" + std::to_string(instance.ifindex);
    check(bpf_obj_pin(link, pin.c_str()) == 0, pin);
    const bpf_devmap_val way{instance.ifindex, {0}};
    check(
        bpf_map_update_elem(bpf_map__fd(tables.maps.egress), &instance.ifindex, &way, BPF_ANY) == 0,
        "egress");
    const abi::attachment attachment{1, 1, 0, 0};
    check(bpf_map_update_elem(bpf_map__fd(tables.maps.attachments), &instance.ifindex, &attachment,
                              BPF_ANY) == 0,
          "attachments");
}

int run(const std::string& pin_dir, const std::vector<std::string>& interfaces) {
    for (const std::string& path : {pin_dir, pin_dir + "/v1"})
        check(mkdir(path.c_str(), 0700) == 0 || errno == EEXIST, path);
    abi::layout1* object = make_maps(pin_dir + "/v1");
    Tables tables{*object, interfaces.front()};
    for (const Service& service : read_forwarding(std::cin))
        tables.add(service);
    for (const std::string& interface : interfaces)
        attach(*object, pin_dir + "/v1", interface);
    return 0;
}

}  // namespace
}  // namespace dnsdirector::upgrade

int main(int count, char** arguments) {
    if (count < 3)
        dnsdirector::upgrade::die("usage: layout1_director PIN_DIR INTERFACE... < FORWARDING");
    dnsdirector::upgrade::end(
        dnsdirector::upgrade::run(arguments[1], {arguments + 2, arguments + count}));
}
