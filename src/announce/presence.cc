// SPDX-License-Identifier: Apache-2.0
#include "announce/presence.h"

#include <filesystem>
#include <optional>

#include "announce/presence_file.h"

namespace dnsdirector::announce {
namespace {

std::string prefix(const IpAddress& address) {
    return fmt::format("{}/{}", address.to_string(), address.host_prefix_length());
}

/// Keeps the first error of several steps that are all to be tried.
void note(std::optional<Error>& first, const Error& error) {
    if (!first) first = error;
}

}  // namespace

Presence::Presence(netlink::Socket& socket, std::string state_file)
    : socket_(socket), state_file_(std::move(state_file)) {
    PresenceFile file = read_presence_file(state_file_);
    own_ = std::move(file.own);
    complaints_ = std::move(file.complaints);
}

Result<std::vector<std::string>> Presence::hold(const std::string& interface,
                                                std::span<const IpAddress> service_ips) {
    const auto link = socket_.link(interface);
    if (!link) return tl::unexpected{link.error()};
    if (!*link)
        return fail(
            "there is no interface {} to hold the service IPs; name one that exists in "
            "service_interface, or leave it out for lo",
            interface);

    std::vector<std::string> log;
    log.swap(complaints_);
    std::optional<Error> first;
    // Somebody emptied the run directory: the next start must know what is ours.
    std::error_code ignored;
    if (!own_.empty() && !std::filesystem::exists(state_file_, ignored))
        if (const auto written = write_presence_file(state_file_, own_); !written)
            note(first, written.error());
    // Additions first: an address that moves between interfaces is never away.
    if (const auto added = add_missing(**link, service_ips, log); !added)
        note(first, added.error());
    const std::set<IpAddress> wished{service_ips.begin(), service_ips.end()};
    if (const auto removed = remove_unwished(interface, wished, log); !removed)
        note(first, removed.error());
    if (first) return tl::unexpected{std::move(*first)};
    return log;
}

Result<void> Presence::add_missing(const netlink::Link& link,
                                   std::span<const IpAddress> service_ips,
                                   std::vector<std::string>& log) {
    const auto present = socket_.addresses();
    if (!present) return tl::unexpected{present.error()};
    std::set<IpAddress> there;
    for (const netlink::InterfaceAddress& held : *present)
        if (held.interface == link.index) there.insert(held.address);

    std::set<IpAddress> missing;
    for (const IpAddress& address : service_ips)
        if (!there.contains(address)) missing.insert(address);
    if (missing.empty()) return {};

    const std::set<Held> before = own_;
    for (const IpAddress& address : missing)
        own_.emplace(link.name, address);
    if (own_ != before)
        if (const auto written = write_presence_file(state_file_, own_); !written) {
            own_ = before;
            return written;
        }

    std::optional<Error> first;
    const std::set<Held> claimed = own_;
    for (const IpAddress& address : missing) {
        const auto added = socket_.add_address(link.index, address);
        if (added && *added) {
            log.push_back(fmt::format("service IP {} added to {}", prefix(address), link.name));
            continue;
        }
        // Not ours: somebody was faster, or it could not be added.
        own_.erase({link.name, address});
        if (!added) note(first, added.error());
    }
    if (!link.up)
        log.push_back(
            fmt::format("interface {} is down: its service IPs are not answered for; "
                        "ip link set {} up",
                        link.name, link.name));
    if (own_ != claimed)
        if (const auto written = write_presence_file(state_file_, own_); !written)
            note(first, written.error());
    if (first) return tl::unexpected{std::move(*first)};
    return {};
}

Result<bool> Presence::remove(const Held& held) {
    const auto link = socket_.link(held.first);
    if (!link) return tl::unexpected{link.error()};
    if (!*link) return false;  // its addresses went with it
    return socket_.remove_address((*link)->index, held.second);
}

Result<void> Presence::remove_unwished(const std::string& interface,
                                       const std::set<IpAddress>& wished,
                                       std::vector<std::string>& log) {
    std::set<Held> kept;
    std::optional<Error> first;
    for (const Held& held : own_) {
        if (held.first == interface && wished.contains(held.second)) {
            kept.insert(held);
            continue;
        }
        const auto removed = remove(held);
        if (!removed) {
            note(first, removed.error());
            kept.insert(held);
        } else if (*removed) {
            log.push_back(
                fmt::format("service IP {} removed from {}", prefix(held.second), held.first));
        }
    }
    if (kept != own_) {
        own_ = std::move(kept);
        if (const auto written = write_presence_file(state_file_, own_); !written)
            note(first, written.error());
    }
    if (first) return tl::unexpected{std::move(*first)};
    return {};
}

Result<void> Presence::release() {
    std::vector<std::string> log;
    if (const auto removed = remove_unwished("", {}, log); !removed) return removed;
    return remove_presence_file(state_file_);
}

}  // namespace dnsdirector::announce
