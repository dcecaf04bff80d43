/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Programs for bench/xdp_bench: the forwarding path next to two yardsticks.
 *   swap      exchanges the MACs and sends the frame back: the least there is
 *   floor     besides makes the path's look-ups, on constant keys: of a packet
 *             that goes by a table, and of one of a remembered flow (flow.h)
 *   director  the path itself (path.h)
 * Each comes a second time with another source port at every run, so that a
 * repeated test run walks through 65,536 flows.
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

ALWAYS_INLINE int look_up_flow(struct xdp_md* context) {
    __u32 one = 1, zero = 0;
    if (!look_up_service() || !look_up_slot()) return XDP_ABORTED;
    struct flow_bucket* bucket = bpf_map_lookup_elem(&flows, &zero);
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
    return look_up_flow(context);
}
SEC("xdp")
int flow_look_ups_flows(struct xdp_md* context) {
    next_flow(context);
    return look_up_flow(context);
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
