/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Headers: what is looked at before and after a service is found. */
#pragma once

#include <bpf/bpf_endian.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "maps.h"

/*
 * Words of a frame in one load or store. Taken from the headers' packed structs
 * the compiler would put them together byte by byte; the machines this runs on
 * don't mind where a word begins, and the verifier knows that of them.
 */
ALWAYS_INLINE __u16 load16(const void* from) {
    return *(const __u16*)from;
}
ALWAYS_INLINE __u32 load32(const void* from) {
    return *(const __u32*)from;
}
ALWAYS_INLINE __u64 load64(const void* from) {
    return *(const __u64*)from;
}

ALWAYS_INLINE void load_address6(__u64 to[2], const struct in6_addr* from) {
    to[0] = load64(from);
    to[1] = load64((const void*)from + 8);
}

/*
 * Counters of loops have 64 bits here: the verifier of kernels before 5.16 forgets what
 * less than that is when it has been in memory, and then takes the loop for an endless one.
 */

/*
 * A bound that the compiler knows and would leave out, and that the verifier does
 * not know: those of older kernels (Debian 12's 6.1 for one) forget all bounds in
 * a byte swap, or when a value has been in memory. `mask` is a constant.
 */
#ifdef __bpf__
#define KEEP_MASKED(value, mask) asm volatile("%0 &= %1" : "+r"(value) : "i"(mask))
#else
#define KEEP_MASKED(value, mask) (value &= (mask))
#endif

/* A length from a header, in host order, known to be below 65,536. */
ALWAYS_INLINE __u64 length_of(__be16 field) {
    __u64 length = bpf_ntohs(field);
    KEEP_MASKED(length, 0xffff);
    return length;
}

/*
 * The frame, and the flow that it belongs to, in registers. The flow is that of
 * the client to the service, whatever kind of packet it was found in.
 */
struct packet {
    void* data;
    void* end;
    void* network;         /* IP header */
    __u32 at;              /* its offset */
    __u64 tagged;          /* it may have VLAN tags; a constant where that matters */
    __u64 plain;           /* likewise: 4 or 6, where the headers are those two alone; else 0 */
    const void* transport; /* of a whole packet of the flow; else 0 */
    __u64 address[2];      /* the service's */
    __u64 source[2];       /* the client's address, as `address` is written */
    __u32 where;
    __u32 ports; /* client's port, service's port: as in the packet */
};

ALWAYS_INLINE struct packet packet_of(const struct xdp_md* context) {
    struct packet packet = {.data = (void*)(long)context->data,
                            .end = (void*)(long)context->data_end,
                            .network = (void*)(long)context->data + sizeof(struct ethhdr),
                            .at = sizeof(struct ethhdr),
                            .tagged = 0,
                            .plain = 0,
                            .address = {0, 0},
                            .source = {0, 0}};
    return packet;
}

/* Of rare kinds, which all take the general way out: it looks for tags itself. */
ALWAYS_INLINE struct packet rare_packet(const struct xdp_md* context) {
    struct packet packet = packet_of(context);
    packet.tagged = 1;
    return packet;
}

/* The offset of a network header, 14, 18 or 22, fits into these bits. */
enum { LINK_BITS = 31 };

/*
 * `bytes` (a constant) of the frame from `offset` on; 0 where it ends before. No
 * header that is looked at begins beyond HEADERS_END.
 */
enum { HEADERS_END = 2047 };
ALWAYS_INLINE const void* bytes_at(const struct packet* packet, __u64 offset, __u32 bytes) {
    KEEP_MASKED(offset, HEADERS_END);
    const void* from = packet->data + offset;
    return from + bytes <= packet->end ? from : 0;
}

/* Port 0 and protocol 0: the address alone. */
ALWAYS_INLINE __u32 where_of(__u32 port, __u32 protocol, __u32 family) {
    return port | protocol << WHERE_PROTOCOL_SHIFT | family << WHERE_FAMILY_SHIFT;
}

/*
 * A switch floods frames whose port it does not know: they are another's. Six bytes
 * are compared as the lower ones of a word; `instance` begins with its own.
 */
ALWAYS_INLINE int addressed_to_us(const struct ethhdr* frame) {
    return load64(frame->h_dest) << 16 == *(const volatile __u64*)&instance << 16;
}

/* RFC 791, 3.1: MF, or an offset. */
ALWAYS_INLINE int is_fragment4(const struct iphdr* ip) {
    return ip->frag_off & bpf_htons(0x3fff);
}

/*
 * Do the lengths of the transport header fit into the `room` bytes that the IP
 * header leaves to it? (RFC 768; RFC 9293, 3.1.) `transport` need not be whole
 * within the frame when `room` says more than there is; the caller has checked
 * that `room` bytes are there.
 */
ALWAYS_INLINE int transport_fits(const void* transport, const void* end, __u32 protocol,
                                 __u32 room) {
    if (protocol == IPPROTO_TCP) return room >= sizeof(struct tcphdr);
    const struct udphdr* udp = transport;
    if ((const void*)(udp + 1) > end) return 0;
    __u32 length = bpf_ntohs(udp->len);
    return length >= sizeof(struct udphdr) && length <= room;
}
