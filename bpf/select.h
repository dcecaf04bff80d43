/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Which of a service's slots, and which destination stands in it. */
#pragma once

#include "hash.h"
#include "maps.h"
#include "parse.h"

/*
 * Next slot of the CPU's own walk over the table. A table of another length may
 * have come since: the cursor then starts again.
 */
ALWAYS_INLINE __u32 next_of_cursor(struct service_state* state, __u32 length) {
    __u32 position = state->cursor;
    if (position >= length) position = 0;
    state->cursor = position + 1;
    return position;
}

/* Hash of the client, the service's address, and what else tells packets apart. */
ALWAYS_INLINE __u32 hash_with(const struct packet* packet, __u32 more) {
    if (packet->where >> WHERE_FAMILY_SHIFT == 4)
        return flow_hash4(packet->source[0], packet->address[0], more);
    return flow_hash6(packet->source[0], packet->source[1], packet->address[0], packet->address[1],
                      more);
}
ALWAYS_INLINE __u32 hash_of_source(const struct packet* packet) {
    if (packet->where >> WHERE_FAMILY_SHIFT == 4) return flow_hash4(packet->source[0], 0, 0);
    return flow_hash6(packet->source[0], packet->source[1], 0, 0, 0);
}

/* Its kind, whether it remembers flows or not. */
ALWAYS_INLINE __u32 selects_by(const struct service* service) {
    return service->select & ~SELECT_REMEMBERS;
}

/* What stands in a slot of the table: position and flag; 0 where there is no such slot. */
ALWAYS_INLINE const __u16* slot_at(__u64 table, __u32 slot) {
    __u32 index = table_block(table) + (slot >> SLOTS_PER_BLOCK_BITS);
    struct slot_block* block = bpf_map_lookup_elem(&slots, &index);
    return block ? &block->position[slot & (SLOTS_PER_BLOCK - 1)] : 0;
}

/* The record of the destination that a slot names. */
ALWAYS_INLINE __u32 record_of(__u64 table, __u16 slot) {
    return table_record(table) + (slot & (__u16)~SLOT_MOVED);
}
