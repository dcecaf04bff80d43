// SPDX-License-Identifier: Apache-2.0
#include "probe/through_probe.h"

#include <fmt/core.h>

#include <fstream>

#include "probe/dns_probe.h"
#include "probe/packet_probe.h"

namespace dnsdirector::probe {
namespace {

/// As /proc/net/ip_vs writes it: "C0000235:0035", "[2001:0db8:…:0053]:0035".
std::string ipvs_name(const Endpoint& endpoint) {
    const auto& bytes = endpoint.address.bytes();
    if (endpoint.address.is_v4())
        return fmt::format("{:02X}{:02X}{:02X}{:02X}:{:04X}", bytes[0], bytes[1], bytes[2],
                           bytes[3], endpoint.port);
    std::string groups;
    for (std::size_t at = 0; at < bytes.size(); at += 2)
        groups += fmt::format("{}{:02x}{:02x}", at == 0 ? "" : ":", bytes[at], bytes[at + 1]);
    return fmt::format("[{}]:{:04X}", groups, endpoint.port);
}

/// The kernel then balances what this machine itself sends to the service IP, too.
bool ipvs_balances(const Endpoint& service, Protocol protocol) {
    std::ifstream table("/proc/net/ip_vs");
    const std::string name = ipvs_name(service);
    for (std::string line; std::getline(table, line);)
        if (line.starts_with(protocol == Protocol::udp ? "UDP" : "TCP") &&
            line.find(name) != std::string::npos)
            return true;
    return false;
}

class ChoosingProbe final : public Probe {
public:
    ChoosingProbe(Environment& environment, std::uint64_t token, const Endpoint& target,
                  core::DnsCheck check, const core::CheckTiming& timing,
                  std::shared_ptr<Through> through, std::shared_ptr<Way> way,
                  std::unique_ptr<Probe> by_packets)
        : environment_(environment),
          token_(token),
          target_(target),
          check_(std::move(check)),
          timing_(timing),
          through_(std::move(through)),
          way_(std::move(way)),
          by_packets_(std::move(by_packets)) {}

    Progress start(TimePoint now) override {
        if (through_->ways().look(*way_).state() != Way::State::local) {
            by_socket_.reset();
            return with(by_packets_.get(), [&](Probe& probe) { return probe.start(now); });
        }
        if (!by_socket_) by_socket_ = make_by_socket();
        return with(by_socket_.get(), [&](Probe& probe) { return probe.start(now); });
    }
    Progress on_event(TimePoint now) override {
        return with(present_, [&](Probe& probe) { return probe.on_event(now); });
    }
    Progress on_timeout(TimePoint now) override {
        return with(present_, [&](Probe& probe) { return probe.on_timeout(now); });
    }
    void abandon() override {
        if (present_ != nullptr) present_->abandon();
    }

private:
    template <typename Call>
    Progress with(Probe* probe, Call call) {
        present_ = probe;
        if (probe == nullptr) return std::nullopt;
        Progress progress = call(*probe);
        wake_ = probe->wake();
        return progress;
    }
    std::unique_ptr<Probe> make_by_socket() {
        core::DnsCheck check = check_;
        const Endpoint service{*check.via.service_ip, target_.port};
        check.via.service_ip.reset();
        const Endpoint asked = ipvs_balances(service, check.transport) ? target_ : service;
        auto made = DnsProbe::make(environment_, token_, asked, check, timing_);
        if (made) return std::move(*made);
        return std::make_unique<ImpossibleProbe>(made.error().message);
    }

    Environment& environment_;
    std::uint64_t token_;
    Endpoint target_;
    core::DnsCheck check_;
    core::CheckTiming timing_;
    std::shared_ptr<Through> through_;
    std::shared_ptr<Way> way_;
    std::unique_ptr<Probe> by_packets_, by_socket_;
    Probe* present_ = nullptr;  ///< of the present round, or the last one
};

}  // namespace

Result<std::unique_ptr<Probe>> ThroughProbe::make(Environment& environment, std::uint64_t token,
                                                  const Endpoint& target,
                                                  const core::DnsCheck& check,
                                                  const core::CheckTiming& timing) {
    if (!check.via.service_ip || check.via.service_ip->family() != target.address.family())
        return fail("cannot ask {} through {}: not of one address family",
                    target.address.to_string(),
                    check.via.service_ip ? check.via.service_ip->to_string() : "no service IP");
    auto through = Through::of(environment);
    if (!through) return tl::unexpected(through.error());
    auto way = (*through)->ways().to(target.address, check.via.tunnel);
    auto by_packets = PacketProbe::make(environment, token, *through, way, target, check, timing);
    if (!by_packets) return tl::unexpected(by_packets.error());
    return std::make_unique<ChoosingProbe>(environment, token, target, check, timing, *through,
                                           std::move(way), std::move(*by_packets));
}

}  // namespace dnsdirector::probe
