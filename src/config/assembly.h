// SPDX-License-Identifier: Apache-2.0
//
// The configuration while it is put together: checks merged by value, services
// unique, and the rules that both forms of the language share.
#pragma once

#include <set>
#include <string_view>
#include <unordered_map>

#include "config/diagnostics.h"
#include "config/draft.h"
#include "core/model.h"

namespace dnsdirector::config {

class Assembly {
public:
    Assembly(const Drafts& drafts, Diagnostics& diagnostics);

    [[nodiscard]] const Drafts& drafts() const { return drafts_; }
    [[nodiscard]] Diagnostics& diagnostics() { return diagnostics_; }
    [[nodiscard]] bool xdp() const {
        return configuration_.director.dataplane == core::DataPlaneKind::xdp;
    }

    /// The check declared at top level; nullptr when there is none.
    [[nodiscard]] const CheckDraft* named_check(std::string_view name) const;

    /// The index of a check equal to this one, added if there is none yet.
    core::CheckIndex add_check(core::Check check);

    /// Says so when another block has the same service already.
    void add_service(core::Service service, const Position& at);

    /// Whether packets can be sent to or received for `address`; `role` is
    /// "service_ip", "address" or the like, for the message.
    bool usable(const IpAddress& address, const Position& at, std::string_view role);

    /// Says so when another block's service has the address of this real server: on the
    /// xdp plane that would loop, since the director takes what is sent there for a client's.
    void not_a_service_ip(const IpAddress& address, const Position& at, std::string_view role);

    /// Whether the plane has the scheduler and the forwarding method.
    void check_scheduler(core::Scheduler scheduler, const Position& at, std::string_view hint);
    void check_method(core::ForwardingMethod method, const Position& at, std::string_view hint);

    /// The whole's own rules (sizes, a director block, anything to do), then the result.
    core::Configuration finish();

private:
    void check_limits();
    void check_director();

    struct CheckOrder {
        const std::vector<core::Check>* checks;
        using is_transparent = void;
        bool operator()(core::CheckIndex a, core::CheckIndex b) const {
            return (*checks)[a] < (*checks)[b];
        }
        bool operator()(core::CheckIndex a, const core::Check& b) const { return (*checks)[a] < b; }
        bool operator()(const core::Check& a, core::CheckIndex b) const { return a < (*checks)[b]; }
    };

    const Drafts& drafts_;
    Diagnostics& diagnostics_;
    core::Configuration configuration_;
    std::set<core::CheckIndex, CheckOrder> known_checks_;
    std::unordered_map<core::ServiceKey, Position> known_services_;
    std::unordered_map<IpAddress, Position> service_ips_;  ///< of all blocks, the first of each
    std::unordered_map<std::string_view, const CheckDraft*> named_checks_;
};

void build_cluster(const ClusterDraft& cluster, Assembly& assembly);
void build_virtual_server(const VirtualServerDraft& server, Assembly& assembly);

}  // namespace dnsdirector::config
