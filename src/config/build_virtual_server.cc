// SPDX-License-Identifier: Apache-2.0
#include <unordered_map>

#include "config/assembly.h"

namespace dnsdirector::config {
namespace {

using namespace std::chrono_literals;

// keepalived's defaults (keepalived.conf(5), virtual server).
constexpr Nanoseconds default_delay_loop = 60s;
constexpr Nanoseconds default_connect_timeout = 5s;
constexpr std::uint32_t default_dns_retry = 3;
constexpr std::uint32_t default_misc_retry = 0;

/// What the innermost block says that says anything.
template <typename T>
T innermost(std::optional<T> CompatibleTiming::* field, const CompatibleTiming& check,
            const CompatibleTiming& server, const CompatibleTiming& service, T standard) {
    for (const CompatibleTiming* timing : {&check, &server, &service})
        if (timing->*field) return *(timing->*field);
    return standard;
}

class VirtualServerBuilder {
public:
    VirtualServerBuilder(const VirtualServerDraft& draft, Assembly& assembly)
        : draft_(draft), assembly_(assembly), diagnostics_(assembly.diagnostics()) {}

    void build();

private:
    void judge();
    void judge_server(const CompatibleServerDraft& server);
    void judge_quorum();
    [[nodiscard]] core::CheckTiming timing_of(const CompatibleServerDraft& server,
                                              const CompatibleCheckDraft& check) const;
    std::optional<core::Check> check_of(const CompatibleServerDraft& server,
                                        const CompatibleCheckDraft& check);
    [[nodiscard]] core::Weight weight_of(const CompatibleServerDraft& server) const {
        return server.weight.value_or(draft_.weight);
    }

