// SPDX-License-Identifier: Apache-2.0
//
// Findings about checks: what they ask, where, and how long that may take.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_set>
#include <utility>

#include "config/findings.h"
#include "core/mnemonics.h"

namespace dnsdirector::config {
namespace {

using core::Check;
using core::DigCheck;
using core::DnsCheck;
using core::ScriptCheck;
using core::Service;

std::string_view program_of(const ScriptCheck& script) {
    const std::string_view path = script.arguments.front();
    return path.substr(path.rfind('/') + 1);
}

/// Tells of a kind of check once for each block, with the number of its checks.
class PerBlock {
public:
    PerBlock(const Scene& scene, std::string_view code) : scene_(scene), code_(code) {}

    /// `judge(check, service)` yields text and hint; an empty text is nothing to say.
    template <typename Judge>
    void find(const Judge& judge) {
        const core::Configuration& configuration = scene_.configuration;
        std::vector<bool> seen(configuration.checks.size());
        for (std::size_t i = 0; i < configuration.services.size(); ++i)
            for (const core::RealServer& server : configuration.services[i].real_servers)
                for (const core::CheckIndex index : server.checks) {
                    if (seen[index]) continue;
                    seen[index] = true;
                    auto [text, hint] =
                        judge(configuration.checks[index], configuration.services[i]);
                    if (!text.empty())
                        note(scene_.places.services[i].block.order, index, std::move(text),
                             std::move(hint));
                }
        say();
    }

private:
    struct Found {
        core::CheckIndex first;
        std::string text;
        std::string hint;
        std::size_t more = 0;
    };
    void note(std::uint32_t block, core::CheckIndex index, std::string text, std::string hint) {
        const auto [found, fresh] =
            found_.try_emplace(block, Found{index, std::move(text), std::move(hint)});
        if (!fresh) ++found->second.more;
    }
    void say() {
        for (auto& [block, found] : found_) {
            if (found.more > 0)
                found.text += fmt::format(" (and {} more like it in this block)", found.more);
            scene_.diagnostics.finding(scene_.places.checks[found.first], code_,
                                       std::move(found.text), std::move(found.hint));
        }
    }

