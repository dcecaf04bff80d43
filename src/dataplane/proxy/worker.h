// SPDX-License-Identifier: Apache-2.0
//
// A thread that hands queries on: an event loop over its own sockets, which goes by the table
// that the director's thread published last. On the way of a query it takes no lock, allocates
// nothing and logs nothing.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "dataplane/proxy/queries.h"
#include "dataplane/proxy/tcp_path.h"
#include "dataplane/proxy/udp_path.h"

namespace dnsdirector::dataplane::proxy {

/// From the director's thread to the workers. A worker compares one atomic number in each turn,
/// and takes the table (under a lock) only when it is another one. It keeps the old one for as
/// long as queries may refer to it.
class Publisher {
public:
    void publish(std::shared_ptr<const Table> table) {
        const std::lock_guard lock(mutex_);
        table_ = std::move(table);
        version_.fetch_add(1, std::memory_order_release);
    }
    [[nodiscard]] std::uint64_t version() const { return version_.load(std::memory_order_acquire); }
    [[nodiscard]] std::pair<std::shared_ptr<const Table>, std::uint64_t> current() const {
        const std::lock_guard lock(mutex_);
        return {table_, version_.load(std::memory_order_relaxed)};
    }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const Table> table_ = std::make_shared<Table>();
    std::atomic<std::uint64_t> version_{0};
};

class Worker {
public:
    struct Settings {
        std::size_t number = 0;
        core::ProxySettings proxy;
        std::uint32_t places = 65536;  ///< queries that may wait
        ClientCounts* clients = nullptr;
        std::function<void()> raise_charge;
    };
    Worker(Settings settings, const Publisher& publisher);
    ~Worker();  ///< at once; stop() before it lets queries be answered
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    Result<void> start();
    /// A new table is there. Called by other threads, as the rest below.
    void wake() const;
    /// Queries that a predecessor left, to be asked with the first table that has services.
    void ask_first(std::vector<LeftQuery> queries);
    /// After join(): what a successor is to ask.
    void add_unanswered(std::vector<LeftQuery>& to) { queries_.add_unanswered(to); }
    /// Takes nothing new from clients, and ends when all that waits is answered, or `patience`
    /// is over. join() waits for that.
    void stop(Nanoseconds patience);
    void join();
    /// Stands still, all its state in memory that a fork copies; unpark() lets it go on.
    void park();
    void unpark();
    /// In a child: goes on in the place of the thread until `end` reads of an end; then as after
    /// stop(), but for the connections of clients, which stay for as long as they are used.
    void run_as_bridge(int end);
    [[nodiscard]] std::vector<int> descriptors() const;
    void wait_adopted(std::uint64_t version);
    /// The table that it goes by: all before this version are out of use.
    [[nodiscard]] std::uint64_t adopted() const { return adopted_.load(std::memory_order_acquire); }
    [[nodiscard]] const Happenings& happenings() const { return happenings_; }
    /// What went wrong; "" when nothing did.
    [[nodiscard]] std::string complaint() const;

private:
    void run();
    void turn();
    void on_event(std::uint64_t tag, std::uint32_t events);
    void adopt();
    void add_front(const std::shared_ptr<const Service>& service, int socket);
    void open_backs(const Service& service);
    void open_backs(Family family, bool transparent);
    void take_out(Front& front);
    void forget_old();
    void ask_left_queries();
    void leave_fronts();
    void close_fronts();
    void stand_still();
    [[nodiscard]] bool is_done() const;
    [[nodiscard]] int wait_time() const;
    void complain(const Error& error);

    const Publisher& publisher_;
    Context context_;
    Happenings happenings_;
    Queries queries_;
    UdpPath udp_;
    TcpPath tcp_;
    int epoll_ = -1;
    int wake_ = -1;
    std::thread thread_;

    std::shared_ptr<const Table> table_;
    std::uint64_t version_ = UINT64_MAX;
    std::atomic<std::uint64_t> adopted_{0};
    /// By socket; a listener may have several for this worker.
    std::map<std::pair<const Listener*, int>, std::unique_ptr<Front>> fronts_;
    struct Old {
        TimePoint since;
        std::shared_ptr<const Table> table;
        std::vector<std::unique_ptr<Front>> fronts;
    };
    std::vector<Old> old_;
    std::mutex left_mutex_;
    std::vector<LeftQuery> left_queries_;

    std::atomic<bool> stopping_{false};
    std::atomic<std::int64_t> stop_by_{0};  ///< nanoseconds of the monotonic clock
    bool left_fronts_ = false;
    bool fronts_closed_ = false;
    TimePoint left_at_;
    bool is_bridge_ = false;
    int bridge_end_ = -1;
    std::mutex park_mutex_;
    std::condition_variable park_changed_;
    std::atomic<bool> park_wanted_{false};
    bool parked_ = false;
    mutable std::mutex complaint_mutex_;
    std::string complaint_;
};

}  // namespace dnsdirector::dataplane::proxy
