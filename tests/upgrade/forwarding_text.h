// SPDX-License-Identifier: Apache-2.0
//
// What the tools of this folder are told to forward, as text on standard input:
//
//     service udp 192.0.2.53:53 wrr
//     server 203.0.113.11:53 02:00:00:00:01:0b 2
//     server 203.0.114.11:53 02:00:00:00:01:fe 1 tun
//     gone 203.0.113.13:53        a server that has counters only
#pragma once

#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "core/model.h"

namespace dnsdirector::upgrade {

struct Server {
    Endpoint endpoint;
    std::array<std::uint8_t, 6> mac{};
    std::uint32_t weight = 0;
    bool forwarded = true;
    core::ForwardingMethod method = core::ForwardingMethod::dr;
};
struct Service {
    core::ServiceKey key;
    core::Scheduler scheduler = core::Scheduler::wrr;
    std::vector<Server> servers;
};

/// Ends as a program that is killed does: nothing is put in order. A leak detector
/// would look for order, and cannot under a debugger.
[[noreturn]] inline void end(int status) {
    std::fflush(nullptr);
    _exit(status);
}
[[noreturn]] inline void die(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    end(1);
}

inline std::vector<Service> read_forwarding(std::istream& input) {
    std::vector<Service> services;
    for (std::string line; std::getline(input, line);) {
        std::istringstream words{line};
        std::string kind, protocol, address, scheduler, mac;
        words >> kind;
        if (kind == "service") {
            words >> protocol >> address >> scheduler;
            const auto endpoint = Endpoint::parse(address);
            if (!endpoint) die("no address: " + line);
            Service& service = services.emplace_back();
            service.key = {endpoint->address, endpoint->port,
                           protocol == "udp" ? Protocol::udp : Protocol::tcp};
            for (const auto each : {core::Scheduler::wrr, core::Scheduler::rr, core::Scheduler::mh,
                                    core::Scheduler::sh})
                if (core::to_string(each) == scheduler) service.scheduler = each;
        } else if (kind == "server" || kind == "gone") {
            words >> address;
            const auto endpoint = Endpoint::parse(address);
            if (!endpoint || services.empty()) die("no server: " + line);
            Server server{*endpoint, {}, 0, kind == "server", core::ForwardingMethod::dr};
            if (server.forwarded && words >> mac >> server.weight)
                std::sscanf(mac.c_str(), "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &server.mac[0],
                            &server.mac[1], &server.mac[2], &server.mac[3], &server.mac[4],
                            &server.mac[5]);
            if (std::string method; words >> method && method == "tun")
                server.method = core::ForwardingMethod::tun;
            services.back().servers.push_back(server);
        } else if (!kind.empty()) {
            die("not understood: " + line);
        }
    }
    return services;
}

}  // namespace dnsdirector::upgrade
