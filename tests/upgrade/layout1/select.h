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

/* The destination that stands at a position of the table; 0 where there is none such. */
ALWAYS_INLINE struct destination* destination_at(__u64 table, __u32 slot) {
    __u32 index = table_block(table) + (slot >> SLOTS_PER_BLOCK_BITS);
    struct slot_block* block = bpf_map_lookup_elem(&slots, &index);
    if (!block) return 0;
    __u32 record = table_record(table) + block->position[slot & (SLOTS_PER_BLOCK - 1)];
    return bpf_map_lookup_elem(&destinations, &record);
}
