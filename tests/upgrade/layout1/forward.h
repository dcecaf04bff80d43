/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Direct routing: the MACs change and nothing else. */
#pragma once

#include "count.h"
#include "maps.h"
#include "parse.h"
#include "select.h"

/*
 * Layer-2 forwarding lowers no hop count: a frame that a server bounced (it
 * lacks the service IP and routes) would circle for ever.
 */
ALWAYS_INLINE int comes_from(const struct ethhdr* frame, const struct destination* to) {
    return load32(frame->h_source) == load32(to->server_mac) &&
           load16(frame->h_source + 4) == load16(to->server_mac + 4);
}

ALWAYS_INLINE void write_macs(void* frame, const struct destination* to) {
    *(__u64*)frame = load64(to->server_mac);
    *(__u32*)(frame + 8) = load32(to->own_mac + 2);
}

ALWAYS_INLINE int send(const struct destination* to) {
    if (to->ifindex == instance.ifindex && instance.flags & INSTANCE_TRANSMIT) return XDP_TX;
    /* The low bits of the flags are what it returns where there is no entry. */
    return bpf_redirect_map(&egress, to->ifindex, XDP_ABORTED);
}

/* Hands the packet to the server in this slot of the service's table. */
ALWAYS_INLINE int forward(const struct packet* packet, struct service_state* state, __u64 table,
                          __u32 slot) {
    struct destination* to = destination_at(table, slot);
    if (!to) return not_forwarded(REASON_broken_table);
    __u32 index = to->counter;
    struct count* count = bpf_map_lookup_elem(&server_counters, &index);
    if (!count) return not_forwarded(REASON_broken_table);
    if (comes_from(packet->data, to)) return not_forwarded(REASON_loop);

    int verdict = send(to);
    if (verdict == XDP_ABORTED) return not_forwarded(REASON_no_egress);
    __u64 bytes = packet->end - packet->data;
    ++state->packets;
    state->bytes += bytes;
    ++count->packets;
    count->bytes += bytes;
    write_macs(packet->data, to);
    return verdict;
}
