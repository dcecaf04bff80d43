/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Answers as a router gives them to packets that can't go on: too big (RFC 1191,
 * RFC 8201), or at the end of their time to live. The frame goes back to where it
 * came from; the source is the service IP, which is what the client knows.
 */
#pragma once

#include "count.h"
#include "send.h"
#include "vlan.h"

/* For each CPU. Linux sends as many for the whole machine (net.ipv4.icmp_msgs_per_sec). */
#define ICMP_ANSWERS_PER_SECOND 1000ULL
#define ICMP_ANSWERS_AT_ONCE 50ULL
#define NANOSECONDS 1000000000ULL

/*
 * How many bytes of the packet an answer holds. What is too big has more than
 * these; IPv4 answers stay below the 576 bytes of RFC 1812, 4.3.2.3, and
 * bpf_csum_diff() takes 512. Other packets have at least the eight bytes behind
 * the header that RFC 792 asks for.
 */
enum { QUOTE_BIG = 504, QUOTE_SMALL4 = 28, QUOTE_SMALL6 = 48 };
enum { ICMP_LENGTH = 8 };

ALWAYS_INLINE __u16 fold(__u64 sum) {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum += sum >> 16;
    return (__u16)~sum;
}

ALWAYS_INLINE int may_answer(void) {
    __u32 zero = 0;
    struct icmp_budget* budget = bpf_map_lookup_elem(&icmp_budgets, &zero);
    if (!budget) return 0;
    __u64 now = bpf_ktime_get_ns();
    __u64 more = (now - budget->refilled) / (NANOSECONDS / ICMP_ANSWERS_PER_SECOND);
    if (more != 0) {
        __u64 answers = budget->answers + more;
        budget->refilled = now;
        budget->answers = answers < ICMP_ANSWERS_AT_ONCE ? answers : ICMP_ANSWERS_AT_ONCE;
    }
    if (budget->answers == 0) return 0;
    --budget->answers;
    return 1;
}

/*
 * Cuts the packet off `quote` bytes into its network header, and makes `room`
 * free before that, behind a link header whose MACs are exchanged; both are
 * constants. Where the room starts, or 0.
 */
ALWAYS_INLINE void* turn_round(struct xdp_md* context, int room, int quote) {
    void* frame = (void*)(long)context->data;
    void* end = (void*)(long)context->data_end;
    if (frame + LINK_MAX > end) return 0;
    __be16 type;
    __u32 link = sizeof(struct ethhdr) + tags_of(frame, &type) * TAG_LENGTH;
    __u64 to = load64(frame), from = load64(frame + 6), tags = load64(frame + 14);
    int cut = (int)(link + quote) - (int)(end - frame);
    if (bpf_xdp_adjust_tail(context, cut) || bpf_xdp_adjust_head(context, -room)) return 0;

    frame = (void*)(long)context->data;
    end = (void*)(long)context->data_end;
    if (frame + LINK_MAX > end) return 0;
    *(__u64*)frame = from;
    *(__u64*)(frame + 6) = (to & 0xffffffffffffULL) | (from & 0xffff000000000000ULL);
    *(__u64*)(frame + 14) = tags; /* without tags the header comes over it */
    void* network = frame + link;
    return network + room + quote > end ? 0 : network;
}

/* What the answer says: type and code, and the largest packet that would do. */
ALWAYS_INLINE int answer4(struct xdp_md* context, __u32 type, __u32 code, __u32 mtu, int quote) {
    const int room = sizeof(struct iphdr) + ICMP_LENGTH;
    void* at = turn_round(context, room, quote);
    if (!at) return XDP_DROP;
    const struct iphdr* quoted = at + room;
    struct iphdr* ip = at;
    __u32 client = quoted->saddr, service = quoted->daddr;
    *(__u32*)at = bpf_htonl(0x45c00000 | (room + quote)); /* RFC 1812, 4.3.2.5: precedence 6 */
    *(__u32*)(at + 4) = 0;
    *(__u32*)(at + 8) = bpf_htonl(64 << 24 | IPPROTO_ICMP << 16);
    *(__u32*)(at + 12) = service;
    *(__u32*)(at + 16) = client;
    ip->check = fold((__u64)load32(at) + load32(at + 8) + service + client);
    void* icmp = at + sizeof(struct iphdr);
    *(__u32*)icmp = bpf_htonl(type << 24 | code << 16);
    *(__u32*)(icmp + 4) = bpf_htonl(mtu);
    *(__u16*)(icmp + 2) = fold((__u32)bpf_csum_diff(0, 0, icmp, ICMP_LENGTH + quote, 0));
    return send_by(instance.ifindex);
}

ALWAYS_INLINE int answer6(struct xdp_md* context, __u32 type, __u32 mtu, int quote) {
    const int room = sizeof(struct ipv6hdr) + ICMP_LENGTH;
    void* at = turn_round(context, room, quote);
    if (!at) return XDP_DROP;
    const struct ipv6hdr* quoted = at + room;
    __u64 client[2], service[2];
    load_address6(client, &quoted->saddr);
    load_address6(service, &quoted->daddr);
    *(__u32*)at = bpf_htonl(6 << 28);
    *(__u32*)(at + 4) = bpf_htonl((ICMP_LENGTH + quote) << 16 | IPPROTO_ICMPV6 << 8 | 64);
    *(__u64*)(at + 8) = service[0];
    *(__u64*)(at + 16) = service[1];
    *(__u64*)(at + 24) = client[0];
    *(__u64*)(at + 32) = client[1];
    void* icmp = at + sizeof(struct ipv6hdr);
    *(__u32*)icmp = bpf_htonl(type << 24);
    *(__u32*)(icmp + 4) = bpf_htonl(mtu);
    /* RFC 8200, 8.1: with the addresses, the length and the protocol. */
    __u64 sum = (__u32)bpf_csum_diff(0, 0, at + 8, 32, 0);
    sum += (__u32)bpf_csum_diff(0, 0, icmp, ICMP_LENGTH + quote, 0);
    sum += bpf_htonl(ICMP_LENGTH + quote) + (__u64)bpf_htonl(IPPROTO_ICMPV6);
    *(__u16*)(icmp + 2) = fold(sum);
    return send_by(instance.ifindex);
}

/* RFC 792, RFC 4443. */
VERIFIED_ONCE int too_big4(struct xdp_md* context, __u32 mtu) {
    int verdict = not_forwarded(REASON_tunnel_mtu);
    return may_answer() ? answer4(context, 3, 4, mtu, QUOTE_BIG) : verdict;
}
VERIFIED_ONCE int expired4(struct xdp_md* context) {
    int verdict = not_forwarded(REASON_tunnel_ttl);
    return may_answer() ? answer4(context, 11, 0, 0, QUOTE_SMALL4) : verdict;
}
VERIFIED_ONCE int too_big6(struct xdp_md* context, __u32 mtu) {
    int verdict = not_forwarded(REASON_tunnel_mtu);
    return may_answer() ? answer6(context, 2, mtu, QUOTE_BIG) : verdict;
}
VERIFIED_ONCE int expired6(struct xdp_md* context) {
    int verdict = not_forwarded(REASON_tunnel_ttl);
    return may_answer() ? answer6(context, 3, 0, QUOTE_SMALL6) : verdict;
}
