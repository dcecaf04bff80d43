/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * IP in IP: IPv4 in IPv4 (RFC 2003), IPv6 in IPv6 (RFC 2473), for servers behind
 * routers. The inner packet is forwarded as a router does it, its time to live
 * lowered by one. The traffic class is copied whole: DSCP, and ECN
 * (RFC 6040, 4.1, normal mode). What is too big for the way is answered by ICMP (icmp_answer.h).
 * The outer header never allows a fragment.
 */
#pragma once

#include "hash.h"
#include "icmp_answer.h"
#include "select.h"
#include "vlan.h"

enum { OUTER_TIME_TO_LIVE = 64 };

/* Besides a verdict: counted under its reason already, and not as handed to a server. */
enum { NOT_FORWARDED = 0x100 };

/* Which of the receiver's queues a flow comes to: its outer source follows this. */
ALWAYS_INLINE __u32 entropy4(const struct iphdr* ip, const void* end) {
    __u32 ports = 0;
    if (!is_fragment4(ip) && ip->ihl == 5 && (const void*)(ip + 1) + 4 <= end)
        ports = load32(ip + 1);
    return flow_hash4(ip->saddr, ip->daddr, ports);
}
ALWAYS_INLINE __u32 entropy6(const struct ipv6hdr* ip, const void* end) {
    __u64 source[2], destination[2];
    load_address6(source, &ip->saddr);
    load_address6(destination, &ip->daddr);
    __u32 ports = 0;
    if ((ip->nexthdr == IPPROTO_UDP || ip->nexthdr == IPPROTO_TCP) &&
        (const void*)(ip + 1) + 4 <= end)
        ports = load32(ip + 1);
    return flow_hash6(source[0], source[1], destination[0], destination[1], ports);
}

/* RFC 1141: one less in the high byte of a 16-bit word. */
ALWAYS_INLINE void lower_time_to_live(struct iphdr* ip) {
    __u32 sum = ip->check + bpf_htons(0x0100);
    ip->check = (__u16)(sum + (sum >> 16));
    --ip->ttl;
}

/* An IPv4 header without options. */
ALWAYS_INLINE void write_outer4(void* at, __u32 tos, __u32 length, __u32 source, __u32 server) {
    __u32 first = bpf_htonl(0x45000000 | tos << 16 | length);
    /* No identification, since it is never a fragment (RFC 6864); don't fragment. */
    const __u32 second = bpf_htonl(0x4000);
    const __u32 third = bpf_htonl(OUTER_TIME_TO_LIVE << 24 | IPPROTO_IPIP << 16);
    __u32 sum = fold((__u64)first + second + third + source + server);
    *(__u64*)at = first | (__u64)second << 32;
    *(__u64*)(at + 8) = (third | sum << 16) | (__u64)source << 32;
    *(__u32*)(at + 16) = server;
}

/*
 * What can't go by a tunnel, since it is too big for this MTU, or (0) has no time to
 * live left. Nobody is told of an ICMP error's fate, or twice of a datagram's (RFC
 * 1122, 3.2.2; RFC 4443, 2.4).
 */
ALWAYS_INLINE int refuse4(struct xdp_md* context, const struct iphdr* ip, __u32 mtu) {
    int answered = (ip->protocol == IPPROTO_UDP || ip->protocol == IPPROTO_TCP) &&
                   !(ip->frag_off & bpf_htons(0x1fff));
    if (!mtu) return answered ? expired4(context) : not_forwarded(REASON_tunnel_ttl);
    return answered ? too_big4(context, mtu - sizeof(struct iphdr))
                    : not_forwarded(REASON_tunnel_mtu);
}
ALWAYS_INLINE int refuse6(struct xdp_md* context, const struct ipv6hdr* ip, __u32 mtu) {
    int answered =
        ip->nexthdr == IPPROTO_UDP || ip->nexthdr == IPPROTO_TCP || ip->nexthdr == IPPROTO_FRAGMENT;
    if (!mtu) return answered ? expired6(context) : not_forwarded(REASON_tunnel_ttl);
    return answered ? too_big6(context, mtu - sizeof(struct ipv6hdr))
                    : not_forwarded(REASON_tunnel_mtu);
}

/*
 * Makes room before the network header for an outer one, behind a link header
 * that says so. `plain`, a constant: no tags come or go, which is the fast way.
 * Where the room starts, or 0.
 */
ALWAYS_INLINE void* outer_link(struct xdp_md* context, const struct destination* to, int plain,
                               int room, __be16 type) {
    if (!plain) return write_link(context, to, room, type);
    if (bpf_xdp_adjust_head(context, -room)) return 0;
    void* frame = (void*)(long)context->data;
    void* outer = frame + sizeof(struct ethhdr);
    if (outer + room > (void*)(long)context->data_end) return 0;
    write_macs(frame, to);
    *(__be16*)(frame + 12) = type;
    return outer;
}

