// SPDX-License-Identifier: Apache-2.0
#include "config/limits.h"

#include <algorithm>
#include <set>

#include "core/table.h"

namespace dnsdirector::config {
namespace {

using core::Limits;

struct Wanted {
    const core::Configuration& configuration;
    std::uint64_t services = 0;
    std::uint64_t servers = 0;
};

std::uint64_t services(const Wanted& wanted) {
    return std::max<std::uint64_t>(wanted.configuration.services.size(), wanted.services);
}

std::uint64_t servers(const Wanted& wanted) {
    std::uint64_t count = 0;
    for (const core::Service& service : wanted.configuration.services)
        count += service.real_servers.size() + (service.sorry_server ? 1 : 0);
    return std::max(count, wanted.servers);
}

std::uint64_t slots(const Wanted& wanted) {
    if (wanted.configuration.director.dataplane != core::DataPlaneKind::xdp) return 0;
    std::uint64_t count = 0;
    for (const core::Service& service : wanted.configuration.services)
        count += core::slots_needed(service);
    return count;
}

/// One row for each limit that a keyword sets.
struct Row {
    std::string_view what;
    std::string_view keyword;
    std::uint32_t Limits::* room;
    std::uint64_t (*wanted)(const Wanted&);  ///< null: nothing that a configuration tells
};
constexpr Row rows[] = {
    {"services", "max_services", &Limits::services, services},
    {"real servers over all services", "max_real_servers", &Limits::real_servers, servers},
    {"slots in the scheduling tables", "max_slots", &Limits::slots, slots},
    {"remembered TCP flows", "max_flows", &Limits::flows, nullptr},
};

constexpr Position whole_file{0, 0, 0, 0};

void check_row(const Row& row, const Wanted& wanted, Diagnostics& diagnostics) {
    const bool xdp = wanted.configuration.director.dataplane == core::DataPlaneKind::xdp;
    const std::uint64_t room = wanted.configuration.director.limits.*row.room;
    const std::uint64_t most = xdp ? core::xdp_most.*row.room : UINT64_MAX;
    const std::uint64_t have = row.wanted != nullptr ? row.wanted(wanted) : 0;
    if (have > room && have > most)
        diagnostics.error(whole_file,
                          "{} {}, and room for {}; the xdp plane holds at most {}: name fewer, or "
                          "share them among several directors",
                          have, row.what, room, most);
    else if (have > room)
        diagnostics.error(whole_file,
                          "{} {}, and room for {}; raise {} in the director block to {} or more",
                          have, row.what, room, row.keyword, have);
    if (room > most)
        diagnostics.error(whole_file, "{} {} is more than the xdp plane holds; write at most {}",
                          row.keyword, room, most);
}

void check_destinations(const core::Service& service, const ServicePlaces& places,
                        Diagnostics& diagnostics) {
    if (service.real_servers.size() > core::xdp_most_destinations)
        diagnostics.error(places.at,
                          "{} has {} real servers, and a table of the xdp plane holds {}; share "
                          "them among several services",
                          service.key.to_string(), service.real_servers.size(),
                          core::xdp_most_destinations);
}

/// Once for each block: all services of a cluster have the same weights.
void warn_of_rounding(const core::Configuration& configuration, const Places& places,
                      Diagnostics& diagnostics) {
    std::set<std::uint32_t> said;
    for (std::size_t i = 0; i < configuration.services.size(); ++i) {
        const core::Service& service = configuration.services[i];
        const auto rounding = core::rounding_of(service);
        if (!rounding || !said.insert(places.services[i].block.order).second) continue;
        diagnostics.warning(
            places.services[i].at,
            "{}: its weights ask for {} slots (their sum by their common divisor), and a table has "
            "at most {}: shares are rounded, the most that of {}, {:.4g}% instead of {:.4g}%; "
            "weights that are multiples of one number ask for fewer",
            service.key.to_string(), rounding->exact_slots, core::max_slots_per_table,
            service.real_servers[rounding->server].name, 100 * rounding->rounded,
            100 * rounding->share);
    }
}

}  // namespace

void check_limits(const core::Configuration& configuration, const Places& places,
                  std::uint64_t services, std::uint64_t servers, Diagnostics& diagnostics) {
    const Wanted wanted{configuration, services, servers};
    for (const Row& row : rows)
        check_row(row, wanted, diagnostics);
    if (configuration.director.dataplane != core::DataPlaneKind::xdp) return;
    for (std::size_t i = 0; i < configuration.services.size(); ++i)
        check_destinations(configuration.services[i], places.services[i], diagnostics);
    warn_of_rounding(configuration, places, diagnostics);
}

}  // namespace dnsdirector::config
