// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "base/result.h"
#include "probe/dns_round.h"
#include "probe/tcp_client.h"
#include "probe/through.h"

namespace dnsdirector::probe {

/// Asks one DNS question as a client would whose packets the director forwards: to the service
/// IP, in a packet that is sent to one server's MAC or, by a tunnel, to its address. The reply
/// must come from the service IP.
class PacketProbe final : public DnsRound, private PacketReceiver {
public:
    /// `server`: the address of the server, and the port of the service.
    static Result<std::unique_ptr<PacketProbe>> make(Environment& environment, std::uint64_t token,
                                                     std::shared_ptr<Through> through,
                                                     std::shared_ptr<Way> way,
                                                     const Endpoint& server,
                                                     const core::DnsCheck& check,
                                                     const core::CheckTiming& timing);
    ~PacketProbe() override;

private:
    PacketProbe(Environment& environment, std::uint64_t token, std::shared_ptr<Through> through,
                std::shared_ptr<Way> way, const Endpoint& server, const core::DnsCheck& check,
                const core::CheckTiming& timing, dns::Query query, dns::Criteria criteria);

    // DnsRound
    std::uint16_t new_id() override;
    Progress send_udp() override { return send_by(Protocol::udp); }
    Progress begin_tcp() override { return send_by(Protocol::tcp); }
    Progress look() override;
    Progress on_timer(TimePoint now) override;
    void end_tcp() override;
    void end_round(bool passed) override;
    [[nodiscard]] Outcome silence() const override;

    // PacketReceiver
    bool take(const Incoming& packet, TimePoint now) override;
    [[nodiscard]] bool is_concerned_by(const Incoming& packet) const override;
    [[nodiscard]] std::uint64_t token() const override { return token_; }

    Progress send_by(Protocol transport);
    Progress send_datagram();
    Progress connect();
    /// What the connection has to say; 0 or errno.
    int send_segments();
    Progress take_reply(const Incoming& packet);
    Progress take_segment(const Incoming& packet, TimePoint now);
    Progress take_error(const Incoming& packet);
    Progress read_connection();
    Progress wrong_source(const Endpoint& source);
    /// `packet` does not count, since `why`.
    void ignore(const char* why);

    std::uint64_t token_;
    std::shared_ptr<Through> through_;
    std::shared_ptr<Way> way_;
    std::optional<IpAddress> source_;  ///< of the check
    PacketPath path_;                  ///< of the present try

    std::optional<Protocol> waiting_;  ///< for the server's neighbour entry, to ask by this then
    std::array<PacketExchange::Question, max_tries> questions_;
    std::size_t question_count_ = 0;  ///< awaited in this round
    std::optional<PacketExchange::Connection>
        connection_;  ///< the last one: it may still be ending
    TcpClient tcp_;
    Progress pending_;  ///< the outcome that a packet brought, until it is looked at
    const char* ignored_why_ = nullptr;  ///< the last that was ignored
};

}  // namespace dnsdirector::probe
