// SPDX-License-Identifier: Apache-2.0
//
// What the workers go by: never changed once published; a change is a new table, which shares
// what did not change with the old one.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/forwarding.h"
#include "core/proxy.h"
#include "dataplane/proxy/listener.h"
#include "dataplane/proxy/tally.h"
#include "dataplane/proxy/upstream.h"
#include "dataplane/proxy/wire.h"

namespace dnsdirector::dataplane::proxy {

struct ToAll;

/// A server with work in one service.
struct Target {
    std::shared_ptr<Upstream> upstream;
    std::shared_ptr<Tally> tally;
    std::uint32_t weight = 1;
};

/// What a choice depends on.
struct Asker {
    const SocketAddress& client;
    Bytes question;
    std::size_t worker = 0;
    TimePoint now;
    std::uint32_t random = 0;
};

struct Service {
    core::ServiceForwarding forwarding;  ///< that it was made of
    std::shared_ptr<Listener> listener;
    std::shared_ptr<Tally> tally;
    std::vector<Target> targets;       ///< weights above 0
    std::vector<std::uint32_t> slots;  ///< positions in `targets`
    core::ClientSubnet client_subnet;
    /// What goes to every server instead of one; null: nothing does.
    std::shared_ptr<const ToAll> to_all;

    /// Null where nobody has work. `cursor` is the worker's own, of this service.
    [[nodiscard]] const Target* choose(const Asker& asker, std::uint32_t& cursor) const;
    /// Another one than `not_this`, by preference one that answers; null where there is none.
    [[nodiscard]] const Target* choose_other(const Upstream& not_this, const Asker& asker) const;

    /// The slot of a hash: of `sh`, `mh` and `qname`.
    [[nodiscard]] std::uint32_t slot_of(std::uint64_t hash) const {
        return static_cast<std::uint32_t>(hash % slots.size());
    }
};

/// Of a client, for `sh` and `mh` (with the port where `with_port`).
[[nodiscard]] std::uint64_t hash_of_client(const SocketAddress& client, bool with_port);
/// Whether the port counts in it.
[[nodiscard]] bool port_counts(const core::ServiceForwarding& service);

/// The slots that this scheduler goes by; empty where it does without.
[[nodiscard]] std::vector<std::uint32_t> build_slots(const core::ServiceForwarding& service);

struct Table {
    std::vector<std::shared_ptr<const Service>> services;
};

}  // namespace dnsdirector::dataplane::proxy
