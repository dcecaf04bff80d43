/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The loop guard. Layer-2 forwarding lowers no hop count: a frame that a server
 * bounced (it lacks the service IP and routes), that another director forwarded,
 * or that a bridge brought back, would circle for ever. None of them is forwarded
 * again. It may be served here: of two machines that are directors and servers
 * for each other, one has chosen the other's server.
 */
#pragma once

#include "count.h"
#include "hash.h"
#include "maps.h"
#include "parse.h"

VERIFIED_ONCE int is_known_insider(__u64 mac) {
    return bpf_map_lookup_elem(&insiders, &mac) != 0;
}

ALWAYS_INLINE int comes_from_insider(const struct packet* packet) {
    const struct ethhdr* frame = packet->data;
    /* It is there; but where offsets vary only the compiler knows, which would leave this out. */
    if (packet->tagged) asm volatile("" : "+r"(frame));
    if ((const void*)(frame + 1) > packet->end) return 0;
    /* By the words that write_macs() stores: no load waits for two of them in the bench. */
    __u64 mac = load64(frame) >> 48 | (__u64)load32((const void*)frame + 8) << 16;
    __u32 bit = insider_bit(mac);
    __u64 bits = directory.insider_bits[bit / 64 & (INSIDER_WORDS - 1)];
    if (LIKELY(!(bits >> bit % 64 & 1))) return 0;
    return is_known_insider(mac);
}

/* A service's packet that is not to be forwarded: this machine's own server takes it. */
VERIFIED_ONCE int serve_here(const struct service* service, __u32 index, __u64 bytes) {
    if (!service) return XDP_ABORTED;
    __u32 counter = *(const volatile __u32*)&service->local;
    if (counter == 0) return not_forwarded(REASON_loop);
    struct service_state* state = bpf_map_lookup_elem(&service_states, &index);
    struct count* count = bpf_map_lookup_elem(&server_counters, &counter);
    if (!state || !count) return not_forwarded(REASON_broken_table);
    ++state->packets;
    state->bytes += bytes;
    ++count->packets;
    count->bytes += bytes;
    return XDP_PASS;
}
