// SPDX-License-Identifier: Apache-2.0
//
// A NOTIFY (RFC 1996) to the service IP reaches one server, and the others learn of the
// change when their SOA refresh is due. So the primary must know each of them, unless the proxy
// plane hands it on to all (`to_all notify`).
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

struct Party {
    std::string name;
    std::vector<Endpoint> addresses;
};
/// In the order in which they came; no address twice.
class Parties {
public:
    void add(const std::string& name, const Endpoint& address) {
        if (!seen_.insert(address).second) return;
        const auto [place, fresh] = places_.emplace(name, all_.size());
        if (fresh) all_.push_back({name, {}});
        all_[place->second].addresses.push_back(address);
    }
    [[nodiscard]] const std::vector<Party>& all() const { return all_; }

private:
    std::vector<Party> all_;
    std::map<std::string, std::size_t> places_;
    std::set<Endpoint> seen_;
};

/// What the primary must know.
struct Known {
    Parties notified;
    Parties secondaries;  ///< that transfer from it
    bool each = false;    ///< secondaries are notified themselves
};

/// The cluster, the group or the service IP that the services are found by.
bool matches(const core::Service& service, const std::string& what) {
    return service.cluster == what || service.group == what ||
           service.key.address.to_string() == what;
}

Known known_of(const core::Configuration& configuration, const std::string& what) {
    Known known;
    for (const core::Service& service : configuration.services) {
        if (!matches(service, what)) continue;
        if (service.to_all.notify) known.notified.add("the director", service.key.endpoint());
        for (const core::RealServer& server : service.real_servers) {
            known.secondaries.add(server.name, server.endpoint);
            if (service.to_all.notify) continue;
            known.notified.add(server.name, server.endpoint);
            known.each = true;
        }
    }
    return known;
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

/// "ADDRESS", and what `port_form` makes of a port that is not 53.
std::string at_port(const Endpoint& endpoint, const char* port_form) {
    const std::string address = endpoint.address.to_string();
    return endpoint.port == 53 ? address
                               : address + fmt::format(fmt::runtime(port_form), endpoint.port);
}

template <typename Form>
std::string each_address(const Parties& parties, const Form& form) {
    std::string out;
    for (const Party& party : parties.all())
        for (const Endpoint& endpoint : party.addresses)
            out += form(party, endpoint);
    return out;
}

std::string bind(const std::string&, const Known& known) {
    const auto notify = [](const Party& party, const Endpoint& endpoint) {
        return fmt::format("    {};    // {}\n", at_port(endpoint, " port {}"), party.name);
    };
    const auto transfer = [](const Party&, const Endpoint& endpoint) {
        return fmt::format("    {};\n", endpoint.address.to_string());
    };
    return fmt::format("also-notify {{\n{}}};\nallow-transfer {{\n{}}};\n",
                       each_address(known.notified, notify),
                       each_address(known.secondaries, transfer));
}

std::string nsd(const std::string& cluster, const Known& known) {
    const auto notify = [](const Party& party, const Endpoint& endpoint) {
        return fmt::format("    notify: {} NOKEY    # {}\n", at_port(endpoint, "@{}"), party.name);
    };
    const auto transfer = [](const Party&, const Endpoint& endpoint) {
        return fmt::format("    provide-xfr: {} NOKEY\n", endpoint.address.to_string());
    };
    return fmt::format("pattern:\n    name: \"{}\"\n", cluster) +
           each_address(known.notified, notify) + each_address(known.secondaries, transfer);
}

std::string knot(const std::string& cluster, const Known& known) {
    std::string remotes;
    std::vector<std::string> ids;
    std::vector<std::string> addresses;
    for (const Party& party : known.notified.all()) {
        std::vector<std::string> own;
        own.reserve(party.addresses.size());
        for (const Endpoint& endpoint : party.addresses)
            own.push_back(at_port(endpoint, "@{}"));
        ids.push_back(fmt::format("\"{}-{}\"", cluster, ids.size() + 1));
        remotes += fmt::format("  - id: {}    # {}\n    address: [ {} ]\n", ids.back(), party.name,
                               fmt::join(own, ", "));
    }
    for (const Party& secondary : known.secondaries.all())
        for (const Endpoint& endpoint : secondary.addresses)
            addresses.push_back(endpoint.address.to_string());
    return fmt::format(
        "remote:\n{0}acl:\n  - id: \"{1}-transfer\"\n    address: [ {2} ]\n    action: transfer\n"
        "template:\n  - id: \"{1}\"\n    notify: [ {3} ]\n    acl: \"{1}-transfer\"\n",
        remotes, cluster, fmt::join(addresses, ", "), fmt::join(ids, ", "));
}

std::string powerdns(const std::string&, const Known& known) {
    std::vector<std::string> notify;
    std::vector<std::string> transfer;
    for (const Party& party : known.notified.all())
        for (const Endpoint& endpoint : party.addresses)
            notify.push_back(endpoint.port == 53 ? endpoint.address.to_string()
                                                 : endpoint.to_string());
    for (const Party& party : known.secondaries.all())
        for (const Endpoint& endpoint : party.addresses)
            transfer.push_back(endpoint.address.to_string());
    return fmt::format("also-notify={}\nallow-axfr-ips={}\n", fmt::join(notify, ","),
                       fmt::join(transfer, ","));
}

struct Format {
    const char* name;
    const char* comment;  ///< mark
    const char* where;
    std::string (*print)(const std::string& cluster, const Known& known);
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
    const Known known = known_of(*loaded.configuration, options.cluster);
    if (known.secondaries.all().empty()) {
        fmt::print(stderr, "dnsdirector: {} has no cluster `{}`; it has {}\n", options.path,
                   options.cluster, known_names(*loaded.configuration));
        return failed;
    }
    bool first = true;
    for (const Format& format : formats) {
        if (!options.format.empty() && options.format != format.name) continue;
        const char* who = known.each
                              ? "Each server by its own address: a NOTIFY to the service IP "
                                "reaches one of them only"
                              : "The service IP: the director hands a NOTIFY on to every server "
                                "(to_all notify)";
        fmt::print("{0}{1} {2}.\n{1} {3}.\n{4}", first ? "" : "\n", format.comment, format.where,
                   who, format.print(options.cluster, known));
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
        "families, and lets each transfer. Where the proxy plane hands a NOTIFY on to every "
        "server\n"
        "(to_all notify) it names the service IP, and lets each transfer.\n"
        "\n"
        "  dnsdirector also-notify auth -f auth.conf --format bind > also-notify.conf");
    command->callback(
        [program, options] { program.action = [options] { return also_notify(*options); }; });
}

}  // namespace dnsdirector::cli
