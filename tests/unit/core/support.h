// SPDX-License-Identifier: Apache-2.0
//
// Values and generators for the tests of core/.
#pragma once

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "core/desired.h"

namespace dnsdirector::core {

/// A property that RapidCheck tries on a hundred cases; what breaks it, made as
/// small as possible, goes to standard error.
template <typename Property>
void expect_always(const std::string& description, Property property) {
    const bool held = rc::check(description, property);
    EXPECT_TRUE(held) << description << ": see the case on standard error";
}

inline IpAddress address(const std::string& text) {
    return IpAddress::parse(text).value();
}
/// "203.0.113.11" or "[2001:db8::1]:853"; port 53 unless named.
inline Endpoint endpoint(const std::string& text) {
    return Endpoint::parse(text, 53).value();
}
inline Endpoint server(unsigned number) {
    return {IpAddress::from_v4({203, 0, 113, static_cast<std::uint8_t>(number)}), 53};
}
/// Room for 65,536 of them.
inline Endpoint server_v6(unsigned number) {
    std::array<std::uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
    bytes[14] = static_cast<std::uint8_t>(number >> 8);
    bytes[15] = static_cast<std::uint8_t>(number);
    return {IpAddress::from_v6(bytes), 53};
}
inline ServiceKey service_key(const std::string& text = "192.0.2.53",
                              Protocol protocol = Protocol::udp) {
    return {address(text), 53, protocol};
}
inline TimePoint at(Nanoseconds since_epoch) {
    return TimePoint{since_epoch};
}

inline Verdict passed(TimePoint when = {}) {
    Verdict verdict;
    verdict.rtt = Microseconds{180};
    verdict.at = when;
    verdict.wall_at = WallTime{std::chrono::duration_cast<Microseconds>(when.time_since_epoch())};
    return verdict;
}
inline Verdict failed(Failure failure, std::string reason, TimePoint when = {}) {
    Verdict verdict = passed(when);
    verdict.failure = failure;
    verdict.reason = std::move(reason);
    return verdict;
}

/// Work of a server in a forwarding; nothing when it is not listed.
inline std::optional<std::uint32_t> weight_of(const ServiceForwarding& service,
                                              const Endpoint& wanted) {
    for (const Destination& destination : service.destinations)
        if (destination.server == wanted) return destination.weight;
    return std::nullopt;
}

namespace generate {

template <typename T>
rc::Gen<T> one_of(std::vector<T> values) {
    return rc::gen::elementOf(std::move(values));
}

/// Some of so many servers, with weights from 0 to 4.
inline rc::Gen<std::vector<Destination>> destinations(unsigned servers = 8) {
    auto weights = rc::gen::container<std::vector<int>>(servers, one_of<int>({-1, 0, 1, 2, 3, 4}));
    return rc::gen::map(std::move(weights), [](const std::vector<int>& drawn) {
        std::vector<Destination> list;
        for (unsigned i = 0; i < drawn.size(); ++i)
            if (drawn[i] >= 0) list.push_back({server(i), static_cast<std::uint32_t>(drawn[i])});
        return list;
    });
}

inline rc::Gen<ServiceForwarding> service(ServiceKey key = service_key()) {
    return rc::gen::build<ServiceForwarding>(
        rc::gen::set(&ServiceForwarding::key, rc::gen::just(key)),
        rc::gen::set(&ServiceForwarding::scheduler,
                     one_of<Scheduler>({Scheduler::wrr, Scheduler::rr, Scheduler::mh})),
        rc::gen::set(&ServiceForwarding::method,
                     one_of<ForwardingMethod>({ForwardingMethod::dr, ForwardingMethod::tun})),
        rc::gen::set(&ServiceForwarding::destinations, destinations()),
        rc::gen::set(&ServiceForwarding::other_hash));
}

inline rc::Gen<Forwarding> forwarding() {
    return rc::gen::exec([] {
        Forwarding all;
        for (const char* text : {"192.0.2.53", "192.0.2.54", "2001:db8::53"})
            for (const Protocol protocol : {Protocol::udp, Protocol::tcp})
                if (*rc::gen::arbitrary<bool>()) {
                    const ServiceKey key = service_key(text, protocol);
                    all.emplace(key, *service(key));
                }
        return all;
    });
}

}  // namespace generate
}  // namespace dnsdirector::core
