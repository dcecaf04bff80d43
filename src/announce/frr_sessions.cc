// SPDX-License-Identifier: Apache-2.0
#include "announce/frr_sessions.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "announce/control_protocol.h"

namespace dnsdirector::announce {
namespace {

using nlohmann::json;

/// FRR nests six deep. Every level costs the parser a lot more than its one byte.
bool nests_deeply(std::string_view text) {
    constexpr int most = 32;
    int depth = 0;
    bool quoted = false;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (quoted && c == '\\')
            ++at;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '['))
            ++depth;
        else if (!quoted && (c == '}' || c == ']'))
            --depth;
        if (depth > most) return true;
    }
    return false;
}

Result<json> object_of(std::string_view reply) {
    json value =
        nests_deeply(reply) ? json(json::value_t::discarded) : json::parse(reply, nullptr, false);
    if (value.is_object()) return value;
    return fail("the reply is no JSON object, but begins with `{}`",
                printable(reply.substr(0, std::min<std::size_t>(reply.find('\n'), 60))));
}

/// Of an object; nullptr where there is none, or `in` is something else.
const json* member(const json& in, const char* key) {
    if (!in.is_object()) return nullptr;
    const auto found = in.find(key);
    return found == in.end() ? nullptr : &*found;
}

std::string text(const json& in, const char* key) {
    const json* value = member(in, key);
    return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

std::optional<std::uint64_t> count(const json& in, const char* key) {
    const json* value = member(in, key);
    if (value == nullptr || !value->is_number_unsigned()) return std::nullopt;
    return value->get<std::uint64_t>();
}

bool is_true(const json& in, const char* key) {
    const json* value = member(in, key);
    return value != nullptr && value->is_boolean() && value->get<bool>();
}

std::string lower(std::string text) {
    for (char& c : text)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
}

/// Why the session was lost the last time, or is not there.
std::string last_error(const json& said) {
    if (is_true(said, "adminShutDown")) return "shut down by FRR's configuration";
    std::string why = text(said, "lastResetDueTo");
    const std::string notification = text(said, "lastNotificationReason");
    if (!notification.empty()) why += ": " + notification;
    return why;
}

}  // namespace

Result<NeighborReport> frr_neighbor(std::string_view reply, const IpAddress& address) {
    auto whole = object_of(reply);
    if (!whole) return tl::unexpected(whole.error());
    NeighborReport report;
    const json* said = member(*whole, address.to_string().c_str());
    if (said == nullptr) return report;
    report.known = true;
    report.session = lower(text(*said, "bgpState"));
    if (is_true(*said, "adminShutDown")) report.session = "down";
    if (const auto up = count(*said, "bgpTimerUpMsec"); up && report.session == "established")
        report.age = Milliseconds{static_cast<Milliseconds::rep>(*up)};
    report.lost = count(*said, "connectionsDropped");
    report.last_error = last_error(*said);
    if (const json* statistics = member(*said, "messageStats"))
        report.mark = std::to_string(count(*statistics, "updatesSent").value_or(0));
    if (const json* families = member(*said, "addressFamilyInfo"); families != nullptr)
        for (const char* family : {"ipv4Unicast", "ipv6Unicast"}) {
            const json* counts = member(*families, family);
            if (counts == nullptr) continue;
            report.accepted += count(*counts, "acceptedPrefixCounter").value_or(0);
            if (const auto sent = count(*counts, "sentPrefixCounter"))
                report.told = report.told.value_or(0) + *sent;
        }
    if (const json* bfd = member(*said, "peerBfdInfo")) report.bfd = lower(text(*bfd, "status"));
    return report;
}

Result<void> frr_told(std::string_view reply, ToldReport& report) {
    constexpr std::size_t most_routes = 10000;
    auto whole = object_of(reply);
    if (!whole) return tl::unexpected(whole.error());
    // Absent with a warning, where the neighbour or its family is not there.
    const json* routes = member(*whole, "advertisedRoutes");
    if (routes == nullptr || !routes->is_object()) return {};
    for (const auto& [prefix, route] : routes->items()) {
        if (report.routes.size() + report.strangers.size() >= most_routes) break;
        const auto slash = prefix.find('/');
        const auto address = IpAddress::parse(prefix.substr(0, slash));
        if (!address) continue;
        if (slash == std::string::npos ||
            prefix.substr(slash + 1) != std::to_string(address->host_prefix_length())) {
            report.strangers.push_back(prefix);
            continue;
        }
        const auto med = count(route, "metric");
        report.routes.push_back(
            {*address, med ? std::optional(static_cast<std::uint32_t>(*med)) : std::nullopt,
             std::nullopt, std::nullopt});
    }
    return {};
}

std::string zebra_problem(std::string_view reply) {
    for (std::size_t at = 0; at < reply.size(); at = reply.find('\n', at) + 1) {
        if (reply.substr(at).starts_with("bgp ")) return "";
        if (reply.find('\n', at) == std::string_view::npos) break;
    }
    return "FRR's zebra has no connection to bgpd: what changes is told to nobody";
}

}  // namespace dnsdirector::announce
