// SPDX-License-Identifier: Apache-2.0
//
// tests/bgp/replies: what BIRD 2.0.12 and FRR 8.4.4 said while they ran a block like this one.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <sstream>
#include <string>

#include "announce/session_book.h"
#include "core/bgp.h"

namespace dnsdirector::announce::replies {

inline std::string reply(const std::string& name) {
    const auto path = std::filesystem::path(DNSDIRECTOR_SOURCE_DIR) / "tests" / "bgp" / "replies";
    std::ostringstream text;
    text << std::ifstream(path / (name + ".txt")).rdbuf();
    return text.str();
}

inline IpAddress parsed(const char* text) {
    return *IpAddress::parse(text);
}

/// Two neighbours, the second of both families; three service IPs.
inline core::Bgp block(core::RoutingDaemon daemon = core::RoutingDaemon::bird) {
    core::Bgp bgp;
    bgp.daemon = daemon;
    bgp.local_as = 64512;
    bgp.router_id = parsed("203.0.113.1");
    for (const char* address : {"203.0.113.251", "203.0.113.252"}) {
        core::BgpNeighbor neighbor;
        neighbor.address = parsed(address);
        neighbor.remote_as = 64512;
        bgp.neighbors.push_back(neighbor);
    }
    bgp.neighbors[0].description = "core1";
    bgp.neighbors[1].next_hop[1] = parsed("2001:db8:1::1");
    std::uint32_t med = 0;
    for (const char* address : {"192.0.2.53", "192.0.2.54", "2001:db8::53"}) {
        core::BgpAnnouncement announcement;
        announcement.service_ip = parsed(address);
        announcement.states[0].med = med++;
        announcement.states[1].med = 1000 + announcement.states[0].med;
        announcement.states[2].med = core::draining_med;
        bgp.announcements.push_back(announcement);
    }
    return bgp;
}

/// Every beginning of a text, and a thousand versions of it with bytes changed, put in, left out.
inline void with_damaged(const std::string& text,
                         const std::function<void(const std::string&)>& use) {
    for (std::size_t length = 0; length < text.size(); length += 1 + text.size() / 800)
        use(text.substr(0, length));
    std::mt19937 random(7);
    const auto below = [&](std::size_t limit) { return random() % limit; };
    for (int round = 0; round < 1000; ++round) {
        std::string damaged = text;
        for (std::size_t change = 0; change <= below(8); ++change) {
            const std::size_t at = below(damaged.size());
            switch (below(4)) {
                case 0: damaged[at] = static_cast<char>(below(256)); break;
                case 1: damaged.erase(at, 1 + below(40)); break;
                case 2: damaged.insert(at, text.substr(below(text.size()), 40)); break;
                default: damaged[at] = "0123456789-:/,.()[]{}\" \t\n"[below(25)];
            }
            if (damaged.empty()) damaged = " ";
        }
        use(damaged);
    }
}

}  // namespace dnsdirector::announce::replies
