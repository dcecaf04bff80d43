// SPDX-License-Identifier: Apache-2.0
//
// The kernel program in user space, for sanitizers, and for more packets than a
// system call each allows. Every element of a map is an allocation of its own and
// a frame lies between bytes that nobody may touch: the sanitizer sees each byte
// that is read or written beside them. One instance at a time, one thread.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "abi.h"
#include "core/forwarding.h"
#include "packets/notation.h"

namespace dnsdirector::packets::host {

namespace abi = dnsdirector::dataplane::xdp::abi;

inline constexpr std::uint32_t near_interface = 2;  ///< frames come in by it
inline constexpr std::uint32_t far_interface = 3;

struct Outcome {
    std::uint32_t verdict = 0;
    Frame frame;
    /// Counted by this packet. More than one would be a mistake.
    std::map<std::string, std::uint64_t> reasons;
    std::size_t handed_over = 0;  ///< messages for the daemon
};

/// Empties all maps and forwards for these services, as the plane would, to servers
/// that are reached as ways.h says.
void serve(std::span<const core::ServiceForwarding> services);
/// The same from the memory of another program's maps (of a kernel's).
void adopt(const abi::directory& directory, std::span<const abi::service> services,
           std::span<const abi::slot_block> slots, std::span<const abi::destination> destinations,
           std::span<const abi::tunnel> tunnels, const abi::instance& instance,
           std::span<const std::uint32_t> egress);

/// Forgets what packets have left behind; the tables stay.
void forget_packets();

[[nodiscard]] Outcome run(std::span<const std::uint8_t> frame);

/// Nanoseconds since some instant, for what reads a clock.
void set_clock(std::uint64_t now);

/// Messages that the program handed over, oldest first, taken out of the ring.
[[nodiscard]] std::vector<std::vector<std::uint8_t>> take_messages();

/// Longest frame that run() takes.
inline constexpr std::size_t frame_max = 16384;

}  // namespace dnsdirector::packets::host
