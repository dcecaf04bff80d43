// SPDX-License-Identifier: Apache-2.0
//
// A machine of its own for a benchmark: the process moves into a new network
// namespace and a new mount namespace with an empty bpffs. Nothing of it is
// visible outside, and all of it goes with the process, also when that is killed.
#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include "base/result.h"

namespace dnsdirector::bench {

/// Lines for `ip -batch` in the namespace of the calling thread.
inline Result<void> ip_batch(const std::string& lines) {
    std::FILE* pipe = popen("PATH=$PATH:/usr/sbin:/sbin ip -batch - >&2", "w");
    if (pipe == nullptr) return fail_errno("cannot run ip", errno);
    std::fwrite(lines.data(), 1, lines.size(), pipe);
    if (pclose(pipe) != 0) return fail("ip -batch failed, see above (is iproute2 installed?)");
    return {};
}

class PrivateNetwork {
public:
    static constexpr const char* interface = "eth0";
    /// On an empty bpffs.
    static constexpr const char* pin_dir = "/sys/fs/bpf/bench";

    /// Call before any thread is started: unshare(2) moves the calling one.
    /// `interface` is one end of a veth pair whose other end is here too.
    static Result<void> enter() {
        if (geteuid() != 0)
            return fail("needs root, for a network namespace and a BPF program of its own");
        if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0)
            return fail_errno("cannot make a network and a mount namespace", errno);
        // Else what is mounted here would appear in the machine's own namespace.
        if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
            return fail_errno("cannot make the mounts of this process private", errno);
        // Over the machine's own, which this process then cannot touch.
        if (mount("bpf", "/sys/fs/bpf", "bpf", 0, nullptr) != 0)
            return fail_errno("cannot mount a bpffs on /sys/fs/bpf", errno);
        return ip_batch(
            "link set lo up\n"
            "link add eth0 type veth peer name peer0\n"
            "link set peer0 up\n"
            "link set eth0 addrgenmode none up\n"
            "addr add 2001:db8:1::1/64 dev eth0 nodad\n");
    }
};

}  // namespace dnsdirector::bench
