/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * TCP flows stay with their server when tables change.
 *
 * As long as a slot of a table has had one server, all its flows are there, and
 * nobody needs to remember them. From the change that gives it another one, the
 * slot is marked (SLOT_MOVED), and a packet of it goes
 *   1. to the server that its flow is remembered with, if it is there: SYNs too,
 *      so that neither a forged SYN nor a FIN changes where a flow goes;
 *   2. for a minute by the table before the change, since a flow that nobody
 *      remembers is likely to be older; a SYN is not: it goes by the new table,
 *      and is remembered, so that the rest of its flow follows;
 *   3. by the table.
 *
 * Who is remembered, so that no flood of forged packets displaces who is served:
 *   young_flows  from the first packet; the oldest of a bucket make room, at a
 *                capped rate
 *   flows        from a packet FLOW_YOUNG epochs after the first one, at a capped
 *                rate; never at the cost of one that lives
 * Each is an array of buckets of one word per flow. The kernel's own maps do not
 * hold: LRU_HASH evicts who is established, and HASH can only be full.
 */
#pragma once

#include <linux/tcp.h>

#include "maps.h"
#include "parse.h"
#include "select.h"

enum { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_PUSH = 0x08, TCP_ACK = 0x10 };
/* No segment, but something that goes where its flow does: it leaves no trace. */
enum { TCP_NONE = 0x100 };

