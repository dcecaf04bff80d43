// SPDX-License-Identifier: Apache-2.0
#include "realserver/listing.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace dnsdirector::realserver {
namespace {

using Json = nlohmann::json;

/// The objects of a listing, each with the one key that says what it is.
Result<Json> objects_in(std::string_view listing) {
    Json root = Json::parse(listing, nullptr, false);
    if (!root.is_object() || !root.contains("nftables") || !root["nftables"].is_array())
        return fail("nft did not print the JSON that libnftables-json(5) describes, but `{}`",
                    listing.substr(0, 100));
    return std::move(root["nftables"]);
}

/// Elements come and go with packets in what has a timeout, or is marked as dynamic.
bool filled_by_rules(const Json& set) {
    if (set.contains("timeout")) return true;
    const auto flags = set.find("flags");
    if (flags == set.end()) return false;
    const auto dynamic = [](const Json& flag) { return flag == "dynamic" || flag == "timeout"; };
    return flags->is_array() ? std::any_of(flags->begin(), flags->end(), dynamic) : dynamic(*flags);
}

void drop_what_changes(Json& value) {
    if (value.is_array()) {
        for (Json& each : value)
            drop_what_changes(each);
        return;
    }
    if (!value.is_object()) return;
    value.erase("handle");
    for (const auto& [key, each] : value.items()) {
        if (key == "counter" && each.is_object()) {
            each.erase("packets");
            each.erase("bytes");
        }
        drop_what_changes(each);
    }
}

std::uint64_t number(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number() ? found->get<std::uint64_t>() : 0;
}

std::string text(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

/// "process.bind1.udp.queries". The process's own name may hold dots.
std::optional<RuleCounter> named(const std::string& name) {
    constexpr std::string_view head = "process.";
    if (!name.starts_with(head)) return std::nullopt;
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp})
        for (const Way way : {Way::queries, Way::replies, Way::direct, Way::refused}) {
            const std::string tail = counter_name("", protocol, way).substr(head.size());
            if (name.size() > head.size() + tail.size() && name.ends_with(tail))
                return RuleCounter{
                    name.substr(head.size(), name.size() - head.size() - tail.size()), protocol,
                    way};
        }
    return std::nullopt;
}

}  // namespace

Result<std::string> comparable(std::string_view listing) {
    auto objects = objects_in(listing);
    if (!objects) return tl::unexpected(objects.error());
    std::string lines;
    for (Json& object : *objects) {
        if (object.contains("metainfo")) continue;
        for (const char* kind : {"set", "map"})
            if (object.contains(kind) && filled_by_rules(object[kind])) object[kind].erase("elem");
        drop_what_changes(object);
        lines += object.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
    }
    return lines;
}

Result<Counters> counters_in(std::string_view listing) {
    const auto objects = objects_in(listing);
    if (!objects) return tl::unexpected(objects.error());
    Counters counters;
    for (const Json& object : *objects) {
        if (!object.is_object() || !object.contains("counter")) continue;
        const Json& counter = object["counter"];
        const std::string name = text(counter, "name");
        if (name == tunnel_counter) counters.refused_tunnels = number(counter, "packets");
        auto of_process = named(name);
        if (!of_process) continue;
        of_process->packets = number(counter, "packets");
        of_process->bytes = number(counter, "bytes");
        counters.processes.push_back(std::move(*of_process));
    }
    return counters;
}

Result<bool> lists_our_table(std::string_view listing) {
    const auto objects = objects_in(listing);
    if (!objects) return tl::unexpected(objects.error());
    return std::any_of(objects->begin(), objects->end(), [](const Json& object) {
        return object.is_object() && object.contains("table") &&
               text(object["table"], "family") == "inet" &&
               text(object["table"], "name") == table_name;
    });
}

}  // namespace dnsdirector::realserver