    const VirtualServerDraft& draft_;
    Assembly& assembly_;
    Diagnostics& diagnostics_;
    std::unordered_map<Endpoint, Position> servers_;
};

void VirtualServerBuilder::judge() {
    assembly_.usable(draft_.endpoint.address, draft_.position, "virtual_server");
    // A mistake within the block may be the very line that is missing.
    if (draft_.scheduler)
        assembly_.check_scheduler(draft_.scheduler->value, draft_.scheduler->position, "");
    else if (!draft_.faulty)
        assembly_.check_scheduler(core::Scheduler::wlc, draft_.position,
                                  " (it is keepalived's default)");
    if (draft_.method)
        assembly_.check_method(draft_.method->value, draft_.method->position, "");
    else if (!draft_.faulty)
        assembly_.check_method(core::ForwardingMethod::nat, draft_.position,
                               " (it is keepalived's default)");
    judge_quorum();
}

void VirtualServerBuilder::judge_quorum() {
    const std::uint64_t quorum = draft_.quorum ? draft_.quorum->value : 1;
    if (draft_.hysteresis && draft_.hysteresis->value >= quorum && draft_.hysteresis->value > 0)
        diagnostics_.error(draft_.hysteresis->position,
                           "hysteresis {} must be less than the quorum, {}",
                           draft_.hysteresis->value, quorum);
    std::uint64_t weights = 0;
    for (const CompatibleServerDraft& server : draft_.servers)
        weights += weight_of(server);
    if (draft_.faulty) return;
    if (weights == 0)
        diagnostics_.warning(draft_.position,
                             "every server of this virtual_server has weight 0: none gets work");
    else if (draft_.quorum && quorum + (draft_.hysteresis ? draft_.hysteresis->value : 0) > weights)
        diagnostics_.warning(
            draft_.quorum->position,
            "quorum {} (with its hysteresis) can never be met: the weights add up to {}", quorum,
            weights);
}

void VirtualServerBuilder::judge_server(const CompatibleServerDraft& server) {
    const IpAddress& address = server.endpoint.address;
    const auto method = draft_.method ? draft_.method->value : core::ForwardingMethod::nat;
    assembly_.usable(address, server.position, "real_server");
    const auto [first, fresh] = servers_.emplace(server.endpoint, server.position);
    if (!fresh)
        diagnostics_.error(
            server.position,
            "the real_server {} is given a second time in this virtual_server; the first is "
            "at {}",
            server.endpoint.to_string(), diagnostics_.where(first->second));
    if (address.family() != draft_.endpoint.address.family() &&
        method != core::ForwardingMethod::tun)
        diagnostics_.error(
            server.position,
            "real_server: {} is {}, and the virtual_server {} is {}; both must be one family",
            address.to_string(), to_string(address.family()), draft_.endpoint.address.to_string(),
            to_string(draft_.endpoint.address.family()));
    if (address == draft_.endpoint.address)
        diagnostics_.error(
            server.position,
            "real_server: {} is the address of this virtual_server, at {}; write the server's",
            address.to_string(), diagnostics_.where(draft_.position));
    else
        assembly_.not_a_service_ip(address, server.position, "real_server");
    if (server.endpoint.port != draft_.endpoint.port && assembly_.xdp() &&
        method == core::ForwardingMethod::dr)
        diagnostics_.error(
            server.position,
            "real_server: direct routing keeps the port, so that port {} must be the "
            "virtual_server's, {}",
            server.endpoint.port, draft_.endpoint.port);
    if (server.checks.empty() && !server.faulty)
        diagnostics_.warning(server.position, "real_server {} has no check: it is used unchecked",
                             server.endpoint.to_string());
}

core::CheckTiming VirtualServerBuilder::timing_of(const CompatibleServerDraft& server,
                                                  const CompatibleCheckDraft& check) const {
    const auto inherited = [&](auto field, auto standard) {
        return innermost(field, check.timing, server.timing, draft_.timing, standard);
    };
    core::CheckTiming timing;
    timing.every = inherited(&CompatibleTiming::delay_loop, default_delay_loop);
    timing.timeout = check.script
                         ? check.misc_timeout.value_or(timing.every)
                         : inherited(&CompatibleTiming::connect_timeout, default_connect_timeout);
    timing.tries = 1;
    timing.rise = 1;
    timing.fall = 1 + inherited(&CompatibleTiming::retry,
                                check.script ? default_misc_retry : default_dns_retry);
    timing.warmup = inherited(&CompatibleTiming::warmup, timing.every);
    return timing;
}

std::optional<core::Check> VirtualServerBuilder::check_of(const CompatibleServerDraft& server,
                                                          const CompatibleCheckDraft& draft) {
    if (draft.faulty || server.faulty) return std::nullopt;
    core::Check check;
    check.target = server.endpoint;
    check.timing = timing_of(server, draft);
    check.untested = core::Untested::in;
    if (draft.script) {
        core::ScriptCheck script = *draft.script;
        script.user = draft.user;
        check.what = std::move(script);
        return check;
    }
    if (draft.connect_ip) {
        if (!assembly_.usable(draft.connect_ip->value, draft.connect_ip->position, "connect_ip"))
            return std::nullopt;
        check.target.address = draft.connect_ip->value;
    }
    check.target.port = draft.connect_port.value_or(check.target.port);
    core::DnsCheck question;
    question.name = draft.question.name;
    question.type = draft.question.type;
    question.expect_rcode = 0;  // NOERROR is all that passes there
    question.on_truncated = core::OnTruncated::pass;
    if (draft.bind_to) {
        if (draft.bind_to->value.family() != check.target.address.family()) {
            diagnostics_.error(
                draft.bind_to->position,
                "bindto: {} is {}, and the server asked, {}, is {}; both must be one family",
                draft.bind_to->value.to_string(), to_string(draft.bind_to->value.family()),
                check.target.address.to_string(), to_string(check.target.address.family()));
            return std::nullopt;
        }
        question.via.source = draft.bind_to->value;
    }
    check.what = std::move(question);
    return check;
}

void VirtualServerBuilder::build() {
    if (draft_.endpoint.port == 0) return;  // its head could not be read
    judge();
    core::Service service;
    service.key = {draft_.endpoint.address, draft_.endpoint.port, draft_.protocol};
    service.scheduler = draft_.scheduler ? draft_.scheduler->value : core::Scheduler::wlc;
    service.method = draft_.method ? draft_.method->value : core::ForwardingMethod::nat;
    if (draft_.quorum) service.quorum.required = draft_.quorum->value;
    if (draft_.hysteresis) service.quorum.hysteresis = draft_.hysteresis->value;
    service.on_all_down = core::OnAllDown::empty;
    for (const CompatibleServerDraft& server : draft_.servers) {
        if (server.endpoint.port == 0) continue;
        judge_server(server);
        core::RealServer real{server.endpoint.to_string(), server.endpoint, weight_of(server), {}};
        for (const CompatibleCheckDraft& check : server.checks)
            if (auto built = check_of(server, check))
                real.checks.push_back(assembly_.add_check(std::move(*built)));
        service.real_servers.push_back(std::move(real));
    }
    // The block decides the protocol: without it a second one would look like the same service.
    if (!draft_.faulty) assembly_.add_service(std::move(service), draft_.position);
}

}  // namespace

void build_virtual_server(const VirtualServerDraft& server, Assembly& assembly) {
    VirtualServerBuilder(server, assembly).build();
}

}  // namespace dnsdirector::config
