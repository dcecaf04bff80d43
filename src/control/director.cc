// SPDX-License-Identifier: Apache-2.0
#include "control/director.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <filesystem>
#include <set>
#include <thread>

#include "announce/presence.h"
#include "config/config.h"
#include "control/api.h"
#include "control/differences.h"
#include "control/engine.h"
#include "control/event_driver.h"
#include "control/make_plane.h"
#include "control/overrides_store.h"
#include "control/rates.h"
#include "control/reexec.h"
#include "control/run_dir.h"
#include "control/systemd.h"

namespace dnsdirector::control {
namespace {

namespace asio = boost::asio;

constexpr Seconds audit_interval{5};   // how often the kernel is compared with what is wished
constexpr Seconds sample_interval{2};  // of the counters, for rates
constexpr int audit_cost_ratio = 100;  // an audit that takes long comes more rarely

struct Parts {
    std::unique_ptr<dataplane::DataPlane> plane;
    std::unique_ptr<probe::Prober> prober;
    std::unique_ptr<netlink::Socket> netlink;
    std::unique_ptr<netlink::Monitor> monitor;
    core::Overrides overrides;
};

/// The event loop, with the signals caught from the very start: one that comes
/// while the tables are filled is acted upon afterwards.
struct Loop {
    Loop() {
        for (const int number : {SIGHUP, SIGUSR2, SIGTERM, SIGINT})
            signals.add(number);
    }
    asio::io_context io{1};
    asio::signal_set signals{io};
};

class Director final : public Commands {
public:
    Director(const DirectorOptions& options, Loop& loop, RunDir& run_dir, Parts parts,
             core::Configuration configuration)
        : options_(options),
          run_dir_(run_dir),
          parts_(std::move(parts)),
          presence_(*parts_.netlink, run_dir.file("addresses")),
          engine_(*parts_.plane, *parts_.prober, [] { return Now{monotonic_now(), wall_now()}; }),
          first_configuration_(std::move(configuration)),
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
    Result<std::vector<std::string>> reload(config::Loaded loaded) override;
    Result<std::vector<std::string>> plan(const config::Loaded& loaded) override;
    Result<Drained> drain(const Target& target, bool drained) override;
    Result<Drained> drain_all(bool drained) override;

private:
    Result<void> start();
    Result<void> listen(const core::DirectorSettings& settings);
    void connect();
    Result<void> put_in_force(core::Configuration configuration);
    void hold_service_ips();
    Result<void> override_with(core::Overrides overrides);

    void wait_for_signal();
    void on_signal(int number);
    void reload_off_loop();
    void begin_stop();
    void finish_stop();
    void every(asio::steady_timer& timer, std::function<Nanoseconds()> work, Nanoseconds first);
    Nanoseconds audit();
    void restore_run_dir();
    Nanoseconds sample();

    DirectorOptions options_;
    RunDir& run_dir_;
    Parts parts_;
    announce::Presence presence_;
    Engine engine_;
    core::Configuration first_configuration_;

    asio::io_context& io_;
    asio::signal_set& signals_;
    EventDriver driver_;
    asio::steady_timer audit_timer_;
    asio::steady_timer sample_timer_;
    asio::steady_timer watchdog_timer_;
    asio::steady_timer linger_timer_;
    ApiServer api_;
    std::thread reexec_check_;

