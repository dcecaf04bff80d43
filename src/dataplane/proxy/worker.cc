// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/worker.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>

#include "dataplane/proxy/tag.h"
#include "dataplane/proxy/to_all.h"

namespace dnsdirector::dataplane::proxy {
namespace {

constexpr int tidy_every_ms = 500;
// How long a bridge serves clients' connections that are still in use.
constexpr Nanoseconds bridge_patience = std::chrono::minutes{2};

/// What add_front() put into the tag.
Front& front_in(std::uint64_t value) {
    // epoll gives a number back. NOLINTNEXTLINE(performance-no-int-to-ptr)
    return *reinterpret_cast<Front*>(value);
}

TimePoint monotonic() {
    return TimePoint{std::chrono::steady_clock::now().time_since_epoch()};
}

}  // namespace

Worker::Worker(Settings settings, const Publisher& publisher)
    : publisher_(publisher),
      context_{.worker = settings.number,
               .settings = settings.proxy,
               .happenings = &happenings_,
               .random = {},
               .now = monotonic(),
               .raise_charge = std::move(settings.raise_charge)},
      queries_(context_, settings.places),
      udp_(context_, queries_),
      tcp_(context_, queries_, *settings.clients) {
    queries_.set_transports(udp_, tcp_);
}

Worker::~Worker() {
    if (thread_.joinable()) {
        stop(Nanoseconds{0});
        thread_.join();
    }
    if (epoll_ >= 0) ::close(epoll_);
    if (wake_ >= 0) ::close(wake_);
}

Result<void> Worker::start() {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    wake_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (epoll_ < 0 || wake_ < 0) return fail_errno("cannot start a worker of the proxy", errno);
    watch(epoll_, wake_, EPOLLIN, make_tag(Watched::wake, 0));
    tcp_.use(epoll_);
    thread_ = std::thread([this] { run(); });
    return {};
}

void Worker::wake() const {
    const std::uint64_t one = 1;
    (void)!write(wake_, &one, sizeof one);
}

void Worker::stop(Nanoseconds patience) {
    stop_by_.store((monotonic() + patience).time_since_epoch().count());
    stopping_.store(true, std::memory_order_release);
    wake();
}

void Worker::join() {
    if (thread_.joinable()) thread_.join();
}

std::string Worker::complaint() const {
    const std::lock_guard lock(complaint_mutex_);
    return complaint_;
}

void Worker::complain(const Error& error) {
    const std::lock_guard lock(complaint_mutex_);
    complaint_ = error.message;
}

// ---- the loop -------------------------------------------------------------------

void Worker::run() {
    while (!is_done()) {
        if (park_wanted_.load(std::memory_order_acquire)) stand_still();
        turn();
    }
    tcp_.close_all();
}

void Worker::stand_still() {
    std::unique_lock lock(park_mutex_);
    parked_ = true;
    park_changed_.notify_all();
    park_changed_.wait(lock, [&] { return !park_wanted_.load(); });
    parked_ = false;
}

void Worker::park() {
    park_wanted_.store(true, std::memory_order_release);
    wake();
    std::unique_lock lock(park_mutex_);
    park_changed_.wait(lock, [&] { return parked_; });
}

void Worker::unpark() {
    const std::lock_guard lock(park_mutex_);
    park_wanted_.store(false);
    park_changed_.notify_all();
}

void Worker::run_as_bridge(int end) {
    is_bridge_ = true;
    park_wanted_.store(false);
    context_.raise_charge = [] {};
    watch(epoll_, end, EPOLLIN, make_tag(Watched::bridge_end, static_cast<std::uint64_t>(end)));
    while (!is_done())
        turn();
}

std::vector<int> Worker::descriptors() const {
    std::vector<int> all = {epoll_, wake_};
    const auto add = [&](const Table& table) {
        for (const auto& service : table.services)
            for (const int socket : service->listener->sockets_of(context_.worker))
                all.push_back(socket);
    };
    if (table_) add(*table_);
    for (const Old& old : old_)
        if (old.table) add(*old.table);
    udp_.add_descriptors(all);
    tcp_.add_descriptors(all);
    return all;
}

void Worker::wait_adopted(std::uint64_t version) {
    while (adopted() < version)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

bool Worker::is_done() const {
    if (!stopping_.load(std::memory_order_acquire)) return false;
    if (context_.now.time_since_epoch().count() >= stop_by_.load()) return true;
    if (is_bridge_ && tcp_.any_clients()) return false;
    return left_fronts_ && queries_.waiting() == 0 && tcp_.all_written();
}

int Worker::wait_time() const {
    const bool tidies = !old_.empty() || tcp_.any() || left_fronts_;
    const int patience = queries_.patience();
    if (!tidies) return patience;
    const int tidy = left_fronts_ ? 10 : tidy_every_ms;
    return patience < 0 ? tidy : std::min(patience, tidy);
}

void Worker::turn() {
    std::array<epoll_event, 64> events{};
    const int count = epoll_wait(epoll_, events.data(), events.size(), wait_time());
    context_.now = monotonic();
    if (publisher_.version() != version_) adopt();
    for (int i = 0; i < count; ++i)
        on_event(events[static_cast<std::size_t>(i)].data.u64,
                 events[static_cast<std::size_t>(i)].events);
    queries_.on_time();
    udp_.flush();
    tcp_.on_time();
    if (!old_.empty()) forget_old();
    if (stopping_.load(std::memory_order_acquire) && !left_fronts_) leave_fronts();
    // Answers to clients leave by these sockets.
    if (is_bridge_ && left_fronts_ && !fronts_closed_ &&
        (!queries_.any_over_udp() || context_.now - left_at_ > context_.settings.query_timeout))
        close_fronts();
}

void Worker::on_event(std::uint64_t tag, std::uint32_t events) {
    const std::uint64_t value = value_of(tag);
    switch (watched_by(tag)) {
        case Watched::wake: {
            std::uint64_t ignored = 0;
            (void)!read(wake_, &ignored, sizeof ignored);
            return;
        }
        case Watched::udp_front: {
            Front& front = front_in(value);
            if (front.socket >= 0) udp_.read_front(front);
            return;
        }
        case Watched::udp_back:
            if ((events & EPOLLERR) != 0) udp_.read_errors(value);
            if ((events & EPOLLIN) != 0) udp_.read_back(value);
            return;
        case Watched::tcp_front: {
            Front& front = front_in(value);
            if (front.socket >= 0) tcp_.accept_from(front);
            return;
        }
        case Watched::tcp_client: return tcp_.on_client(value, events);
        case Watched::tcp_server: return tcp_.on_server(value, events);
        case Watched::bridge_end:
            bridge_end_ = static_cast<int>(value);
            (void)epoll_ctl(epoll_, EPOLL_CTL_DEL, bridge_end_, nullptr);
            stop(bridge_patience);
            return;
    }
}

// ---- the table ------------------------------------------------------------------

void Worker::adopt() {
    auto [table, version] = publisher_.current();
    Old old{context_.now, std::move(table_), {}};
    auto before = std::move(fronts_);
    fronts_.clear();
    table_ = std::move(table);
    version_ = version;
    for (const auto& service : table_->services) {
        open_backs(*service);
        for (const int socket : service->listener->sockets_of(context_.worker)) {
            const auto known = before.find({service->listener.get(), socket});
            if (known == before.end()) {
                add_front(service, socket);
                continue;
            }
            known->second->service = service;
            fronts_.emplace(known->first, std::move(known->second));
            before.erase(known);
        }
    }
    for (auto& [key, front] : before) {
        take_out(*front);
        old.fronts.push_back(std::move(front));
    }
    old_.push_back(std::move(old));
    queries_.on_table();
    if (!fronts_.empty()) ask_left_queries();
    adopted_.store(version_, std::memory_order_release);
}

void Worker::ask_first(std::vector<LeftQuery> queries) {
    const std::lock_guard lock(left_mutex_);
    left_queries_ = std::move(queries);
}

void Worker::ask_left_queries() {
    std::vector<LeftQuery> queries;
    {
        const std::lock_guard lock(left_mutex_);
        queries.swap(left_queries_);
    }
    for (LeftQuery& query : queries)
        for (const auto& [key, front] : fronts_)
            if (front->service->forwarding.key == query.service) {
                udp_.ask(*front, SocketAddress(query.client), query.message);
                break;
            }
}

void Worker::open_backs(const Service& service) {
    if (service.forwarding.key.protocol == Protocol::tcp) return;
    const auto open_for = [&](const Target& target) {
        const Upstream& upstream = *target.upstream;
        const Family family = upstream.endpoint.address.family();
        open_backs(family, false);
        if (upstream.transparent) open_backs(family, true);
    };
    for (const Target& target : service.targets)
        open_for(target);
    if (service.to_all)
        for (const ToAll::Member& member : service.to_all->members)
            open_for(member.target);
}

void Worker::open_backs(Family family, bool transparent) {
    auto opened = udp_.open(family, transparent);
    if (!opened) return complain(opened.error());
    for (const std::size_t back : *opened)
        watch(epoll_, udp_.socket(back), EPOLLIN, make_tag(Watched::udp_back, back));
}

void Worker::add_front(const std::shared_ptr<const Service>& service, int socket) {
    auto front = std::make_unique<Front>();
    front->service = service;
    front->socket = socket;
    front->cursor = context_.random.next32() & 0xffffU;
    front->tokens = 100;
    front->tokens_at = context_.now;
    if (!service->slots.empty()) front->cursor %= service->slots.size();
    const bool tcp = service->forwarding.key.protocol == Protocol::tcp;
    if (!left_fronts_)
        // Of workers that share a socket one is woken, not all of them.
        watch(epoll_, front->socket, EPOLLIN | static_cast<std::uint32_t>(EPOLLEXCLUSIVE),
              make_tag(tcp ? Watched::tcp_front : Watched::udp_front,
                       reinterpret_cast<std::uint64_t>(front.get())));
    fronts_.emplace(std::pair{service->listener.get(), socket}, std::move(front));
}

void Worker::take_out(Front& front) {
    (void)epoll_ctl(epoll_, EPOLL_CTL_DEL, front.socket, nullptr);
    front.socket = -1;
    tcp_.part_with_clients_of(front);
}

/// Queries that wait may refer to what was in force when they came.
void Worker::forget_old() {
    const Nanoseconds grace = context_.settings.query_timeout + Seconds{1};
    const auto still = std::find_if(old_.begin(), old_.end(), [&](const Old& old) {
        return context_.now - old.since <= grace;
    });
    for (auto old = old_.begin(); old != still; ++old)
        for (const auto& front : old->fronts)
            tcp_.drop_clients_of(*front);
    old_.erase(old_.begin(), still);
}

/// What comes from now on is a successor's, or nobody's.
void Worker::leave_fronts() {
    left_fronts_ = true;
    left_at_ = context_.now;
    for (auto& [key, front] : fronts_)
        (void)epoll_ctl(epoll_, EPOLL_CTL_DEL, front->socket, nullptr);
    if (!is_bridge_) tcp_.stop_reading();
}

/// A bridge's copies are its own. Left open and unread they would take their part of the queries
/// of a service that the successor has given up, and of what it opens there again. It hears of it.
void Worker::close_fronts() {
    fronts_closed_ = true;
    for (auto& [key, front] : fronts_)
        ::close(front->socket);
    ::close(bridge_end_);
}

}  // namespace dnsdirector::dataplane::proxy
