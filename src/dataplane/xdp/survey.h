// SPDX-License-Identifier: Apache-2.0
//
// What this machine makes of the kernel program, found without touching anything
// that stays: for `dnsdirector doctor`.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace dnsdirector::dataplane {

struct ProgramTrial {
    std::uint32_t instructions = 0;  ///< that the verifier went through; 0 before Linux 5.16
    bool jit = false;                ///< compiled to machine code, not interpreted
};

/// Loads the forwarding program with small maps, gives it one packet that is for nobody
/// (BPF_PROG_TEST_RUN), and lets it go again: nothing is attached or pinned. An error is what
/// the kernel refuses, with the end of the verifier's log; EPERM says so.
[[nodiscard]] Result<ProgramTrial> try_xdp_program();

struct LoadedProgram {
    std::string name;
    bool director = false;  ///< one of this program's, of whatever process
};
/// Needs CAP_SYS_ADMIN, as all look-ups of BPF objects by their number.
[[nodiscard]] Result<LoadedProgram> loaded_program(std::uint32_t id);

/// Where pins of this path would lie: the nearest directory that is there, and whether it is
/// on a bpffs and can be written to by this process.
struct PinPlace {
    std::string nearest;
    bool bpffs = false;
    bool writable = false;
};
[[nodiscard]] Result<PinPlace> pin_place(const std::string& pin_dir);

}  // namespace dnsdirector::dataplane
