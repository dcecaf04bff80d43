// SPDX-License-Identifier: Apache-2.0
#include "realserver/keeper.h"

#include <fmt/ranges.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "realserver/nft.h"
#include "realserver/withheld.h"

namespace dnsdirector::realserver {
namespace {

constexpr std::size_t repairs_kept = 10;
constexpr std::uint64_t looks_between_counts = 5;
/// A burst of changes (containers come and go) is looked at once.
constexpr std::chrono::milliseconds pause_between_looks{50};

void wake_up(int descriptor) {
    const std::uint64_t one = 1;
    // Full: it is readable anyway.
    if (write(descriptor, &one, sizeof one) < 0) return;
}

void drain(int descriptor) {
    std::uint64_t count = 0;
    if (read(descriptor, &count, sizeof count) < 0) return;
}

Error error_of(const std::vector<std::string>& problems) {
    return {fmt::format("{}", fmt::join(problems, "; "))};
}

/// Better to hear of it now than when the DNS server fails.
Result<void> able_to_withhold(const Order& order, SeenMachine& machine) {
    if (!order.machine.withdraw_on_failure) return {};
    machine.table_may_differ();
    Look look;
    look.table = true;
    if (const auto able = machine.read(look); !able)
        return fail("withdraw_on_failure works by nftables: {}", able.error().message);
    return {};
}

}  // namespace

// ---- beginning and end -------------------------------------------------------

Result<std::unique_ptr<Keeper>> Keeper::create(Means means) {
    auto keeper = std::unique_ptr<Keeper>(new Keeper(std::move(means)));
    keeper->wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    keeper->told_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (keeper->wake_ < 0 || keeper->told_ < 0) return fail_errno("cannot make an eventfd", errno);
    return keeper;
}

Result<std::unique_ptr<Keeper>> Keeper::open(const std::string& run_dir,
                                             std::function<WallTime()> clock) {
    Means means;
    auto machine = open_machine();
    if (!machine) return tl::unexpected(machine.error());
    means.machine = std::move(*machine);
    means.open_store = [run_dir] { return open_journal(run_dir); };
    means.read_counters = read_counters;
    if (auto watch = netlink::RulesetWatch::open()) means.watch = std::move(*watch);
    means.clock = std::move(clock);
    return create(std::move(means));
}

Keeper::~Keeper() {
    end_thread();
    for (const int descriptor : {wake_, told_})
        if (descriptor >= 0) close(descriptor);
}

void Keeper::end_thread() {
    ending_ = true;
    wake_up(wake_);
    if (thread_.joinable()) thread_.join();
}

// ---- the thread --------------------------------------------------------------

void Keeper::work() {
    while (!ending_) {
        wait();
        if (ending_) return;
        look_once();
        std::this_thread::sleep_for(pause_between_looks);
    }
}

void Keeper::wait() const {
    pollfd waiting[] = {{wake_, POLLIN, 0},
                        {means_.watch ? means_.watch->descriptor() : -1, POLLIN, 0}};
    const auto most = std::chrono::duration_cast<Milliseconds>(means_.interval).count();
    // EINTR: a look too early does no harm.
    if (poll(waiting, std::size(waiting), static_cast<int>(most)) > 0) drain(wake_);
}

Order Keeper::order_now(bool& ordered) {
    Order order = *order_;
    const std::lock_guard lock(state_mutex_);
    order.withheld = withheld_;
    ordered = std::exchange(ordered_, false);
    return order;
}

void Keeper::look_once() {
    const std::lock_guard working(work_);
    if (!order_) return;
    bool ordered = false;
    const Order order = order_now(ordered);
    Outcome outcome = bring(order);
    publish(order, std::move(outcome), ordered ? Kind::change : Kind::repair);
    if (looks_until_count_-- == 0) count(order);
}

/// Nobody waits for it, and it takes nft another time: more rarely.
void Keeper::count(const Order& order) {
    looks_until_count_ = looks_between_counts - 1;
    if (ruleset_of(order.machine, order.withheld).empty()) {
        const std::lock_guard lock(state_mutex_);
        state_.counters = {};
        return;
    }
    auto counters = means_.read_counters();
    const std::lock_guard lock(state_mutex_);
    state_.counters_error = counters ? "" : counters.error().message;
    if (counters) state_.counters = std::move(*counters);
}

// ---- one look ----------------------------------------------------------------

template <typename Work>
Keeper::Outcome Keeper::at_work(const Work& work) {
    Outcome outcome;
    const auto store = means_.open_store();
    if (!store) {
        outcome.problems.push_back(store.error().message);
        return outcome;
    }
    const auto keep = [](std::vector<std::string>& list) {
        return [&list](const std::string& line) { list.push_back(line); };
    };
    outcome.well =
        work(**store, {keep(outcome.changes), keep(outcome.notes), keep(outcome.problems)});
    return outcome;
}

Keeper::Outcome Keeper::bring(const Order& order) {
    if (!means_.watch || means_.watch->changed()) machine_.table_may_differ();
    return at_work([&](JournalStore& store, const Report& report) {
        const bool well = bring_up(order, store, machine_, report);
        // What could not be made may have been made in part.
        if (!well) machine_.table_may_differ();
        return well;
    });
}

Keeper::Outcome Keeper::take_back() {
    machine_.table_may_differ();
    return at_work([&](JournalStore& store, const Report& report) {
        return take_down(store, machine_, report);
    });
}

void Keeper::tell(Kind kind, std::string line) {
    lines_.emplace_back(kind, std::move(line));
}

/// Tells what is new of it, and has status show all.
void Keeper::publish(const Order& order, Outcome outcome, Kind kind) {
    const WallTime now = means_.clock();
    const std::lock_guard lock(state_mutex_);
    for (const std::string& line : outcome.changes) {
        tell(kind, line);
        if (kind != Kind::repair) continue;
        ++state_.repairs;
        state_.last_repairs.push_back({now, line});
        if (state_.last_repairs.size() > repairs_kept) state_.last_repairs.pop_front();
    }
    const auto is_in = [](const std::vector<std::string>& list, const std::string& line) {
        return std::ranges::find(list, line) != list.end();
    };
    for (const std::string& line : outcome.notes)
        if (!is_in(state_.notes, line)) tell(Kind::note, line);
    for (const std::string& line : outcome.problems)
        if (!is_in(state_.problems, line)) tell(Kind::problem, line);
    if (outcome.well && !state_.problems.empty())
        tell(Kind::mended, "the machine is the real server again that the file says");
    state_.notes = std::move(outcome.notes);
    state_.problems = std::move(outcome.problems);
    state_.well = outcome.well;
    state_.interface = order.machine.interface;
    state_.service_ips.clear();
    for (const IpAddress& each : order.machine.service_ips)
        state_.service_ips.push_back({each, machine_.seen().holds({order.machine.interface, each}),
                                      order.withheld.contains(each)});
    ++state_.looks;
    state_.looked_at = now;
    if (!lines_.empty()) wake_up(told_);
}

// ---- what the event loop calls -------------------------------------------------

Result<Journal> Keeper::journal_now() {
    const auto store = means_.open_store();
    if (!store) return tl::unexpected(store.error());
    return (*store)->load();
}

Result<std::vector<std::string>> Keeper::put_in_force(const Order& order) {
    const std::lock_guard working(work_);
    if (auto able = able_to_withhold(order, machine_); !able) return tl::unexpected(able.error());
    const auto journal = journal_now();
    if (!journal) return tl::unexpected(journal.error());
    std::set<IpAddress> withheld = this->withheld();
    if (!order_ && journal->table)  // a predecessor's
        withheld = withheld_by(journal->table->ruleset, order.machine.service_ips);
    std::erase_if(withheld, [&](const IpAddress& each) {
        return !order.machine.withdraw_on_failure ||
               std::ranges::find(order.machine.service_ips, each) ==
                   order.machine.service_ips.end();
    });
    Order next = order;
    next.withheld = withheld;
    Outcome outcome = bring(next);
    if (!outcome.well) {
        Error error = error_of(outcome.problems);
        if (order_) {
            Order back = *order_;
            back.withheld = this->withheld();
            (void)bring(back);  // what can't be gone back to is found at the next look
        } else if (journal->empty())
            (void)take_back();
        return tl::unexpected(std::move(error));
    }
    order_ = next;
    {
        const std::lock_guard lock(state_mutex_);
        withheld_ = std::move(withheld);
        ordered_ = false;
    }
    std::vector<std::string> lines = std::exchange(outcome.changes, {});
    publish(next, std::move(outcome), Kind::change);
    looks_until_count_ = 0;
    if (!thread_.joinable()) {
        // Signals are the event loop's.
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        thread_ = std::thread([this] { work(); });
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    return lines;
}

Result<std::vector<std::string>> Keeper::plan(const Order& order) {
    const std::lock_guard working(work_);
    const auto journal = journal_now();
    if (!journal) return tl::unexpected(journal.error());
    Order next = order;
    if (order.machine.withdraw_on_failure) next.withheld = this->withheld();
    machine_.table_may_differ();
    const auto planned = plan_up(next, *journal, machine_);
    if (!planned) return tl::unexpected(planned.error());
    if (!planned->wishes.refusals.empty())
        return tl::unexpected(error_of(planned->wishes.refusals));
    std::vector<std::string> lines;
    for (const Change& change : planned->changes)
        if (std::string line = to_string(change, Tense::to_do); !line.empty())
            lines.push_back(std::move(line));
    return lines;
}

void Keeper::withhold(std::set<IpAddress> service_ips) {
    {
        const std::lock_guard lock(state_mutex_);
        if (withheld_ == service_ips) return;
        withheld_ = std::move(service_ips);
        ordered_ = true;
    }
    wake_up(wake_);
}

std::set<IpAddress> Keeper::withheld() const {
    const std::lock_guard lock(state_mutex_);
    return withheld_;
}

void Keeper::look() {
    wake_up(wake_);
}

Result<void> Keeper::release() {
    end_thread();
    const std::lock_guard working(work_);
    order_.reset();
    Outcome outcome = take_back();
    const std::lock_guard lock(state_mutex_);
    for (std::string& line : outcome.changes)
        tell(Kind::change, std::move(line));
    for (std::string& line : outcome.notes)
        tell(Kind::note, std::move(line));
    if (outcome.well) return {};
    return tl::unexpected(error_of(outcome.problems));
}

void Keeper::while_still(const std::function<void()>& work) {
    const std::lock_guard working(work_);
    work();
}

KeeperState Keeper::state() const {
    const std::lock_guard lock(state_mutex_);
    return state_;
}

void Keeper::on_readable() {
    drain(told_);
    std::vector<std::pair<Kind, std::string>> lines;
    {
        const std::lock_guard lock(state_mutex_);
        lines.swap(lines_);
    }
    if (!on_line) return;
    for (const auto& [kind, line] : lines)
        on_line(kind, line);
}

}  // namespace dnsdirector::realserver
