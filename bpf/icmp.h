/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ICMP errors for a service IP (RFC 792, RFC 4443): a router, or the client itself,
 * could not take a server's answer, and quotes its beginning. Where the flow decides,
 * the error goes to the server that the quoted flow goes to. Where packets go by
 * turns nobody knows which server it was: what says how big a packet may be is
 * handed to the daemon, which tells all of them; the rest helps none.
 */
#pragma once

#include <linux/icmpv6.h>

#include "extension.h"
#include "serve.h"

/* RFC 792. The kernel's linux/icmp.h would bring the C library along. */
enum {
    ICMP_DEST_UNREACH = 3,
    ICMP_TIME_EXCEEDED = 11,
    ICMP_PARAMETER_PROBLEM = 12,
    ICMP_FRAG_NEEDED = 4, /* code of ICMP_DEST_UNREACH */
};
struct icmp_header {
    __u8 type;
    __u8 code;
    __be16 checksum;
    __be32 rest;
};

/* Source quench is one, too, but means nothing since RFC 6633. */
ALWAYS_INLINE int is_error4(__u32 type) {
    return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED ||
           type == ICMP_PARAMETER_PROBLEM;
}

/*
 * The service that an error is for. A copy: of `struct packet` no address is ever
 * given away, since all of it would then lie in memory, and be unknown.
 */
struct addressee {
    __u64 address[2];
    __u32 where;
    __u32 local;
};

/* Hands the packet at `at`, `bytes` long, which are there, to the daemon. */
NEVER_INLINE int hand_over(struct xdp_md* context, const struct addressee* of, __u32 at,
                           __u32 bytes) {
    struct packet packet = packet_of(context);
    const struct ethhdr* frame = packet.data;
    if ((const void*)(frame + 1) > packet.end) return not_forwarded(REASON_icmp_error);
    const void* from = bytes_at(&packet, at, sizeof(struct iphdr));
    if (!from || bytes > TOO_BIG_BYTES_MAX) return not_forwarded(REASON_icmp_error);
    struct too_big* message = bpf_ringbuf_reserve(&too_big, sizeof(*message), 0);
    if (!message) return not_forwarded(REASON_icmp_lost);
    message->address[0] = of->address[0];
    message->address[1] = of->address[1];
    message->where = of->where;
    message->bytes = bytes;
    __builtin_memcpy(message->source_mac, frame->h_source, ETH_ALEN);
    message->reserved = 0;
    /* Words first: a loop over bytes is eight times as long, for the verifier, too. */
    __u32 done = 0;
#pragma clang loop unroll(disable)
    for (__u64 i = 0; i < TOO_BIG_BYTES_MAX / 8; ++i) {
        if (from + 8 > packet.end || done + 8 > bytes) break;
        *(__u64*)(message->packet + i * 8) = load64(from);
        from += 8;
        done += 8;
    }
#pragma clang loop unroll(disable)
    for (__u64 i = 0; i < 7; ++i) {
        if (from + 1 > packet.end || done >= bytes || done >= TOO_BIG_BYTES_MAX) break;
        message->packet[done++] = *(const __u8*)from++;
    }
    bpf_ringbuf_submit(message, 0);
    /* This machine's own server hears it from its stack. */
    int verdict = not_forwarded(REASON_icmp_too_big);
    return of->local ? XDP_PASS : verdict;
}

/* An error for the flow in `packet`, or for a flow of which only the service is known. */
ALWAYS_INLINE int serve_error(struct xdp_md* context, struct packet* packet, int has_ports,
                              int says_size, __u32 at, __u32 bytes) {
    __u32 index;
    const struct service* service = find_service(packet, &index);
    if (!service) return XDP_PASS; /* of a connection of the director's own */
    if (service->select == SELECT_CURSOR) {
        if (!says_size) return not_forwarded(REASON_icmp_error);
        struct addressee of = {.address = {packet->address[0], packet->address[1]},
                               .where = packet->where,
                               .local = service->local};
        return hand_over(context, &of, at, bytes);
    }
    if (selects_by(service) == SELECT_FLOW && !has_ports) return not_forwarded(REASON_icmp_error);
    return serve(context, packet, service, &index, 0);
}

/* The quoted packet went the other way: from the service to the client. */
ALWAYS_INLINE __u32 turned(__u32 ports) {
    return ports >> 16 | ports << 16;
}

