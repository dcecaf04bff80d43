/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The way of a packet: for us? for a service? sound? which slot? off it goes.
 * No clock, no route look-up, no write that CPUs share.
 */
#pragma once

#include "count.h"
#include "extension.h"
#include "fragment.h"
#include "icmp.h"
#include "parse.h"
#include "serve.h"
#include "service.h"
#include "vlan.h"

/* `transport`: where the header behind `ip` starts, bounds checked for its ports. */
ALWAYS_INLINE int path4_at(struct xdp_md* context, struct packet* packet, const struct iphdr* ip,
                           __u32 header_length) {
    const void* transport = (const void*)ip + header_length;
    if (UNLIKELY(transport + sizeof(struct udphdr) > packet->end)) return XDP_PASS;
    packet->ports = *(const __u32*)transport;
    packet->where = where_of(packet->ports >> 16, ip->protocol, 4);
    __u32 index;
    const struct service* service = find_service(packet, &index);
    if (!service) return XDP_PASS;

    __u64 total = length_of(ip->tot_len);
    if (UNLIKELY(total < header_length || (const void*)ip + total > packet->end ||
                 !transport_fits(transport, packet->end, ip->protocol, total - header_length)))
        return not_forwarded(REASON_malformed);
    packet->source[0] = ip->saddr;
    packet->transport = transport;
    return serve(context, packet, service, &index, 0);
}

/* Header options, and what is no IPv4 at all: rare, so out of the way. */
VERIFIED_ONCE int path4_options(struct xdp_md* context) {
    __be16 type = 0;
    struct packet packet = packet_behind_tags(context, &type);
    const struct iphdr* ip = packet.network;
    if ((const void*)(ip + 1) > packet.end) return XDP_PASS;
    if (ip->version != 4 || ip->ihl < 5) return XDP_PASS;
    packet.address[0] = ip->daddr;
    return path4_at(context, &packet, ip, ip->ihl * 4);
}

VERIFIED_ONCE int path6_extended(struct xdp_md* context, __u32 at);

/*
 * Kinds of packets that go on in a function of their own. From behind tags they are
 * handed back to direct(), since the stack would not suffice for one call more.
 */
enum {
    RARE = 0x200,
    RARE_ICMP4 = RARE,
    RARE_FRAGMENT4 = RARE | 0x20,
    RARE_EXTENDED6 = RARE | 0x40,
    RARE_OPTIONS4 = RARE | 0x60,
    RARE_KINDS = RARE | 0x60,
};
ALWAYS_INLINE int take_rare(struct xdp_md* context, __u32 kind, __u32 at) {
    if (kind == RARE_ICMP4) return icmp4(context, at);
    if (kind == RARE_OPTIONS4) return path4_options(context);
    return kind == RARE_FRAGMENT4 ? fragment4(context, at) : path6_extended(context, at);
}
ALWAYS_INLINE int rare(struct xdp_md* context, const struct packet* packet, __u32 kind) {
    return packet->tagged ? (int)(kind | packet->at) : take_rare(context, kind, packet->at);
}

ALWAYS_INLINE int path4(struct xdp_md* context, struct packet* packet) {
    const struct iphdr* ip = packet->network;
    if (UNLIKELY((const void*)(ip + 1) > packet->end)) return XDP_PASS;
    if (UNLIKELY(ip->protocol != IPPROTO_UDP && ip->protocol != IPPROTO_TCP))
        return ip->protocol == IPPROTO_ICMP ? rare(context, packet, RARE_ICMP4) : XDP_PASS;
    if (UNLIKELY(is_fragment4(ip))) return rare(context, packet, RARE_FRAGMENT4);
    if (UNLIKELY(*(const __u8*)ip != 0x45)) return rare(context, packet, RARE_OPTIONS4);
    packet->address[0] = ip->daddr;
    packet->plain = packet->tagged ? 0 : 4;
    return path4_at(context, packet, ip, sizeof(*ip));
}

/*
 * UDP or TCP at `transport`, in front of which are `ahead` bytes of extension
 * headers. packet->address is the packet's; bounds are checked for its ports.
 */
