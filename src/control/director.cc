// SPDX-License-Identifier: Apache-2.0
#include "control/director.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <csignal>
#include <filesystem>
#include <set>

#include "control/api.h"
#include "control/overrides_store.h"
#include "control/reexec.h"
#include "control/running_director.h"
#include "control/systemd.h"

namespace dnsdirector::control {
namespace {

namespace asio = boost::asio;

constexpr Seconds audit_interval{5};   // how often the kernel is compared with what is wished
constexpr Seconds sample_interval{2};  // of the counters, for rates
constexpr Seconds hooks_may_take{10};  // before a stop or a re-execution goes on without them
constexpr int audit_cost_ratio = 100;  // an audit that takes long comes more rarely

std::string describe_quorum(const core::Service& service, const core::ServiceDecision& decision) {
    std::string text = fmt::format("quorum {}, {} of {}", decision.quorum.met ? "met" : "not met",
                                   decision.quorum.up, decision.quorum.required);
    if (decision.sorry)
        text += fmt::format("; sorry server {} is {}", service.sorry_server->endpoint.to_string(),
                            decision.sorry->in_use ? "used" : "not used");
    return text;
}

}  // namespace

// ---- start ----------------------------------------------------------------------

int RunningDirector::run() {
    if (auto started = start(); !started) {
        spdlog::error("{}", started.error().message);
        return 1;
    }
    notify_systemd(parts_.keeper ? "READY=1\nSTATUS=Keeping this machine a real server"
                                 : "READY=1\nSTATUS=Forwarding");
    io_.run();
    // What waits in either loop holds parts of the other: both end here.
    api_.stop();
    if (reexec_check_.joinable()) reexec_check_.join();
    return 0;
}

Result<void> RunningDirector::start() {
    started_at_ = wall_now();
    connect();
    // Whatever may be refused comes before anything is changed.
    core::Configuration& first = first_.configuration;
    if (auto listening = listen(first.director); !listening) return listening;
    const auto found = parts_.plane->read();  // a predecessor's
    if (auto able = parts_.plane->check(first); !able) return able;
    if (first.bgp)
        if (auto ready = parts_.routes->ready(); !ready) return ready;
    announcer_.adopt(core::states_of(parts_.routes->actual()));
    announcer_.adopt(track_files_.read());
    engine_.set_overrides(parts_.overrides);
    // Before the checks begin, which may ask the service IPs.
    if (first_.order) {
        const auto done = make_real_server(*first_.order);
        if (!done) return tl::unexpected(done.error());
        for (const std::string& line : *done)
            spdlog::info("{}", line);
    }
    if (auto forwarding = put_in_force(std::move(first)); !forwarding) {
        // What a predecessor left goes on; what only we began goes again.
        parts_.plane->expect({});
        if (found && found->empty()) {
            (void)parts_.plane->detach();
            (void)presence_.release();
            (void)parts_.routes->release();
        }
        return forwarding;
    }
    first_ = {};

    driver_.add(*parts_.plane);
    driver_.add(*parts_.prober);
    driver_.add(*parts_.hooks);
    driver_.add(*parts_.monitor);
    driver_.add(*parts_.sessions);
    if (parts_.keeper) driver_.add(*parts_.keeper);
    driver_.add([this] { return engine_.deadline(); }, [this] { engine_.tick(); });
    driver_.add([this] { return announcer_.deadline(); }, [this] { announcer_.tick(); });
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

Result<void> RunningDirector::listen(const core::DirectorSettings& settings) {
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

void RunningDirector::connect() {
    engine_.on_server_changed = [](const core::Service& service, const core::RealServer& server,
                                   const core::ServerDecision&, const core::ServerDecision& after) {
        const std::string address = server.endpoint.to_string();
        spdlog::info("{}: real server {}{} is {}{}{}{}", service.key.to_string(),
                     server.name == address ? "" : server.name + " ", address,
                     core::to_string(after.state), after.held ? ", held" : "",
                     after.reason.empty() ? "" : ": ", after.reason);
    };
    engine_.on_service_changed = [](const core::Service& service,
                                    const core::ServiceDecision& after) {
        spdlog::info("{}: {}", service.key.to_string(), describe_quorum(service, after));
    };
    engine_.on_notice = [this](const core::Service& service, const core::Notice& notice) {
        if (engine_.configuration().director.hooks) return parts_.hooks->tell(service, notice);
        if (const core::Command* command = core::command_for(service, notice))
            spdlog::info("{}: {} is not run: hooks off", service.key.to_string(),
                         command->arguments.front());
    };
    engine_.on_error = [](const Error& error) {
        spdlog::error("{}; trying again in a second", error.message);
    };
    parts_.plane->on_disturbed = [this](const std::string& what) {
        spdlog::warn("{}", what);
        asio::post(io_, [this] { (void)audit(); });
    };
    connect_announcements();
    if (parts_.keeper) connect_keeper();
    // Somebody removed a service IP, or its interface came back.
    parts_.monitor->on_address = [this](const netlink::InterfaceAddress&, bool gone) {
        if (gone && !stopping_) hold_service_ips();
        if (parts_.keeper) parts_.keeper->look();
    };
    parts_.monitor->on_link = [this](const netlink::Link& link, bool gone) {
        if (link.name == parts_.routes->interface()) mend_routes();
        if (!gone && !stopping_ && link.name == engine_.configuration().director.service_interface)
            hold_service_ips();
        if (parts_.keeper) parts_.keeper->look();
    };
    parts_.monitor->on_overflow = [this] {
        hold_service_ips();
        if (parts_.keeper) parts_.keeper->look();
    };
}

void RunningDirector::connect_announcements() {
    parts_.routes->on_new_device = [](int descriptor) {
        store_descriptor(announcements_name, descriptor);
    };
    announcer_.hold = [this](const auto& wished) {
        const bool followed = hold_track_files();
        return hold_routes(wished) && followed;
    };
    announcer_.on_changed = [this](const IpAddress& service_ip, const core::AnnouncementDecision&,
                                   const core::AnnouncementDecision& after) {
        spdlog::info("{}/{} is {}{}{}", service_ip.to_string(), service_ip.host_prefix_length(),
                     core::to_string(after.state), after.reason.empty() ? "" : ": ", after.reason);
        if (stopping_ && announcer_.silent()) linger();
    };
    parts_.sessions->on_event = [](const announce::SessionEvent& event) {
        spdlog::log(event.is_bad ? spdlog::level::warn : spdlog::level::info, "bgp: {}",
                    event.text);
    };
    parts_.sessions->on_lost_withdrawal = [this](const IpAddress& service_ip) {
        if (announcer_.withdraw_again(service_ip))
            spdlog::warn(
                "bgp: a neighbor still has {}, which is withdrawn: it is announced as "
                "draining for a moment, and withdrawn again",
                service_ip.to_string());
    };
    // Our own changes come back here as well; a second later they are looked at once.
    parts_.monitor->on_route = [this] { routes_disturbed_ = true; };
}

bool RunningDirector::hold_routes(const std::map<IpAddress, core::RouteState>& wished) {
    const auto done = parts_.routes->hold(wished);
    parts_.sessions->expect(wished);
    if (!done)
        spdlog::error("announcements: {}; trying again in a second", done.error().message);
    else
        for (const std::string& line : *done)
            spdlog::debug("{}", line);
    return done.has_value();
}

/// Only where VRRP follows them.
bool RunningDirector::hold_track_files() {
    if (engine_.configuration().director.presence == core::PresenceMode::always) {
        track_files_.remove();
        return true;
    }
    const auto done = track_files_.hold(announcer_.states());
    if (!done) spdlog::error("{}; trying again in a second", done.error().message);
    return done.has_value();
}

/// What others did to our routes and their interface is undone.
void RunningDirector::mend_routes() {
    routes_disturbed_ = false;
    const auto before = parts_.routes->actual();
    if (auto read = parts_.routes->read(); !read) {
        spdlog::error("announcements: {}", read.error().message);
        return;
    }
    if (parts_.routes->actual() == before) return;
    spdlog::warn("announcements: somebody changed the routes on {}; they are put right",
                 parts_.routes->interface().empty() ? "an interface that is gone"
                                                    : parts_.routes->interface());
    announcer_.hold_routes();
}

Result<void> RunningDirector::put_in_force(core::Configuration configuration) {
    if (auto configured = engine_.configure(std::move(configuration)); !configured)
        return configured;
    parts_.plane->accept();
    hold_service_ips();
    const auto& bgp = engine_.configuration().bgp;
    parts_.sessions->configure(bgp,
                               bgp ? announce::usual_socket(bgp->daemon, run_dir_.path()) : "");
    forecast_ = forecast_memory(engine_.configuration()).value_or(MemoryForecast{});
    generation_ += 1;
    loaded_at_ = wall_now();
    last_error_.reset();
    return {};
}

/// A proxy listens on an address of the machine's, whoever put it there and on whichever
/// interface: it needs no right for that.
void RunningDirector::leave_out_held(std::set<IpAddress>& service_ips) {
    std::erase_if(service_ips, [](const IpAddress& each) { return each.is_loopback(); });
    const auto held = parts_.netlink->addresses();
    if (!held) return;
    std::set<IpAddress> ours;
    for (const auto& [interface, address] : presence_.own())
        ours.insert(address);
    for (const netlink::InterfaceAddress& each : *held)
        if (!ours.contains(each.address)) service_ips.erase(each.address);
}

/// The addresses themselves, so that the director answers ping and ARP (and ND,
/// where service_interface is the one that the question comes in on).
void RunningDirector::hold_service_ips() {
    const core::Configuration& configuration = engine_.configuration();
    std::vector<IpAddress> addresses;
    // A director that only checks and announces sits on the real server, where the address is
    // its owner's business, as it is VRRP's where that moves it.
    if (configuration.director.dataplane != core::DataPlaneKind::none &&
        configuration.director.presence == core::PresenceMode::always) {
        std::set<IpAddress> unique;
        for (const core::Service& service : configuration.services)
            if (service.key.fwmark == 0) unique.insert(service.key.address);
        if (configuration.director.dataplane == core::DataPlaneKind::proxy) leave_out_held(unique);
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

// ---- signals and stop -----------------------------------------------------------

void RunningDirector::wait_for_signal() {
    signals_.async_wait([this](const boost::system::error_code& error, int number) {
        if (error) return;
        on_signal(number);
        driver_.rearm();
        wait_for_signal();
    });
}

void RunningDirector::on_signal(int number) {
    const bool ends = number == SIGTERM || number == SIGINT;
    if (ends) return stopping_ ? end_forwarding() : begin_stop();
    if (stopping_) return;
    if (number == SIGHUP) return reload_off_loop();
    if (reexec_check_.joinable()) return;  // one at a time
    reexec_check_ = check_then(options_, [this](bool accepted) {
        asio::post(io_, [this, accepted] {
            reexec_check_.join();
            // Commands under way would end with us, and nobody would run the rest.
            if (accepted && !stopping_)
                parts_.hooks->when_idle(monotonic_now() + hooks_may_take, [this] {
                    if (stopping_) return;  // the farewell's commands have their own time
                    parts_.hooks->give_up();
                    // What the API took meanwhile would outlive the program, unanswered.
                    const auto go = [this] {
                        reexec(options_, parts_.routes->descriptor(),
                               parts_.plane->prepare_handover());
                        parts_.plane->resume();
                    };
                    api_.while_still(
                        [&] { parts_.keeper ? parts_.keeper->while_still(go) : go(); });
                });
            driver_.rearm();
        });
    });
}

/// Parsing a large file takes a while: the API's thread does it.
void RunningDirector::reload_off_loop() {
    notify_systemd("RELOADING=1");
    api_.post([this] {
        auto loaded = std::make_shared<config::Loaded>(
            config::load(options_.config_path, options_.config_id));
        asio::post(io_, [this, loaded] {
            (void)reload(std::move(*loaded));
            notify_systemd("READY=1");
            driver_.rearm();
        });
    });
}

void RunningDirector::begin_stop() {
    stopping_ = true;
    notify_systemd("STOPPING=1");
    if (restart_is_queued()) {
        spdlog::info("ending for a restart: {} stays in place",
                     parts_.keeper ? "the real server" : "forwarding");
        parts_.plane->leave();
        return io_.stop();
    }
    engine_.say_farewell();
    engine_.on_notice = nullptr;
    const bool announced = !announcer_.silent();
    announcer_.leave();
    if (!announced) return linger();
    spdlog::info("stopping: the announcements drain first");
}

/// What is on its way still comes here: routers take a moment to hear a withdrawal.
void RunningDirector::linger() {
    if (std::exchange(lingers_, true)) return;
    const core::Configuration& configuration = engine_.configuration();
    Nanoseconds time = configuration.director.drain_time;
    if (configuration.bgp) time = std::max(time, configuration.bgp->draining_time);
    if (time.count() == 0) return finish_stop();
    spdlog::info("stopping: {} for {}",
                 parts_.keeper ? "the service IPs stay" : "forwarding goes on", to_text(time));
    linger_timer_.expires_after(time);
    linger_timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) finish_stop();
    });
}

/// quorum_down may withdraw a route: forwarding goes on until it has.
void RunningDirector::finish_stop() {
    parts_.hooks->when_idle(monotonic_now() + hooks_may_take, [this] { end_forwarding(); });
    driver_.rearm();
}

/// Forwarding ends first, the addresses go last.
void RunningDirector::end_forwarding() {
    if (io_.stopped()) return;
    stopping_ = true;
    parts_.hooks->give_up();
    api_.stop();
    if (auto withdrawn = parts_.routes->release(); !withdrawn)
        spdlog::error("announcements: {}", withdrawn.error().message);
    forget_descriptor(announcements_name);
    if (auto detached = parts_.plane->detach(); !detached)
        spdlog::error("{}", detached.error().message);
    if (auto released = presence_.release(); !released)
        spdlog::error("{}", released.error().message);
    if (parts_.keeper) {
        if (auto released = parts_.keeper->release(); !released)
            spdlog::error("{}", released.error().message);
        parts_.keeper->on_readable();  // what it did is still to be told
    }
    if (engine_.overrides() == core::Overrides{})
        std::remove(run_dir_.file("overrides.json").c_str());
    run_dir_.clean();
    spdlog::info("stopped");
    io_.stop();
}

// ---- what recurs ----------------------------------------------------------------

/// `work` says after how long it wants to run again.
void RunningDirector::every(asio::steady_timer& timer, std::function<Nanoseconds()> work,
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

Nanoseconds RunningDirector::audit() {
    if (stopping_) return audit_interval;
    const TimePoint before = monotonic_now();
    hold_service_ips();
    mend_routes();
    restore_run_dir();
    if (const auto repaired = engine_.repair())
        for (const std::string& line : *repaired)
            spdlog::warn("repaired: {}", line);
    const Nanoseconds cost = monotonic_now() - before;
    return std::max<Nanoseconds>(audit_interval, cost * audit_cost_ratio);
}

/// Somebody emptied the run directory: what is in it must outlive us.
void RunningDirector::restore_run_dir() {
    std::error_code ignored;
    if (auto made = RunDir::make(run_dir_.path()); !made) spdlog::error("{}", made.error().message);
    const std::string overrides = run_dir_.file("overrides.json");
    if (!(engine_.overrides() == core::Overrides{}) && !std::filesystem::exists(overrides, ignored))
        if (auto saved = save_overrides(overrides, engine_.overrides()); !saved)
            spdlog::error("{}", saved.error().message);
    if (track_files_.lost()) announcer_.hold_routes();
    api_.restore_unix();
}

Nanoseconds RunningDirector::sample() {
    const TimePoint before = monotonic_now();
    if (routes_disturbed_ && !stopping_) mend_routes();
    if (auto counters = parts_.plane->counters()) rates_.sample(std::move(*counters), before);
    const Nanoseconds cost = monotonic_now() - before;
    return std::max<Nanoseconds>(sample_interval, cost * audit_cost_ratio);
}

int run_director(const DirectorOptions& options) {
    spdlog::set_default_logger(spdlog::stderr_color_mt("dnsdirector"));
    spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
    std::signal(SIGCHLD, SIG_DFL);  // ignored over a re-execution
    umask(S_IWGRP | S_IWOTH);       // saved drains and addresses are ours to write
    Loop loop;
    config::Loaded loaded = config::load(options.config_path, options.config_id);
    for (const config::Message& message : loaded.messages)
        fmt::print(stderr, "{}\n", message.to_string());
    if (!loaded.ok()) return 1;

    auto view = view_of(std::move(*loaded.configuration), options.role, options.config_path);
    if (!view) {
        spdlog::error("{}", view.error().message);
        return 1;
    }

    auto run_dir = RunDir::open(options.run_dir);
    if (!run_dir) {
        spdlog::error("{}", run_dir.error().message);
        return 1;
    }
    auto parts = make_parts(options, view->configuration, *run_dir);
    if (!parts) {
        spdlog::error("{}", parts.error().message);
        run_dir->clean();
        return 1;
    }
    RunningDirector director(options, loop, *run_dir, std::move(*parts), std::move(*view));
    return director.run();
}

}  // namespace dnsdirector::control
