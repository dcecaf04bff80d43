/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* VLAN tags (IEEE 802.1Q): looked past on the way in, put right on the way out. */
#pragma once

#include "maps.h"
#include "parse.h"

enum { TAGS_MAX = 2, TAG_LENGTH = 4 };

/* MACs, two tags, type: the longest link header; every packet of a service is longer. */
enum { LINK_MAX = 2 * ETH_ALEN + TAGS_MAX * TAG_LENGTH + 2 };

/* Priority and drop eligibility in a tag as it stands in the frame. */
#define TAG_PRIORITY 0x00f00000U

ALWAYS_INLINE int is_tag(__be16 type) {
    return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD);
}

/*
 * The number of tags, at most two, and the type behind them. LINK_MAX bytes of
 * the frame must be there.
 */
ALWAYS_INLINE __u32 tags_of(const void* frame, __be16* type) {
    *type = load16(frame + 12);
    if (!is_tag(*type)) return 0;
    *type = load16(frame + 16);
    if (!is_tag(*type)) return 1;
    *type = load16(frame + 20);
    return 2;
}

/* As packet_of(), out of the fast way: with up to two tags; type 0 where the frame is too short for
 * a service's. */
ALWAYS_INLINE struct packet packet_behind_tags(const struct xdp_md* context, __be16* type) {
    struct packet packet = packet_of(context);
    *type = 0;
    if (packet.data + LINK_MAX > packet.end) return packet;
    __u32 tags = tags_of(packet.data, type);
    packet.tagged = 1; /* known to be so, and a constant */
    packet.network += tags * TAG_LENGTH;
    packet.at += tags * TAG_LENGTH;
    return packet;
}

/*
 * Gives the frame the link header of this destination, with `room` bytes (a
 * constant) free behind it for a header of type `outer`; without room the type
 * stays. Where these bytes start, or 0 where the frame can't grow. Pointers into
 * the packet are void after it.
 */
ALWAYS_INLINE void* write_link(struct xdp_md* context, const struct destination* to, int room,
                               __be16 outer) {
    void* frame = (void*)(long)context->data;
    if (frame + LINK_MAX > (void*)(long)context->data_end) return 0;
    __be16 type;
    __u32 had = tags_of(frame, &type);
    __u32 had_first = load32(frame + 12);
    __u32 has = to->way & WAY_TAGS;
    if (room) type = outer;

    int longer = ((int)has - (int)had) * TAG_LENGTH + room;
    if (longer && bpf_xdp_adjust_head(context, -longer)) return 0;
    frame = (void*)(long)context->data;
    if (frame + LINK_MAX + room > (void*)(long)context->data_end) return 0;
    write_macs(frame, to);
    __u32 first = to->tags[0];
    if (had) first |= had_first & TAG_PRIORITY;
    if (has == 0) {
        *(__be16*)(frame + 12) = type;
        return frame + 14;
    }
    *(__u32*)(frame + 12) = first;
    if (has == 1) {
        *(__be16*)(frame + 16) = type;
        return frame + 18;
    }
    *(__u32*)(frame + 16) = to->tags[1];
    *(__be16*)(frame + 20) = type;
    return frame + 22;
}