ALWAYS_INLINE struct packet packet_for_tunnel(struct xdp_md* context, const struct packet* plain) {
    __be16 type;
    return plain ? *plain : packet_behind_tags(context, &type);
}

ALWAYS_INLINE int encapsulate4(struct xdp_md* context, const struct packet* plain,
                               const struct destination* to, const struct tunnel* tunnel) {
    struct packet packet = packet_for_tunnel(context, plain);
    struct iphdr* ip = packet.network;
    if ((void*)(ip + 1) > packet.end) return NOT_FORWARDED | not_forwarded(REASON_malformed);
    __u32 length = length_of(ip->tot_len) + sizeof(struct iphdr);
    if (UNLIKELY(length > tunnel->mtu || ip->ttl <= 1))
        return NOT_FORWARDED | refuse4(context, ip, length > tunnel->mtu ? tunnel->mtu : 0);
    __u32 source = (__u32)tunnel->source[0];
    source |= (plain ? hash_with(plain, plain->ports) : entropy4(ip, packet.end)) & tunnel->entropy;
    __u32 tos = ip->tos;
    lower_time_to_live(ip);
    void* outer = outer_link(context, to, plain != 0, sizeof(struct iphdr), bpf_htons(ETH_P_IP));
    if (UNLIKELY(!outer)) return NOT_FORWARDED | not_forwarded(REASON_no_headroom);
    write_outer4(outer, tos, length, source, (__u32)tunnel->server[0]);
    return 0;
}

ALWAYS_INLINE int encapsulate6(struct xdp_md* context, const struct packet* plain,
                               const struct destination* to, const struct tunnel* tunnel) {
    struct packet packet = packet_for_tunnel(context, plain);
    struct ipv6hdr* ip = packet.network;
    if ((void*)(ip + 1) > packet.end) return NOT_FORWARDED | not_forwarded(REASON_malformed);
    __u32 length = length_of(ip->payload_len) + sizeof(struct ipv6hdr);
    int exceeds = length + sizeof(struct ipv6hdr) > tunnel->mtu;
    if (UNLIKELY(exceeds || ip->hop_limit <= 1))
        return NOT_FORWARDED | refuse6(context, ip, exceeds ? tunnel->mtu : 0);
    __u32 hash = plain ? hash_with(plain, plain->ports) : entropy6(ip, packet.end);
    /* Version and class as inside; the flow label is the flow's hash (RFC 6438). */
    __u32 first = (load32(ip) & bpf_htonl(0xfff00000)) | (hash & bpf_htonl(0xfffff));
    --ip->hop_limit;
    void* outer =
        outer_link(context, to, plain != 0, sizeof(struct ipv6hdr), bpf_htons(ETH_P_IPV6));
    if (UNLIKELY(!outer)) return NOT_FORWARDED | not_forwarded(REASON_no_headroom);
    *(__u64*)outer = first | (__u64)bpf_htonl(length << 16 | IPPROTO_IPV6 << 8 | OUTER_TIME_TO_LIVE)
                                 << 32;
    *(__u64*)(outer + 8) = tunnel->source[0];
    *(__u64*)(outer + 16) = tunnel->source[1] | (__u64)(hash & tunnel->entropy) << 32;
    *(__u64*)(outer + 24) = tunnel->server[0];
    *(__u64*)(outer + 32) = tunnel->server[1];
    return 0;
}

/*
 * Puts the outer header before the packet: 0, or NOT_FORWARDED and a verdict.
 * `plain`: the packet, if it has no tags and options; else 0.
 */
ALWAYS_INLINE int encapsulate(struct xdp_md* context, const struct packet* plain,
                              const struct destination* to, const struct tunnel* tunnel) {
    if (plain && plain->plain == 4) return encapsulate4(context, plain, to, tunnel);
    if (plain && plain->plain == 6) return encapsulate6(context, plain, to, tunnel);
    return to->way & WAY_IPV6 ? encapsulate6(context, 0, to, tunnel)
                              : encapsulate4(context, 0, to, tunnel);
}

/* As a verdict of its own, perhaps with NOT_FORWARDED. */
ALWAYS_INLINE int send_by_tunnel(struct xdp_md* context, const struct packet* plain,
                                 const struct destination* to, __u32 record) {
    int verdict = send_by(to->ifindex);
    if (UNLIKELY(verdict == XDP_ABORTED)) return NOT_FORWARDED | not_forwarded(REASON_no_egress);
    const struct tunnel* tunnel = bpf_map_lookup_elem(&tunnels, &record);
    if (UNLIKELY(!tunnel)) return NOT_FORWARDED | not_forwarded(REASON_broken_table);
    int failure = encapsulate(context, plain, to, tunnel);
    return failure ? failure : verdict;
}