    Rates rates_;
    WallTime started_at_;
    WallTime loaded_at_;
    std::uint64_t generation_ = 0;
    std::optional<std::string> last_error_;
    bool stopping_ = false;
};

// ---- start ----------------------------------------------------------------------

int Director::run() {
    if (auto started = start(); !started) {
        spdlog::error("{}", started.error().message);
        return 1;
    }
    notify_systemd("READY=1\nSTATUS=Forwarding");
    io_.run();
    // What waits in either loop holds parts of the other: both end here.
    api_.stop();
    if (reexec_check_.joinable()) reexec_check_.join();
    return 0;
}

Result<void> Director::start() {
    started_at_ = wall_now();
    connect();
    // Whatever may be refused comes before anything is changed.
    if (auto listening = listen(first_configuration_.director); !listening) return listening;
    engine_.set_overrides(parts_.overrides);
    const auto found = parts_.plane->read();
    if (auto forwarding = put_in_force(std::move(first_configuration_)); !forwarding) {
        // What a predecessor left goes on; what only we began goes again.
        if (found && found->empty()) {
            (void)parts_.plane->detach();
            (void)presence_.release();
        }
        return forwarding;
    }
    first_configuration_ = {};

    driver_.add(*parts_.plane);
    driver_.add(*parts_.prober);
    driver_.add(*parts_.monitor);
    driver_.add([this] { return engine_.deadline(); }, [this] { engine_.tick(); });
    api_.start();
    wait_for_signal();
    every(audit_timer_, [this] { return audit(); }, audit_interval);
    every(sample_timer_, [this] { return sample(); }, Nanoseconds{0});
    if (const auto interval = watchdog_interval())
        every(
            watchdog_timer_,
            [interval] {
                notify_systemd("WATCHDOG=1");
                return *interval;
            },
            Nanoseconds{0});
    return {};
}

Result<void> Director::listen(const core::DirectorSettings& settings) {
    const PostToLoop post = [this](std::function<void()> work) {
        asio::post(io_, [this, work = std::move(work)] {
            work();
            driver_.rearm();
        });
    };
    if (auto listening = api_.listen_unix(run_dir_.file("api.sock"), command_handler(*this, post));
        !listening)
        return listening;
    if (!settings.http_listen) return {};
    return api_.listen_tcp(*settings.http_listen, public_handler(*this, post));
}

void Director::connect() {
    engine_.on_server_changed = [](const core::Service& service, const core::RealServer& server,
                                   const core::ServerDecision&, const core::ServerDecision& after) {
        const std::string address = server.endpoint.to_string();
        spdlog::info("{}: real server {}{} is {}{}{}{}", service.key.to_string(),
                     server.name == address ? "" : server.name + " ", address,
                     core::to_string(after.state), after.held ? ", held" : "",
                     after.reason.empty() ? "" : ": ", after.reason);
    };
    engine_.on_error = [](const Error& error) {
        spdlog::error("{}; trying again in a second", error.message);
    };
    parts_.plane->on_disturbed = [this](const std::string& what) {
        spdlog::warn("{}", what);
        asio::post(io_, [this] { (void)audit(); });
    };
    // Somebody removed a service IP, or its interface came back.
    parts_.monitor->on_address = [this](const netlink::InterfaceAddress&, bool gone) {
        if (gone && !stopping_) hold_service_ips();
    };
    parts_.monitor->on_link = [this](const netlink::Link& link, bool gone) {
        if (!gone && !stopping_ && link.name == engine_.configuration().director.service_interface)
            hold_service_ips();
    };
    parts_.monitor->on_overflow = [this] { hold_service_ips(); };
}

Result<void> Director::put_in_force(core::Configuration configuration) {
    if (auto configured = engine_.configure(std::move(configuration)); !configured)
        return configured;
    hold_service_ips();
    generation_ += 1;
    loaded_at_ = wall_now();
    last_error_.reset();
    return {};
}

/// The addresses themselves, so that the director answers ping and ARP (and ND,
/// where service_interface is the one that the question comes in on).
void Director::hold_service_ips() {
    const core::Configuration& configuration = engine_.configuration();
    std::vector<IpAddress> addresses;
    // A director that only checks and announces sits on the real server, where
    // the address is its owner's business.
    if (configuration.director.dataplane != core::DataPlaneKind::none) {
        std::set<IpAddress> unique;
        for (const core::Service& service : configuration.services)
            unique.insert(service.key.address);
        addresses.assign(unique.begin(), unique.end());
    }
    auto held = presence_.hold(configuration.director.service_interface, addresses);
    if (!held) {
        spdlog::error("{}", held.error().message);
        return;
    }
    for (const std::string& line : *held)
        spdlog::info("{}", line);
}

// ---- commands -------------------------------------------------------------------

Snapshot Director::snapshot() {
    Snapshot snapshot;
    snapshot.version = options_.version;
    snapshot.at = wall_now();
    snapshot.started_at = started_at_;
    snapshot.config_path = options_.config_path;
    snapshot.loaded_at = loaded_at_;
    snapshot.generation = generation_;
    snapshot.last_error = last_error_;
    snapshot.kind = engine_.configuration().director.dataplane;
    snapshot.interfaces = parts_.plane->interfaces();
    snapshot.services = engine_.services();
    snapshot.all_drained = engine_.overrides().all_drained;
    snapshot.stopping = stopping_;
    snapshot.checks = parts_.prober->statistics();
    snapshot.last_verdict_to_table = engine_.timings().last_verdict_to_table;
    snapshot.worst_verdict_to_table = engine_.timings().worst_verdict_to_table;
    if (const auto counters = parts_.plane->counters())
        rates_.fill(snapshot, *counters, monotonic_now());
    else
        snapshot.counters_error = counters.error().message;
    return snapshot;
}

Result<std::vector<std::string>> Director::reload(config::Loaded loaded) {
    const auto refuse = [this](std::string reason) {
        last_error_ = reason;
        spdlog::error("reload refused, the configuration in force stays: {}", reason);
        return tl::unexpected(Error{std::move(reason)});
    };
    if (!loaded.ok()) {
        for (const config::Message& message : loaded.messages)
            spdlog::error("{}", message.to_string());
        const auto first = std::find_if(
            loaded.messages.begin(), loaded.messages.end(),
            [](const auto& message) { return message.severity == config::Severity::error; });
        return refuse(first == loaded.messages.end() ? "unreadable" : first->to_string());
    }
    if (std::string reason =
            needs_restart(engine_.configuration().director, loaded.configuration->director);
        !reason.empty())
        return refuse(std::move(reason));

    std::vector<std::string> lines = differences(engine_.configuration(), *loaded.configuration);
    core::Configuration before = engine_.configuration();
    if (auto done = put_in_force(std::move(*loaded.configuration)); !done) {
        if (auto back = engine_.configure(std::move(before)); !back)
            spdlog::error("{}", back.error().message);
        return refuse(done.error().message);
    }
    spdlog::info("configuration {} in force, {} changes", generation_, lines.size());
    for (const std::string& line : lines)
        spdlog::info("  {}", line);
    return lines;
}

Result<std::vector<std::string>> Director::plan(const config::Loaded& loaded) {
    if (std::string reason =
            needs_restart(engine_.configuration().director, loaded.configuration->director);
        !reason.empty())
        return tl::unexpected(Error{std::move(reason)});
    return differences(engine_.configuration(), *loaded.configuration);
}

Result<Drained> Director::drain(const Target& target, bool drained) {
    core::Overrides overrides = engine_.overrides();
    Drained result{find_matches(engine_.configuration(), target), {}};
    // A drain may outlive its server's place in the file.
    if (!drained)
        for (const core::DrainKey& key : overrides.drained)
            if (matches(target, key.cluster, key.protocol, "", key.server) &&
                std::none_of(result.matches.begin(), result.matches.end(),
                             [&](const TargetMatch& match) { return match.key == key; }))
                result.matches.push_back({key, {}, key.server.to_string()});
    if (result.matches.empty()) return tl::unexpected(Error{unknown_target(target)});
    for (const TargetMatch& match : result.matches) {
        if (drained)
            overrides.drained.insert(match.key);
        else
            overrides.drained.erase(match.key);
    }
    if (auto done = override_with(std::move(overrides)); !done) return tl::unexpected(done.error());
    for (const ServiceSnapshot& service : engine_.services())
        if (drained && std::none_of(service.servers.begin(), service.servers.end(),
                                    [](const ServerSnapshot& server) {
                                        return server.decision.effective_weight > 0;
                                    }))
            result.warnings.push_back(fmt::format("{} has no server left: its queries are refused",
                                                  service.key.to_string()));
    return result;
}

Result<Drained> Director::drain_all(bool drained) {
    core::Overrides overrides = engine_.overrides();
    overrides.all_drained = drained;
    if (auto done = override_with(std::move(overrides)); !done) return tl::unexpected(done.error());
    return Drained{};
}

/// Saved first: what the operator was told stays true over a crash.
Result<void> Director::override_with(core::Overrides overrides) {
    if (auto saved = save_overrides(run_dir_.file("overrides.json"), overrides); !saved)
        return saved;
    engine_.set_overrides(std::move(overrides));
    return {};
}

// ---- signals and stop -----------------------------------------------------------

void Director::wait_for_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int number) {
        if (error) return;
        on_signal(number);
        driver_.rearm();
        wait_for_signal();
    });
}

