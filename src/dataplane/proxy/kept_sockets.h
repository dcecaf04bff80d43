// SPDX-License-Identifier: Apache-2.0
//
// Listening sockets in systemd's store. Between the end of a process and the start of the next
// one (a restart, a crash) queries wait in their buffers and connections in their queues.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/model.h"
#include "dataplane/descriptors.h"

namespace dnsdirector::dataplane::proxy {

/// A service's name in the store: without a colon, which FDNAME= may not hold (sd_notify(3)).
[[nodiscard]] std::string store_name(const core::ServiceKey& key);

/// How many sockets of each service to keep: the first of all of them before the second of any, as
/// far as there is room.
[[nodiscard]] std::map<std::string, std::size_t> share_room(
    const std::map<std::string, std::size_t>& wished, std::size_t room);

/// Of a socket, unique on this machine (SO_COOKIE of socket(7)); 0 when it is none.
[[nodiscard]] std::uint64_t cookie_of(int socket);

class KeptSockets {
public:
    explicit KeptSockets(DescriptorStore store);

    [[nodiscard]] bool usable() const { return room_ != 0; }
    /// What the store had under this name when the process began.
    void found(const std::string& name, int socket);
    /// From now on it is to have these, by service, and no others.
    void hold(const std::map<core::ServiceKey, std::span<const int>>& listeners);
    void forget_all();
    /// Why a restart may lose queries; "" when it does not.
    [[nodiscard]] const std::string& complaint() const { return complaint_; }

private:
    DescriptorStore store_;
    std::size_t room_;
    std::map<std::string, std::set<std::uint64_t>> stored_;  ///< cookies
    std::string complaint_;
};

}  // namespace dnsdirector::dataplane::proxy
