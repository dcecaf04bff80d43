// SPDX-License-Identifier: Apache-2.0
//
// The director as an object: director.cc is its life (start, signals, what
// recurs, stop), director_commands.cc what the API asks of it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "announce/presence.h"
#include "announce/track_files.h"
#include "control/announcer.h"
#include "control/api_server.h"
#include "control/commands.h"
#include "control/director.h"
#include "control/engine.h"
#include "control/event_driver.h"
#include "control/memory.h"
#include "control/parts.h"
#include "control/rates.h"
#include "control/run_dir.h"

namespace dnsdirector::control {

/// The event loop, with the signals caught from the very start: one that comes
/// while the tables are filled is acted upon afterwards.
struct Loop {
    Loop() {
        for (const int number : {SIGHUP, SIGUSR2, SIGTERM, SIGINT})
            signals.add(number);
    }
    boost::asio::io_context io{1};
    boost::asio::signal_set signals{io};
};

class RunningDirector final : public Commands {
public:
    RunningDirector(const DirectorOptions& options, Loop& loop, RunDir& run_dir, Parts parts,
                    View view)
        : options_(options),
          run_dir_(run_dir),
          parts_(std::move(parts)),
          presence_(*parts_.netlink, run_dir.file("addresses")),
          track_files_(run_dir.file("announce")),
          engine_(*parts_.plane, *parts_.prober, [] { return Now{monotonic_now(), wall_now()}; }),
          announcer_(engine_, [] { return Now{monotonic_now(), wall_now()}; }),
          first_(std::move(view)),
          io_(loop.io),
          signals_(loop.signals),
          driver_(io_),
          audit_timer_(io_),
          sample_timer_(io_),
          watchdog_timer_(io_),
          linger_timer_(io_) {}

    int run();

    // Commands
    Snapshot snapshot() override;
    const std::string& config_path() const override { return options_.config_path; }
    std::string config_id() const override { return options_.config_id; }
    Result<std::vector<std::string>> reload(config::Loaded loaded) override;
    Result<std::vector<std::string>> plan(const config::Loaded& loaded) override;
    Result<Drained> drain(const Target& target, bool drained) override;
    Result<Drained> drain_all(bool drained) override;
    std::map<IpAddress, core::AnnouncementState> announced() override {
        return announcer_.states();
    }
    Result<std::string> withdraw(const IpAddress& service_ip, bool withdrawn) override;
    Result<Standings> why(const Target& target) override;
    std::vector<FlowAnswer> follow(const FlowQuestion& question) override {
        return follow_flow(engine_.configuration(), *parts_.plane, question);
    }

private:
    Result<void> start();
    Result<void> listen(const core::DirectorSettings& settings);
    void connect();
    Result<void> put_in_force(core::Configuration configuration);
    void hold_service_ips();
    void leave_out_held(std::set<IpAddress>& service_ips);
    void connect_announcements();
    bool hold_track_files();
    bool hold_routes(const std::map<IpAddress, core::RouteState>& wished);
    void mend_routes();
    Result<std::vector<std::string>> make_real_server(const realserver::Order& order);
    void connect_keeper();
    void withhold_the_unserved();
    Result<void> override_with(core::Overrides overrides);

    void wait_for_signal();
    void on_signal(int number);
    void reload_off_loop();
    void begin_stop();
    void linger();
    void finish_stop();
    void end_forwarding();
    void every(boost::asio::steady_timer& timer, std::function<Nanoseconds()> work,
               Nanoseconds first);
    Nanoseconds audit();
    void restore_run_dir();
    Nanoseconds sample();

    DirectorOptions options_;
    RunDir& run_dir_;
    Parts parts_;
    announce::Presence presence_;
    announce::TrackFiles track_files_;
    Engine engine_;
    Announcer announcer_;
    View first_;
    std::optional<realserver::Order> order_;  ///< in force; of a real server only

    boost::asio::io_context& io_;
    boost::asio::signal_set& signals_;
    EventDriver driver_;
    boost::asio::steady_timer audit_timer_;
    boost::asio::steady_timer sample_timer_;
    boost::asio::steady_timer watchdog_timer_;
    boost::asio::steady_timer linger_timer_;
    ApiServer api_;
    std::thread reexec_check_;

    Rates rates_;
    MemoryForecast forecast_;  ///< of the configuration in force
    WallTime started_at_;
    WallTime loaded_at_;
    std::uint64_t generation_ = 0;
    std::optional<std::string> last_error_;
    bool stopping_ = false;
    bool lingers_ = false;           ///< everything is withdrawn, forwarding goes on for a while
    bool routes_disturbed_ = false;  ///< others changed routes since they were read
};

}  // namespace dnsdirector::control
