// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/directory.h"

#include <atomic>

namespace dnsdirector::dataplane::xdp {
namespace {

template <typename T>
void store(T& word, T value) {
    std::atomic_ref<T>{word}.store(value, std::memory_order_release);
}

}  // namespace

std::uint32_t Directory::bucket_of(std::uint32_t record) const {
    const abi::service& service = maps_->services()[record];
    return abi::directory_bucket(service.address[0], service.address[1], service.where);
}

std::uint32_t Directory::find(const Words& address, std::uint32_t where) const {
    const auto services = maps_->services();
    const std::uint32_t bucket = abi::directory_bucket(address[0], address[1], where);
    std::uint32_t record = maps_->directory().first[bucket];
    for (int step = 0; record != 0 && record < services.size() && step < abi::CHAIN_MAX; ++step) {
        const abi::service& service = services[record];
        if (service.address[0] == address[0] && service.address[1] == address[1] &&
            service.where == where)
            return record;
        record = service.next;
    }
    return 0;
}

Result<void> Directory::publish(std::uint32_t record) {
    const auto services = maps_->services();
    std::uint16_t& first = maps_->directory().first[bucket_of(record)];
    int length = 1;
    for (std::uint32_t other = first; other != 0; other = services[other].next)
        ++length;
    if (length > abi::CHAIN_MAX)
        return fail(
            "more than {} service addresses fall into one bucket of the kernel's table; "
            "use another port or address for one of them",
            static_cast<int>(abi::CHAIN_MAX));
    services[record].next = first;
    store(first, static_cast<std::uint16_t>(record));
    return {};
}

bool Directory::unpublish(std::uint32_t record) {
    const auto services = maps_->services();
    std::uint16_t& first = maps_->directory().first[bucket_of(record)];
    // Its own `next` stays: a program may stand on it.
    if (first == record) {
        store(first, static_cast<std::uint16_t>(services[record].next));
        return true;
    }
    for (std::uint32_t other = first; other != 0; other = services[other].next)
        if (services[other].next == record) {
            store(services[other].next, services[record].next);
            return true;
        }
    return false;
}

std::vector<std::uint32_t> Directory::repair() {
    const auto services = maps_->services();
    std::vector<std::uint32_t> records;
    std::vector<bool> seen(services.size());
    for (std::uint32_t bucket = 0; bucket < abi::DIRECTORY_SIZE; ++bucket) {
        std::uint16_t& first = maps_->directory().first[bucket];
        std::uint32_t before = 0;
        for (std::uint32_t record = first; record != 0; record = services[record].next) {
            if (record >= services.size() || seen[record] || bucket_of(record) != bucket) {
                if (before == 0)
                    store(first, std::uint16_t{0});
                else
                    store(services[before].next, std::uint32_t{0});
                break;
            }
            seen[record] = true;
            records.push_back(record);
            before = record;
        }
    }
    return records;
}

}  // namespace dnsdirector::dataplane::xdp
