// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dataplane.h"

namespace dnsdirector::dataplane {
namespace {

using core::ForwardingMethod;
using core::Scheduler;

const Capabilities xdp{.schedulers = {Scheduler::wrr, Scheduler::rr, Scheduler::mh, Scheduler::sh},
                       .methods = {ForwardingMethod::dr, ForwardingMethod::tun},
                       .needs_next_hop = true};

// Everything of the kernel's net/netfilter/ipvs that the configuration can say.
const Capabilities ipvs{
    .schedulers = {Scheduler::wrr, Scheduler::rr, Scheduler::wlc, Scheduler::lc, Scheduler::sed,
                   Scheduler::nq, Scheduler::sh, Scheduler::mh},
    .methods = {ForwardingMethod::dr, ForwardingMethod::tun, ForwardingMethod::nat},
    .needs_next_hop = false};

// A full proxy asks in its own name: none of the methods of packet forwarding
// is what it does. What counts connections elsewhere counts queries here that
// wait for an answer.
const Capabilities proxy{
    .schedulers = {Scheduler::wrr, Scheduler::rr, Scheduler::mh, Scheduler::sh, Scheduler::wlc,
                   Scheduler::lc, Scheduler::least, Scheduler::latency, Scheduler::qname},
    .methods = {},
    .needs_next_hop = true};

// Forwards nothing, so it can hold whatever is wished for.
const Capabilities none{
    .schedulers = {Scheduler::wrr, Scheduler::rr, Scheduler::mh, Scheduler::sh, Scheduler::wlc,
                   Scheduler::lc, Scheduler::sed, Scheduler::nq, Scheduler::least,
                   Scheduler::latency, Scheduler::qname},
    .methods = {ForwardingMethod::dr, ForwardingMethod::tun, ForwardingMethod::nat},
    .needs_next_hop = false};

}  // namespace

const Capabilities& capabilities_of(core::DataPlaneKind kind) {
    switch (kind) {
        case core::DataPlaneKind::xdp: return xdp;
        case core::DataPlaneKind::ipvs: return ipvs;
        case core::DataPlaneKind::proxy: return proxy;
        case core::DataPlaneKind::none: break;
    }
    return none;
}

}  // namespace dnsdirector::dataplane
