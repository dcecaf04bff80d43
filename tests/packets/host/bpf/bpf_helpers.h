/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In place of libbpf's header where the kernel program is compiled for user space
 * (host_program.c): the same words, and the helpers as functions of host.cc. A
 * helper that the program comes to use belongs here as well.
 */
#pragma once

#define SEC(name)
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value)* name

/* libbpf, which the tests link, has functions of the same names. */
#define bpf_map_lookup_elem host_bpf_map_lookup_elem
#define bpf_map_update_elem host_bpf_map_update_elem
#define bpf_map_delete_elem host_bpf_map_delete_elem
#define bpf_redirect_map host_bpf_redirect_map
#define bpf_ringbuf_reserve host_bpf_ringbuf_reserve
#define bpf_ringbuf_submit host_bpf_ringbuf_submit
#define bpf_xdp_adjust_head host_bpf_xdp_adjust_head
#define bpf_xdp_adjust_tail host_bpf_xdp_adjust_tail
#define bpf_csum_diff host_bpf_csum_diff
#define bpf_ktime_get_ns host_bpf_ktime_get_ns
#define bpf_ktime_get_coarse_ns host_bpf_ktime_get_coarse_ns
#define bpf_get_prandom_u32 host_bpf_get_prandom_u32

void* bpf_map_lookup_elem(const void* map, const void* key);
long bpf_map_update_elem(const void* map, const void* key, const void* value, __u64 flags);
long bpf_map_delete_elem(const void* map, const void* key);
long bpf_redirect_map(const void* map, __u64 key, __u64 flags);
void* bpf_ringbuf_reserve(const void* map, __u64 size, __u64 flags);
void bpf_ringbuf_submit(void* data, __u64 flags);
long bpf_xdp_adjust_head(struct xdp_md* context, int delta);
long bpf_xdp_adjust_tail(struct xdp_md* context, int delta);
__s64 bpf_csum_diff(const void* from, __u32 from_size, const void* to, __u32 to_size, __u32 seed);
__u64 bpf_ktime_get_ns(void);
__u64 bpf_ktime_get_coarse_ns(void);
__u32 bpf_get_prandom_u32(void);
