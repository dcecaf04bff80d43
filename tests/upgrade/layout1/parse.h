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

/* The fields of a packet that the path needs, in registers. */
struct packet {
    void* data;
    void* end;
    __u64 address[2]; /* destination */
    __u32 where;
    __u32 ports; /* source port, destination port: as in the packet */
};

ALWAYS_INLINE struct packet packet_of(const struct xdp_md* context) {
    struct packet packet = {.data = (void*)(long)context->data,
                            .end = (void*)(long)context->data_end,
                            .address = {0, 0}};
    return packet;
}

/* Port 0 and protocol 0: the address alone. */
ALWAYS_INLINE __u32 where_of(__u32 port, __u32 protocol, __u32 family) {
    return port | protocol << WHERE_PROTOCOL_SHIFT | family << WHERE_FAMILY_SHIFT;
}

/* A switch floods frames whose port it does not know: they are another's. */
ALWAYS_INLINE int addressed_to_us(const struct ethhdr* frame) {
    return load32(frame->h_dest) == instance.mac_first &&
           load16(frame->h_dest + 4) == (__u16)instance.mac_last;
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
