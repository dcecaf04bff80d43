// SPDX-License-Identifier: Apache-2.0
#include "probe/through.h"

#include "probe/probe.h"

namespace dnsdirector::probe {

Result<std::shared_ptr<Through>> Through::of(Environment& environment) {
    if (std::shared_ptr<Through> through = environment.through.lock()) return through;
    auto exchange = PacketExchange::create(environment.epoll, Token{Token::Kind::packets}.pack(),
                                           environment.ids);
    if (!exchange) return tl::unexpected(exchange.error());
    auto ways = Ways::create(environment.epoll, Token{Token::Kind::ways}.pack());
    if (!ways) return tl::unexpected(ways.error());
    std::shared_ptr<Through> through(new Through(std::move(*exchange), std::move(*ways)));
    environment.through = through;
    return through;
}

std::span<const std::uint64_t> Through::on_event(Token::Kind kind, TimePoint now) {
    return kind == Token::Kind::packets ? exchange_->receive(now) : ways_->take_news();
}

}  // namespace dnsdirector::probe