void Director::on_signal(int number) {
    const bool ends = number == SIGTERM || number == SIGINT;
    if (ends) return stopping_ ? finish_stop() : begin_stop();
    if (stopping_) return;
    if (number == SIGHUP) return reload_off_loop();
    if (reexec_check_.joinable()) return;  // one at a time
    reexec_check_ = check_then(options_, [this](bool accepted) {
        asio::post(io_, [this, accepted] {
            reexec_check_.join();
            if (accepted && !stopping_) reexec(options_);
        });
    });
}

/// Parsing a large file takes a while: the API's thread does it.
void Director::reload_off_loop() {
    notify_systemd("RELOADING=1");
    api_.post([this] {
        auto loaded = std::make_shared<config::Loaded>(config::load(options_.config_path));
        asio::post(io_, [this, loaded] {
            (void)reload(std::move(*loaded));
            notify_systemd("READY=1");
            driver_.rearm();
        });
    });
}

void Director::begin_stop() {
    stopping_ = true;
    notify_systemd("STOPPING=1");
    if (restart_is_queued()) {
        spdlog::info("ending for a restart: forwarding stays in place");
        return io_.stop();
    }
    const Nanoseconds linger = engine_.configuration().director.drain_time;
    if (linger.count() == 0) return finish_stop();
    spdlog::info("stopping: forwarding goes on for {}", to_text(linger));
    linger_timer_.expires_after(linger);
    linger_timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) finish_stop();
    });
}

