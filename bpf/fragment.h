/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Fragments: every datagram ends whole at one server.
 *
 * Only the first fragment has ports. Where packets go by turns, all fragments of a
 * datagram, the first included, therefore go by the client, the service's address
 * and the datagram's identification. Those that come without ports are taken to be
 * for port 53. Where the flow decides, or another port is asked, the first fragment
 * leaves its ports in a map; one that comes before it is dropped and counted.
 */
#pragma once

#include "extension.h"
#include "serve.h"

#define DNS_PORT bpf_htons(53)

/* Linux gives up on a datagram after so long (net.ipv4.ipfrag_time). */
#define FRAGMENTS_LIVE_NS 30000000000ULL

ALWAYS_INLINE struct fragment_key fragment_key(const struct packet* packet, __u32 identification,
                                               __u32 where) {
    struct fragment_key key = {.source = {packet->source[0], packet->source[1]},
                               .destination = {packet->address[0], packet->address[1]},
                               .identification = identification,
                               .where = where};
    return key;
}

ALWAYS_INLINE int serve_fragment(struct xdp_md* context, const struct packet* packet,
                                 const struct service* service, __u32 index, __u32 identification) {
    __u32 datagram = hash_with(packet, identification);
    return serve(context, packet, service, &index, &datagram);
}

/*
 * packet->ports and packet->where are known. `named`: all fragments say the
 * protocol, so that later ones find the same service without the map.
 */
ALWAYS_INLINE int first_fragment(struct xdp_md* context, const struct packet* packet,
                                 const struct fragment_key* key, __u32 protocol, int named) {
    __u32 index;
    const struct service* service = find_service(packet, &index);
    if (named && service && selects_by(service) != SELECT_FLOW && packet->ports >> 16 == DNS_PORT) {
        /* One with the same identification may have been another port's. */
        bpf_map_delete_elem(&fragments, key);
    } else {
        struct fragment_ports said = {bpf_ktime_get_coarse_ns(), packet->ports, protocol};
        bpf_map_update_elem(&fragments, key, &said, BPF_ANY);
    }
    /* The local stack's, and by the map so are the others. */
    if (!service) return XDP_PASS;
    return serve_fragment(context, packet, service, index, key->identification);
}

/* `protocol` is what its header names. */
ALWAYS_INLINE int later_fragment(struct xdp_md* context, struct packet* packet,
                                 const struct fragment_key* key, __u32 protocol, __u32 family) {
    __u32 index;
    const struct fragment_ports* said = bpf_map_lookup_elem(&fragments, key);
    if (said && bpf_ktime_get_coarse_ns() - said->seen < FRAGMENTS_LIVE_NS) {
        packet->ports = said->ports;
        packet->where = where_of(said->ports >> 16, said->protocol & 0xff, family);
        const struct service* service = find_service(packet, &index);
        return service ? serve_fragment(context, packet, service, index, key->identification)
                       : XDP_PASS;
    }
    packet->where = where_of(DNS_PORT, protocol, family);
    const struct service* service = find_service(packet, &index);
    if (!service || selects_by(service) == SELECT_FLOW) return not_forwarded(REASON_fragment);
    return serve_fragment(context, packet, service, index, key->identification);
}

/* A first fragment has a whole transport header (RFC 1858, RFC 7112), or is no honest one. */
ALWAYS_INLINE __u32 transport_least(__u32 protocol) {
    return protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);
}

/* UDP or TCP in IPv4; the header at `at` has been looked at. */
VERIFIED_ONCE int fragment4(struct xdp_md* context, __u32 at) {
    KEEP_MASKED(at, LINK_BITS);
    struct packet packet = rare_packet(context);
    const struct iphdr* ip = bytes_at(&packet, at, sizeof(*ip));
    if (!ip || ip->version != 4 || ip->ihl < 5) return XDP_PASS;
    packet.address[0] = ip->daddr;
    packet.source[0] = ip->saddr;
    if (!is_service_address(&packet, 4)) return XDP_PASS;

    __u32 protocol = ip->protocol;
    __u32 total = length_of(ip->tot_len), header_length = ip->ihl * 4;
    if (total <= header_length || packet.data + at + total > packet.end)
        return not_forwarded(REASON_malformed);
    struct fragment_key key = fragment_key(&packet, ip->id, where_of(0, protocol, 4));
    if (ip->frag_off & bpf_htons(0x1fff))
        return later_fragment(context, &packet, &key, protocol, 4);
    const __u32* ports = bytes_at(&packet, at + header_length, sizeof(*ports));
    if (!ports || total - header_length < transport_least(protocol))
        return not_forwarded(REASON_malformed);
    packet.ports = *ports;
    packet.where = where_of(packet.ports >> 16, protocol, 4);
    return first_fragment(context, &packet, &key, protocol, 1);
}

/*
 * An IPv6 packet for a service's address whose chain of headers has a fragment
 * header that says more than "whole". `end`: offset at which it ends by its own
 * account; that much is there.
 */
ALWAYS_INLINE int fragment6(struct xdp_md* context, struct packet* packet,
                            const struct fragment_header* part, __u64 chain, __u32 end) {
    __u32 next = chain_next(chain);
    struct fragment_key key = fragment_key(packet, part->identification, where_of(0, 0, 6));
    if (chain & CHAIN_LATER) {
        if (next != IPPROTO_UDP && next != IPPROTO_TCP && !is_extension(next)) return XDP_PASS;
        return later_fragment(context, packet, &key, next, 6);
    }
    if (next != IPPROTO_UDP && next != IPPROTO_TCP) return XDP_PASS;
    __u32 offset = chain_offset(chain);
    const __u32* ports = bytes_at(packet, offset, sizeof(*ports));
    if (!ports || offset + transport_least(next) > end) return not_forwarded(REASON_malformed);
    packet->ports = *ports;
    packet->where = where_of(packet->ports >> 16, next, 6);
    return first_fragment(context, packet, &key, next, part->next == next);
}
