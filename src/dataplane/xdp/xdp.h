// SPDX-License-Identifier: Apache-2.0
//
// dataplane/xdp: direct routing by a kernel program (bpf/) at the earliest
// point of the receive path. This folder fills that program's tables, attaches
// it, and follows the neighbours it sends to. It is the only one that knows
// libbpf. It decides nothing: which server has which weight is told to it.
//
//     maps         the pinned maps, and their memory
//     keys         services and servers as the kernel program spells them
//     ranges       who uses which slots, records and counters; the grace period
//     directory    from a packet's destination to a service's record
//     hop          next hops as the kernel program reads them
//     services     what is forwarded; one new table for each change
//     flows        remembered TCP flows: their clock, their end, their number
//     choose       which server a client's packets get, by the maps
//     read_back    what is forwarded, found in the maps alone
//     next_hops    routes and neighbours → port, tags, MACs and tunnel of each server
//     port         from VLAN devices to the interface below them
//     insiders     whose frames are never forwarded
//     too_big      ICMP errors that every server of a service has to hear
//     attachments  the program on the interfaces
//     memory       what the maps take, predicted and counted
//     survey       what this machine makes of the program: for doctor
//     ledger       the part of the pins that every version shares
//     base_counts  what pins that are gone had counted
//     layout1      what stands in pins of layout 1, which had no ledger
//     predecessor  pins of another layout
//     takeover     from them to ours
//     plane        puts them together; its start and end, its interfaces
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "core/model.h"
#include "dataplane/dataplane.h"

namespace dnsdirector::dataplane {

/// Opens the plane in the network namespace of the calling thread. What is
/// pinned under `pin_dir` (on a bpffs) is adopted: the programs that forward
/// already are replaced by this version's without a gap, the tables stay. From
/// pins of another layout, older or newer, it takes over likewise (takeover.h).
/// Named interfaces are attached at once. Errors: no permission, no bpffs, an
/// interface that does not exist or has another XDP program, pinned tables that
/// are smaller than the configuration's limits, another director on `pin_dir`
/// (locked while the plane lives). Pins that somebody removes are made again by
/// read().
[[nodiscard]] Result<std::unique_ptr<DataPlane>> make_xdp(const core::DirectorSettings& settings,
                                                          const std::string& pin_dir);

}  // namespace dnsdirector::dataplane
