// SPDX-License-Identifier: Apache-2.0
//
// How a start takes over from pins of another layout. Every step can be the last
// one of a process that is killed; the next start, of any version, goes on from
// what it finds:
//
//   1  Maps makes and pins this layout's tables, the description last; in the place of
//      its own flows come the predecessor's (shared_flows.h)
//   2  take_over_tables(): the predecessor's services, weights and ways to servers
//      are put into them
//   3  Attachments: this version's programs are loaded; then, interface by
//      interface, the link gets the new program and its pin moves here. Where a
//      link's pin lies says whose tables are right
//   4  finish_takeover(): when no old program runs any more, what all predecessors
//      have counted becomes the base, at one stroke
//   5  the predecessors' pins go, the description first
//
// A packet is counted by the one program that saw it, so that the sum over all
// sets of pins is right at any moment, if what a base includes is left out.
#pragma once

#include <set>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "dataplane/xdp/maps.h"
#include "dataplane/xdp/next_hops.h"
#include "dataplane/xdp/predecessor.h"
#include "dataplane/xdp/services.h"

namespace dnsdirector::dataplane::xdp {

struct TakenOver {
    bool tables = false;  ///< filled
    bool flows = true;    ///< false: those that it remembers are lost
};

/// Fills this layout's tables from the predecessor that forwards, with the ways that
/// `hops` then knows, which knows the MACs of the other `directors`, too. Nothing to do
/// where there is none, or where programs of this layout forward already.
/// Errors: a predecessor forwards and can't be read; its services find no room.
Result<TakenOver> take_over_tables(const std::vector<Predecessor>& predecessors, const Maps& maps,
                                   NextHops& hops, const std::set<IpAddress>& directors,
                                   Services& services, TimePoint now);

/// The counts of all, then their pins. No link of theirs may be left.
Result<void> finish_takeover(const std::vector<Predecessor>& predecessors, const TakenOver& taken,
                             Maps& maps);

}  // namespace dnsdirector::dataplane::xdp
