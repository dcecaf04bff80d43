// SPDX-License-Identifier: Apache-2.0
//
// Keeps a machine the real server that it shall be: what `up` does, done again whenever somebody
// changed something. It works in a thread of its own, since nft and the disk take their time; the
// event loop gets to know by a descriptor.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/event_source.h"
#include "base/result.h"
#include "netlink/ruleset_watch.h"
#include "realserver/keeper_state.h"
#include "realserver/seen_machine.h"
#include "realserver/up.h"

namespace dnsdirector::realserver {

class Keeper final : public EventSource {
public:
    struct Means {
        std::unique_ptr<Machine> machine;
        /// Locked against `up` and `down` for as long as the store lives.
        std::function<Result<std::unique_ptr<JournalStore>>()> open_store;
        std::function<Result<Counters>()> read_counters;
        std::unique_ptr<netlink::RulesetWatch> watch;  ///< none: the table is listed at each look
        std::function<WallTime()> clock;
        Nanoseconds interval{Seconds{1}};  ///< between two looks that nobody asked for
    };
    static Result<std::unique_ptr<Keeper>> create(Means means);
    /// This machine, with its journal in the run directory.
    static Result<std::unique_ptr<Keeper>> open(const std::string& run_dir,
                                                std::function<WallTime()> clock);
    ~Keeper() override;
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;

    // What the event loop calls. All but withhold() and look() wait for a look that is under way.

    /// From now on this is what the machine is kept as. All or nothing: after an error it is kept
    /// as before. `withheld` of the order does not count, what is withheld now stays so. Returns
    /// a line for each change.
    Result<std::vector<std::string>> put_in_force(const Order& order);
    /// What put_in_force() would change.
    Result<std::vector<std::string>> plan(const Order& order);
    /// These and no others are kept from everybody outside. Returns at once.
    void withhold(std::set<IpAddress> service_ips);
    [[nodiscard]] std::set<IpAddress> withheld() const;
    /// Somebody changed something: don't wait for the next look.
    void look();
    /// The end: what was done is taken back, as `down` does it.
    Result<void> release();
    /// Nothing of ours is under way during this.
    void while_still(const std::function<void()>& work);
    [[nodiscard]] KeeperState state() const;

    enum class Kind : std::uint8_t {
        change,   ///< that was ordered
        repair,   ///< what somebody else had changed
        note,     ///< worth knowing, nothing was done
        problem,  ///< why the machine is not as it should be
        mended,   ///< it is again
    };
    /// Called by on_readable(), so in the event loop's thread.
    std::function<void(Kind, const std::string&)> on_line;

    [[nodiscard]] int descriptor() const override { return told_; }
    void on_readable() override;
    [[nodiscard]] std::optional<TimePoint> deadline() const override { return std::nullopt; }
    void on_deadline(TimePoint) override {}

private:
    struct Outcome {
        bool well = false;
        std::vector<std::string> changes, notes, problems;
    };
    explicit Keeper(Means means) : means_(std::move(means)), machine_(std::move(means_.machine)) {}

    void work();
    void wait() const;
    void look_once();
    [[nodiscard]] Order order_now(bool& ordered);
    /// With the store, which is locked meanwhile; `work` says whether all is well.
    template <typename Work>
    Outcome at_work(const Work& work);
    Outcome bring(const Order& order);
    Outcome take_back();
    Result<Journal> journal_now();
    void publish(const Order& order, Outcome outcome, Kind kind);
    void tell(Kind kind, std::string line);
    void count(const Order& order);
    void end_thread();

    Means means_;
    SeenMachine machine_;
    int wake_ = -1;  ///< eventfd: there is something to do
    int told_ = -1;  ///< eventfd: lines wait
    std::thread thread_;
    std::atomic<bool> ending_{false};

    std::mutex work_;  ///< whoever looks at the machine or changes it; taken before state_mutex_
    std::optional<Order> order_;
    std::uint64_t looks_until_count_ = 0;

    mutable std::mutex state_mutex_;  ///< of what follows
    std::set<IpAddress> withheld_;
    bool ordered_ = false;  ///< what is withheld has changed since the last look
    KeeperState state_;
    std::vector<std::pair<Kind, std::string>> lines_;
};

}  // namespace dnsdirector::realserver
