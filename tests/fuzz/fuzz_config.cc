// SPDX-License-Identifier: Apache-2.0
//
// The configuration parser: whatever it is given, it ends, says what is wrong in
// words that have a place, and what it accepts is consistent.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <unordered_set>

#include "config/config.h"

namespace {

using namespace dnsdirector;

void require(bool condition) {
    if (!condition) std::abort();
}

/// `include a` reads the input's first half, `include b` the second; `*` is both. A
/// few files are enough: halves that include each other would only cost time.
config::Files halves(std::string_view text) {
    const std::string first(text.substr(0, text.size() / 2));
    const std::string second(text.substr(text.size() / 2));
    config::Files files;
    files.read = [=, left = 16](const std::string& path) mutable -> Result<std::string> {
        if (left-- == 0) return fail("no more files than that");
        if (path == "a") return first;
        if (path == "b") return second;
        return fail("no {}", path);
    };
    files.expand = [](const std::string& pattern) {
        return pattern == "*" ? std::vector<std::string>{"a", "b"} : std::vector<std::string>{};
    };
    files.identity = [](const std::string& path) { return path; };
    files.config_id = "main";
    files.environment = [](const std::string& name) {
        return name == "SITE" ? std::optional<std::string>("$A") : std::nullopt;
    };
    return files;
}

void check_messages(const config::Loaded& loaded) {
    bool errors = false;
    for (const config::Message& message : loaded.messages) {
        require(!message.text.empty());
        require(!message.file.empty());
        require((message.line == 0) == (message.column == 0));
        errors = errors || message.severity == config::Severity::error;
    }
    require(errors != loaded.ok());
    require(loaded.messages.size() <= 202);
}

/// What a machine is told holds together: its processes are told apart by the interface, and
/// each has an address of its own to listen on.
void check_machine(const core::RealServerMachine& machine) {
    require(!machine.service_ips.empty() && (machine.protocols[0] || machine.protocols[1]));
    const std::unordered_set<IpAddress> service_ips(machine.service_ips.begin(),
                                                    machine.service_ips.end());
    require(service_ips.size() == machine.service_ips.size());
    std::unordered_set<std::string> inputs;
    std::unordered_set<Endpoint> listen;
    for (const core::DnsProcess& process : machine.processes) {
        require(!process.input.empty() && inputs.insert(process.input).second);
        require(!process.listen.empty() && process.listen.size() <= 2);
        for (const Endpoint& each : process.listen)
            require(each.port != 0 && !service_ips.contains(each.address) &&
                    listen.insert(each).second);
    }
}

void check_consistency(const core::Configuration& configuration) {
    require(!configuration.services.empty() || configuration.real_server_machine);
    if (configuration.real_server_machine) check_machine(*configuration.real_server_machine);
    std::unordered_set<core::ServiceKey> keys;
    std::unordered_set<IpAddress> service_ips;
    if (configuration.director.dataplane == core::DataPlaneKind::xdp)
        for (const core::Service& service : configuration.services)
            service_ips.insert(service.key.address);
    for (const core::Service& service : configuration.services) {
        require(keys.insert(service.key).second);
        // Firewall marks, and all ports of an address, are for the kernel's IPVS alone.
        const bool ipvs = configuration.director.dataplane == core::DataPlaneKind::ipvs;
        const bool marked = service.key.fwmark != 0;
        require(service.key.address.is_unspecified() == marked);
        require(ipvs || (service.key.port != 0 && !marked));
        require(!service.real_servers.empty());
        std::unordered_set<Endpoint> servers;
        for (const core::RealServer& server : service.real_servers) {
            require(servers.insert(server.endpoint).second);
            require(!service_ips.contains(server.endpoint.address));  // the xdp plane would loop
            require(server.weight <= core::max_weight && !server.name.empty());
            for (const core::CheckIndex check : server.checks)
                require(check < configuration.checks.size());
        }
    }
    for (const core::Check& check : configuration.checks) {
        require(check.timing.every >= Milliseconds{50} && check.timing.timeout.count() > 0);
        require(check.timing.tries >= 1 && check.timing.rise >= 1 && check.timing.fall >= 1);
        if (const auto* script = std::get_if<core::ScriptCheck>(&check.what))
            require(!script->arguments.empty() && script->arguments[0].starts_with('/'));
        if (const auto* question = std::get_if<core::DnsCheck>(&check.what)) {
            require(question->name.ends_with('.'));
            require(!question->via.source ||
                    question->via.source->family() == check.target.address.family());
        }
        if (const auto* dig = std::get_if<core::DigCheck>(&check.what)) {
            require(dig->name.ends_with('.') && !dig->command.empty() && dig->edns);
            require(check.target.port != 0 && check.timing.limit.count() > 0);
            require(!dig->via.source || dig->via.source->family() == check.target.address.family());
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const config::Loaded loaded = config::parse(text, "main", halves(text));
    check_messages(loaded);
    if (loaded.ok()) {
        check_consistency(*loaded.configuration);
        require(config::parse(text, "main", halves(text)).configuration == loaded.configuration);
    }
    return 0;
}
