/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * IPv6 extension headers (RFC 8200, 4): in any order, since a node must take them
 * as they come, but hop-by-hop options, which stand first or not at all. So many
 * headers, and as far into the frame, as anybody sends for an honest reason.
 */
#pragma once

#include "parse.h"

enum { EXTENSIONS_MAX = 8 };

/* Numbers that linux/in.h lacks: RFC 6275, 7401, 5533. */
enum { NEXT_ICMPV6 = 58, NEXT_MOBILITY = 135, NEXT_HIP = 139, NEXT_SHIM6 = 140 };

/* Those that say how long they are, so that one can look behind them. */
ALWAYS_INLINE int is_extension(__u32 next) {
    return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
           next == IPPROTO_DSTOPTS || next == IPPROTO_AH;
}
/* What may hide a query: encrypted, or of protocols that no DNS server speaks. */
ALWAYS_INLINE int hides_transport(__u32 next) {
    return next == IPPROTO_ESP || next == NEXT_MOBILITY || next == NEXT_HIP || next == NEXT_SHIM6;
}

/* RFC 8200, 4.5. */
struct fragment_header {
    __u8 next;
    __u8 reserved;
    __be16 offset; /* in units of 8 bytes, 13 bits; 2 bits reserved; M */
    __be32 identification;
};
enum { FRAGMENT_OFFSET6 = 0xfff8, FRAGMENT_MORE6 = 1 };

/*
 * What walk6() found, in one word, since that is what a function returns here: the
 * offset of the first header that is none of these, its number, and the offset of
 * the fragment header (0: there is none).
 */
enum {
    CHAIN_NEXT_SHIFT = 16,
    CHAIN_FRAGMENT_SHIFT = 32,
    CHAIN_SHORT = 1 << 24, /* the frame ends before the headers do */
    CHAIN_ODD = 1 << 25,   /* cannot be followed */
    CHAIN_LATER = 1 << 26, /* not the first fragment: what follows is no header */
};
ALWAYS_INLINE __u32 chain_offset(__u64 chain) {
    return chain & HEADERS_END;
}
ALWAYS_INLINE __u32 chain_next(__u64 chain) {
    return chain >> CHAIN_NEXT_SHIFT & 0xff;
}
ALWAYS_INLINE __u32 chain_fragment(__u64 chain) {
    return chain >> CHAIN_FRAGMENT_SHIFT & HEADERS_END;
}

/*
 * Bytes of the extension header `next`, whose first 8 bytes `header` has; 0 where
 * it ends the way. A routing header with segments left is on its way to elsewhere
 * (RFC 8200, 4.4).
 */
ALWAYS_INLINE __u32 extension_length(__u32 next, const __u8* header) {
    if (next == IPPROTO_FRAGMENT) return sizeof(struct fragment_header);
    if (next == IPPROTO_AH) return (header[1] + 2) * 4; /* RFC 4302, 2.2 */
    if (next == IPPROTO_ROUTING && header[3] != 0) return 0;
    return (header[1] + 1) * 8;
}

/* Follows the headers of the IPv6 packet that begins at `at`. */
VERIFIED_ONCE __u64 walk6(struct xdp_md* context, __u32 at) {
    KEEP_MASKED(at, HEADERS_END);
    struct packet packet = packet_of(context);
    const struct ipv6hdr* ip = bytes_at(&packet, at, sizeof(*ip));
    if (!ip) return CHAIN_SHORT;
    __u32 next = ip->nexthdr;
    __u64 offset = at + sizeof(*ip), fragment = 0;
#pragma clang loop unroll(disable)
    for (__u64 i = 0; i < EXTENSIONS_MAX && is_extension(next); ++i) {
        const __u8* header = bytes_at(&packet, offset, 8);
        if (!header) return CHAIN_SHORT;
        if (next == IPPROTO_HOPOPTS && i != 0) return CHAIN_ODD;
        __u64 length = extension_length(next, header);
        if (length == 0) return CHAIN_ODD;
        __u64 later = 0;
        if (next == IPPROTO_FRAGMENT) {
            if (fragment) return CHAIN_ODD;
            fragment = offset << CHAIN_FRAGMENT_SHIFT;
            const struct fragment_header* part = (const void*)header;
            if (part->offset & bpf_htons(FRAGMENT_OFFSET6)) later = CHAIN_LATER;
        }
        next = header[0];
        offset += length;
        if (offset > HEADERS_END) return CHAIN_ODD;
        KEEP_MASKED(offset, HEADERS_END);
        if (later) return fragment | later | next << CHAIN_NEXT_SHIFT | offset;
    }
    if (is_extension(next)) return CHAIN_ODD;
    return fragment | next << CHAIN_NEXT_SHIFT | offset;
}
