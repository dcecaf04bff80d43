// SPDX-License-Identifier: Apache-2.0
#include "config/build_to_all.h"

#include <fmt/format.h>

namespace dnsdirector::config {

core::ToAll build_to_all(const ClusterDraft& cluster, Assembly& assembly) {
    Diagnostics& diagnostics = assembly.diagnostics();
    const core::ToAll& wish = cluster.to_all;
    if (!wish.any()) {
        for (const auto& [at, name] : {std::pair{cluster.to_all_answers_at, "to_all_answers"},
                                       std::pair{cluster.to_all_from_at, "to_all_from"}})
            if (at && !cluster.faulty)
                diagnostics.warning(*at,
                                    "{} has no effect without to_all: NOTIFY and UPDATE go to one "
                                    "server; write to_all notify",
                                    name);
        return {};
    }
    if (!assembly.proxy()) {
        assembly.no_effect(*cluster.to_all_at, "to_all",
                           fmt::format("only dataplane proxy reads messages, and on the others a "
                                       "NOTIFY to the service IP reaches one server; let the "
                                       "primary name each of them (dnsdirector also-notify {})",
                                       cluster.name));
        return {};
    }
    if (!cluster.to_all_from_at && !cluster.faulty)
        diagnostics.warning(*cluster.to_all_at,
                            "to_all without to_all_from takes such messages from everybody, and to "
                            "the servers they all come from the director; name who sends them: "
                            "to_all_from 198.51.100.10");
    if (wish.answers > cluster.servers.size())
        diagnostics.warning(*cluster.to_all_answers_at,
                            "to_all_answers {}: dns_cluster {} has {} servers, and all of them "
                            "will have to answer; write to_all_answers all",
                            wish.answers, cluster.name, cluster.servers.size());
    return wish;
}

}  // namespace dnsdirector::config
