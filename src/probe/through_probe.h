// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "base/result.h"
#include "core/model.h"
#include "probe/probe.h"

namespace dnsdirector::probe {

/// A DnsCheck with Via::service_ip: by packets of our own (packet_probe.h), or by the kernel's
/// sockets where the server is this machine, which packets of our own do not reach. What
/// carries it is decided anew for each round.
class ThroughProbe {
public:
    static Result<std::unique_ptr<Probe>> make(Environment& environment, std::uint64_t token,
                                               const Endpoint& target, const core::DnsCheck& check,
                                               const core::CheckTiming& timing);
};

}  // namespace dnsdirector::probe