ALWAYS_INLINE int path6_at(struct xdp_md* context, struct packet* packet, const struct ipv6hdr* ip,
                           const void* transport, __u32 protocol, __u32 ahead) {
    packet->ports = *(const __u32*)transport;
    packet->where = where_of(packet->ports >> 16, protocol, 6);
    __u32 index;
    const struct service* service = find_service(packet, &index);
    if (!service) return XDP_PASS;

    __u64 room = length_of(ip->payload_len);
    if (UNLIKELY(ip->version != 6 || (const void*)(ip + 1) + room > packet->end || room < ahead ||
                 !transport_fits(transport, packet->end, protocol, room - ahead)))
        return not_forwarded(REASON_malformed);
    load_address6(packet->source, &ip->saddr);
    packet->transport = transport;
    return serve(context, packet, service, &index, 0);
}

/* What is neither UDP nor TCP at first sight: rare, so out of the way. */
VERIFIED_ONCE int path6_extended(struct xdp_md* context, __u32 at) {
    KEEP_MASKED(at, LINK_BITS);
    struct packet packet = rare_packet(context);
    const struct ipv6hdr* ip = bytes_at(&packet, at, sizeof(*ip));
    if (!ip) return XDP_PASS;
    load_address6(packet.address, &ip->daddr);
    if (!is_service_address(&packet, 6)) return XDP_PASS;

    __u64 chain = walk6(context, at);
    if (chain & CHAIN_SHORT) return not_forwarded(REASON_malformed);
    __u32 next = chain_next(chain), offset = chain_offset(chain);
    if (chain & CHAIN_ODD || hides_transport(next)) return not_forwarded(REASON_ipv6_extension);
    __u32 end = at + sizeof(*ip) + length_of(ip->payload_len);
    if (ip->version != 6 || packet.data + end > packet.end || offset > end)
        return not_forwarded(REASON_malformed);
    load_address6(packet.source, &ip->saddr);
    if (chain_fragment(chain)) {
        const struct fragment_header* part =
            bytes_at(&packet, chain_fragment(chain), sizeof(*part));
        if (!part) return not_forwarded(REASON_malformed);
        /* RFC 6946: alone and first, it is a whole packet. */
        if (part->offset & bpf_htons(FRAGMENT_OFFSET6 | FRAGMENT_MORE6))
            return fragment6(context, &packet, part, chain, end);
    }
    if (next == NEXT_ICMPV6) return icmp6(context, &packet, at, offset, end);
    if (next != IPPROTO_UDP && next != IPPROTO_TCP) return XDP_PASS;
    const void* transport = bytes_at(&packet, offset, sizeof(struct udphdr));
    if (!transport) return not_forwarded(REASON_malformed);
    return path6_at(context, &packet, ip, transport, next, offset - at - sizeof(*ip));
}

ALWAYS_INLINE int path6(struct xdp_md* context, struct packet* packet) {
    const struct ipv6hdr* ip = packet->network;
    const void* transport = ip + 1;
    if (UNLIKELY(transport + sizeof(struct udphdr) > packet->end)) return XDP_PASS;
    if (UNLIKELY(ip->nexthdr != IPPROTO_UDP && ip->nexthdr != IPPROTO_TCP))
        return rare(context, packet, RARE_EXTENDED6);
    packet->plain = packet->tagged ? 0 : 6;
    load_address6(packet->address, &ip->daddr);
    return path6_at(context, packet, ip, transport, ip->nexthdr, 0);
}

/* One or two VLAN tags. A third, and the packet passes. A verdict, or a rare kind and its offset.
 */
VERIFIED_ONCE int tagged(struct xdp_md* context) {
    __be16 type = 0;
    struct packet packet = packet_behind_tags(context, &type);
    if (type == bpf_htons(ETH_P_IP)) return path4(context, &packet);
    if (type == bpf_htons(ETH_P_IPV6)) return path6(context, &packet);
    return XDP_PASS;
}

ALWAYS_INLINE int direct(struct xdp_md* context) {
    struct packet packet = packet_of(context);
    const struct ethhdr* frame = packet.data;
    if (UNLIKELY((const void*)(frame + 1) > packet.end)) return XDP_PASS;
    if (UNLIKELY(!addressed_to_us(frame))) return XDP_PASS;
    __be16 type = load16(&frame->h_proto);
    if (LIKELY(type == bpf_htons(ETH_P_IP))) return path4(context, &packet);
    if (LIKELY(type == bpf_htons(ETH_P_IPV6))) return path6(context, &packet);
    if (is_tag(type)) {
        __u32 verdict = tagged(context);
        return verdict & RARE ? take_rare(context, verdict & RARE_KINDS, verdict & LINK_BITS)
                              : (int)verdict;
    }
    return XDP_PASS;
}
