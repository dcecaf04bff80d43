// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "probe/retrying_probe.h"
#include "probe/socket.h"

namespace dnsdirector::probe {

/// UDP_CHECK: sends a datagram. Any ICMP unreachable fails; a reply passes (where
/// one is required: of the right length); so does silence where none is required,
/// which then takes the whole `timeout` to tell, in one try.
class UdpProbe : public RetryingProbe {
public:
    /// Errors: make_path's.
    static Result<std::unique_ptr<Probe>> make(Environment& environment, std::uint64_t token,
                                               const Endpoint& target, const core::UdpCheck& check,
                                               const core::CheckTiming& timing);

private:
    UdpProbe(Environment& environment, std::uint64_t token, Path path, const core::UdpCheck& check,
             const core::CheckTiming& timing);

    Progress begin_try(TimePoint now) override;
    Progress look() override;
    void end() override { socket_.close(); }
    [[nodiscard]] Outcome unanswered() const override;

    core::UdpCheck check_;
    Path path_;
    Socket socket_;
};

}  // namespace dnsdirector::probe
