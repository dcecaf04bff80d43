/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The part of the pins that every version can read, whatever the layout of the
 * rest (abi.h): who is served, with which weights, how a server is reached, and
 * where the counters lie. A version that finds the pins of another layout, older
 * or newer, takes over from it by this alone.
 *
 * The structs and the names of their maps (members, attachments, layout, base)
 * are frozen since layout 2. What is reserved is zero, and may get a meaning that
 * older versions can do without. Layout 1 had a smaller `member` and no
 * description: src/dataplane/xdp/layout1.cc.
 *
 *   members      member_key -> member; the service itself has no server
 *   attachments  interface index -> attachment
 *   layout       one element: the description, text; a set of pins that has none
 *                is the rest of an interrupted start or removal
 *   base         member_key -> tally: what earlier sets of pins had counted;
 *                missing where there was none
 *   link_INDEX   the program's link on that interface; lies among the pins of
 *                the layout whose program it runs
 */
#pragma once

#include <linux/types.h>

#ifdef __cplusplus
namespace dnsdirector::dataplane::xdp::abi {
#endif

/*
 * Addresses and `where` as in struct service. A key without a server (address
 * and port zero) is the service's own. In `base` alone, where == 0 marks what is
 * no service: see BASE_REASON, BASE_INCLUDED.
 */
struct member_key {
    __u64 service_address[2];
    __u64 server_address[2];
    __u32 where; /* of the service */
    __u16 port;  /* of the server, network order */
    __u16 reserved;
};

/*
 * How frames reach a server, for a successor that can't look it up in time: from
 * this interface by these MACs, unless it is this machine itself. A way that a
 * version does not know is HOP_UNKNOWN to it.
 */
enum {
    HOP_UNKNOWN = 0,
    HOP_DIRECT = 1, /* untagged */
    HOP_TAGGED = 2, /* with `tags` */
    HOP_TUNNEL = 3, /* the same, or untagged; an outer header of the server's family */
    HOP_LOCAL = 4,  /* the packet passes to this machine's own stack */
};

struct member {
    __u32 counter; /* index of the counters that the description names */
    __u32 weight;
    __u32 forwarded; /* 1: a destination of the service; 0: only its counters are kept */
    /* Of a service: core::Scheduler, Service::other_hash. Of both: core::ForwardingMethod. */
    __u8 scheduler;
    __u8 method;
    __u8 other_hash;
    /* The rest is of a server. */
    __u8 hop;
    __u8 server_mac[6]; /* or the router's on the way to it */
    __u8 own_mac[6];    /* of the interface it is routed to */
    __u32 ifindex;      /* of the port, below all VLAN devices */
    __u32 tags[2];      /* the outermost first, as in the frame; 0: none */
    /* HOP_TUNNEL: to the server's address. */
    __u64 source[2];  /* as in struct service, zero where it follows the flow */
    __u32 mtu;        /* of the link, bytes: the largest packet, outer header included */
    __u8 source_bits; /* the last so many bits of the source follow the flow; 0 to 32 */
    __u8 reserved[3];
};

/* By interface index: what to put back at a clean stop. */
enum { VLAN_WAS_ON_CTAG = 1, VLAN_WAS_ON_STAG = 2 }; /* taken off frames by the card */
struct attachment {
    __u32 generic; /* 1: attached in generic mode */
    __u32 gro_was_on;
    __u32 lro_was_on;
    __u32 vlan_was_on; /* VLAN_WAS_ON_* */
};

/*
 * Lines of words; lines whose first word is not known are skipped.
 *
 *   dnsdirector-layout VERSION
 *   services MAP PACKETS BYTES   per-CPU array of a service's counters, and the
 *   servers MAP PACKETS BYTES    offsets of the 64-bit words within an element
 *   reasons MAP NAME...          per-CPU array of 64-bit words, in this order
 *   remembered FORMAT FLOWS YOUNG CONTROL STATES
 *                                maps of remembered TCP flows, which a successor that
 *                                has the same format goes on to use (FLOWS_FORMAT)
 *   tables FORMAT SERVICES TABLE PREVIOUS SLOTS DESTINATIONS COUNTER
 *                                where a service's flows are: arrays, and the offsets of
 *                                the words in an element (TABLES_FORMAT)
 */
struct layout_text {
    char text[4096];
};

/*
 * Format 1 of flows: struct flow_bucket, flow_control and flow_state, with what is said
 * of them in abi.h, the names of hash.h, and how flow.h places a flow in its bucket. A
 * flow names its service by `counter` of the service's own entry in `members`, and its
 * server by that of the server's.
 * Format 1 of tables: table_word(), slots of 16 bits with SLOT_MOVED, blocks of 32.
 * A change of either is another number, and loses flows in an upgrade.
 */
enum { FLOWS_FORMAT = 1, TABLES_FORMAT = 1 };

struct tally {
    __u64 packets;
    __u64 bytes;
};

/*
 * member_key.port of those whose `where` is zero.
 *   BASE_REASON    the 32 bytes of the addresses are a reason's name; `packets`
 *   BASE_INCLUDED  service_address[0] is the kernel's id of the map `attachments`
 *                  of a set of pins whose counts are in this base
 */
enum { BASE_REASON = 0, BASE_INCLUDED = 1 };

#ifdef __cplusplus
static_assert(sizeof(member_key) == 40 && sizeof(member) == 64 && sizeof(attachment) == 16 &&
              sizeof(layout_text) == 4096 && sizeof(tally) == 16);
}  // namespace dnsdirector::dataplane::xdp::abi
#endif
