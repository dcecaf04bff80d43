// SPDX-License-Identifier: Apache-2.0
#include "control/memory.h"

#include <unistd.h>

#include <fstream>

#include "core/table.h"
#include "dataplane/xdp/memory.h"

namespace dnsdirector::control {
namespace {

// Measured (docs/operations.md): what a director with one server has resident, and what a
// server in a service (once somebody asked for `status`), a check and a slot of a table add.
constexpr std::uint64_t of_the_program = 13'500'000;
constexpr std::uint64_t of_a_server = 4'600;
constexpr std::uint64_t of_a_check = 3'300;
constexpr std::uint64_t of_a_slot = 4;

std::uint64_t predicted_process(const core::Configuration& configuration) {
    std::uint64_t bytes = of_the_program + configuration.checks.size() * of_a_check;
    const bool tables = configuration.director.dataplane == core::DataPlaneKind::xdp;
    for (const core::Service& service : configuration.services) {
        bytes += service.real_servers.size() * of_a_server;
        if (tables) bytes += core::slots_needed(service) * of_a_slot;
    }
    return bytes;
}

std::uint32_t servers_of(const core::Configuration& configuration) {
    std::size_t servers = 0;
    for (const core::Service& service : configuration.services)
        servers += service.real_servers.size() + (service.sorry_server ? 1 : 0);
    return static_cast<std::uint32_t>(servers);
}

}  // namespace

Result<MemoryForecast> forecast_memory(const core::Configuration& configuration) {
    MemoryForecast forecast;
    forecast.process = predicted_process(configuration);
    if (configuration.director.dataplane != core::DataPlaneKind::xdp) return forecast;
    const auto cpus = dataplane::possible_cpus();
    if (!cpus) return tl::unexpected(cpus.error());
    auto tables =
        dataplane::xdp_memory(configuration.director.limits, servers_of(configuration), *cpus);
    if (!tables) return tl::unexpected(tables.error());
    forecast.cpus = *cpus;
    forecast.tables = std::move(*tables);
    return forecast;
}

std::string MemoryForecast::to_string() const {
    const std::string own = fmt::format("about {} of the daemon's own", memory_text(process));
    if (tables.empty()) return "memory: " + own;
    return fmt::format("memory: {} of kernel tables ({} CPUs), {}",
                       memory_text(dataplane::total(tables)), cpus, own);
}

std::uint64_t resident_memory() {
    std::ifstream file{"/proc/self/statm"};
    std::uint64_t size = 0;
    std::uint64_t resident = 0;
    if (!(file >> size >> resident)) return 0;
    return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::string memory_text(std::uint64_t bytes) {
    static constexpr const char* units[] = {"kB", "MB", "GB", "TB"};
    double value = static_cast<double>(bytes) / 1000;
    std::size_t unit = 0;
    for (; value >= 999.5 && unit + 1 < std::size(units); value /= 1000)
        ++unit;
    const int digits = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    return fmt::format("{:.{}f} {}", value, digits, units[unit]);
}

}  // namespace dnsdirector::control
