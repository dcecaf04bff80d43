/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Is it for a service? One load says no for nearly every packet that is not. */
#pragma once

#include "hash.h"
#include "maps.h"
#include "parse.h"

/* An IPv4 address has one word: `where` has the family. */
ALWAYS_INLINE int is_service_of(const struct service* service, const struct packet* packet) {
    __u64 differs = (service->address[0] ^ packet->address[0]) | (service->where ^ packet->where);
    if (packet->where >> WHERE_FAMILY_SHIFT != 4)
        differs |= service->address[1] ^ packet->address[1];
    return differs == 0;
}

/* The record of (address, where), and its index in *index; or 0. */
ALWAYS_INLINE struct service* find_service(const struct packet* packet, __u32* index) {
    __u32 bucket = directory_bucket(packet->address[0], packet->address[1], packet->where);
    __u32 record = directory.first[bucket & (DIRECTORY_SIZE - 1)];
    if (record == 0) return 0;
    *index = record;
    struct service* service = bpf_map_lookup_elem(&services, index);
    if (UNLIKELY(!service)) return 0;
    if (LIKELY(is_service_of(service, packet))) return service;
#pragma clang loop unroll(disable)
    for (__u64 step = 1; step < CHAIN_MAX; ++step) {
        *index = service->next;
        if (*index == 0) return 0;
        service = bpf_map_lookup_elem(&services, index);
        if (!service) return 0;
        if (is_service_of(service, packet)) return service;
    }
    return 0;
}

/* For packets without ports: has any service this address? */
ALWAYS_INLINE int is_service_address(struct packet* packet, __u32 family) {
    __u32 index;
    packet->where = where_of(0, 0, family);
    return find_service(packet, &index) != 0;
}
