/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The way of a packet: for us? for a service? sound? which slot? off it goes.
 * No clock, no route look-up, no write that CPUs share.
 */
#pragma once

#include "count.h"
#include "forward.h"
#include "parse.h"
#include "select.h"
#include "service.h"

/*
 * A length from a header, in host order, known to be below 65,536. Verifiers of
 * older kernels (Debian 12's 6.1 for one) forget all bounds in a byte swap; in
 * assembler, since a compiler that knows better would drop the mask.
 */
ALWAYS_INLINE __u32 length_of(__be16 field) {
    __u64 length = bpf_ntohs(field);
    asm volatile("%0 &= 0xffff" : "+r"(length));
    return length;
}

/* A packet of a service whose headers are sound. `hash` stands for the flow. */
ALWAYS_INLINE int serve(const struct packet* packet, const struct service* service, __u32 index,
                        __u32 flow, __u32 source) {
    __u64 table = *(const volatile __u64*)&service->table;
    __u32 length = table_length(table);
    if (length == 0) return not_forwarded(REASON_no_server);
    struct service_state* state = bpf_map_lookup_elem(&service_states, &index);
    if (!state) return not_forwarded(REASON_broken_table);
    __u32 slot = service->select == SELECT_CURSOR ? next_of_cursor(state, length)
                 : service->select == SELECT_FLOW ? slot_of_hash(flow, length)
                                                  : slot_of_hash(source, length);
    return forward(packet, state, table, slot);
}

/* `transport`: where the header behind `ip` starts, bounds checked for its ports. */
ALWAYS_INLINE int path4_at(struct packet* packet, const struct iphdr* ip, __u32 header_length) {
    const void* transport = (const void*)ip + header_length;
    if (transport + sizeof(struct udphdr) > packet->end) return XDP_PASS;
    packet->ports = *(const __u32*)transport;
    packet->where = where_of(packet->ports >> 16, ip->protocol, 4);
    __u32 index;
    const struct service* service = find_service(packet, &index);
    if (!service) return XDP_PASS;

    __u32 total = length_of(ip->tot_len);
    if (total < header_length || (const void*)ip + total > packet->end ||
        !transport_fits(transport, packet->end, ip->protocol, total - header_length))
        return not_forwarded(REASON_malformed);
    return serve(packet, service, index, flow_hash4(ip->saddr, ip->daddr, packet->ports),
                 flow_hash4(ip->saddr, 0, 0));
}

/* Header options, and what is no IPv4 at all: rare, so out of the way. */
NEVER_INLINE int path4_options(struct xdp_md* context) {
    struct packet packet = packet_of(context);
    const struct iphdr* ip = packet.data + sizeof(struct ethhdr);
    if ((const void*)(ip + 1) > packet.end) return XDP_PASS;
    if (ip->version != 4 || ip->ihl < 5) return XDP_PASS;
    packet.address[0] = ip->daddr;
    return path4_at(&packet, ip, ip->ihl * 4);
}

NEVER_INLINE int fragment4(struct xdp_md* context) {
    struct packet packet = packet_of(context);
    const struct iphdr* ip = packet.data + sizeof(struct ethhdr);
    if ((const void*)(ip + 1) > packet.end) return XDP_PASS;
    packet.address[0] = ip->daddr;
    return is_service_address(&packet, 4) ? not_forwarded(REASON_fragment) : XDP_PASS;
}

ALWAYS_INLINE int path4(struct xdp_md* context, struct packet* packet) {
    const struct iphdr* ip = packet->data + sizeof(struct ethhdr);
    if ((const void*)(ip + 1) > packet->end) return XDP_PASS;
    if (ip->protocol != IPPROTO_UDP && ip->protocol != IPPROTO_TCP) return XDP_PASS;
    if (is_fragment4(ip)) return fragment4(context);
    if (*(const __u8*)ip != 0x45) return path4_options(context);
    packet->address[0] = ip->daddr;
    return path4_at(packet, ip, sizeof(*ip));
}

