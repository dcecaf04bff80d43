// SPDX-License-Identifier: Apache-2.0
//
// A NOTIFY (RFC 1996) to the service IP reaches one server, and the others learn of the
// change when their SOA refresh is due. So the primary must know each of them.
#include <fmt/ranges.h>

#include <cstdio>
#include <map>
#include <set>
#include <vector>

#include "cli/cli.h"
#include "cli/message_text.h"
#include "config/config.h"

namespace dnsdirector::cli {
namespace {

struct Secondary {
    std::string name;
    std::vector<Endpoint> addresses;
};

/// The cluster, the group or the service IP that the services are found by.
bool matches(const core::Service& service, const std::string& what) {
    return service.cluster == what || service.group == what ||
           service.key.address.to_string() == what;
}

std::vector<Secondary> secondaries_of(const core::Configuration& configuration,
                                      const std::string& what) {
    std::vector<Secondary> servers;
    std::map<std::string, std::size_t> known;
    std::set<Endpoint> seen;
    for (const core::Service& service : configuration.services) {
        if (!matches(service, what)) continue;
        for (const core::RealServer& server : service.real_servers) {
            if (!seen.insert(server.endpoint).second) continue;
            const auto [place, fresh] = known.emplace(server.name, servers.size());
            if (fresh) servers.push_back({server.name, {}});
            servers[place->second].addresses.push_back(server.endpoint);
        }
    }
    return servers;
}

std::string known_names(const core::Configuration& configuration) {
    std::set<std::string> names;
    for (const core::Service& service : configuration.services)
        names.insert(!service.cluster.empty() ? service.cluster
                     : !service.group.empty() ? service.group
                                              : service.key.address.to_string());
    return fmt::format("{}", fmt::join(names, ", "));
}

// ---- formats ----------------------------------------------------------------------

using Servers = std::vector<Secondary>;

/// "ADDRESS", and what `port_form` makes of a port that is not 53.
std::string at_port(const Endpoint& endpoint, const char* port_form) {
    const std::string address = endpoint.address.to_string();
    return endpoint.port == 53 ? address
                               : address + fmt::format(fmt::runtime(port_form), endpoint.port);
}

template <typename Form>
std::string each_address(const Servers& servers, const Form& form) {
    std::string out;
    for (const Secondary& server : servers)
        for (const Endpoint& endpoint : server.addresses)
            out += form(server, endpoint);
    return out;
}

std::string bind(const std::string&, const Servers& servers) {
    const auto notify = [](const Secondary& server, const Endpoint& endpoint) {
        return fmt::format("    {};    // {}\n", at_port(endpoint, " port {}"), server.name);
    };
    const auto transfer = [](const Secondary&, const Endpoint& endpoint) {
        return fmt::format("    {};\n", endpoint.address.to_string());
    };
    return fmt::format("also-notify {{\n{}}};\nallow-transfer {{\n{}}};\n",
                       each_address(servers, notify), each_address(servers, transfer));
}

std::string nsd(const std::string& cluster, const Servers& servers) {
    return fmt::format("pattern:\n    name: \"{}\"\n", cluster) +
           each_address(servers, [](const Secondary& server, const Endpoint& endpoint) {
               return fmt::format("    notify: {} NOKEY    # {}\n    provide-xfr: {} NOKEY\n",
                                  at_port(endpoint, "@{}"), server.name,
                                  endpoint.address.to_string());
           });
}

std::string knot(const std::string& cluster, const Servers& servers) {
    std::string remotes;
    std::vector<std::string> ids;
    std::vector<std::string> addresses;
    for (std::size_t i = 0; i < servers.size(); ++i) {
        std::vector<std::string> own;
        for (const Endpoint& endpoint : servers[i].addresses) {
            own.push_back(at_port(endpoint, "@{}"));
            addresses.push_back(endpoint.address.to_string());
        }
        ids.push_back(fmt::format("\"{}-{}\"", cluster, i + 1));
        remotes += fmt::format("  - id: {}    # {}\n    address: [ {} ]\n", ids.back(),
                               servers[i].name, fmt::join(own, ", "));
    }
    return fmt::format(
        "remote:\n{0}acl:\n  - id: \"{1}-transfer\"\n    address: [ {2} ]\n    action: transfer\n"
        "template:\n  - id: \"{1}\"\n    notify: [ {3} ]\n    acl: \"{1}-transfer\"\n",
        remotes, cluster, fmt::join(addresses, ", "), fmt::join(ids, ", "));
}

std::string powerdns(const std::string&, const Servers& servers) {
    std::vector<std::string> notify;
    std::vector<std::string> transfer;
    for (const Secondary& server : servers)
        for (const Endpoint& endpoint : server.addresses) {
            notify.push_back(endpoint.port == 53 ? endpoint.address.to_string()
                                                 : endpoint.to_string());
            transfer.push_back(endpoint.address.to_string());
        }
    return fmt::format("also-notify={}\nallow-axfr-ips={}\n", fmt::join(notify, ","),
                       fmt::join(transfer, ","));
}

struct Format {
    const char* name;
    const char* comment;  ///< mark
    const char* where;
    std::string (*print)(const std::string& cluster, const Servers& servers);
};

constexpr Format formats[] = {
    {"bind", "//", "BIND, into the zone, or the options for all zones", bind},
    {"nsd", "#", "NSD, at top level; the zone says include-pattern with this name", nsd},
    {"knot", "#", "Knot DNS, at top level; the zone says template with this id", knot},
    {"powerdns", "#", "PowerDNS, pdns.conf, for all zones; only-notify= keeps it to these",
     powerdns},
};

struct Options {
    std::string cluster;
    std::string path = default_config;
    std::string config_id;
    std::string format;
};

int also_notify(const Options& options) {
    const config::Loaded loaded = config::load(options.path, options.config_id);
    for (const config::Message& message : loaded.messages)
        if (message.severity == config::Severity::error)
            fmt::print(stderr, "{}", text_with_caret(message));
    if (!loaded.ok()) return failed;
    const Servers servers = secondaries_of(*loaded.configuration, options.cluster);
    if (servers.empty()) {
        fmt::print(stderr, "dnsdirector: {} has no cluster `{}`; it has {}\n", options.path,
                   options.cluster, known_names(*loaded.configuration));
        return failed;
    }
    bool first = true;
    for (const Format& format : formats) {
        if (!options.format.empty() && options.format != format.name) continue;
        fmt::print(
            "{0}{1} {2}.\n{1} Each server by its own address: a NOTIFY to the service IP "
            "reaches one of them only.\n{3}",
            first ? "" : "\n", format.comment, format.where,
            format.print(options.cluster, servers));
        first = false;
    }
    return ok;
}

}  // namespace

void add_also_notify(Program program) {
    auto* command = program.app.add_subcommand(
        "also-notify", "Print what the primary of an authoritative cluster must know");
    auto options = std::make_shared<Options>();
    command
        ->add_option("cluster", options->cluster,
                     "dns_cluster, virtual_server_group, or a service IP")
        ->required();
    command->add_option("-f,--file", options->path, "Configuration")->capture_default_str();
    add_config_id(*command, options->config_id);
    command->add_option("--format", options->format, "bind, nsd, knot or powerdns; default: all")
        ->check(CLI::IsMember({"bind", "nsd", "knot", "powerdns"}));
    command->footer(
        "A NOTIFY to the service IP reaches one server only; the others would serve the old\n"
        "zone until their SOA refresh. So the primary notifies each real server, by both\n"
        "families, and lets each transfer.\n"
        "\n"
        "  dnsdirector also-notify auth -f auth.conf --format bind > also-notify.conf");
    command->callback(
        [program, options] { program.action = [options] { return also_notify(*options); }; });
}

}  // namespace dnsdirector::cli
