// SPDX-License-Identifier: Apache-2.0
//
// keepalived's timing keywords, which stand in a virtual_server, a real_server
// and a check alike; the innermost holds.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>

#include "config/keywords.h"

namespace dnsdirector::config {

/// Of the block that the keyword stands in.
[[nodiscard]] CompatibleTiming& timing_of(const Call& call);

constexpr Keyword delay_loop_keyword(Block in) {
    return {.in = in,
            .name = "delay_loop",
            .kind = Kind::duration,
            .help = "From one check to the next",
            .standard = "60s",
            .minimum = Nanoseconds{std::chrono::milliseconds{50}}.count(),
            .maximum = Nanoseconds{std::chrono::hours{24}}.count(),
            .handle = [](const Call& c) { timing_of(c).delay_loop = c.arguments.duration; }};
}

constexpr Keyword connect_timeout_keyword(Block in) {
    return {.in = in,
            .name = "connect_timeout",
            .kind = Kind::duration,
            .help = "How long a check waits for its connection or reply",
            .standard = "5s",
            .minimum = Nanoseconds{std::chrono::milliseconds{1}}.count(),
            .maximum = Nanoseconds{std::chrono::hours{1}}.count(),
            .handle = [](const Call& c) { timing_of(c).connect_timeout = c.arguments.duration; }};
}

constexpr Keyword retry_keyword(Block in) {
    return {.in = in,
            .name = "retry",
            .kind = Kind::number,
            .help = "Failures in a row that are forgiven",
            .standard = "MISC_CHECK 0, DNS_CHECK 3, others 1",
            .minimum = 0,
            .maximum = 4294967295,
            .handle = [](const Call& c) {
                timing_of(c).retry = static_cast<std::uint32_t>(c.arguments.number);
            }};
}

constexpr Keyword delay_before_retry_keyword(Block in) {
    return {.in = in,
            .name = "delay_before_retry",
            .kind = Kind::duration,
            .help = "From a failure that is forgiven to the next try; 0: at once (1 ms)",
            .standard = "the delay_loop for DNS_CHECK, 3s for HTTP_GET, else 1s",
            .minimum = 0,
            .maximum = Nanoseconds{std::chrono::hours{24}}.count(),
            .handle = [](const Call& c) {
                timing_of(c).delay_before_retry =
                    std::max(c.arguments.duration, Nanoseconds{std::chrono::milliseconds{1}});
            }};
}

constexpr Keyword alpha_keyword(Block in) {
    return {.in = in,
            .name = "alpha",
            .kind = Kind::flag,
            .help =
                "Servers wait outside until their checks have passed; without it they serve "
                "untested until the first verdict",
            .standard = "off",
            .handle = [](const Call& c) { timing_of(c).alpha = c.arguments.flag; }};
}

constexpr Keyword warmup_keyword(Block in) {
    return {.in = in,
            .name = "warmup",
            .kind = Kind::duration,
            .help = "The first check comes 1 s plus a random part of this after the start",
            .standard = "the delay_loop",
            .minimum = 0,
            .maximum = Nanoseconds{std::chrono::hours{24}}.count(),
            .handle = [](const Call& c) { timing_of(c).warmup = c.arguments.duration; }};
}

/// All of them, for a block that has no reason to leave one out.
constexpr std::array<Keyword, 6> timing_keywords(Block in) {
    return {delay_loop_keyword(in),         connect_timeout_keyword(in), retry_keyword(in),
            delay_before_retry_keyword(in), warmup_keyword(in),          alpha_keyword(in)};
}

}  // namespace dnsdirector::config
