// SPDX-License-Identifier: Apache-2.0
#include "cli/finding_text.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

namespace dnsdirector::cli {
namespace {

std::string line_of(const core::Finding& finding) {
    return fmt::format("{:<7} {:<17} {}{}{}{}\n", to_string(finding.level), finding.check,
                       finding.about.empty() ? "" : finding.about + ": ", finding.text,
                       finding.mend.empty() ? "" : "; mend: ", finding.mend);
}

std::string json_of(const core::Findings& findings) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const core::Finding& finding : findings)
        list.push_back({{"level", to_string(finding.level)},
                        {"check", finding.check},
                        {"about", finding.about},
                        {"text", finding.text},
                        {"mend", finding.mend}});
    const nlohmann::ordered_json root = {{"fine", !core::any_trouble(findings)},
                                         {"findings", list}};
    return root.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

void print_findings(const core::Findings& findings, const FindingStyle& style) {
    if (style.json) {
        fmt::print("{}", json_of(findings));
        return;
    }
    for (const core::Finding& finding : findings)
        if (!style.quiet || finding.level >= core::Level::warn) fmt::print("{}", line_of(finding));
}

}  // namespace dnsdirector::cli
