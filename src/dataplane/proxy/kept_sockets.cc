// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/kept_sockets.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace dnsdirector::dataplane::proxy {

std::string store_name(const core::ServiceKey& key) {
    std::string address = key.address.to_string();
    std::replace(address.begin(), address.end(), ':', '_');
    return fmt::format("proxy-{}-{}-{}", to_string(key.protocol), address, key.port);
}

std::map<std::string, std::size_t> share_room(const std::map<std::string, std::size_t>& wished,
                                              std::size_t room) {
    std::map<std::string, std::size_t> shares;
    for (bool any = true; any && room > 0;) {
        any = false;
        for (const auto& [name, count] : wished) {
            if (room == 0) break;
            if (const auto share = shares.find(name);
                (share == shares.end() ? 0 : share->second) == count)
                continue;
            ++shares[name];
            --room;
            any = true;
        }
    }
    return shares;
}

std::uint64_t cookie_of(int socket) {
    std::uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    return getsockopt(socket, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

KeptSockets::KeptSockets(DescriptorStore store) : store_(std::move(store)), room_(store_.room()) {}

void KeptSockets::found(const std::string& name, int socket) {
    stored_[name].insert(cookie_of(socket));
}

void KeptSockets::hold(const std::map<core::ServiceKey, std::span<const int>>& listeners) {
    if (!usable()) return;
    std::map<std::string, std::span<const int>> wished;
    std::map<std::string, std::size_t> counts;
    std::size_t all = 0;
    for (const auto& [key, sockets] : listeners) {
        if (sockets.empty()) continue;  // all of it is a socket unit's
        const std::string name = store_name(key);
        wished.emplace(name, sockets);
        counts.emplace(name, sockets.size());
        all += sockets.size();
    }
    const auto shares = share_room(counts, room_);
    // Room is made before it is taken.
    for (auto stored = stored_.begin(); stored != stored_.end();) {
        const auto share = shares.find(stored->first);
        std::set<std::uint64_t> keeps;
        if (share != shares.end())
            for (const int socket : wished.at(share->first).first(share->second))
                keeps.insert(cookie_of(socket));
        if (std::includes(keeps.begin(), keeps.end(), stored->second.begin(),
                          stored->second.end())) {
            ++stored;
            continue;
        }
        store_.forget(stored->first);
        stored = stored_.erase(stored);
    }
    for (const auto& [name, share] : shares) {
        std::set<std::uint64_t>& stored = stored_[name];
        std::vector<int> more;
        for (const int socket : wished.at(name).first(share))
            if (stored.insert(cookie_of(socket)).second) more.push_back(socket);
        if (!more.empty()) store_.keep(name, more);
    }
    complaint_ = all <= room_
                     ? ""
                     : fmt::format(
                           "systemd keeps {} of {} listening sockets: a restart or crash loses "
                           "the queries that wait in the others; FileDescriptorStoreMax={} in the "
                           "unit (or fewer `workers`) keeps them all",
                           room_, all, all + 1);
}

void KeptSockets::forget_all() {
    for (const auto& [name, cookies] : stored_)
        store_.forget(name);
    stored_.clear();
}

}  // namespace dnsdirector::dataplane::proxy
