/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Passes every frame. Native XDP_TX from one end of a veth reaches the other
 * end only where that has a program too, be it this one. */

__attribute__((section("xdp"), used)) int xdp_pass(void* context) {
    (void)context;
    return 2; /* XDP_PASS, linux/bpf.h */
}

char _license[] __attribute__((section("license"), used)) = "Dual BSD/GPL";
