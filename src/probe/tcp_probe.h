// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "base/result.h"
#include "probe/retrying_probe.h"
#include "probe/socket.h"

namespace dnsdirector::probe {

/// TCP_CHECK: passes when the connection stands; nothing is sent over it.
class TcpProbe : public RetryingProbe {
public:
    /// Errors: make_path's.
    static Result<std::unique_ptr<Probe>> make(Environment& environment, std::uint64_t token,
                                               const Endpoint& target, const core::TcpCheck& check,
                                               const core::CheckTiming& timing);

private:
    TcpProbe(Environment& environment, std::uint64_t token, Path path,
             const core::CheckTiming& timing);

    Progress begin_try(TimePoint now) override;
    Progress look() override;
    void end() override { socket_.close(); }

    Path path_;
    Socket socket_;
};

}  // namespace dnsdirector::probe
