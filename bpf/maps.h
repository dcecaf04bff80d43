/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The maps. Sizes of 1 are set by user space from the configuration's limits.
 * All but the constants are pinned and outlive the daemon.
 */
#pragma once

/* First: the helpers use its types. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "abi.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define NEVER_INLINE static __attribute__((noinline))
/*
 * A global function: the verifier looks at it once, and not again from each place
 * that calls it. Pointers other than the context must be tested for 0; what it
 * returns may be anything, as far as the caller's verification goes.
 */
#define VERIFIED_ONCE __attribute__((noinline))
/* What is rare, or common: so that the way of most packets is one straight piece of code. */
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define LIKELY(condition) __builtin_expect(!!(condition), 1)

/* A build for user space (tests/packets) sets them itself. */
#ifdef __bpf__
const volatile struct instance instance;
#else
struct instance instance;
#endif

/* .bss is an array map of one element: a load from it needs no look-up. */
struct directory directory;

/* The same: a map of its own, since it is written for ever. */
struct flow_control flow_control SEC(".data.flows");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct service);
} services SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct slot_block);
} slots SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct destination);
} destinations SEC(".maps");

/* Beside the destinations, index by index. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct tunnel);
} tunnels SEC(".maps");

/* MAC, in the first six bytes -> enum insider. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 1);
    __type(key, __u64);
    __type(value, __u32);
} insiders SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct service_state);
} service_states SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct count);
} server_counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct home);
} homes SEC(".maps");

/* Established flows, and those that may become it. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct flow_bucket);
} flows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct flow_bucket);
} young_flows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct flow_state);
} flow_states SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, REASON_COUNT);
    __type(key, __u32);
    __type(value, __u64);
} reasons SEC(".maps");

/* Answers by ICMP that each CPU may still send; see tunnel.h. */
struct icmp_budget {
    __u64 refilled; /* ns, of bpf_ktime_get_ns() */
    __u64 answers;
};
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct icmp_budget);
} icmp_budgets SEC(".maps");

/* Interface index -> interface, for servers behind another one. */
struct {
    __uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
    __uint(max_entries, 256);
    __type(key, __u32);
    __type(value, struct bpf_devmap_val);
} egress SEC(".maps");

/*
 * Written for each first fragment where a flow decides; shared by all CPUs, since
 * cards spread first and later fragments differently.
 */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, FRAGMENTS_MAX);
    __type(key, struct fragment_key);
    __type(value, struct fragment_ports);
} fragments SEC(".maps");

/* Of struct too_big. */
struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, TOO_BIG_RING_BYTES);
} too_big SEC(".maps");
