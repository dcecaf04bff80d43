/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The way to a server: mostly the MACs change and nothing else. */
#pragma once

#include "count.h"
#include "maps.h"
#include "parse.h"
#include "select.h"
#include "send.h"
#include "tunnel.h"
#include "vlan.h"

/*
 * Every other way: VLAN tags that come or go, a tunnel, this machine's own stack.
 * A verdict, perhaps with NOT_FORWARDED.
 */
VERIFIED_ONCE int by_another_way(struct xdp_md* context, const struct destination* to,
                                 __u32 record) {
    if (!to) return XDP_ABORTED;
    if (to->way & WAY_LOCAL) return XDP_PASS;
    if (to->way & WAY_TUNNEL) return send_by_tunnel(context, 0, to, record);
    int verdict = send_by(to->ifindex);
    if (verdict == XDP_ABORTED) return NOT_FORWARDED | not_forwarded(REASON_no_egress);
    if (!write_link(context, to, 0, 0)) return NOT_FORWARDED | not_forwarded(REASON_no_headroom);
    return verdict;
}

/*
 * A tunnel without tags, of a packet without tags and options. In line, since a
 * call costs as much as the outer header where returns are guarded against
 * speculation.
 */
ALWAYS_INLINE int is_plain_tunnel(const struct packet* packet, const struct destination* to) {
    if (packet->plain == 4) return to->way == WAY_TUNNEL;
    return packet->plain == 6 && to->way == (WAY_TUNNEL | WAY_IPV6);
}

/* Hands the packet to the server of this record. */
ALWAYS_INLINE int forward(struct xdp_md* context, const struct packet* packet,
                          struct service_state* state, __u32 record) {
    struct destination* to = bpf_map_lookup_elem(&destinations, &record);
    if (UNLIKELY(!to || record == 0)) return not_forwarded(REASON_broken_table);
    struct count* count = bpf_map_lookup_elem(&server_counters, &to->counter);
    if (UNLIKELY(!count)) return not_forwarded(REASON_broken_table);

    __u64 bytes = packet->end - packet->data;
    int verdict;
    if (LIKELY(to->way == 0 && !packet->tagged)) {
        verdict = send_by(to->ifindex);
        if (UNLIKELY(verdict == XDP_ABORTED)) return not_forwarded(REASON_no_egress);
        write_macs(packet->data, to);
    } else {
        verdict = is_plain_tunnel(packet, to) ? send_by_tunnel(context, packet, to, record)
                                              : by_another_way(context, to, record);
        if (UNLIKELY(verdict & NOT_FORWARDED)) return verdict & ~NOT_FORWARDED;
    }
    ++state->packets;
    state->bytes += bytes;
    ++count->packets;
    count->bytes += bytes;
    return verdict;
}
