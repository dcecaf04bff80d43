/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the kernel program and user space (src/dataplane/xdp) share: the layout
 * of every map, and the list of reasons. A change of any layout raises
 * ABI_VERSION, which is part of the pins' path.
 *
 * Words that hold addresses and ports are in network byte order, as loaded from
 * the packet; only little-endian machines are supported (the flow hash must be
 * the same on every director).
 *
 * Who writes: user space everything but the counters and cursors, by aligned
 * stores of at most 64 bits into mapped memory. What a program may be reading
 * is never changed in place, except for the words named "swapped" below; a
 * freed record or range of slots is used again only after a grace period.
 */
#pragma once

#include <linux/types.h>

#ifdef __cplusplus
namespace dnsdirector::dataplane::xdp::abi {
#endif

enum { ABI_VERSION = 1 };

/*
 * The directory: hash of (address, port, protocol) -> index of the first
 * service record of its bucket, 0 for none. 32 KiB: it stays in the first-level
 * cache next to the packet, and a packet that is not for a service costs one
 * load. With 4,096 services a quarter of the buckets is in use.
 */
enum { DIRECTORY_BITS = 14, DIRECTORY_SIZE = 1 << DIRECTORY_BITS };
struct directory {
    __u16 first[DIRECTORY_SIZE]; /* swapped */
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
    __u8 reserved[22];
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
enum { TABLE_LENGTH_MAX = 1 << 20, TABLE_RECORDS_MAX = 1 << 16 };
enum { RECORDS_MAX = 1 << TABLE_RECORD_BITS, BLOCKS_MAX = 1 << 22 };

/* Slots lie in blocks of a cache line: an element of an array map has at least 8 bytes. */
enum { SLOTS_PER_BLOCK_BITS = 5, SLOTS_PER_BLOCK = 1 << SLOTS_PER_BLOCK_BITS };
struct slot_block {
    __u16 position[SLOTS_PER_BLOCK];
};

/* Where a packet goes. The MACs stand as in the frame, to be copied at once. */
struct destination {
    __u8 server_mac[6];
    __u8 own_mac[6]; /* of the interface it leaves by */
    __u32 ifindex;   /* of that interface; 0: no way is known, and no slot leads here */
    __u32 counter;   /* index of server_counters */
    __u32 reserved[3];
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
 * For user space only: what makes counters outlive weights, reloads and the
 * daemon, and lets a start know what is being forwarded.
 */
struct member_key {
    __u64 service_address[2];
    __u64 server_address[2];
    __u32 where; /* of the service */
    __u16 port;  /* of the server, network order */
    __u16 reserved;
};
struct member {
    __u32 counter; /* index of server_counters */
    __u32 weight;
    __u32 forwarded; /* 1: a destination of the service; 0: only its counters are kept */
    __u32 reserved;
};

/* For user space only, by interface index: what to put back at a clean stop. */
struct attachment {
    __u32 generic; /* 1: attached in generic mode */
    __u32 gro_was_on;
    __u32 lro_was_on;
    __u32 reserved;
};

/*
 * Constants of one instance of the program; there is one for each interface.
 * Frozen before the program is loaded.
 */
enum { INSTANCE_TRANSMIT = 1 /* XDP_TX sends out of the same interface */ };
struct instance {
    __u32 mac_first; /* the interface's own MAC as two words of a frame */
    __u32 mac_last;
    __u32 ifindex;
    __u32 flags;
};

/* name, verdict, what it says */
#define FOR_EACH_REASON(REASON)                                                        \
    REASON(no_server, PASS, "no server can take it: left to the local stack")          \
    REASON(loop, DROP, "came from the server that it would go to")                     \
    REASON(malformed, DROP, "lengths or version of its headers contradict each other") \
    REASON(fragment, PASS, "fragment of a datagram: left to the local stack")          \
    REASON(ipv6_extension, PASS, "IPv6 extension header: left to the local stack")     \
    REASON(vlan, PASS, "VLAN tag: left to the local stack")                            \
    REASON(no_egress, DROP, "the server's interface is gone")                          \
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
ABI_SIZE(struct service_state, 24);
ABI_SIZE(struct count, 16);
ABI_SIZE(struct member_key, 40);
ABI_SIZE(struct member, 16);
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

#ifdef __cplusplus
}  // namespace dnsdirector::dataplane::xdp::abi
#endif
