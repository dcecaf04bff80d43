// SPDX-License-Identifier: Apache-2.0
#include "realserver/actual.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace dnsdirector::realserver {

const netlink::Link* Actual::link(std::string_view name) const {
    const auto found = std::ranges::find(links, name, &netlink::Link::name);
    return found == links.end() ? nullptr : &*found;
}

bool Actual::holds(const HeldAddress& address) const {
    return std::ranges::find(addresses, address) != addresses.end();
}

std::optional<long> Actual::number(const std::string& path) const {
    const auto found = settings.find(path);
    if (found == settings.end()) return std::nullopt;
    const std::string& text = found->second;
    long value = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
    if (end.ec != std::errc{} || end.ptr != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string path_of(std::string_view family, std::string_view interface, std::string_view name) {
    return fmt::format("{}/conf/{}/{}", family, interface, name);
}

std::string sysctl_name(const std::string& path) {
    std::string name = "net/" + path;
    if (path.find('.') == std::string::npos) std::ranges::replace(name, '/', '.');
    return name;
}

bool has_no_neighbours(const netlink::Link& link, const Actual& actual) {
    if (link.loopback || link.kind == "dummy") return true;
    return link.kind == "bridge" &&
           std::ranges::none_of(actual.links, [&](const netlink::Link& other) {
               return other.master == link.index;
           });
}

}  // namespace dnsdirector::realserver
