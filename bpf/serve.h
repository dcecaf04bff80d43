/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which destination has a flow: the one place that decides it, for queries, for
 * fragments of them, and for the ICMP errors that answers of the flow met.
 */
#pragma once

#include "count.h"
#include "forward.h"
#include "insider.h"
#include "select.h"
#include "service.h"

/*
 * A packet of a service whose headers are sound. `datagram`: where the service goes
 * by turns, a hash that its fragments have in common; 0 for a packet that is whole.
 */
ALWAYS_INLINE int serve(struct xdp_md* context, const struct packet* packet,
                        const struct service* service, __u32 index, const __u32* datagram) {
    if (comes_from_insider(packet)) return serve_here(service, index, packet->end - packet->data);
    __u64 table = *(const volatile __u64*)&service->table;
    __u32 length = table_length(table);
    if (length == 0) return not_forwarded(REASON_no_server);
    struct service_state* state = bpf_map_lookup_elem(&service_states, &index);
    if (!state) return not_forwarded(REASON_broken_table);
    __u32 slot;
    if (service->select == SELECT_CURSOR)
        slot = datagram ? slot_of_hash(*datagram, length) : next_of_cursor(state, length);
    else if (service->select == SELECT_FLOW)
        slot = slot_of_hash(hash_with(packet, packet->ports), length);
    else
        slot = slot_of_hash(hash_of_source(packet), length);
    return forward(context, packet, state, table, slot);
}
