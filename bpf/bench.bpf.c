/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Programs for bench/xdp_bench: the forwarding path next to two yardsticks.
 *   swap      exchanges the MACs and sends the frame back: the least there is
 *   floor     besides makes the path's look-ups, on constant keys: of a packet
 *             that goes by a table, and of one of a remembered flow (flow.h)
 *   reach     the floor of a remembered flow, but with the bucket of another flow
 *             at each run: what fetching it takes, in a table that is as full
 *   director  the path itself (path.h)
 * Each comes a second time with another source port at every run, so that a
 * repeated test run walks through 65,536 flows.
 *
 * Tunnels have a floor of their own, which besides makes room and writes an outer
 * header of constants; both are followed by what undoes that (tunnel_off).
 *
 * A test run that is repeated doesn't reset the packet. The destination records
 * of the bench therefore carry the interface's own MAC as the server's: the
 * frame sent is again one to be forwarded.
 */
#include "path.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__u32 runs SEC(".data.runs") = 1;

ALWAYS_INLINE int swap_macs(struct xdp_md* context) {
    void* frame = (void*)(long)context->data;
    if (frame + sizeof(struct ethhdr) > (void*)(long)context->data_end) return XDP_ABORTED;
    __u32 first = load32(frame);
    __u16 last = load16(frame + 4);
    *(__u32*)frame = load32(frame + 6);
    *(__u16*)(frame + 4) = load16(frame + 10);
    *(__u32*)(frame + 6) = first;
    *(__u16*)(frame + 10) = last;
    return XDP_TX;
}

/* Keeps the compiler from dropping a load whose value nobody wants. */
#define KEEP(value) asm volatile("" : : "r"(value))

/* What either kind of packet needs first, and last. */
ALWAYS_INLINE int look_up_service(void) {
    __u32 one = 1;
    KEEP(((volatile struct directory*)&directory)->first[1]);
    KEEP(((volatile struct directory*)&directory)->insider_bits[1]);
    struct service* service = bpf_map_lookup_elem(&services, &one);
    if (!service) return 0;
    KEEP(service);
    struct service_state* state = bpf_map_lookup_elem(&service_states, &one);
    if (!state) return 0;
    KEEP(state);
    return 1;
}
ALWAYS_INLINE int look_up_server(void) {
    __u32 one = 1;
    struct destination* to = bpf_map_lookup_elem(&destinations, &one);
    if (!to) return 0;
    KEEP(to);
    struct count* count = bpf_map_lookup_elem(&server_counters, &one);
    if (!count) return 0;
    KEEP(count);
    return 1;
}

ALWAYS_INLINE int look_up_slot(void) {
    __u32 zero = 0;
    struct slot_block* block = bpf_map_lookup_elem(&slots, &zero);
    if (!block) return 0;
    KEEP(block);
    return 1;
}

ALWAYS_INLINE int look_up_table(struct xdp_md* context) {
    if (!look_up_service() || !look_up_slot()) return XDP_ABORTED;
    return look_up_server() ? swap_macs(context) : XDP_ABORTED;
}

ALWAYS_INLINE int look_up_flow(struct xdp_md* context, __u32 index) {
    __u32 one = 1;
    if (!look_up_service() || !look_up_slot()) return XDP_ABORTED;
    struct flow_bucket* bucket = bpf_map_lookup_elem(&flows, &index);
    if (!bucket) return XDP_ABORTED;
    KEEP(bucket->flow[0]);
    struct home* home = bpf_map_lookup_elem(&homes, &one);
    if (!home) return XDP_ABORTED;
    KEEP(home->word);
    return look_up_server() ? swap_macs(context) : XDP_ABORTED;
}

/*
 * Next flow: the source port, which stands first behind IPv4 and IPv6 headers.
 * Both ports are stored in the one word that they are loaded by: a processor waits
 * for a smaller store below a larger load, which no packet of a card has.
 */
ALWAYS_INLINE void next_flow(struct xdp_md* context) {
    void* data = (void*)(long)context->data;
    void* end = (void*)(long)context->data_end;
    if (data + sizeof(struct ethhdr) + sizeof(struct ipv6hdr) + 4 > end) return;
    const struct ethhdr* frame = data;
    __u32 header =
        frame->h_proto == bpf_htons(ETH_P_IP) ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
    void* ports = data + sizeof(struct ethhdr) + header;
    *(__u32*)ports = (load32(ports) & 0xffff0000) | (__u16)runs++;
}

