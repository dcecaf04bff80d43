/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Counters: each CPU has its own, so that none is shared and none is atomic. */
#pragma once

#include "maps.h"

/* Counts a packet that is not forwarded; returns what happens to it. */
ALWAYS_INLINE int not_forwarded(enum reason reason) {
    static const __u8 verdicts[] = {
#define REASON_VERDICT(name, verdict, text) XDP_##verdict,
        FOR_EACH_REASON(REASON_VERDICT)
#undef REASON_VERDICT
    };
    __u32 index = reason;
    __u64* counter = bpf_map_lookup_elem(&reasons, &index);
    if (counter) ++*counter;
    return verdicts[reason]; /* a constant: `reason` is one at every call */
}