/* RFC 8200: headers that may stand before the transport header. */
ALWAYS_INLINE int is_extension(__u32 next) {
    return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
           next == IPPROTO_DSTOPTS || next == IPPROTO_AH;
}

NEVER_INLINE int extension6(struct xdp_md* context) {
    struct packet packet = packet_of(context);
    const struct ipv6hdr* ip = packet.data + sizeof(struct ethhdr);
    if ((const void*)(ip + 1) > packet.end) return XDP_PASS;
    load_address6(packet.address, &ip->daddr);
    if (!is_service_address(&packet, 6)) return XDP_PASS;
    return ip->nexthdr == IPPROTO_FRAGMENT ? not_forwarded(REASON_fragment)
                                           : not_forwarded(REASON_ipv6_extension);
}

ALWAYS_INLINE int path6(struct xdp_md* context, struct packet* packet) {
    const struct ipv6hdr* ip = packet->data + sizeof(struct ethhdr);
    const void* transport = ip + 1;
    if (transport + sizeof(struct udphdr) > packet->end) return XDP_PASS;
    if (ip->nexthdr != IPPROTO_UDP && ip->nexthdr != IPPROTO_TCP)
        return is_extension(ip->nexthdr) ? extension6(context) : XDP_PASS;
    __u64 source[2];
    load_address6(packet->address, &ip->daddr);
    load_address6(source, &ip->saddr);
    packet->ports = *(const __u32*)transport;
    packet->where = where_of(packet->ports >> 16, ip->nexthdr, 6);
    __u32 index;
    const struct service* service = find_service(packet, &index);
    if (!service) return XDP_PASS;

    __u32 room = length_of(ip->payload_len);
    if (ip->version != 6 || transport + room > packet->end ||
        !transport_fits(transport, packet->end, ip->nexthdr, room))
        return not_forwarded(REASON_malformed);
    return serve(
        packet, service, index,
        flow_hash6(source[0], source[1], packet->address[0], packet->address[1], packet->ports),
        flow_hash6(source[0], source[1], 0, 0, 0));
}

/*
 * Tagged frames are left to the local stack for now; those that a service is
 * missing are counted.
 */
NEVER_INLINE int tagged(struct xdp_md* context) {
    struct packet packet = packet_of(context);
    const __be16* type = packet.data + 2 * ETH_ALEN + 4;
    if ((const void*)(type + 1) > packet.end) return XDP_PASS;
    const void* ip = type + 1;
    __be16 inner = *type;
    if (inner == bpf_htons(ETH_P_8021Q)) { /* a second tag */
        if (ip + 4 > packet.end) return XDP_PASS;
        inner = *(const __be16*)(ip + 2);
        ip += 4;
    }
    __u32 family = 0;
    if (inner == bpf_htons(ETH_P_IP) && ip + sizeof(struct iphdr) <= packet.end) {
        packet.address[0] = ((const struct iphdr*)ip)->daddr;
        family = 4;
    } else if (inner == bpf_htons(ETH_P_IPV6) && ip + sizeof(struct ipv6hdr) <= packet.end) {
        load_address6(packet.address, &((const struct ipv6hdr*)ip)->daddr);
        family = 6;
    }
    return family && is_service_address(&packet, family) ? not_forwarded(REASON_vlan) : XDP_PASS;
}

ALWAYS_INLINE int direct(struct xdp_md* context) {
    struct packet packet = packet_of(context);
    const struct ethhdr* frame = packet.data;
    if ((const void*)(frame + 1) > packet.end) return XDP_PASS;
    if (!addressed_to_us(frame)) return XDP_PASS;
    __be16 type = load16(&frame->h_proto);
    if (type == bpf_htons(ETH_P_IP)) return path4(context, &packet);
    if (type == bpf_htons(ETH_P_IPV6)) return path6(context, &packet);
    if (type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD)) return tagged(context);
    return XDP_PASS;
}
