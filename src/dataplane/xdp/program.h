// SPDX-License-Identifier: Apache-2.0
//
// The compiled kernel program (bpftool's skeleton of bpf/director.bpf.c) and the
// layout it shares with user space.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

// bpf/hash.h, which belongs to the layout in abi.h.
#include <hash.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>

#include "abi.h"

// The skeleton speaks of the layout's structs without naming their namespace.
namespace dnsdirector::dataplane::xdp::abi {
#include "director.skel.h"
}  // namespace dnsdirector::dataplane::xdp::abi

namespace dnsdirector::dataplane::xdp {

struct CloseProgram {
    void operator()(abi::director* program) const { abi::director__destroy(program); }
};
using Program = std::unique_ptr<abi::director, CloseProgram>;

/// What libbpf has said since the last call, one line: for error messages. While
/// the program runs, libbpf's own output goes here and not to standard error.
[[nodiscard]] std::string take_libbpf_log();
void keep_libbpf_log();

}  // namespace dnsdirector::dataplane::xdp