SEC("xdp")
int swap(struct xdp_md* context) {
    return swap_macs(context);
}
SEC("xdp")
int swap_flows(struct xdp_md* context) {
    next_flow(context);
    return swap_macs(context);
}
/* `floor` is a library function to the compiler. */
SEC("xdp")
int table_look_ups(struct xdp_md* context) {
    return look_up_table(context);
}
SEC("xdp")
int table_look_ups_flows(struct xdp_md* context) {
    next_flow(context);
    return look_up_table(context);
}
SEC("xdp")
int flow_look_ups(struct xdp_md* context) {
    return look_up_flow(context, 0);
}
SEC("xdp")
int flow_look_ups_flows(struct xdp_md* context) {
    next_flow(context);
    return look_up_flow(context, 0);
}
/* As many buckets as flows have, each of them once, as far apart as theirs are. */
SEC("xdp")
int flow_look_ups_reach(struct xdp_md* context) {
    next_flow(context);
    __u64 spread = hash_finish((__u64)(__u16)runs * HASH_K0);
    return look_up_flow(context, slot_of_hash((__u32)spread, flow_control.buckets));
}
SEC("xdp")
int director(struct xdp_md* context) {
    return direct(context);
}
SEC("xdp")
int director_flows(struct xdp_md* context) {
    next_flow(context);
    return direct(context);
}

/*
 * Takes the outer header off again: the frame as it came, for the next run. Each
 * word is stored as the path loads it: a load across several stores waits for
 * them, which no card's frame makes it do.
 */
ALWAYS_INLINE int tunnel_off(struct xdp_md* context, int verdict, int room) {
    if (verdict != XDP_TX || bpf_xdp_adjust_head(context, room)) return XDP_ABORTED;
    void* frame = (void*)(long)context->data;
    if (frame + sizeof(struct ethhdr) + sizeof(struct iphdr) > (void*)(long)context->data_end)
        return XDP_ABORTED;
    *(__u64*)frame = instance.mac_first | (__u64)(__u16)instance.mac_last << 32 | 2ULL << 48;
    *(__u32*)(frame + 8) = 0x07000000;
    *(__u16*)(frame + 12) =
        room == sizeof(struct iphdr) ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
    if (room == sizeof(struct iphdr)) {
        struct iphdr* ip = frame + sizeof(struct ethhdr);
        ip->ttl = 64;
        ip->check = 0;
    } else {
        ((struct ipv6hdr*)(frame + sizeof(struct ethhdr)))->hop_limit = 64;
    }
    return verdict;
}

ALWAYS_INLINE int look_up_and_tunnel(struct xdp_md* context, int room) {
    __u32 one = 1;
    if (!look_up_service() || !look_up_slot() || !look_up_server()) return XDP_ABORTED;
    struct tunnel* tunnel = bpf_map_lookup_elem(&tunnels, &one);
    if (!tunnel) return XDP_ABORTED;
    KEEP(tunnel);
    if (bpf_xdp_adjust_head(context, -room)) return XDP_ABORTED;
    void* frame = (void*)(long)context->data;
    if (frame + 56 > (void*)(long)context->data_end) return XDP_ABORTED;
#pragma unroll
    for (int at = 0; at < 6; ++at)
        ((volatile __u64*)frame)[at] = 0x4500450045004500ULL + at;
    return XDP_TX;
}

SEC("xdp")
int look_ups_tunnel4(struct xdp_md* context) {
    return tunnel_off(context, look_up_and_tunnel(context, sizeof(struct iphdr)),
                      sizeof(struct iphdr));
}
SEC("xdp")
int look_ups_tunnel6(struct xdp_md* context) {
    return tunnel_off(context, look_up_and_tunnel(context, sizeof(struct ipv6hdr)),
                      sizeof(struct ipv6hdr));
}
SEC("xdp")
int director_tunnel4(struct xdp_md* context) {
    return tunnel_off(context, direct(context), sizeof(struct iphdr));
}
SEC("xdp")
int director_tunnel6(struct xdp_md* context) {
    return tunnel_off(context, direct(context), sizeof(struct ipv6hdr));
}
SEC("xdp")
int look_ups_tunnel4_flows(struct xdp_md* context) {
    next_flow(context);
    return tunnel_off(context, look_up_and_tunnel(context, sizeof(struct iphdr)),
                      sizeof(struct iphdr));
}
SEC("xdp")
int look_ups_tunnel6_flows(struct xdp_md* context) {
    next_flow(context);
    return tunnel_off(context, look_up_and_tunnel(context, sizeof(struct ipv6hdr)),
                      sizeof(struct ipv6hdr));
}
SEC("xdp")
int director_tunnel4_flows(struct xdp_md* context) {
    next_flow(context);
    return tunnel_off(context, direct(context), sizeof(struct iphdr));
}
SEC("xdp")
int director_tunnel6_flows(struct xdp_md* context) {
    next_flow(context);
    return tunnel_off(context, direct(context), sizeof(struct ipv6hdr));
}
