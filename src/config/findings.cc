// SPDX-License-Identifier: Apache-2.0
#include "config/findings.h"

#include "config/files.h"

namespace dnsdirector::config {
namespace {

void find_all(const Whole& whole) {
    const Scene scene{whole.configuration, whole.places, whole.diagnostics};
    for (const auto& rules : {service_rules(), check_rules(), target_rules()})
        for (const Rule& rule : rules)
            rule.find(scene);
}

}  // namespace

Loaded examine(const std::string& path, const std::string& config_id) {
    return load(path, real_files(config_id), find_all);
}

Loaded examine(std::string_view text, const std::string& name, const Files& files) {
    return parse(text, name, files, find_all);
}

}  // namespace dnsdirector::config