/// Forwarding ends first, the addresses go last.
void Director::finish_stop() {
    if (io_.stopped()) return;
    stopping_ = true;
    api_.stop();
    if (auto detached = parts_.plane->detach(); !detached)
        spdlog::error("{}", detached.error().message);
    if (auto released = presence_.release(); !released)
        spdlog::error("{}", released.error().message);
    if (engine_.overrides() == core::Overrides{})
        std::remove(run_dir_.file("overrides.json").c_str());
    run_dir_.clean();
    spdlog::info("stopped");
    io_.stop();
}

// ---- what recurs ----------------------------------------------------------------

/// `work` says after how long it wants to run again.
void Director::every(asio::steady_timer& timer, std::function<Nanoseconds()> work,
                     Nanoseconds first) {
    timer.expires_after(first);
    timer.async_wait(
        [this, &timer, work = std::move(work)](const boost::system::error_code& error) {
            if (error) return;
            const Nanoseconds next = work();
            driver_.rearm();
            every(timer, work, next);
        });
}

Nanoseconds Director::audit() {
    if (stopping_) return audit_interval;
    const TimePoint before = monotonic_now();
    hold_service_ips();
    restore_run_dir();
    if (const auto repaired = engine_.repair())
        for (const std::string& line : *repaired)
            spdlog::warn("repaired: {}", line);
    const Nanoseconds cost = monotonic_now() - before;
    return std::max<Nanoseconds>(audit_interval, cost * audit_cost_ratio);
}

/// Somebody emptied the run directory: what is in it must outlive us.
void Director::restore_run_dir() {
    std::error_code ignored;
    std::filesystem::create_directories(run_dir_.path(), ignored);
    const std::string overrides = run_dir_.file("overrides.json");
    if (!(engine_.overrides() == core::Overrides{}) && !std::filesystem::exists(overrides, ignored))
        if (auto saved = save_overrides(overrides, engine_.overrides()); !saved)
            spdlog::error("{}", saved.error().message);
    api_.restore_unix();
}

Nanoseconds Director::sample() {
    const TimePoint before = monotonic_now();
    if (auto counters = parts_.plane->counters()) rates_.sample(std::move(*counters), before);
    const Nanoseconds cost = monotonic_now() - before;
    return std::max<Nanoseconds>(sample_interval, cost * audit_cost_ratio);
}

// ---- making the parts -----------------------------------------------------------

Result<Parts> make_parts(const DirectorOptions& options, const core::Configuration& configuration,
                         const RunDir& run_dir) {
    Parts parts;
    const std::string overrides_path = run_dir.file("overrides.json");
    if (auto overrides = load_overrides(overrides_path)) {
        parts.overrides = std::move(*overrides);
    } else {
        // Better to forward and check without drains than not to check at all.
        spdlog::error("{}; set aside as {}.damaged, starting without drains",
                      overrides.error().message, overrides_path);
        std::error_code ignored;
        std::filesystem::rename(overrides_path, overrides_path + ".damaged", ignored);
    }

    auto socket = netlink::Socket::open();
    if (!socket) return tl::unexpected(socket.error());
    parts.netlink = std::move(*socket);
    auto monitor = netlink::Monitor::open();
    if (!monitor) return tl::unexpected(monitor.error());
    parts.monitor = std::move(*monitor);

    auto prober = probe::Prober::create({.script_user = configuration.director.script_user});
    if (!prober) return tl::unexpected(prober.error());
    parts.prober = std::move(*prober);
    auto plane = make_plane(configuration.director, options.pin_dir);
    if (!plane) return tl::unexpected(plane.error());
    parts.plane = std::move(*plane);
    return parts;
}

}  // namespace

int run_director(const DirectorOptions& options) {
    spdlog::set_default_logger(spdlog::stderr_color_mt("dnsdirector"));
    spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
    Loop loop;
    config::Loaded loaded = config::load(options.config_path);
    for (const config::Message& message : loaded.messages)
        fmt::print(stderr, "{}\n", message.to_string());
    if (!loaded.ok()) return 1;

    auto run_dir = RunDir::open(options.run_dir);
    if (!run_dir) {
        spdlog::error("{}", run_dir.error().message);
        return 1;
    }
    auto parts = make_parts(options, *loaded.configuration, *run_dir);
    if (!parts) {
        spdlog::error("{}", parts.error().message);
        run_dir->clean();
        return 1;
    }
    Director director(options, loop, *run_dir, std::move(*parts), std::move(*loaded.configuration));
    return director.run();
}

}  // namespace dnsdirector::control
