// SPDX-License-Identifier: Apache-2.0
//
// The plane: who gets a client's packets.
#include "dataplane/ipvs/plane.h"

namespace dnsdirector::dataplane::ipvs {

Result<Choice> Plane::choose(const Flow& flow) const {
    const auto found = held_.find(flow.service);
    if (found == held_.end()) return Choice{};
    const core::ServiceForwarding& service = found->second;
    Choice choice;
    choice.by = Choice::By::nobody;
    const bool by_turns =
        service.scheduler == core::Scheduler::rr || service.scheduler == core::Scheduler::lc;
    for (const core::Destination& one : service.destinations) {
        if (one.weight == 0) continue;
        choice.shares.push_back({one.server, by_turns ? 1 : one.weight});
        choice.slots += choice.shares.back().slots;
    }
    if (choice.shares.empty()) return choice;
    switch (service.scheduler) {
        case core::Scheduler::rr:
        case core::Scheduler::wrr:
            if (!service.ipvs.one_packet)
                return fail(
                    "the kernel keeps this client with the server that its flow began "
                    "with, and chooses by turns ({}) for a new one; `ipvsadm -Lcn` lists "
                    "the flows",
                    core::to_string(service.scheduler));
            choice.by = Choice::By::rotation;
            return choice;
        case core::Scheduler::sh:
        case core::Scheduler::mh:
            return fail(
                "the kernel's own hash ({}) decides, which only it knows; `ipvsadm -Lcn` "
                "lists the flows",
                core::to_string(service.scheduler));
        default: choice.by = Choice::By::load; return choice;
    }
}

}  // namespace dnsdirector::dataplane::ipvs