/* ICMP in IPv4, at `at`. */
VERIFIED_ONCE int icmp4(struct xdp_md* context, __u32 at) {
    KEEP_MASKED(at, LINK_BITS);
    struct packet packet = rare_packet(context);
    const struct iphdr* ip = bytes_at(&packet, at, sizeof(*ip));
    if (!ip || ip->version != 4 || ip->ihl < 5 || is_fragment4(ip)) return XDP_PASS;
    __u32 quoted_at = at + ip->ihl * 4 + sizeof(struct icmp_header);
    const struct icmp_header* icmp = bytes_at(&packet, at + ip->ihl * 4, sizeof(*icmp));
    if (!icmp || !is_error4(icmp->type)) return XDP_PASS;
    packet.address[0] = ip->daddr;
    if (!is_service_address(&packet, 4)) return XDP_PASS;

    __u32 total = length_of(ip->tot_len), end = at + total;
    const struct iphdr* quoted = bytes_at(&packet, quoted_at, sizeof(*quoted));
    if (!quoted || packet.data + end > packet.end || quoted_at + sizeof(*quoted) > end ||
        quoted->version != 4 || quoted->ihl < 5)
        return not_forwarded(REASON_malformed);
    /* Not sent by the service: the local stack's to judge. */
    if (quoted->saddr != ip->daddr) return XDP_PASS;
    if (quoted->protocol != IPPROTO_UDP && quoted->protocol != IPPROTO_TCP) return XDP_PASS;
    packet.source[0] = quoted->daddr;
    packet.ports = DNS_PORT << 16; /* of fragments without ports */
    int has_ports = !(quoted->frag_off & bpf_htons(0x1fff));
    if (has_ports) {
        __u32 ports_at = quoted_at + quoted->ihl * 4;
        const __u32* ports = bytes_at(&packet, ports_at, sizeof(*ports));
        if (!ports || ports_at + sizeof(*ports) > end) return not_forwarded(REASON_malformed);
        packet.ports = turned(*ports);
    }
    packet.where = where_of(packet.ports >> 16, quoted->protocol, 4);
    int says_size = icmp->type == ICMP_DEST_UNREACH && icmp->code == ICMP_FRAG_NEEDED;
    return serve_error(context, &packet, has_ports, says_size, at, total);
}

/*
 * ICMPv6 of which packet->address is a service's, at offset `icmp_at` of the packet
 * that begins at `at` and ends at `end` by its own account; that much is there.
 */
ALWAYS_INLINE int icmp6(struct xdp_md* context, struct packet* packet, __u32 at, __u32 icmp_at,
                        __u32 end) {
    const struct icmp6hdr* icmp = bytes_at(packet, icmp_at, sizeof(*icmp));
    if (!icmp || icmp->icmp6_type & ICMPV6_INFOMSG_MASK) return XDP_PASS;
    __u32 type = icmp->icmp6_type, quoted_at = icmp_at + sizeof(*icmp);
    const struct ipv6hdr* quoted = bytes_at(packet, quoted_at, sizeof(*quoted));
    if (!quoted || quoted_at + sizeof(*quoted) > end || quoted->version != 6)
        return not_forwarded(REASON_malformed);
    __u64 sender[2];
    load_address6(sender, &quoted->saddr);
    if (sender[0] != packet->address[0] || sender[1] != packet->address[1]) return XDP_PASS;
    load_address6(packet->source, &quoted->daddr);

    __u64 chain = walk6(context, quoted_at);
    if (chain & CHAIN_SHORT) return not_forwarded(REASON_malformed);
    if (chain & CHAIN_ODD) return not_forwarded(REASON_ipv6_extension);
    __u32 protocol = chain_next(chain);
    if (protocol != IPPROTO_UDP && protocol != IPPROTO_TCP) return XDP_PASS;
    packet->ports = DNS_PORT << 16;
    int has_ports = !(chain & CHAIN_LATER);
    if (has_ports) {
        __u32 ports_at = chain_offset(chain);
        const __u32* ports = bytes_at(packet, ports_at, sizeof(*ports));
        if (!ports || ports_at + sizeof(*ports) > end) return not_forwarded(REASON_malformed);
        packet->ports = turned(*ports);
    }
    packet->where = where_of(packet->ports >> 16, protocol, 6);
    return serve_error(context, packet, has_ports, type == ICMPV6_PKT_TOOBIG, at, end - at);
}
