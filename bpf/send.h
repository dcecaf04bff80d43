/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Link header and port: the last steps of every packet that is sent. */
#pragma once

#include "maps.h"
#include "parse.h"

ALWAYS_INLINE void write_macs(void* frame, const struct destination* to) {
    *(__u64*)frame = load64(to->server_mac);
    *(__u32*)(frame + 8) = load32(to->own_mac + 2);
}

/* XDP_ABORTED: there is no such interface any more. */
ALWAYS_INLINE int send_by(__u32 ifindex) {
    if (LIKELY(ifindex == instance.ifindex && instance.flags & INSTANCE_TRANSMIT)) return XDP_TX;
    /* The low bits of the flags are what it returns where there is no entry. */
    return bpf_redirect_map(&egress, ifindex, XDP_ABORTED);
}
