// SPDX-License-Identifier: Apache-2.0
#include "doctor/drivers.h"

#include <algorithm>
#include <iterator>

namespace dnsdirector::doctor {
namespace {

// ndo_bpf with XDP_SETUP_PROG in drivers/net of Linux 5.15 (native), or not even in 6.6.
constexpr Driver drivers[] = {
    {"virtio_net", true,
     "guest offloads off on the host: guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off,"
     "guest_csum=off"},
    {"veth", true},
    {"ixgbe", true, "LRO off, and at most 64 CPUs for a transmit queue each"},
    {"ixgbevf", true},
    {"i40e", true},
    {"ice", true},
    {"igb", true},
    {"igc", true},
    {"mlx4_en", true, "an MTU of at most about 3,500"},
    {"mlx5_core", true, "LRO off"},
    {"bnxt_en", true, "LRO off, and combined queues"},
    {"ena", true, "at most half of the queues in use"},
    {"nfp", true},
    {"qede", true},
    {"sfc", true},
    {"hv_netvsc", true, "LRO off"},
    {"thunder-nicvf", true},
    {"fsl_dpaa2_eth", true},
    {"fsl_dpa", true},
    {"mvneta", true},
    {"mvpp2", true},
    {"stmmac", true},
    {"tun", true},
    {"bonding", true, "every member with a driver that has it"},
    {"e1000", false},
    {"e1000e", false},
    {"r8169", false},
    {"tg3", false},
    {"bnx2", false},
    {"bnx2x", false},
    {"be2net", false},
    {"forcedeth", false},
    {"bridge", false},
    {"macvlan", false},
    {"802.1Q VLAN Support", false},
};

constexpr DeviceKind kinds[] = {
    {"bridge",
     "is a bridge, which has generic XDP only, and the program sees frames to the bridge's MAC "
     "only",
     "interface with the bridge's port, where the clients' packets are for the port's own MAC; or "
     "xdp_mode generic"},
    {"macvlan", "is a macvlan, which has generic XDP only",
     "interface with the device below it, or xdp_mode generic"},
    {"macvtap", "is a macvtap: its packets are another program's", "another interface"},
    {"ipvlan", "is an ipvlan, whose MAC is that of the device below it",
     "interface with the device below it"},
    {"tun", "is a tun or tap device of a program", "the machine's own interface"},
    {"wireguard", "is a tunnel without MAC addresses", "an Ethernet interface"},
    {"dummy", "is a dummy device: nothing arrives there", "the interface of the clients' packets"},
};

template <typename Row, std::size_t count>
const Row* find(const Row (&rows)[count], std::string_view name) {
    const auto* found = std::ranges::find(rows, name, &Row::name);
    return found == std::end(rows) ? nullptr : found;
}

}  // namespace

const Driver* driver(std::string_view name) {
    return find(drivers, name);
}

const DeviceKind* device_kind(std::string_view name) {
    return find(kinds, name);
}

}  // namespace dnsdirector::doctor
