/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The forwarding program: DNS packets for a service IP go to a real server by
 * direct routing at layer 2. Everything else passes untouched. One instance is
 * loaded for each interface; they share the maps.
 */
#include "path.h"
#include "user_maps.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("xdp")
int director(struct xdp_md* context) {
    return direct(context);
}
