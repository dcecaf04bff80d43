// SPDX-License-Identifier: Apache-2.0
//
// Addresses, settings, devices and ways of the machine itself.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/overloaded.h"
#include "realserver/examination.h"
#include "realserver/plan.h"

namespace dnsdirector::realserver {
namespace {

using Names = std::vector<std::string>;

/// What a refusal of `up` says, and after the first "; " what mends it.
void look_at_refusals(const Examination& examination, Opinion& opinion) {
    for (const std::string& refusal : examination.wishes.refusals) {
        const auto end = refusal.find("; ");
        if (end == std::string::npos)
            opinion.fail("", refusal, "");
        else
            opinion.fail("", refusal.substr(0, end), refusal.substr(end + 2));
    }
}

void look_at_journal(const Examination& examination, Opinion& opinion) {
    if (examination.journal_problem.empty()) return;
    opinion.unknown("",
                    "what `up` has changed is not known, so that all counts as somebody else's: " +
                        examination.journal_problem,
                    examination.privileged ? "" : "run it as root");
}

void look_at_service_ips(const Examination& examination, Opinion& opinion) {
    for (const HeldAddress& held : examination.wishes.addresses) {
        const std::string address = held.address.to_string();
        if (examination.actual.holds(held))
            opinion.ok(address, "is on " + held.interface);
        else
            opinion.fail(
                address,
                fmt::format("is not on {}: the machine drops what clients ask it", held.interface),
                examination.up);
    }
}

struct SettingWords {
    std::string_view name;
    std::string_view why;
    std::string_view fine;
};
constexpr SettingWords setting_words[] = {
    {"arp_ignore",
     "else the machine answers ARP for the service IPs, and takes their packets from the director",
     "no interface answers ARP for the service IPs"},
    {"arp_announce",
     "else the machine asks ARP as a service IP, from which neighbours learn that it is here",
     "no interface asks ARP as a service IP"},
    {"rp_filter", "else packets of clients who are answered by another interface are dropped",
     "no filter drops what clients ask"},
};

/// "all" last: no interface.
std::string interface_of(const std::string& path) {
    const auto end = path.rfind('/');
    const auto begin = path.find('/', path.find('/') + 1) + 1;
    return path.substr(begin, end - begin);
}

/// "eth0 1, eth1 2": the larger one of `all` and the interface's own, where packets come in.
std::string effective(std::string_view name, const Actual& actual) {
    const long all = actual.number(path_of("ipv4", "all", name)).value_or(0);
    Names values;
    for (const netlink::Link& link : actual.links)
        if (const auto own = actual.number(path_of("ipv4", link.name, name));
            own && link.up && !has_no_neighbours(link, actual))
            values.push_back(fmt::format("{} {}", link.name, std::max(all, *own)));
    constexpr std::size_t most = 6;
    if (values.size() > most) {
        const auto rest = values.size() - most;
        values.resize(most);
        values.push_back(fmt::format("{} more", rest));
    }
    return fmt::format("{}", fmt::join(values, ", "));
}

bool serves(Family family, const core::RealServerMachine& machine) {
    return std::ranges::any_of(machine.service_ips,
                               [&](const IpAddress& each) { return each.family() == family; });
}

void look_at_settings(const Examination& examination, Opinion& opinion) {
    if (!serves(Family::ipv4, examination.order.machine)) return;
    for (const SettingWords& words : setting_words) {
        bool fine = true;
        for (const auto& [path, value] : examination.lacking.settings) {
            const auto found = examination.actual.settings.find(path);
            if (!path.ends_with(words.name) || found == examination.actual.settings.end()) continue;
            fine = false;
            const std::string interface = interface_of(path);
            opinion.fail(interface == "all" ? "" : interface,
                         fmt::format("{} is {} and must be {}: {}", sysctl_name(path),
                                     found->second, value, words.why),
                         examination.up);
        }
        if (fine)
            opinion.ok("", fmt::format("{}: {} ({})", words.name, words.fine,
                                       effective(words.name, examination.actual)));
    }
}

/// That neither ARP nor ND tells of the service IPs. Others of the findings say what is wrong.
void look_at_silence(const Examination& examination, Opinion& opinion) {
    const auto& machine = examination.order.machine;
    const Actual& actual = examination.actual;
    for (const HeldAddress& held : actual.addresses) {
        const netlink::Link* link = actual.link(held.interface);
        const auto& all = machine.service_ips;
        if (link != nullptr && !has_no_neighbours(*link, actual) &&
            std::ranges::find(all, held.address) != all.end())
            return;
    }
    if (std::ranges::any_of(examination.lacking.settings, [](const auto& setting) {
            return setting.first.find("/arp_") != std::string::npos;
        }))
        return;
    std::string text = fmt::format(
        "nobody hears of the service IPs: none is an address of an interface that packets come in "
        "on{}",
        serves(Family::ipv4, machine) ? ", and arp_ignore and arp_announce are right on each" : "");
    text += ". Judged by these; a machine cannot hear itself";
    const auto way = actual.ways.find(any_client());
    const auto link = way == actual.ways.end()
                          ? actual.links.end()
                          : std::ranges::find(actual.links, way->second, &netlink::Link::index);
    if (serves(Family::ipv4, machine) && link != actual.links.end())
        text += fmt::format(" (from a neighbour on {}, `arping {}` must see no answer from {})",
                            link->name, machine.service_ips.front().to_string(),
                            netlink::to_string(link->mac));
    opinion.ok("", text);
}

void look_at_tunnels(const Examination& examination, Opinion& opinion) {
    for (const IpAddress& end : examination.order.machine.tunnel_ends) {
        const auto& devices = examination.actual.tunnels;
        const auto found = std::ranges::find(devices, end, &netlink::TunnelDevice::local);
        const std::string about = end.to_string();
        if (found == devices.end()) {
            opinion.fail(about, "no device takes the director's tunnel", examination.up);
            continue;
        }
        const auto& wishes = examination.wishes.tunnels;
        const auto wished = std::ranges::find(wishes, end, &netlink::TunnelDevice::local);
        Names wrong;
        if (!found->up) wrong.emplace_back("is down");
        if (wished != wishes.end() && found->mtu != wished->mtu)
            wrong.push_back(fmt::format("has an MTU of {}, not {}", found->mtu, wished->mtu));
        if (wrong.empty())
            opinion.ok(about, fmt::format("ends at {}, which is up with an MTU of {}", found->name,
                                          found->mtu));
        else
            opinion.fail(about, fmt::format("{} {}", found->name, fmt::join(wrong, ", and ")),
                         wished != wishes.end()
                             ? examination.up
                             : fmt::format("ip link set dev {} up", found->name));
    }
}

/// What does not exist, or belongs to a bridge, is refused already.
void look_at_inputs(const Examination& examination, Opinion& opinion) {
    for (const core::DnsProcess& process : examination.order.machine.processes) {
        const netlink::Link* input = examination.actual.link(process.input);
        if (input == nullptr) continue;
        const std::string about = fmt::format("{}, {}", process.name, process.input);
        const std::string path = path_of("ipv6", process.input, "disable_ipv6");
        const bool no_ipv6 = serves(Family::ipv6, examination.order.machine) &&
                             examination.actual.number(path).value_or(0) != 0;
        if (!input->up)
            opinion.fail(about, "is down: nothing comes in",
                         fmt::format("ip link set dev {} up", process.input));
        else if (!input->running)
            opinion.fail(about, "has no carrier: nothing comes in",
                         "plug the cable in, or set the device below it up");
        else if (!no_ipv6)
            opinion.ok(about, "is up");
        if (no_ipv6)
            opinion.fail(about, "IPv6 is off: nothing comes in for the service IPs of IPv6",
                         fmt::format("sysctl -w {}=0", sysctl_name(path)));
    }
}

void look_at_listen_addresses(const Examination& examination, Opinion& opinion) {
    for (const core::DnsProcess& process : examination.order.machine.processes)
        for (const Endpoint& listen : process.listen) {
            const std::string about = fmt::format("{}, {}", process.name, listen.to_string());
            const auto& addresses = examination.actual.addresses;
            const auto held = std::ranges::find(addresses, listen.address, &HeldAddress::address);
            if (held != addresses.end())
                opinion.ok(about, "is an address of " + held->interface);
            else
                opinion.fail(
                    about, "is no address of this machine: what comes in for it gets nowhere",
                    fmt::format("ip address add {}/{} dev {}{}", listen.address.to_string(),
                                listen.address.host_prefix_length(), process.input,
                                listen.address.is_v6() ? " nodad" : ""));
        }
}

/// Of clients there are many, and one way to most of them.
void look_at_way_back(const Examination& examination, Opinion& opinion) {
    constexpr std::uint32_t least = 1280;  // RFC 8200, 5; DNS over UDP counts on it, too
    constexpr std::uint32_t usual = 1500;
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        if (!serves(family, examination.order.machine)) continue;
        const std::string about{to_string(family)};
        const char* flag = family == Family::ipv4 ? "" : "-6 ";
        const auto found = examination.egress.find(family);
        if (found == examination.egress.end()) {
            opinion.fail(about, "there is no route to clients: no reply leaves",
                         fmt::format("ip {}route add default via ROUTER", flag));
            continue;
        }
        const auto& [route, interface] = found->second;
        const netlink::Link* link = examination.actual.link(interface);
        const std::uint32_t of_link = link == nullptr ? usual : link->mtu;
        const std::uint32_t mtu = route.mtu == 0 ? of_link : std::min(route.mtu, of_link);
        const std::string way =
            fmt::format("replies leave by {}{} with an MTU of {}", interface,
                        route.gateway ? " to " + route.gateway->to_string() : "", mtu);
        const std::string mend =
            of_link < usual ? fmt::format("ip link set dev {} mtu {}", interface, usual)
            : route.gateway ? fmt::format("ip {}route replace default via {} dev {}", flag,
                                          route.gateway->to_string(), interface)
                            : fmt::format("ip {}route replace default dev {}", flag, interface);
        if (mtu < least)
            opinion.fail(about, way + ": answers of 1,232 bytes do not fit", mend);
        else if (mtu < usual && examination.order.machine.large_query)
            opinion.warn(about,
                         way +
                             ": answers of usual size are fragmented, and get lost where "
                             "fragments do",
                         mend);
        else
            opinion.ok(about, way);
    }
}

/// What `up` has yet to take back after an edit of the file.
void look_at_leftovers(const Examination& examination, Opinion& opinion) {
    for (const Change& change : plan(examination.wishes, examination.actual, examination.journal)) {
        const bool takes_back = std::visit(
            Overloaded{[](const RemoveAddress&) { return true; },
                       [](const RestoreSetting&) { return true; },
                       [](const RemoveTunnel&) { return true; },
                       [](const RemoveTable&) { return true; }, [](const auto&) { return false; }},
            change);
        if (takes_back)
            opinion.warn("",
                         fmt::format("the file does not want it any more: `up` would {}",
                                     to_string(change, Tense::to_do)),
                         examination.up);
    }
}

constexpr Judge all_machine_judges[] = {
    {"unfit", "what `up` refuses to build upon", look_at_refusals},
    {"journal", "whether it is known what `up` has changed", look_at_journal},
    {"service-ip", "each service IP is on the interface", look_at_service_ips},
    {"sysctl", "ARP settings and the reverse-path filter", look_at_settings},
    {"quiet", "that no ARP or ND answer leaks", look_at_silence},
    {"tunnel", "a device takes each tunnel: there, up, its MTU", look_at_tunnels},
    {"input", "the processes' interfaces: up, carrier, IPv6", look_at_inputs},
    {"listen-address", "where the processes listen is an address of this machine",
     look_at_listen_addresses},
    {"way-back", "a route to clients, and its MTU", look_at_way_back},
    {"left-over", "what the file does not want any more", look_at_leftovers},
};

}  // namespace

std::span<const Judge> machine_judges() {
    return all_machine_judges;
}

}  // namespace dnsdirector::realserver
