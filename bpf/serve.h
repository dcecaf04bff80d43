/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which destination has a flow: the one place that decides it, for queries, for
 * fragments of them, and for the ICMP errors that answers of the flow met.
 */
#pragma once

#include "count.h"
#include "flow.h"
#include "forward.h"
#include "insider.h"
#include "select.h"
#include "service.h"

ALWAYS_INLINE __u64 name_of_flow(const struct packet* packet, __u32 index) {
    __u32 port = (__u16)packet->ports;
    if (packet->where >> WHERE_FAMILY_SHIFT == 4)
        return flow_name4(flow_control.key, packet->source[0], port, index);
    return flow_name6(flow_control.key, packet->source[0], packet->source[1], port, index);
}

/* A whole segment of which not even the header is there. */
ALWAYS_INLINE int is_cut_short(const struct packet* packet) {
    const struct tcphdr* segment = packet->transport;
    return segment && (const void*)(segment + 1) > packet->end;
}

/*
 * A packet of a slot that changed hands, or of a service where nobody takes new
 * flows: the record of the server that has its flow, 0 for nobody.
 */
ALWAYS_INLINE __u32 record_of_flow(const struct packet* packet, __u32 hash, __u32 index) {
    __u32 tcp = packet->transport ? ((const __u8*)packet->transport)[13] : TCP_NONE;
    __u64 name = name_of_flow(packet, index);
    __u32 record = recall(name, index, tcp);
    return LIKELY(record) ? record : place(name, hash, index, tcp);
}

/*
 * A packet of a service whose headers are sound. `datagram`: where the service goes
 * by turns, a hash that its fragments have in common; 0 for a packet that is whole.
 */
ALWAYS_INLINE int serve(struct xdp_md* context, const struct packet* packet,
                        const struct service* service, const __u32* index, const __u32* datagram) {
    if (UNLIKELY(comes_from_insider(packet)))
        return serve_here(service, *index, packet->end - packet->data);
    __u64 table = *(const volatile __u64*)&service->table;
    __u32 length = table_length(table), select = service->select, hash = 0, at;
    struct service_state* state = bpf_map_lookup_elem(&service_states, index);
    if (UNLIKELY(!state)) return not_forwarded(REASON_broken_table);
    if (select == SELECT_CURSOR) {
        at = datagram ? slot_of_hash(*datagram, length) : next_of_cursor(state, length);
    } else {
        hash = UNLIKELY(select & SELECT_SOURCE) ? hash_of_source(packet)
                                                : hash_with(packet, packet->ports);
        at = slot_of_hash(hash, length);
    }
    const __u16* slot = 0;
    if (LIKELY(length)) {
        slot = slot_at(table, at);
        if (UNLIKELY(!slot)) return not_forwarded(REASON_broken_table);
    }
    __u32 record;
    if (LIKELY(slot && !(*slot & SLOT_MOVED))) {
        record = record_of(table, *slot);
    } else {
        if (UNLIKELY(!(select & SELECT_REMEMBERS))) {
            if (length) return not_forwarded(REASON_broken_table);
            return not_forwarded(REASON_no_server);
        }
        if (UNLIKELY(is_cut_short(packet))) return not_forwarded(REASON_malformed);
        record = record_of_flow(packet, hash, *index);
        if (UNLIKELY(!record)) {
            if (length) return not_forwarded(REASON_broken_table);
            return not_forwarded(REASON_no_server);
        }
    }
    return forward(context, packet, state, record);
}
