// SPDX-License-Identifier: Apache-2.0
//
// The kernel program and its tables without a network: packets go in and out by
// BPF_PROG_TEST_RUN, and Services fills the tables as in the plane.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dataplane/xdp/flows.h"
#include "dataplane/xdp/keys.h"
#include "dataplane/xdp/services.h"
#include "packets/host.h"
#include "packets/ways.h"
#include "unit/dataplane/packets.h"
#include "unit/dataplane/xdp_lab.h"

namespace dnsdirector::dataplane::test {

namespace abi = xdp::abi;
using xdp::Hop;
using xdp::Maps;
using xdp::Program;
using xdp::Services;

inline Endpoint server(const Endpoint& service, int number) {
    return *Endpoint::parse(service.address.is_v4() ? fmt::format("203.0.113.{}:53", number)
                                                    : fmt::format("[2001:db8:1::{:x}]:53", number));
}
/// The last byte tells the server.
inline Mac mac_of(const IpAddress& address) {
    return {2, 0, 0, 0, 1, address.bytes()[address.size() - 1]};
}

struct Outcome {
    std::uint32_t verdict = 0;
    Frame frame;
};

/// The program and its tables, filled by Services as the plane does it. Servers
/// numbered 100 and more are behind another interface.
class Bed {
public:
    static constexpr core::Limits usual_limits{
        .services = 4096, .real_servers = 256, .slots = 1 << 18, .flows = 1 << 14};

    explicit Bed(const std::string& pins, const core::Limits& with = usual_limits,
                 std::uint32_t flags = abi::INSTANCE_TRANSMIT)
        : limits(with), pins_(pins) {
        support::ip("link add near type veth peer name far");
        near_ = if_nametoindex("near");
        far_ = if_nametoindex("far");
        restart();
        load(flags);
    }

    /// What a new daemon does: opens the same pins with nothing in its memory.
    void restart() {
        services.reset();
        flows.reset();
        maps.reset();
        auto opened = Maps::open(limits, pins_);
        ASSERT_TRUE(opened.has_value()) << opened.error().message;
        maps = std::move(*opened);
        auto memory = xdp::Flows::open(*maps);
        ASSERT_TRUE(memory.has_value()) << memory.error().message;
        flows = std::move(*memory);
        services = std::make_unique<Services>(
            *maps, [this](const xdp::Target& target) { return hop(target.address); });
        ASSERT_TRUE(services->read().has_value());
    }

    void load(std::uint32_t flags, const Mac& mac = test::own_mac) {
        program_ = Program{abi::director__open()};
        ASSERT_NE(program_, nullptr);
        ASSERT_TRUE(maps->lend_to(*program_).has_value());
        abi::instance& instance = instance_;
        instance = {};
        std::memcpy(&instance.mac_first, mac.data(), 4);
        std::memcpy(&instance.mac_last, mac.data() + 4, 2);
        instance.ifindex = near_;
        instance.flags = flags;
        std::memcpy(&program_->rodata->instance, &instance, sizeof instance);
        xdp::keep_libbpf_log();
        ASSERT_EQ(abi::director__load(program_.get()), 0) << xdp::take_libbpf_log();
    }

    Outcome run(const Frame& frame) {
        Outcome outcome;
        outcome.frame.resize(4096);
        LIBBPF_OPTS(bpf_test_run_opts, options);
        options.data_in = frame.data();
        options.data_size_in = static_cast<std::uint32_t>(frame.size());
        options.data_out = outcome.frame.data();
        options.data_size_out = static_cast<std::uint32_t>(outcome.frame.size());
        options.repeat = 1;
        EXPECT_EQ(bpf_prog_test_run_opts(bpf_program__fd(program_->progs.director), &options), 0)
            << std::strerror(errno);
        outcome.frame.resize(options.data_size_out);
        outcome.verdict = options.retval;
        return outcome;
    }

    /// Servers with these numbers are reached as tests/packets/ways.h says.
    void reach_by_numbers(std::initializer_list<int> numbers) {
        for (const Family family : {Family::ipv4, Family::ipv6})
            for (const int number : numbers)
                ways[packets::server(family, number).address] =
                    packets::way_to(family, number, near_, far_);
    }

    /// The program compiled for user space gets a copy of all tables.
    void lend_to_host() {
        const std::uint32_t interfaces[] = {near_, far_};
        packets::host::adopt(maps->directory(), maps->services(), maps->slots(),
                             maps->destinations(), maps->tunnels(), instance_, interfaces);
    }

    /// The server that a frame went to; -1: it was not forwarded.
    int sent_to(const Frame& frame) {
        const Outcome outcome = run(frame);
        return outcome.verdict == XDP_TX ? outcome.frame[5] : -1;
    }

    void serve(const core::ServiceKey& key, std::vector<core::Destination> destinations,
               core::Scheduler scheduler = core::Scheduler::wrr) {
        std::vector<core::Change> changes{
            core::AddService{key, scheduler, core::ForwardingMethod::dr}};
        for (const core::Destination& destination : destinations)
            changes.emplace_back(core::AddDestination{key, destination});
        const auto applied = services->apply(changes, {});
        ASSERT_TRUE(applied.has_value()) << applied.error().message;
    }

    std::uint64_t reason(abi::reason reason) {
        return xdp::sum_per_cpu(maps->fd(xdp::MapId::reasons), abi::REASON_COUNT, 1)
            .value()[reason];
    }
    Counters counters() {
        Counters counters;
        EXPECT_TRUE(services->count(counters).has_value());
        return counters;
    }

    /// Interface indices: where packets come in, and another one.
    [[nodiscard]] std::uint32_t near() const { return near_; }
    [[nodiscard]] std::uint32_t far() const { return far_; }

    core::Limits limits;
    std::unique_ptr<Maps> maps;
    std::unique_ptr<Services> services;
    std::optional<xdp::Flows> flows;
    Mac leaves_by{2, 0, 0, 0, 0, 2};
    std::map<IpAddress, Hop> ways;  ///< instead of what is made up
    std::set<IpAddress> unknown;    ///< no way to these is known

private:
    const Hop* hop(const IpAddress& address) {
        if (unknown.contains(address)) return nullptr;
        const bool behind = address.bytes()[address.size() - 1] >= 100;
        Hop& hop = hops_[address];
        if (const auto given = ways.find(address); given != ways.end())
            return &(hop = given->second);
        hop = {};
        hop.ifindex = behind ? far_ : near_;
        hop.server = mac_of(address);
        hop.own = leaves_by;
        return &hop;
    }

    std::string pins_;
    Program program_;
    std::map<IpAddress, Hop> hops_;
    abi::instance instance_{};
    std::uint32_t near_ = 0;
    std::uint32_t far_ = 0;
};

}  // namespace dnsdirector::dataplane::test

/// A bed of its own for this test, in a namespace of its own.
#define NEEDS_BED(bed, ...)                          \
    DNSDIRECTOR_NEEDS_BPF(bed##_pins);               \
    DNSDIRECTOR_NEEDS_NAMESPACE(bed##_namespace);    \
    ::dnsdirector::dataplane::test::Bed bed {        \
        bed##_pins.path() __VA_OPT__(, ) __VA_ARGS__ \
    }
