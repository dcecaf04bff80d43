// SPDX-License-Identifier: Apache-2.0
//
// The plane's part in a change of processes: what it takes over from a predecessor, and what it
// leaves for a successor that systemd starts. (bridge.cc: what goes on in between, where a process
// executes its successor itself.)
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "dataplane/proxy/plane.h"

namespace dnsdirector::dataplane::proxy {
namespace {

// How long what is in flight may be answered before a restart: clients' new queries wait all that
// time. A query over UDP that is slower is asked again by the successor; a client over TCP finds
// its connection closed, and asks again (RFC 7766, section 6.2.4).
constexpr Nanoseconds leave_patience = Milliseconds{250};

// How old what the journal tells of a table may be after a crash: a verdict need not wait for a
// disk. One that takes long is written more rarely.
constexpr Nanoseconds journal_age = Milliseconds{100};
constexpr int journal_cost_ratio = 20;

bool is_of_store(const std::string& name) {
    return name.starts_with("proxy-");
}

}  // namespace

/// What systemd has for us. Sockets of the store have our names; others are a socket unit's.
Handover Plane::inherit(const std::vector<NamedDescriptor>& descriptors) {
    Handover handover;
    for (const NamedDescriptor& each : descriptors) {
        const core::ServiceKey key = service_of_socket(each.descriptor);
        const bool stored = is_of_store(each.name);
        if (key.port == 0) {
            spdlog::warn(
                "systemd's {} is no UDP socket or listening TCP socket of an address: "
                "closed",
                each.name);
            ::close(each.descriptor);
            continue;
        }
        make_ours(each.descriptor);
        if (stored) kept_.found(each.name, each.descriptor);
        (stored ? handover.sockets : handover.lent).push_back(each.descriptor);
    }
    if (handover.sockets.empty() && handover.lent.empty()) return handover;
    spdlog::info("listening sockets from systemd: {} kept over the restart, {} of a socket unit",
                 handover.sockets.size(), handover.lent.size());
    auto before = read_journal(journal_);
    if (!before) {
        complaint_ = before.error().message;
        return handover;
    }
    before->sockets = std::move(handover.sockets);
    before->lent = std::move(handover.lent);
    before->bridge = -1;
    return *std::move(before);
}

void Plane::sort_sockets(const Handover& handover) {
    std::set<std::uint64_t> known;
    const auto sort = [&](const std::vector<int>& sockets, auto& into) {
        for (const int socket : sockets) {
            // One that came in two ways would be read by two.
            if (known.insert(cookie_of(socket)).second)
                into[service_of_socket(socket)].push_back(socket);
            else
                ::close(socket);
        }
    };
    sort(handover.lent, lent_);
    sort(handover.sockets, found_);
}

/// Goes on with what the program before served, as it served it.
void Plane::adopt(Handover handover) {
    wishes_ = std::move(handover.wishes);
    sort_sockets(handover);
    std::set<core::ServiceKey> changed;
    for (const auto& [key, forwarding] : handover.forwarding) {
        if (!found_.contains(key) && !lent_.contains(key)) continue;
        auto listener = listener_for(key);
        if (!listener) continue;
        std::shared_ptr<Tally>& tally = service_tallies_[key];
        tally = std::make_shared<Tally>(worker_count_);
        held_[key] = {std::move(*listener), tally, nullptr};
        forwarding_.emplace(key, forwarding);
        changed.insert(key);
    }
    if (changed.empty() && handover.bridge < 0) return;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        std::vector<LeftQuery> share;
        for (std::size_t j = i; j < handover.queries.size(); j += workers_.size())
            share.push_back(std::move(handover.queries[j]));
        workers_[i]->ask_first(std::move(share));
    }
    publish(changed);
    for (const auto& worker : workers_)
        worker->wait_adopted(publisher_.version());
    bridge_ = handover.bridge;
    end_bridge();
}

/// What no service of the configuration claimed goes. A socket unit's stay, for a reload that may
/// name them.
void Plane::accept() {
    for (const auto& [key, sockets] : found_)
        for (const int socket : sockets)
            ::close(socket);
    found_.clear();
    for (const auto& [key, sockets] : lent_)
        if (!held_.contains(key))
            spdlog::warn(
                "no service listens on {}, whose socket systemd handed over: what comes "
                "there is not answered (`service_ip` and `port` have to be those of the "
                "socket unit)",
                key.to_string());
    keep_for_successor();
    write_down({});
}

void Plane::keep_for_successor() {
    std::map<core::ServiceKey, std::span<const int>> listeners;
    for (const auto& [key, held] : held_)
        listeners.emplace(key, held.listener->own());
    // Before the configuration is in force what was found is nobody's, and not to be dropped.
    for (const auto& [key, sockets] : found_)
        listeners.emplace(key, sockets);
    const std::string before = kept_.complaint();
    kept_.hold(listeners);
    if (kept_.complaint() != before && !kept_.complaint().empty())
        spdlog::warn("{}", kept_.complaint());
    if (may_have_successor() && !journal_due_)
        journal_due_ = now_on_clock() + std::max(journal_age, journal_cost_ * journal_cost_ratio);
}

/// Nobody reads it where there are no sockets to go with it.
void Plane::write_down(std::vector<LeftQuery> queries) {
    const TimePoint begun = now_on_clock();
    journal_due_.reset();
    if (journal_.empty() || !may_have_successor()) return;
    Handover handover = as_served();
    handover.queries = std::move(queries);
    const auto written = write_journal(journal_, handover);
    journal_cost_ = now_on_clock() - begun;
    journal_complaint_ = written ? "" : written.error().message;
}

void Plane::leave() {
    if (!may_have_successor()) {
        (void)detach();
        return;
    }
    for (const auto& worker : workers_)
        worker->stop(leave_patience);
    std::vector<LeftQuery> queries;
    for (const auto& worker : workers_) {
        worker->join();
        worker->add_unanswered(queries);
    }
    wait_for_bridges(leave_patience);
    if (!queries.empty())
        spdlog::info("{} queries have no answer yet: the next process asks them again",
                     queries.size());
    write_down(std::move(queries));
}

}  // namespace dnsdirector::dataplane::proxy
