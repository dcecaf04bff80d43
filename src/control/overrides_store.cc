// SPDX-License-Identifier: Apache-2.0
#include "control/overrides_store.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace dnsdirector::control {
namespace {

using nlohmann::json;

std::optional<core::DrainKey> drain_from(const json& entry) {
    const auto server = Endpoint::parse(entry.value("server", ""));
    const std::string protocol = entry.value("protocol", "");
    if (!server || (protocol != "udp" && protocol != "tcp")) return std::nullopt;
    return core::DrainKey{entry.value("cluster", ""), *server,
                          protocol == "udp" ? Protocol::udp : Protocol::tcp};
}

}  // namespace

Result<core::Overrides> load_overrides(const std::string& path) {
    std::ifstream file(path);
    if (!file) {
        if (std::filesystem::exists(path))
            return fail_errno("cannot read the saved overrides " + path, errno);
        return core::Overrides{};
    }
    try {
        const json root = json::parse(file);
        core::Overrides overrides;
        overrides.all_drained = root.value("all_drained", false);
        for (const json& entry : root.value("drained", json::array())) {
            const auto key = drain_from(entry);
            if (!key) return fail("{}: this entry is no drain: {}", path, entry.dump());
            overrides.drained.insert(*key);
        }
        for (const json& entry : root.value("withdrawn", json::array())) {
            const auto address =
                entry.is_string() ? IpAddress::parse(entry.get<std::string>()) : std::nullopt;
            if (!address) return fail("{}: this is no service IP: {}", path, entry.dump());
            overrides.withdrawn.insert(*address);
        }
        return overrides;
    } catch (const json::exception& error) {
        return fail(
            "{}: not the overrides that the director saved ({}); remove the file to start "
            "without any drain",
            path, error.what());
    }
}

Result<void> save_overrides(const std::string& path, const core::Overrides& overrides) {
    json root = {{"all_drained", overrides.all_drained},
                 {"drained", json::array()},
                 {"withdrawn", json::array()}};
    for (const core::DrainKey& key : overrides.drained)
        root["drained"].push_back({{"cluster", key.cluster},
                                   {"server", key.server.to_string()},
                                   {"protocol", to_string(key.protocol)}});
    for (const IpAddress& address : overrides.withdrawn)
        root["withdrawn"].push_back(address.to_string());
    const std::string temporary = path + ".new";
    std::ofstream file(temporary, std::ios::trunc);
    file << root.dump(2) << '\n';
    file.close();
    if (!file) return fail_errno("cannot write the overrides " + temporary, errno);
    std::error_code error;
    std::filesystem::rename(temporary, path, error);
    if (error) return fail_errno("cannot rename " + temporary + " to " + path, error.value());
    return {};
}

}  // namespace dnsdirector::control