    const Scene& scene_;
    std::string_view code_;
    std::map<std::uint32_t, Found> found_;
};

using Remark = std::pair<std::string, std::string>;  ///< text, hint

// ---- whom it asks -------------------------------------------------------------

/// The part of a script's word that may be an address: @203.0.113.11, --server=203.0.113.11.
std::optional<IpAddress> address_in(std::string_view word) {
    for (const char c : {'@', '='})
        if (const auto at = word.find(c); at != std::string_view::npos)
            if (const auto address = IpAddress::parse(word.substr(at + 1))) return address;
    return IpAddress::parse(word);
}

void check_through_service_ip(const Scene& scene) {
    // A proxy's servers may be at other ports of the address that it serves itself, and hold no
    // service IP.
    const bool proxy = scene.configuration.director.dataplane == core::DataPlaneKind::proxy;
    std::unordered_set<IpAddress> service_ips;
    std::unordered_set<Endpoint> services;
    for (const Service& service : scene.configuration.services) {
        service_ips.insert(service.key.address);
        services.insert(service.key.endpoint());
    }
    const auto is_service_ip = [&](const std::optional<IpAddress>& address) {
        return address && service_ips.contains(*address);
    };
    const auto judge = [&](const Check& check, const Service&) -> Remark {
        if (const auto* script = std::get_if<ScriptCheck>(&check.what)) {
            for (const std::string& word : script->arguments)
                if (const auto address = address_in(word); is_service_ip(address))
                    return {fmt::format("the check's command names the service IP {}: the answer "
                                        "may come from any server of the cluster, and says "
                                        "nothing of this one",
                                        address->to_string()),
                            fmt::format("ask the server's own address, {}",
                                        check.target.address.to_string())};
            return {};
        }
        if (proxy ? services.contains(check.target) : is_service_ip(check.target.address))
            return {fmt::format("the check asks the service IP {}: the answer may come from any "
                                "server of the cluster, and says nothing of this one",
                                check.target.address.to_string()),
                    "ask the server's own address"};
        return std::visit(
            [&](const auto& what) -> Remark {
                if constexpr (requires { what.via; }) {
                    if (!proxy && is_service_ip(what.via.source))
                        return {fmt::format("the check's source is the service IP {}: the server "
                                            "holds that address itself, so that its answers never "
                                            "leave it and the check fails",
                                            what.via.source->to_string()),
                                "use an address of the director's own"};
                }
                return {};
            },
            check.what);
    };
    PerBlock(scene, "check-through-service-ip").find(judge);
}

void check_server_by_name(const Scene& scene) {
    const auto judge = [&](const Check& check, const Service&) -> Remark {
        const auto* script = std::get_if<ScriptCheck>(&check.what);
        if (script == nullptr || program_of(*script) != "dig") return {};
        for (const std::string& word : script->arguments)
            if (word.size() > 1 && word.front() == '@' && !IpAddress::parse(word.substr(1)))
                return {fmt::format("dig looks `{}` up first, by the director's own resolver: when "
                                    "that is this cluster, no check passes once it is down",
                                    word.substr(1)),
                        fmt::format("@{}", check.target.address.to_string())};
        return {};
    };
    PerBlock(scene, "check-server-by-name").find(judge);
}

// ---- how long it takes --------------------------------------------------------

Nanoseconds longest_round(const Check& check) {
    Nanoseconds longest = check.timing.timeout * check.timing.tries;
    if (check.timing.limit.count() > 0) longest = std::min(longest, check.timing.limit);
    return longest;
}

void timeout_over_interval(const Scene& scene) {
    const auto judge = [](const Check& check, const Service& service) -> Remark {
        // A native check's own block says so already.
        if (!service.cluster.empty() || longest_round(check) <= check.timing.every) return {};
        return {fmt::format("a round of this check may take {}, longer than its interval, {}: a "
                            "server that is silent is asked less often than others",
                            to_text(longest_round(check)), to_text(check.timing.every)),
                fmt::format("delay_loop {} or more, or shorter timeouts",
                            to_text(longest_round(check)))};
    };
    PerBlock(scene, "timeout-over-interval").find(judge);
}

void tries_cut_short(const Scene& scene) {
    const auto judge = [](const Check& check, const Service&) -> Remark {
        const core::CheckTiming& timing = check.timing;
        if (!std::holds_alternative<DigCheck>(check.what) || timing.limit.count() == 0 ||
            timing.timeout * timing.tries <= timing.limit)
            return {};
        return {
            fmt::format("dig would try for {} (+time × +tries), and misc_timeout ends it "
                        "after {}: the last tries never happen",
                        to_text(timing.timeout * timing.tries), to_text(timing.limit)),
            fmt::format("misc_timeout {}", to_text(timing.timeout * timing.tries + Seconds{1}))};
    };
    PerBlock(scene, "tries-cut-short").find(judge);
}

// ---- what it asks, and what passes ----------------------------------------------

std::string probe_line(const Check& check, const DigCheck& dig) {
    return fmt::format(
        "misc_path \"/usr/bin/dnsdirector probe {} {} {} {} {} {} {} 'SERVFAIL|REFUSED'{}\"",
        dig.via.source ? dig.via.source->to_string()
                       : (check.target.address.is_v4() ? "0.0.0.0" : "::"),
        core::class_name(dig.klass), core::type_name(dig.type), dig.name,
        check.target.address.to_string(),
        std::max<std::int64_t>(1,
                               std::chrono::duration_cast<Seconds>(check.timing.timeout).count()),
        check.timing.tries, dig.tcp ? " tcp" : "");
}

void servfail_passes(const Scene& scene) {
    constexpr std::string_view text =
        "dig ends with exit status 0 on SERVFAIL, REFUSED and every other status: a server that "
        "answers so stays in, and its share of the clients gets errors";
    const auto judge = [&](const Check& check, const Service&) -> Remark {
        if (const auto* dig = std::get_if<DigCheck>(&check.what))
            return {std::string(text),
                    probe_line(check, *dig) + "\nor natively: check { query \"" + dig->name + " " +
                        core::type_name(dig->type) +
                        "\" }, which fails on both; `dnsdirector convert` writes the block with "
                        "`fail_on none`, as dig; delete that"};
        if (const auto* script = std::get_if<ScriptCheck>(&check.what);
            script != nullptr && program_of(*script) == "dig")
            return {std::string(text),
                    "a native check fails on both: check { query \"NAME TYPE\" }; or dnsdirector "
                    "probe instead of dig: `dnsdirector probe --help`"};
        if (const auto* dns = std::get_if<DnsCheck>(&check.what);
            dns != nullptr && !dns->expect_rcode && dns->expect_answers.empty() &&
            dns->min_answers == 0 &&
            std::find(dns->fail_on.begin(), dns->fail_on.end(), 2) == dns->fail_on.end())
            return {"SERVFAIL passes this check: a server that lost its upstream stays in",
                    "fail_on SERVFAIL REFUSED, which is the default"};
        return {};
    };
    PerBlock(scene, "servfail-passes").find(judge);
}

/// The name that a check makes the server look up in the outside world; "" when it does not.
std::string outside_name(const Check& check) {
    if (const auto* dns = std::get_if<DnsCheck>(&check.what))
        return dns->recursion_desired && (dns->required_flags & core::header_flag::aa) == 0 &&
                       dns->klass == 1
                   ? dns->name
                   : "";
    if (const auto* dig = std::get_if<DigCheck>(&check.what))
        return dig->recursion_desired && dig->klass == 1 ? dig->name : "";
    return "";
}

void one_outside_name(const Scene& scene) {
    std::set<std::uint32_t> said;
    const auto& checks = scene.configuration.checks;
    for (std::size_t i = 0; i < scene.configuration.services.size(); ++i) {
        const Service& service = scene.configuration.services[i];
        if (service.max_out_percent < 100 || service.real_servers.size() < 2) continue;
        std::set<std::string> names;
        bool all = true;
        for (const core::RealServer& server : service.real_servers) {
            all = all && !server.checks.empty() && server.some_of.empty();
            for (const core::CheckIndex check : server.checks)
                names.insert(outside_name(checks[check]));
        }
        // The root is primed and cached; a server without a question breaks the pattern.
        if (!all || names.size() != 1 || names.begin()->empty() || *names.begin() == ".") continue;
        const ServicePlaces& places = scene.places.services[i];
        if (!said.insert(places.block.order).second) continue;
        scene.diagnostics.finding(
            scene.places.checks[service.real_servers.front().checks.front()], "one-outside-name",
            fmt::format("all {} servers of {} depend on one name, {}: when its own zone breaks, "
                        "all of them go out at once",
                        service.real_servers.size(), service.key.to_string(), *names.begin()),
            service.cluster.empty()
                ? "in the native form (`dnsdirector convert`) max_out 50% keeps half of them; "
                  "authoritative servers are asked with dig's +norecurse"
                : "max_out 50% keeps half of them; authoritative servers are asked with "
                  "`recursion off`");
    }
}

constexpr Rule rules[] = {
    {"check-through-service-ip", "a check that asks, or asks from, a service IP",
     check_through_service_ip},
    {"check-server-by-name", "a dig line that names its server by a name", check_server_by_name},
    {"timeout-over-interval", "a round that may take longer than the interval",
     timeout_over_interval},
    {"tries-cut-short", "a misc_timeout shorter than dig's own tries", tries_cut_short},
    {"servfail-passes", "a check that lets SERVFAIL pass", servfail_passes},
    {"one-outside-name", "all servers on one name of the outside world", one_outside_name},
};

}  // namespace

std::span<const Rule> check_rules() {
    return rules;
}

}  // namespace dnsdirector::config
