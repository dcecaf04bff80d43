// SPDX-License-Identifier: Apache-2.0
//
// `why SERVICE_IP` and `why SORRY_SERVER`: how a service stands, in a sentence.
#include <fmt/format.h>

#include <algorithm>

#include "control/why.h"

namespace dnsdirector::control {
namespace {

constexpr std::size_t most_names = 4;

/// Names of those that are meant, the first few of them; "" for none.
template <typename Meant>
std::string names_of(const ServiceStanding& standing, Meant meant) {
    std::string text;
    std::size_t count = 0;
    for (const ServerStanding& server : standing.servers) {
        if (!meant(server)) continue;
        if (++count <= most_names) text += (text.empty() ? "" : ", ") + server.server.name;
    }
    return count <= most_names ? text : fmt::format("{} and {} more", text, count - most_names);
}

bool gets_work(const ServerStanding& server) {
    return server.share > 0;
}

std::string quorum_text(const ServiceStanding& standing) {
    return fmt::format("servers up weigh {}, needed {}", standing.quorum.up,
                       needed_text(standing.service.quorum));
}

/// Who gets the service's packets now.
std::string work_text(const ServiceStanding& standing) {
    if (standing.sorry && standing.sorry->in_use)
        return fmt::format("the sorry server {} has all the work",
                           standing.service.sorry_server->endpoint.to_string());
    const std::string unused =
        standing.sorry && !standing.quorum.met
            ? fmt::format("the sorry server cannot be used ({}); ", standing.sorry->reason)
            : "";
    const auto working = std::count_if(standing.servers.begin(), standing.servers.end(), gets_work);
    if (working == 0)
        return unused + (standing.service.on_all_down == core::OnAllDown::empty
                             ? "nobody gets its work (on_all_down empty): queries are refused"
                             : "nobody gets its work: queries are refused");
    const bool held = std::any_of(standing.servers.begin(), standing.servers.end(),
                                  [](const ServerStanding& server) {
                                      return server.decision.place == core::Place::last_hope;
                                  });
    return fmt::format("{}{} of {} servers get its work ({}){}", unused, working,
                       standing.servers.size(), names_of(standing, gets_work),
                       held ? ", held by on_all_down hold since nobody is up" : "");
}

/// The most telling of those without work, and how many others there are.
std::string out_text(const ServiceStanding& standing, WallTime now) {
    std::vector<ServerStanding> out;
    for (const ServerStanding& server : standing.servers)
        if (!gets_work(server) || server.decision.held) out.push_back(server);
    return out.empty() ? "" : "; " + answer_of(out, now);
}

/// "; 192.0.2.53/32 is withdrawn since 14:02:11: 192.0.2.53:53/tcp: quorum not met, 0 of 1"
std::string announcement_text(const ServiceStanding& standing, WallTime now) {
    if (!standing.announcement) return "";
    const core::AnnouncementDecision& announcement = *standing.announcement;
    const IpAddress& service_ip = standing.service.key.address;
    return fmt::format("; {}/{} is {} since {}{}{}", service_ip.to_string(),
                       service_ip.host_prefix_length(), core::to_string(announcement.state),
                       clock_text(announcement.wall_since, now),
                       announcement.reason.empty() ? "" : ": ", announcement.reason);
}

std::string service_subject(const core::Service& service) {
    return service.cluster.empty()
               ? service.key.to_string()
               : fmt::format("{} {}", service_name(service), service.key.to_string());
}

std::string sentence_of_sorry(const ServiceStanding& standing) {
    const std::string sorry = fmt::format("the sorry server {} of {}",
                                          standing.service.sorry_server->endpoint.to_string(),
                                          service_subject(standing.service));
    if (standing.sorry && standing.sorry->in_use)
        return fmt::format("{} is IN USE and has all the work: the quorum is NOT MET ({})", sorry,
                           quorum_text(standing));
    if (!standing.quorum.met)
        return fmt::format("{} is not in use although the quorum is NOT MET ({}): {}", sorry,
                           quorum_text(standing), standing.sorry ? standing.sorry->reason : "");
    return fmt::format("{} is not in use: the quorum is met ({})", sorry, quorum_text(standing));
}

}  // namespace

std::string needed_text(const core::Quorum& quorum) {
    if (quorum.hysteresis == 0) return fmt::format("{}", quorum.required);
    const auto least = quorum.required - std::min(quorum.required, quorum.hysteresis);
    return fmt::format("{} to be met, below {} to be lost (quorum {}, hysteresis {})",
                       quorum.required + quorum.hysteresis, std::max<std::uint64_t>(least, 1),
                       quorum.required, quorum.hysteresis);
}

std::string sentence_of(const ServiceStanding& standing, WallTime now) {
    if (standing.asked_for_sorry) return sentence_of_sorry(standing);
    return fmt::format("{}: the quorum is {} ({}); {}{}{}", service_subject(standing.service),
                       standing.quorum.met ? "met" : "NOT MET", quorum_text(standing),
                       work_text(standing), announcement_text(standing, now),
                       out_text(standing, now));
}

std::string answer_of(const Standings& standings, WallTime now) {
    if (standings.services.empty()) return answer_of(standings.servers, now);
    // Whose quorum is lost first, then who lacks servers.
    const auto rank = [](const ServiceStanding& standing) {
        const bool all = std::all_of(standing.servers.begin(), standing.servers.end(), gets_work);
        return !standing.quorum.met ? 0 : all ? 2 : 1;
    };
    const auto worst = std::min_element(
        standings.services.begin(), standings.services.end(),
        [&](const auto& left, const auto& right) { return rank(left) < rank(right); });
    const std::size_t others = standings.services.size() - 1 + standings.servers.size();
    return sentence_of(*worst, now) + (others == 0 ? "" : fmt::format("; {} more below", others));
}

}  // namespace dnsdirector::control
