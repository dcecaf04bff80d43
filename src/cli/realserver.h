// SPDX-License-Identifier: Apache-2.0
//
// What the subcommands of `realserver` have in common.
#pragma once

#include <optional>
#include <string>

#include "cli/cli.h"
#include "core/model.h"
#include "realserver/wishes.h"

namespace dnsdirector::cli {

struct MachineFile {
    core::Configuration configuration;  ///< has a real_server_machine
    realserver::Order order;
};

/// Absent when there is none to go by, which has been said.
[[nodiscard]] std::optional<MachineFile> read_machine_file(const std::string& path,
                                                           const std::string& config_id);

/// CAP_NET_ADMIN. Reading nftables takes it, too.
[[nodiscard]] bool may_administer();

void add_realserver_check(const Program& program, CLI::App& realserver);
void add_realserver_run(const Program& program, CLI::App& realserver);
void add_realserver_rules(const Program& program, CLI::App& realserver);

}  // namespace dnsdirector::cli
