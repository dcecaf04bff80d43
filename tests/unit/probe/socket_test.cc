// SPDX-License-Identifier: Apache-2.0
#include "probe/socket.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "unit/support/network_namespace.h"
#include "unit/support/unused_port.h"

namespace dnsdirector::probe {
namespace {

using core::Failure;

TEST(OutcomeOfErrors, RefusalsAreAnswersAtEveryStage) {
    for (const Stage stage : {Stage::own, Stage::udp, Stage::tcp})
        for (const int error : {ECONNREFUSED, ECONNRESET, EPIPE, ENOPROTOOPT})
            EXPECT_EQ(outcome_of(error, stage).failure, Failure::refused) << error;
}

TEST(OutcomeOfErrors, UnreachableMeansWhatTheStageSays) {
    for (const int error : {EHOSTUNREACH, ENETUNREACH}) {
        EXPECT_EQ(outcome_of(error, Stage::own).failure, Failure::local);
        EXPECT_EQ(outcome_of(error, Stage::udp).failure, Failure::refused);
        EXPECT_EQ(outcome_of(error, Stage::tcp).failure, Failure::silence);
    }
}

TEST(OutcomeOfErrors, WhatOurMachineObjectsToIsLocal) {
    for (const int error : {EPERM, EACCES, ENOBUFS, EINVAL}) {
        const Outcome outcome = outcome_of(error, Stage::own);
        EXPECT_EQ(outcome.failure, Failure::local);
        EXPECT_TRUE(outcome.reason.starts_with("cannot send: ")) << outcome.reason;
    }
}

TEST(Socket, CountsInTheBudgetWhileOpen) {
    SocketBudget budget{.limit = 100, .open = 0};
    {
        Socket socket(budget);
        const Path path = make_path(*Endpoint::parse("127.0.0.1:53"), {}).value();
        EXPECT_FALSE(socket.open(Protocol::udp, path).has_value());
        EXPECT_EQ(budget.open, 1);
        EXPECT_FALSE(socket.open(Protocol::udp, path).has_value());
        EXPECT_EQ(budget.open, 1);
    }
    EXPECT_EQ(budget.open, 0);
}

// ---- how packets leave ------------------------------------------------------

Path path_to(const char* target, const core::Via& via) {
    return make_path(*Endpoint::parse(target), via).value();
}

std::string reason_of_opening(Protocol protocol, const Path& path) {
    SocketBudget budget{.limit = 100, .open = 0};
    Socket socket(budget);
    const std::optional<Outcome> failed = socket.open(protocol, path);
    if (!failed) return "opened";
    EXPECT_EQ(failed->failure, Failure::local);
    EXPECT_EQ(budget.open, 0);
    return failed->reason;
}

TEST(Path, RefusesASourceOfTheOtherFamily) {
    const core::Via via{.source = IpAddress::parse("2001:db8::1")};
    EXPECT_EQ(make_path(*Endpoint::parse("192.0.2.1:53"), via).error().message,
              "cannot send from 2001:db8::1 to 192.0.2.1: not of one address family");
}

TEST(Socket, SendsFromTheAddressAndPortItIsTold) {
    for (const char* address : {"127.0.0.1:53", "[::1]:53"})
        for (const bool with_address : {true, false}) {
            const Endpoint target = *Endpoint::parse(address);
            core::Via via{.source_port = support::unused_port()};
            if (with_address) via.source = target.address;
            SocketBudget budget{.limit = 100, .open = 0};
            Socket one(budget), another(budget);
            ASSERT_FALSE(one.open(Protocol::udp, *make_path(target, via)));
            // Checks of other targets use the same port.
            ASSERT_FALSE(another.open(Protocol::udp, *make_path({target.address, 54}, via)));
            sockaddr_in6 own{};
            socklen_t size = sizeof own;
            ::getsockname(one.get(), reinterpret_cast<sockaddr*>(&own), &size);
            EXPECT_EQ(ntohs(own.sin6_port), via.source_port);
        }
}

TEST(Socket, SaysWhenAnotherProgramHasThePort) {
    SocketBudget budget{.limit = 100, .open = 0};
    Socket other(budget);
    ASSERT_FALSE(other.open(Protocol::udp, path_to("127.0.0.1:53", {})));
    sockaddr_in own{};
    socklen_t size = sizeof own;
    ::getsockname(other.get(), reinterpret_cast<sockaddr*>(&own), &size);
    const std::uint16_t taken = ntohs(own.sin_port);
    EXPECT_EQ(reason_of_opening(Protocol::udp, path_to("127.0.0.1:53", {.source_port = taken})),
              fmt::format("cannot send from port {}: another program has that port", taken));
}

TEST(Socket, LeavesThroughTheInterfaceItIsTold) {
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
        EXPECT_EQ(reason_of_opening(protocol, path_to("127.0.0.1:53", {.interface = "no-such0"})),
                  "cannot send through no-such0: no such interface");
        EXPECT_EQ(reason_of_opening(protocol, path_to("127.0.0.1:53", {.interface = "lo"})),
                  "opened");
    }
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    support::ip("link set lo up");
    support::ip("link add eth0 type veth peer name eth1");
    support::ip("link set eth0 up");
    // No route leads there; the kernel takes it for on-link where an interface is named.
    EXPECT_EQ(reason_of_opening(Protocol::udp, path_to("192.0.2.2:53", {})),
              "cannot send: no route to the server");
    EXPECT_EQ(reason_of_opening(Protocol::udp, path_to("192.0.2.2:53", {.interface = "eth0"})),
              "opened");
}

TEST(Socket, MarksItsPacketsForRulesOfRouting) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    support::ip("link set lo up");
    support::ip("rule add fwmark 7 prohibit");
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
        EXPECT_EQ(reason_of_opening(protocol, path_to("192.0.2.2:53", {.mark = 8})),
                  "cannot send: no route to the server");
        EXPECT_EQ(reason_of_opening(protocol, path_to("192.0.2.2:53", {.mark = 7})),
                  "cannot send: a route or packet filter of this machine forbids it");
    }
}

TEST(Socket, NamesTheCapabilityThatAMarkNeeds) {
    // Capabilities belong to threads, so only this one gives its own up.
    std::string reason;
    std::thread([&] {
        __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
        __user_cap_data_struct none[2]{};
        ::syscall(SYS_capset, &header, none);
        reason = reason_of_opening(Protocol::udp, path_to("127.0.0.1:53", {.mark = 7}));
    }).join();
    EXPECT_EQ(reason, "cannot set the firewall mark 7: that needs CAP_NET_ADMIN");
}

}  // namespace
}  // namespace dnsdirector::probe
