// SPDX-License-Identifier: Apache-2.0
//
// What the rules of the translation have in common: words, places, keys of what is remembered.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/real_server_machine.h"

namespace dnsdirector::realserver {

/// What a family is called in rules.
struct FamilyWords {
    Family family;
    std::string_view ip;
    char digit;
    std::string_view fragment;  ///< matches fragments that carry no ports
};
inline constexpr FamilyWords family_words[] = {
    {Family::ipv4, "ip", '4', "ip frag-off & 0x1fff != 0"},
    {Family::ipv6, "ip6", '6', "frag frag-off != 0"},
};

/// One process in one family in which there is a service IP. Points into the machine.
struct ListenPlace {
    const core::DnsProcess* process;
    const FamilyWords* words;
    Endpoint listen;
    std::string from;  ///< " ip saddr { … }", or "" for everybody
};
[[nodiscard]] std::vector<ListenPlace> places_of(const core::RealServerMachine& machine);

/// Those of a family as nft takes them in a set: none within another.
[[nodiscard]] std::vector<std::string> networks_of(const std::vector<core::Prefix>& all,
                                                   Family family);

/// "{ a, b }"
[[nodiscard]] std::string braced(const std::vector<std::string>& elements);
/// An interface's name as nft reads it.
[[nodiscard]] std::string quoted(const std::string& interface);

// A question over UDP is known by its client and its identifier, a connection by its two ends.
// The same key in three forms: of a packet to the process's own address, of one to a service IP
// that is not translated yet, and of a reply that is not.
[[nodiscard]] std::string question_key(const FamilyWords& words);
[[nodiscard]] std::string answer_key(const FamilyWords& words);
[[nodiscard]] std::string connection_key(const FamilyWords& words);
[[nodiscard]] std::string connection_key_to(const ListenPlace& place);
[[nodiscard]] std::string connection_key_of_reply(const FamilyWords& words);

}  // namespace dnsdirector::realserver
