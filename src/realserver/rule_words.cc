// SPDX-License-Identifier: Apache-2.0
#include "realserver/rule_words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace dnsdirector::realserver {
namespace {

bool covers(const core::Prefix& wide, const core::Prefix& narrow) {
    if (wide.address.family() != narrow.address.family() || wide.length > narrow.length)
        return false;
    for (unsigned bit = 0; bit < wide.length; ++bit) {
        const unsigned mask = 0x80U >> bit % 8;
        if (((wide.address.bytes()[bit / 8] ^ narrow.address.bytes()[bit / 8]) & mask) != 0)
            return false;
    }
    return true;
}

}  // namespace

std::vector<std::string> networks_of(const std::vector<core::Prefix>& all, Family family) {
    std::vector<std::string> texts;
    for (const core::Prefix& each : all)
        if (each.address.family() == family &&
            std::none_of(all.begin(), all.end(), [&](const core::Prefix& other) {
                return other != each && covers(other, each);
            }))
            texts.push_back(each.to_string());
    return texts;
}

std::string braced(const std::vector<std::string>& elements) {
    return fmt::format("{{ {} }}", fmt::join(elements, ", "));
}

std::string quoted(const std::string& interface) {
    // An asterisk at the end would stand for any end.
    if (!interface.ends_with('*')) return '"' + interface + '"';
    return '"' + interface.substr(0, interface.size() - 1) + "\\*\"";
}

std::vector<ListenPlace> places_of(const core::RealServerMachine& machine) {
    std::vector<ListenPlace> places;
    for (const core::DnsProcess& process : machine.processes)
        for (const Endpoint& listen : process.listen) {
            const FamilyWords& words = family_words[listen.address.is_v4() ? 0 : 1];
            if (std::none_of(machine.service_ips.begin(), machine.service_ips.end(),
                             [&](const IpAddress& each) { return each.family() == words.family; }))
                continue;
            ListenPlace place{&process, &words, listen, ""};
            if (const auto networks = networks_of(process.from, words.family); !networks.empty())
                place.from = fmt::format(" {} saddr {}", words.ip, braced(networks));
            places.push_back(std::move(place));
        }
    return places;
}

std::string question_key(const FamilyWords& words) {
    return fmt::format("{} saddr . udp sport . @th,64,16", words.ip);
}

std::string answer_key(const FamilyWords& words) {
    return fmt::format("{} daddr . udp dport . @th,64,16", words.ip);
}

std::string connection_key(const FamilyWords& words) {
    return fmt::format("{0} saddr . tcp sport . {0} daddr . tcp dport", words.ip);
}

std::string connection_key_to(const ListenPlace& place) {
    return fmt::format("{} saddr . tcp sport . {} . {}", place.words->ip,
                       place.listen.address.to_string(), place.listen.port);
}

std::string connection_key_of_reply(const FamilyWords& words) {
    return fmt::format("{0} daddr . tcp dport . {0} saddr . tcp sport", words.ip);
}

}  // namespace dnsdirector::realserver
