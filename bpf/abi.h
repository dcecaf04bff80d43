/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the kernel program and user space (src/dataplane/xdp) share: the layout
 * of every map, and the list of reasons. A change of any layout raises
 * ABI_VERSION, which is part of the pins' path: a start then takes over from the
 * pins of the other layout, by what ledger.h has of them.
 *
 * Words that hold addresses and ports are in network byte order, as loaded from
 * the packet; only little-endian machines are supported (the flow hash must be
 * the same on every director).
 *
 * Who writes: user space everything but the counters, cursors and flows, by
 * aligned stores of at most 64 bits into mapped memory. What a program may be reading
 * is never changed in place, except for the words named "swapped" below; a
 * freed record or range of slots is used again only after a grace period.
 */
#pragma once

#include <linux/types.h>

#include "ledger.h"

#ifdef __cplusplus
namespace dnsdirector::dataplane::xdp::abi {
#endif

enum { ABI_VERSION = 2 };

/*
 * The directory: hash of (address, port, protocol) -> index of the first
 * service record of its bucket, 0 for none. 32 KiB: it stays in the first-level
 * cache next to the packet, and a packet that is not for a service costs one
 * load. With 4,096 services a quarter of the buckets is in use.
 */
enum { DIRECTORY_BITS = 14, DIRECTORY_SIZE = 1 << DIRECTORY_BITS };

/*
 * Which machines' frames are never forwarded (again): a bit for each hash of a
 * MAC, and the MACs themselves in the map `insiders`, asked only where the bit
 * is set. The frames of a network come from a router or two: one cache line.
 */
enum { INSIDER_BITS = 17, INSIDER_WORDS = 1 << (INSIDER_BITS - 6) };

struct directory {
    __u16 first[DIRECTORY_SIZE];       /* swapped */
    __u64 insider_bits[INSIDER_WORDS]; /* swapped */
};

/* Value of `insiders`: whose MAC it is. */
enum insider {
    INSIDER_SERVER = 1,
    INSIDER_DIRECTOR = 2, /* another one */
    INSIDER_SELF = 3,     /* an interface of this machine */
};

/* Longest chain of service records in one bucket; user space keeps to it. */
enum { CHAIN_MAX = 16 };

/* Record 0 is never used; the directory's entries have 16 bits. */
enum { SERVICES_MAX = 65535 };

/*
 * service.where: port (network order) | protocol << 16 | family (4, 6) << 24.
 * Port 0 and protocol 0 stand for "some service has this address", which is
 * what packets without ports (fragments) are looked up by.
 */
enum { WHERE_PROTOCOL_SHIFT = 16, WHERE_FAMILY_SHIFT = 24 };

enum select {
    SELECT_CURSOR = 0, /* per packet: a cursor of each CPU walks the table */
    SELECT_FLOW = 1,   /* hash of addresses and ports */
    SELECT_SOURCE = 2, /* hash of the client's address */
    /* A flag beside SELECT_FLOW and SELECT_SOURCE: flows are remembered (flow.h). */
    SELECT_REMEMBERS = 4,
};

struct service {
    __u64 address[2]; /* IPv4: first four bytes of address[0], the rest zero */
    __u32 where;
    __u32 next;  /* swapped; next record of the bucket, 0 for none */
    __u64 table; /* swapped; see table_word() */
    __u32 select;
    /* For user space only: core::Scheduler and core::ForwardingMethod. */
    __u8 scheduler;
    __u8 method;
    __u8 reserved[2];
    __u64 previous; /* swapped; the table before a recent change, 0 for none */
    __u32 local;    /* counter of the server that is this machine's own; 0: none is */
    __u8 reserved_too[12];
};

/*
 * A table is a range of slots and a range of destination records; a slot holds
 * the position of a record in the latter. That makes slots 16 bits wide: a
 * Maglev table is read at random, and how much of the cache it takes is what a
 * TCP packet costs among a thousand servers.
 *
 * Both ranges are named by one word, so that one store replaces the whole table:
 * first block of slots (22 bits) | first record (21 bits) | number of slots (21).
 */
enum { TABLE_LENGTH_BITS = 21, TABLE_RECORD_BITS = 21 };
enum { TABLE_LENGTH_MAX = 1 << 20, TABLE_RECORDS_MAX = 1 << 15 };
enum { RECORDS_MAX = 1 << TABLE_RECORD_BITS, BLOCKS_MAX = 1 << 22 };

/* Slots lie in blocks of a cache line: an element of an array map has at least 8 bytes. */
enum { SLOTS_PER_BLOCK_BITS = 5, SLOTS_PER_BLOCK = 1 << SLOTS_PER_BLOCK_BITS };
struct slot_block {
    __u16 position[SLOTS_PER_BLOCK];
};

/*
 * A flag beside the position: flows of this slot may be with another server than
 * the one that stands in it, since it had another one before. Without it nothing
 * else than the table needs to be asked. Swapped: it is taken away in place when
 * no such flow is left.
 */
enum { SLOT_MOVED = 1 << 15 };

/*
 * destination.way: 0 where an untagged frame with other MACs is all it takes,
 * which is what the path is fast for; else the number of tags, and flags.
 */
enum {
    WAY_TAGS = 3,   /* mask: VLAN tags that the frame leaves with, 0 to 2 */
    WAY_LOCAL = 4,  /* the server is this machine: the packet passes to its stack */
    WAY_TUNNEL = 8, /* IP in IP; see struct tunnel */
    WAY_IPV6 = 16,  /* with WAY_TUNNEL: both headers */
};

/* Where a packet goes. The MACs stand as in the frame, to be copied at once. */
struct destination {
    __u8 server_mac[6]; /* or the router's on the way to it */
    __u8 own_mac[6];    /* of the interface it leaves by */
    __u32 ifindex;      /* of that interface; 0: no way is known, and no slot leads here */
    __u32 counter;      /* index of server_counters */
    __u32 way;
    __u32 tags[2]; /* the outermost first, each as in the frame: protocol, control information */
};

/*
 * The outer header of a destination with WAY_TUNNEL, at the same index. A map
 * of its own, so that direct routing among a thousand servers has half the
 * cache lines to fetch.
 */
struct tunnel {
    __u64 source[2]; /* IPv4: first four bytes of source[0], as in struct service */
    __u64 server[2];
    __u32 entropy; /* bits of the source's last word that follow the flow's hash */
    __u32 mtu;     /* of the link, bytes: the largest packet, outer header included */
};

/* Per CPU. `cursor` counts up to the table's length and starts again. */
struct service_state {
    __u64 packets;
    __u64 bytes;
    __u32 cursor;
    __u32 reserved;
};

struct count {
    __u64 packets;
    __u64 bytes;
};

/*
 * A datagram in fragments, and what its first one said (fragment.h). Addresses as
 * in struct service. IPv6's key has no protocol (RFC 8200, 4.5).
 */
struct fragment_key {
    __u64 source[2];
    __u64 destination[2];
    __u32 identification; /* as in the packet */
    __u32 where;          /* protocol and family, without a port */
};
struct fragment_ports {
    __u64 seen; /* bpf_ktime_get_coarse_ns() */
    __u32 ports;
    __u32 protocol;
};
enum { FRAGMENTS_MAX = 16384 };

/*
 * An ICMP error that says how big a packet may be, for the daemon to copy to every
 * server of a service: in a ring buffer, as many as it has room for.
 * Such a message has at most 576 bytes (RFC 1812, 4.3.2.3), or 1,280 (RFC 4443, 2.4).
 */
enum { TOO_BIG_BYTES_MAX = 1280, TOO_BIG_RING_BYTES = 1 << 17 };
struct too_big {
    __u64 address[2]; /* of the service */
    __u32 where;
    __u16 bytes; /* of the packet, from its IP header on */
    __u8 source_mac[6];
    __u32 reserved;
    __u8 packet[TOO_BIG_BYTES_MAX];
};

/*
 * Remembered TCP flows (flow.h). A server stands in a flow by the index of its
 * counters, which outlives tables and weights and is its own in each service;
 * where the server is reached at present says its home, record << 32 | service.
 * 0: it is not forwarded to.
 */
struct home {
    __u64 word; /* swapped */
};

/*
 * A flow is one word, 0 for none:
 * tag (32 bits) | ending (1) | epoch (10) | counter of the server (21).
 * Neither addresses nor ports are kept: two flows are taken for one with a
 * chance of 2^-31 for each entry looked at, and then share a server from their
 * first packet to their last.
 */
enum { FLOW_COUNTER_BITS = 21, FLOW_EPOCH_BITS = 10, FLOW_TAG_SHIFT = 32 };
enum { FLOW_COUNTER_MASK = (1 << FLOW_COUNTER_BITS) - 1 };
enum { FLOW_EPOCH_MASK = (1 << FLOW_EPOCH_BITS) - 1 };
#define FLOW_ENDING (1ULL << 31)

/* Two cache lines; a flow goes to its place in the first, or wherever there is room. */
enum { FLOWS_PER_BUCKET = 16, FLOW_PLACES = 8 };
struct flow_bucket {
    __u64 flow[FLOWS_PER_BUCKET];
};

/*
 * The epoch is the clock of the flows: user space counts it up, at most once a
 * second, and clears what is older than FLOW_IDLE_MAX long before it comes round.
 */
enum {
    FLOW_IDLE_MAX = 300,  /* epochs without a packet: its place may be taken */
    FLOW_ENDING_MAX = 10, /* the same after a FIN or RST */
    FLOW_YOUNG = 2,       /* epochs from the first packet until it counts as established */
};

/* Written by user space: sizes and caps at its start, the epoch ever after. */
struct flow_control {
    __u32 epoch;
    __u32 buckets;       /* of established flows */
    __u32 young_buckets; /* of young ones */
    /* For each CPU and epoch. */
    __u32 most_learnt;
    __u32 most_new; /* young flows by their SYN */
    __u32 most_old; /* young flows by another packet */
    __u32 reserved[2];
    __u64 key[6]; /* of the hash: random, so that nobody can choose a bucket */
};

/* Per CPU. Those `now` count within the epoch. */
struct flow_state {
    __u32 epoch;
    __u32 learnt_now;
    __u32 new_now;
    __u32 old_now;
    __u64 learnt;   /* flows that became established */
    __u64 young;    /* flows that became young */
    __u64 full;     /* packets that learnt nothing: their bucket is full of living flows */
    __u64 capped;   /* packets that learnt nothing: the cap */
    __u64 previous; /* packets sent by the table before a change */
    __u64 moved;    /* flows whose server was gone */
};

/*
 * Constants of one instance of the program; there is one for each interface.
 * Frozen before the program is loaded.
 */
enum { INSTANCE_TRANSMIT = 1 /* XDP_TX sends out of the same interface */ };
struct instance {
    __u32 mac_first; /* the interface's own MAC as two words of a frame: read as one */
    __u32 mac_last;
    __u32 ifindex;
    __u32 flags;
};

/* name, verdict, what it says */
#define FOR_EACH_REASON(REASON)                                                                   \
    REASON(no_server, PASS, "no server can take it: left to the local stack")                     \
    REASON(loop, DROP, "came from a real server, another director or this machine")               \
    REASON(malformed, DROP, "lengths or version of its headers contradict each other")            \
    REASON(fragment, DROP, "fragment whose first one, which has the ports, was not seen")         \
    REASON(ipv6_extension, PASS, "IPv6 headers that cannot be followed: left to the local stack") \
    REASON(icmp_error, DROP, "ICMP error, and nobody knows which server it is for")               \
    REASON(icmp_too_big, DROP, "too big for the way to a client: the daemon tells all servers")   \
    REASON(icmp_lost, DROP, "the same, but the daemon has more of them than it can tell")         \
    REASON(tunnel_mtu, DROP, "too big for the tunnel: answered by ICMP, not too often")           \
    REASON(tunnel_ttl, DROP, "time to live 1 before a tunnel: answered by ICMP")                  \
    REASON(no_headroom, DROP, "no room in the driver's buffer for tags or a tunnel")              \
    REASON(no_egress, DROP, "the server's interface is gone")                                     \
    REASON(broken_table, DROP, "a table names a slot or record that does not exist")

enum reason {
#define REASON_ENUM(name, verdict, text) REASON_##name,
    FOR_EACH_REASON(REASON_ENUM)
#undef REASON_ENUM
        REASON_COUNT
};

/* An array map rounds its elements up to 8 bytes: user space walks whole ones. */
#define ABI_SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has another layout")
#ifdef __cplusplus
#define _Static_assert static_assert
#endif
ABI_SIZE(struct service, 64);
ABI_SIZE(struct slot_block, 64);
ABI_SIZE(struct destination, 32);
ABI_SIZE(struct tunnel, 40);
ABI_SIZE(struct service_state, 24);
ABI_SIZE(struct count, 16);
ABI_SIZE(struct fragment_key, 40);
ABI_SIZE(struct fragment_ports, 16);
ABI_SIZE(struct too_big, 1312);
ABI_SIZE(struct home, 8);
ABI_SIZE(struct flow_bucket, 128);
ABI_SIZE(struct flow_control, 80);
ABI_SIZE(struct flow_state, 64);
#undef ABI_SIZE
#undef _Static_assert

static inline __attribute__((always_inline)) __u64 table_word(__u32 block, __u32 record,
                                                              __u32 length) {
    return (__u64)block << (TABLE_LENGTH_BITS + TABLE_RECORD_BITS) |
           (__u64)record << TABLE_LENGTH_BITS | length;
}
static inline __attribute__((always_inline)) __u32 table_length(__u64 table) {
    return (__u32)table & ((1U << TABLE_LENGTH_BITS) - 1);
}
static inline __attribute__((always_inline)) __u32 table_record(__u64 table) {
    return (__u32)(table >> TABLE_LENGTH_BITS) & ((1U << TABLE_RECORD_BITS) - 1);
}
static inline __attribute__((always_inline)) __u32 table_block(__u64 table) {
    return (__u32)(table >> (TABLE_LENGTH_BITS + TABLE_RECORD_BITS));
}

static inline __attribute__((always_inline)) __u64 home_word(__u32 record, __u32 service) {
    return (__u64)record << 32 | service;
}
static inline __attribute__((always_inline)) __u32 home_record(__u64 home) {
    return (__u32)(home >> 32);
}
static inline __attribute__((always_inline)) __u32 home_service(__u64 home) {
    return (__u32)home;
}

static inline __attribute__((always_inline)) __u64 flow_word(__u32 tag, __u32 epoch,
                                                             __u32 counter) {
    return (__u64)tag << FLOW_TAG_SHIFT | epoch << FLOW_COUNTER_BITS | counter;
}
static inline __attribute__((always_inline)) __u32 flow_counter(__u64 flow) {
    return (__u32)flow & FLOW_COUNTER_MASK;
}
/* Epochs since its last packet; of a young flow, since its first. */
static inline __attribute__((always_inline)) __u32 flow_age(__u64 flow, __u32 epoch) {
    return (epoch - ((__u32)flow >> FLOW_COUNTER_BITS)) & FLOW_EPOCH_MASK;
}
/* May another flow take its place? Also true of none. */
static inline __attribute__((always_inline)) int flow_is_over(__u64 flow, __u32 epoch) {
    __u32 most = flow & FLOW_ENDING ? FLOW_ENDING_MAX : FLOW_IDLE_MAX;
    return flow == 0 || flow_age(flow, epoch) > most;
}

#ifdef __cplusplus
}  // namespace dnsdirector::dataplane::xdp::abi
#endif