ALWAYS_INLINE int is_syn(__u32 tcp) {
    return (tcp & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* Where this server of the service is reached; 0 while it is not forwarded to. */
ALWAYS_INLINE __u64 home_of(__u32 counter, __u32 service) {
    struct home* home = bpf_map_lookup_elem(&homes, &counter);
    if (UNLIKELY(!home)) return 0;
    __u64 word = *(volatile __u64*)&home->word;
    return LIKELY(home_service(word) == service) ? word : 0;
}

/* What a packet changes: the epoch, and that the flow is ending. */
#define FLOW_TOUCHED ((__u64)FLOW_EPOCH_MASK << FLOW_COUNTER_BITS | FLOW_ENDING)

/*
 * A packet of this flow came: what its word is now. After a FIN or RST only data
 * shows that it lives.
 */
ALWAYS_INLINE __u64 touched(__u64 flow, __u32 tcp) {
    if (tcp & TCP_NONE) return flow;
    flow &= ~((__u64)FLOW_EPOCH_MASK << FLOW_COUNTER_BITS);
    flow |= (__u64)flow_control.epoch << FLOW_COUNTER_BITS;
    if (tcp & (TCP_FIN | TCP_RST)) return flow | FLOW_ENDING;
    return tcp & TCP_PUSH ? flow & ~FLOW_ENDING : flow;
}

/* An established flow in its own place: the record of its server, or 0. */
ALWAYS_INLINE __u32 recall(__u64 name, __u32 service, __u32 tcp) {
    __u32 spread = flow_spread(name);
    __u32 index = slot_of_hash(spread, flow_control.buckets);
    struct flow_bucket* bucket = bpf_map_lookup_elem(&flows, &index);
    if (UNLIKELY(!bucket)) return 0;
    __u64* at = &bucket->flow[spread & (FLOW_PLACES - 1)];
    __u64 flow = *at;
    if (UNLIKELY(flow >> FLOW_TAG_SHIFT != flow_tag(name))) return 0;
    __u32 record = home_record(home_of(flow_counter(flow), service));
    if (UNLIKELY(record == 0)) return 0;
    __u64 same = (flow ^ (__u64)flow_control.epoch << FLOW_COUNTER_BITS) & FLOW_TOUCHED;
    /* Once in an epoch there is something to write, and at the end. */
    if (UNLIKELY(same || tcp & (TCP_FIN | TCP_RST))) {
        __u64 now = touched(flow, tcp);
        /* Else a flow that another CPU has just put there would go. */
        if (now != flow) *at = now;
    }
    return record;
}

/* ---- the others: young, new, moved -------------------------------------------- */

ALWAYS_INLINE struct flow_bucket* bucket_of(void* map, __u64 name, __u32 buckets) {
    __u32 index = slot_of_hash(flow_spread(name), buckets);
    return bpf_map_lookup_elem(map, &index);
}

/* Place of the flow with this tag in a bucket; FLOWS_PER_BUCKET where it is not. */
VERIFIED_ONCE __u32 find_flow(const struct flow_bucket* bucket, __u32 tag) {
    if (!bucket) return FLOWS_PER_BUCKET;
    __u32 i = 0;
    while (i < FLOWS_PER_BUCKET && bucket->flow[i] >> FLOW_TAG_SHIFT != tag)
        ++i;
    asm volatile("" : "+r"(i)); /* not for the callers' compiler to look into */
    return i;
}
ALWAYS_INLINE __u64* flow_in(struct flow_bucket* bucket, __u64 name) {
    if (!bucket) return 0;
    __u32 i = find_flow(bucket, flow_tag(name));
    return i < FLOWS_PER_BUCKET ? &bucket->flow[i] : 0;
}

/* A shift that no compiler makes a branch of. */
#ifdef __bpf__
#define SHIFT(how, value, bits) asm volatile("%0 " how " %1" : "+r"(value) : "i"(bits))
#else
#define SHIFT(how, value, bits) (value >>= (bits))
#endif

/*
 * The greater one, without a branch: the verifier follows each way that a loop
 * with branches can take.
 */
ALWAYS_INLINE __u64 greater(__u64 a, __u64 b) {
    __s64 difference = a - b;
    __s64 negative = difference;
    SHIFT("s>>=", negative, 63);
    return b + (difference & ~negative);
}
/* Likewise 1 where a < b, for numbers below 2^63. */
ALWAYS_INLINE __u64 is_less(__u64 a, __u64 b) {
    __u64 less = a - b;
    SHIFT(">>=", less, 63);
    return less;
}
/* flow_is_over() as a number, 0 or 1; and 2 where there is none at all. */
ALWAYS_INLINE __u64 how_free(__u64 flow, __u32 epoch) {
    __u64 ending = flow >> 31 & 1;
    __u64 most = FLOW_IDLE_MAX - ending * (FLOW_IDLE_MAX - FLOW_ENDING_MAX);
    __u64 none = is_less(flow >> FLOW_TAG_SHIFT, 1);
    return greater(is_less(most, flow_age(flow, epoch)), 2 * none);
}

/* Counts of this CPU; those of the epoch start with it. */
ALWAYS_INLINE struct flow_state* flow_state_now(void) {
    __u32 zero = 0;
    struct flow_state* state = bpf_map_lookup_elem(&flow_states, &zero);
    if (state && state->epoch != flow_control.epoch) {
        state->epoch = flow_control.epoch;
        state->learnt_now = state->new_now = state->old_now = 0;
    }
    return state;
}

/* One more within the cap of the epoch? */
ALWAYS_INLINE int admit(struct flow_state* state, __u32* now, __u32 most) {
    if (*now >= most) {
        ++state->capped;
        return 0;
    }
    ++*now;
    return 1;
}

/* Another CPU may want the same place: then one of them comes too late. */
ALWAYS_INLINE int put(__u64* at, __u64 old, __u64 flow) {
    return __sync_val_compare_and_swap(at, old, flow) == old;
}

/* In its own place, if that is free, or in another one: no living flow gives way. */
VERIFIED_ONCE int learn(__u64 name, __u32 counter) {
    struct flow_state* state = flow_state_now();
    struct flow_bucket* bucket = bucket_of(&flows, name, flow_control.buckets);
    if (!state || !bucket) return 0;
    __u32 epoch = flow_control.epoch, own = flow_spread(name) & (FLOW_PLACES - 1);
    __u64 best = 0;
    for (__u64 i = 0; i < FLOWS_PER_BUCKET; ++i) {
        /* Its own place is nearest, by how far it is round the bucket. */
        __u64 near = (own - i - 1) % FLOWS_PER_BUCKET;
        best = greater(best, how_free(bucket->flow[i], epoch) * FLOWS_PER_BUCKET + near);
    }
    if (best < FLOWS_PER_BUCKET) {
        ++state->full;
        return 0;
    }
    __u64* at = &bucket->flow[(own - 1 - best) % FLOWS_PER_BUCKET];
    __u64 old = *at;
    if (!admit(state, &state->learnt_now, flow_control.most_learnt)) return 0;
    if (!flow_is_over(old, epoch) || !put(at, old, flow_word(flow_tag(name), epoch, counter)))
        return 0;
    ++state->learnt;
    return 1;
}

/* In the place of none, or of the oldest. */
VERIFIED_ONCE int remember_young(__u64 name, __u32 counter) {
    struct flow_bucket* bucket = bucket_of(&young_flows, name, flow_control.young_buckets);
    if (!bucket) return 0;
    __u32 epoch = flow_control.epoch;
    __u64 best = 0;
    for (__u64 i = 0; i < FLOWS_PER_BUCKET; ++i) {
        __u64 flow = bucket->flow[i];
        __u64 old = how_free(flow, epoch) << FLOW_EPOCH_BITS | flow_age(flow, epoch);
        best = greater(best, old * FLOWS_PER_BUCKET + i);
    }
    __u64* at = &bucket->flow[best % FLOWS_PER_BUCKET];
    return put(at, *at, flow_word(flow_tag(name), epoch, counter));
}

/* A packet of a young flow: is it established? Its epoch stays that of the first one. */
ALWAYS_INLINE void grow(__u64* at, __u64 name, __u32 tcp) {
    __u64 flow = *at, now = flow;
    if (tcp & TCP_NONE) return;
    if (tcp & (TCP_FIN | TCP_RST))
        now |= FLOW_ENDING;
    else if (tcp & TCP_PUSH)
        now &= ~FLOW_ENDING;
    if (now != flow) *at = now;
    if (now & FLOW_ENDING || is_syn(tcp) || flow_age(now, flow_control.epoch) < FLOW_YOUNG) return;
    if (learn(name, flow_counter(now))) put(at, now, 0);
}

struct answer {
    __u32 record; /* 0: nobody */
    __u32 counter;
};

/* Whom a table names for a hash. */
ALWAYS_INLINE struct answer answer_of(__u64 table, __u32 hash) {
    struct answer answer = {0, 0};
    __u32 length = table_length(table);
    if (length == 0) return answer;
    const __u16* slot = slot_at(table, slot_of_hash(hash, length));
    if (!slot) return answer;
    __u32 record = record_of(table, *slot);
    struct destination* to = bpf_map_lookup_elem(&destinations, &record);
    if (!to) return answer;
    answer.record = record;
    answer.counter = to->counter;
    return answer;
}

/*
 * Nobody remembers this flow, or its server is gone and `stale` is where it
 * stands: the record of the server that it gets, 0 for nobody. `hash` is what its
 * slot goes by.
 */
ALWAYS_INLINE __u32 place_anew(const struct service* service, __u64 name, __u32 hash, __u32 index,
                               __u32 tcp, __u64* stale) {
    struct flow_state* state = flow_state_now();
    if (!state) return 0;
    struct answer to = answer_of(*(const volatile __u64*)&service->table, hash);
    if (stale && !(tcp & TCP_NONE)) {
        ++state->moved;
        if (to.record) *stale = flow_word(flow_tag(name), flow_control.epoch, to.counter);
        return to.record;
    }
    __u64 previous = *(const volatile __u64*)&service->previous;
    struct answer before = answer_of(previous, hash);
    if (!previous || before.counter == to.counter) return to.record;

    /* The tables differ: a flow that nobody remembers will be taken for an old one. */
    before.record = home_record(home_of(before.counter, index));
    if (is_syn(tcp)) {
        if (to.record == 0) return 0;
        if (admit(state, &state->new_now, flow_control.most_new)) {
            state->young += remember_young(name, to.counter);
            return to.record;
        }
        /* This one, too, then: as if the change came later for it. */
    }
    if (before.record) ++state->previous;
    if (before.record == 0) before = to; /* its server is down, and may come back */
    if (before.record && !(tcp & (TCP_FIN | TCP_SYN | TCP_RST | TCP_NONE)) &&
        admit(state, &state->old_now, flow_control.most_old))
        state->young += remember_young(name, before.counter);
    return before.record;
}

/*
 * The record of the server for a packet of a marked slot that recall() knows
 * nothing of; 0 for nobody.
 */
VERIFIED_ONCE __u32 place(__u64 name, __u32 hash, __u32 index, __u32 tcp) {
    struct service* service = bpf_map_lookup_elem(&services, &index);
    if (!service) return 0;
    __u64* stale = 0;
    struct flow_bucket* bucket = bucket_of(&flows, name, flow_control.buckets);
    __u64* at = flow_in(bucket, name);
    if (at) {
        __u64 flow = *at;
        __u32 record = home_record(home_of(flow_counter(flow), index));
        if (record) {
            *at = touched(flow, tcp);
            return record;
        }
        stale = at;
    }
    bucket = bucket_of(&young_flows, name, flow_control.young_buckets);
    at = stale ? 0 : flow_in(bucket, name);
    if (at) {
        __u32 record = home_record(home_of(flow_counter(*at), index));
        if (record) {
            grow(at, name, tcp);
            return record;
        }
        stale = at;
    }
    return place_anew(service, name, hash, index, tcp, stale);
}
