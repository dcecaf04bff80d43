/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The kernel program compiled for user space, and what its maps are like. A map
 * that is not in the list is found out at its first look-up.
 */
#include "path.h"

struct host_map {
    const void* map;
    const char* name;
    __u32 type;
    __u32 entries;
    __u32 key;
    __u32 value;
};

#define MAP(map)                               \
    {&(map),                                   \
     #map,                                     \
     sizeof(*(map).type) / sizeof(int),        \
     sizeof(*(map).max_entries) / sizeof(int), \
     sizeof(*(map).key),                       \
     sizeof(*(map).value)}
#define RING(map)                                                                               \
    {&(map), #map, sizeof(*(map).type) / sizeof(int), sizeof(*(map).max_entries) / sizeof(int), \
     0,      0}

const struct host_map host_maps[] = {
    MAP(services),     MAP(slots),          MAP(destinations),    MAP(tunnels),
    MAP(insiders),     MAP(service_states), MAP(server_counters), MAP(reasons),
    MAP(icmp_budgets), MAP(egress),         MAP(fragments),       RING(too_big),
    MAP(homes),        MAP(flows),          MAP(young_flows),     MAP(flow_states),
};
const __u32 host_maps_count = sizeof(host_maps) / sizeof(host_maps[0]);

int host_direct(struct xdp_md* context) {
    return direct(context);
}
