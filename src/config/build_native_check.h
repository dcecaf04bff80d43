// SPDX-License-Identifier: Apache-2.0
//
// A native `check` of one server's address → core checks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/assembly.h"
#include "config/build_question.h"

namespace dnsdirector::config {

/// The core checks of one server address, in the order of the check blocks.
struct ServerChecks {
    struct OfBlock {
        std::vector<CheckGroup> groups;  ///< one for each transport; those of other kinds have one
        PerProtocol<bool> services = {true, true};  ///< that go by it
    };
    std::vector<OfBlock> blocks;

    /// Adds what a service of `protocol` goes by; `all`: the results over every transport.
    void add_to(core::RealServer& real, Protocol protocol, bool all) const;
};

/// What stands for a server in a script's words or a file's name.
struct ServerWords {
    std::string name;
    Endpoint endpoint;

    /// `{address}`, `{port}` and `{name}` are replaced; `{{address}}` is how to write
    /// `{address}` itself.
    [[nodiscard]] std::string fill(std::string_view text) const;
    [[nodiscard]] core::Command fill(const core::Command& command) const;
};

/// What a check asks through (`via service_ip`): of the server's family, and how its packets get
/// to the server.
struct ThroughService {
    IpAddress service_ip;
    core::ForwardingMethod method = core::ForwardingMethod::dr;
};

[[nodiscard]] ServerChecks::OfBlock build_native_check(const CheckDraft& draft,
                                                       const ServerWords& server,
                                                       const ThroughService& through,
                                                       Assembly& assembly);

}  // namespace dnsdirector::config
