// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/model.h"
#include "doctor/finding.h"
#include "doctor/machine.h"

namespace dnsdirector::doctor {

/// What a judge looks at, and whom it tells.
class Scene {
public:
    /// `configuration` null: the machine only, as the default configuration would find it.
    Scene(const core::Configuration* configuration, const Machine& machine);

    [[nodiscard]] const core::Configuration& configuration() const { return *configuration_; }
    [[nodiscard]] const Machine& machine() const { return machine_; }
    [[nodiscard]] bool has_file() const { return has_file_; }
    [[nodiscard]] bool xdp() const { return plane() == core::DataPlaneKind::xdp; }
    [[nodiscard]] bool ipvs() const { return plane() == core::DataPlaneKind::ipvs; }
    [[nodiscard]] core::DataPlaneKind plane() const { return configuration_->director.dataplane; }

    /// Where the program is attached: those that are named, else those that lead to servers (in
    /// the place of a VLAN device the one below it), else (no file) every Ethernet interface that
    /// is up and belongs to no other.
    [[nodiscard]] const std::vector<const Interface*>& attached() const { return attached_; }
    /// By what real servers are reached; likewise.
    [[nodiscard]] const std::set<int>& server_interfaces() const { return server_interfaces_; }

    void ok(std::string_view check, std::string about, std::string text);
    void unknown(std::string_view check, std::string about, std::string text, std::string mend);
    void warn(std::string_view check, std::string about, std::string text, std::string mend);
    void fail(std::string_view check, std::string about, std::string text, std::string mend);
    [[nodiscard]] Findings take() { return std::move(findings_); }

private:
    void find_interfaces();
    [[nodiscard]] const Interface* port_of(const Interface* interface) const;

    const core::Configuration* configuration_;
    const Machine& machine_;
    bool has_file_;
    std::vector<const Interface*> attached_;
    std::set<int> server_interfaces_;
    Findings findings_;
};

/// One row for each thing that is looked at; docs/operations.md lists them.
struct Judge {
    std::string_view check;  ///< of its findings
    std::string_view about;
    enum Needs : std::uint8_t { anything, an_xdp_plane, an_ipvs_plane, a_forwarding_plane } needs;
    void (*look)(Scene& scene);
};
[[nodiscard]] std::span<const Judge> machine_judges();       ///< judge_machine.cc
[[nodiscard]] std::span<const Judge> place_judges();         ///< judge_places.cc
[[nodiscard]] std::span<const Judge> interface_judges();     ///< judge_interfaces.cc
[[nodiscard]] std::span<const Judge> network_judges();       ///< judge_network.cc
[[nodiscard]] std::span<const Judge> server_judges();        ///< judge_servers.cc
[[nodiscard]] std::span<const Judge> announcement_judges();  ///< judge_announcements.cc

/// All findings, in the order of the judges.
[[nodiscard]] Findings judge(const core::Configuration* configuration, const Machine& machine);

/// "s1, s2, s3 and 17 more".
[[nodiscard]] std::string few_of(const std::vector<std::string>& names);

}  // namespace dnsdirector::doctor
