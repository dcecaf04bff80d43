// SPDX-License-Identifier: Apache-2.0
//
// Decides for each service IP whether it is announced, follows the engine's decisions, and has
// announce/ hold the routes. Like the engine it knows no event library and no clock but the one
// it is given.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "control/engine.h"
#include "core/announcement.h"

namespace dnsdirector::control {

class Announcer {
public:
    /// Follows the engine from now on: Engine::on_configured and on_decided are its.
    Announcer(Engine& engine, std::function<Now()> clock);
    Announcer(const Announcer&) = delete;
    Announcer& operator=(const Announcer&) = delete;

    /// What a predecessor left behind; before the first configuration.
    void adopt(const std::map<IpAddress, core::AnnouncementState>& states);
    /// A clean stop: everything drains, and then goes.
    void leave();
    /// Nothing is announced (any more), to nobody who follows.
    [[nodiscard]] bool silent() const;

    /// Has the routes held anew, after others changed them.
    void hold_routes();

    /// A neighbour still has what was withdrawn: the routing daemon lost the withdrawal (FRR 8.4
    /// does, in the first second of a session). It is told once more: as draining, so that
    /// everybody who may choose stays elsewhere, for `again_for`, and then withdrawn. Returns
    /// whether it was done: at most `most_again` times for one withdrawal, `again_after` apart.
    bool withdraw_again(const IpAddress& service_ip);
    static constexpr Nanoseconds again_for = Milliseconds{500};  ///< FRR needs 60 ms to the wire
    static constexpr Nanoseconds again_after = Seconds{5};
    static constexpr std::uint32_t most_again = 3;

    [[nodiscard]] std::optional<TimePoint> deadline() const;
    void tick();

    /// By service IP; nothing where no service has that address.
    [[nodiscard]] const core::AnnouncementDecision* find(const IpAddress& service_ip) const;
    /// Whether a bgp block names it.
    [[nodiscard]] bool told(const IpAddress& service_ip) const {
        const auto found = addresses_.find(service_ip);
        return found != addresses_.end() && found->second.told;
    }
    [[nodiscard]] std::vector<AnnouncementSnapshot> announcements() const;
    /// Of every service IP.
    [[nodiscard]] std::map<IpAddress, core::AnnouncementState> states() const;
    /// The routes that there shall be.
    [[nodiscard]] std::map<IpAddress, core::RouteState> routes() const;

    /// Has the kernel hold these. An error is reported by whoever does it; it is tried again a
    /// second later.
    std::function<bool(const std::map<IpAddress, core::RouteState>&)> hold;
    /// A service IP's state changed (after the kernel was told), or its reason for the first time.
    std::function<void(const IpAddress&, const core::AnnouncementDecision& before,
                       const core::AnnouncementDecision& after)>
        on_changed;

private:
    struct ServiceIp {
        std::vector<std::uint32_t> services;  ///< indices into the configuration's
        core::AnnouncementPolicy policy;
        bool told = false;
        core::AnnouncementDecision decision;

        /// Of withdraw_again().
        struct Again {
            std::uint32_t of_transition = 0;  ///< AnnouncementDecision::transitions
            std::uint32_t times = 0;
            TimePoint last;
            std::optional<TimePoint> until;
        } again;
    };
    using Address = std::map<IpAddress, ServiceIp>::value_type;

    void configured();
    void decided(std::span<const std::uint32_t> services);
    void decide(std::span<Address* const> addresses);
    core::AnnouncementDecision decide_one(Address& address, const Now& now);
    void find_next_change();
    [[nodiscard]] core::Leaving leaving() const;

    Engine& engine_;
    std::function<Now()> clock_;
    std::map<IpAddress, ServiceIp> addresses_;
    std::vector<Address*> address_of_service_;  ///< parallel to the configuration's services
    std::map<IpAddress, core::AnnouncementState> adopted_;
    bool stopping_ = false;
    std::optional<TimePoint> next_change_;  ///< the earliest of all decisions
    std::optional<TimePoint> retry_at_;
    std::optional<TimePoint> again_until_;  ///< the earliest of all ServiceIp::again
};

}  // namespace dnsdirector::control
