/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The hashes, for the kernel program and for user space. The constants are
 * odd 64-bit numbers without structure (fractional parts of square roots, as
 * SHA-512's initial values are); they are fixed, since every director must
 * send a flow to the same server.
 */
#pragma once

#include "abi.h"

#ifdef __cplusplus
namespace dnsdirector::dataplane::xdp::abi {
#endif

#define HASH_FUNCTION static inline __attribute__((always_inline))

#define HASH_K0 0x6a09e667f3bcc909ULL
#define HASH_K1 0xbb67ae8584caa73bULL
#define HASH_K2 0x3c6ef372fe94f82bULL
#define HASH_K3 0xa54ff53a5f1d36f1ULL
#define HASH_K4 0x510e527fade682d1ULL
#define HASH_MIX 0x9b05688c2b3e6c1fULL

/*
 * Bucket of the directory. Multiplicative hashing (Knuth, TAOCP 6.4): the top
 * bits of a product. User space owns the keys, so nobody can choose them badly.
 */
HASH_FUNCTION __u32 directory_bucket(__u64 address0, __u64 address1, __u32 where) {
    __u64 sum = (address0 ^ (__u64)where << 32) * HASH_K0 + address1 * HASH_K1;
    return (__u32)(sum >> (64 - DIRECTORY_BITS));
}

/* Bit of the directory's insider_bits; the MAC in the first six bytes, the rest zero. */
HASH_FUNCTION __u32 insider_bit(__u64 mac) {
    return (__u32)(mac * HASH_K1 >> (64 - INSIDER_BITS));
}

/*
 * 32 well mixed bits of a flow. A multilinear sum (its products don't wait for
 * each other), then one round of multiply and fold, which is a bijection: flows
 * collide only where their sums do.
 */
HASH_FUNCTION __u32 hash_finish(__u64 sum) {
    sum ^= sum >> 32;
    sum *= HASH_MIX;
    return (__u32)(sum >> 32);
}
HASH_FUNCTION __u32 flow_hash4(__u32 source, __u32 destination, __u32 ports) {
    return hash_finish((source | (__u64)destination << 32) * HASH_K0 + ports * HASH_K4);
}
HASH_FUNCTION __u32 flow_hash6(__u64 source0, __u64 source1, __u64 destination0, __u64 destination1,
                               __u32 ports) {
    return hash_finish(source0 * HASH_K0 + source1 * HASH_K1 + destination0 * HASH_K2 +
                       destination1 * HASH_K3 + ports * HASH_K4);
}

/*
 * Name of a remembered flow: 64 bits whose upper half is strongly universal for
 * a random key (multilinear over 32-bit words; Lemire, Kaser, "Strongly universal
 * string hashing is fast", 2014), since here others choose the input. The service
 * is named by its record, which has 16 bits as the port has.
 */
HASH_FUNCTION __u64 flow_name4(const __u64* key, __u32 source, __u32 port, __u32 service) {
    return key[0] + key[1] * source + key[2] * (port | service << 16);
}
HASH_FUNCTION __u64 flow_name6(const __u64* key, __u64 source0, __u64 source1, __u32 port,
                               __u32 service) {
    return key[0] + key[1] * (__u32)source0 + key[2] * (port | service << 16) +
           key[3] * (source0 >> 32) + key[4] * (__u32)source1 + key[5] * (source1 >> 32);
}
/* Never 0, so that no empty place has it. */
HASH_FUNCTION __u32 flow_tag(__u64 name) {
    return (__u32)(name >> 32) | 1;
}
/* Which bucket: the high bits; which place in it: the low ones. */
HASH_FUNCTION __u32 flow_spread(__u64 name) {
    return hash_finish(name);
}

/* Slot of a table of `length` slots: multiply and shift, no division. */
HASH_FUNCTION __u32 slot_of_hash(__u32 hash, __u32 length) {
    return (__u32)((__u64)hash * length >> 32);
}

#ifdef __cplusplus
}  // namespace dnsdirector::dataplane::xdp::abi
#endif
