// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>

#include "base/result.h"
#include "probe/packet_exchange.h"
#include "probe/token.h"
#include "probe/ways.h"

namespace dnsdirector::probe {

struct Environment;

/// What all checks through a service IP share. It lives as long as one of them does, so that a
/// director without such checks has no packet socket.
class Through {
public:
    /// The environment's, made where there is none. Errors: no CAP_NET_RAW, no port is free.
    static Result<std::shared_ptr<Through>> of(Environment& environment);

    PacketExchange& exchange() { return *exchange_; }
    Ways& ways() { return *ways_; }

    /// Takes what an event of `kind` (packets, ways) is about; the tokens of those to be looked
    /// at, valid until the next call.
    std::span<const std::uint64_t> on_event(Token::Kind kind, TimePoint now);

private:
    Through(std::unique_ptr<PacketExchange> exchange, std::unique_ptr<Ways> ways)
        : exchange_(std::move(exchange)), ways_(std::move(ways)) {}

    std::unique_ptr<PacketExchange> exchange_;
    std::unique_ptr<Ways> ways_;
};

}  // namespace dnsdirector::probe
