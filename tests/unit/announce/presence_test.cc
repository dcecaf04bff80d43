// SPDX-License-Identifier: Apache-2.0
#include "announce/presence.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "unit/support/network_namespace.h"

namespace dnsdirector::announce {
namespace {

using support::ip;

const IpAddress v4 = IpAddress::parse("192.0.2.53").value();
const IpAddress v6 = IpAddress::parse("2001:db8::53").value();
const IpAddress other = IpAddress::parse("192.0.2.54").value();

class PresenceTest : public ::testing::Test {
protected:
    void SetUp() override {
        std::string name = ::testing::TempDir() + "dnsdirector-presence-XXXXXX";
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        directory = name;
        state_file = name + "/addresses";
    }
    void TearDown() override { std::filesystem::remove_all(directory); }

    static std::unique_ptr<netlink::Socket> open() { return netlink::Socket::open().value(); }

    static bool holds(netlink::Socket& socket, const std::string& interface,
                      const IpAddress& address) {
        const int index = socket.link(interface).value().value().index;
        const auto all = socket.addresses().value();
        return std::any_of(all.begin(), all.end(), [&](const netlink::InterfaceAddress& held) {
            return held.interface == index && held.address == address;
        });
    }
    [[nodiscard]] std::string file() const {
        std::ifstream in{state_file};
        std::ostringstream text;
        text << in.rdbuf();
        return text.str();
    }

    std::filesystem::path directory;
    std::string state_file;
};

TEST_F(PresenceTest, writes_down_again_what_is_ours_after_the_file_was_lost) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link set lo up");
    const auto socket = open();
    const IpAddress one[] = {v4};
    {
        Presence presence{*socket, state_file};
        ASSERT_TRUE(presence.hold("lo", one).has_value());
        std::filesystem::remove(state_file);
        const auto again = presence.hold("lo", one);
        ASSERT_TRUE(again.has_value()) << again.error().message;
        EXPECT_TRUE(again->empty()) << "nothing changed on the interface";
        EXPECT_EQ(file(), "lo 192.0.2.53\n");
    }
    Presence next{*socket, state_file};
    ASSERT_TRUE(next.release().has_value());
    EXPECT_FALSE(holds(*socket, "lo", v4)) << "the next run knew that it is ours";
}

TEST_F(PresenceTest, adds_removes_and_says_each_change_once) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link set lo up");
    const auto socket = open();
    Presence presence{*socket, state_file};
    const IpAddress both[] = {v4, v6};

    const auto first = presence.hold("lo", both);
    ASSERT_TRUE(first.has_value()) << first.error().message;
    EXPECT_EQ(*first, (std::vector<std::string>{"service IP 192.0.2.53/32 added to lo",
                                                "service IP 2001:db8::53/128 added to lo"}));
    EXPECT_TRUE(holds(*socket, "lo", v4));
    EXPECT_TRUE(holds(*socket, "lo", v6));
    EXPECT_EQ(file(), "lo 192.0.2.53\nlo 2001:db8::53\n");
    EXPECT_TRUE(presence.hold("lo", both)->empty()) << "again: nothing to do";

    const IpAddress one[] = {v6};
    EXPECT_EQ(presence.hold("lo", one).value(),
              std::vector<std::string>{"service IP 192.0.2.53/32 removed from lo"});
    EXPECT_FALSE(holds(*socket, "lo", v4));
    EXPECT_TRUE(holds(*socket, "lo", v6));

    ASSERT_TRUE(presence.release().has_value());
    EXPECT_FALSE(holds(*socket, "lo", v6));
    EXPECT_FALSE(std::filesystem::exists(state_file));
    EXPECT_TRUE(std::filesystem::is_empty(directory)) << "no temporary file stays";
    EXPECT_TRUE(presence.release().has_value()) << "again";
}

TEST_F(PresenceTest, puts_back_what_somebody_removed) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link set lo up");
    const auto socket = open();
    Presence presence{*socket, state_file};
    const IpAddress wished[] = {v4};
    ASSERT_TRUE(presence.hold("lo", wished));
    ip("addr del 192.0.2.53/32 dev lo");
    EXPECT_EQ(presence.hold("lo", wished)->size(), 1U);
    EXPECT_TRUE(holds(*socket, "lo", v4));
    ASSERT_TRUE(presence.release());
    EXPECT_FALSE(holds(*socket, "lo", v4)) << "still its own after a repair";
}

TEST_F(PresenceTest, leaves_alone_what_was_there_before) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link set lo up");
    ip("addr add 192.0.2.53/24 dev lo");
    ip("addr add 2001:db8::53/64 dev lo nodad");
    const auto socket = open();
    Presence presence{*socket, state_file};
    const IpAddress wished[] = {v4, v6};
    EXPECT_TRUE(presence.hold("lo", wished)->empty());
    EXPECT_TRUE(presence.own().empty());
    EXPECT_TRUE(presence.hold("lo", {})->empty());
    ASSERT_TRUE(presence.release());
    EXPECT_TRUE(holds(*socket, "lo", v4));
    EXPECT_TRUE(holds(*socket, "lo", v6));
}

TEST_F(PresenceTest, adopts_its_own_after_a_kill) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link set lo up");
    const auto socket = open();
    {
        Presence killed{*socket, state_file};
        const IpAddress wished[] = {v4, other};
        ASSERT_TRUE(killed.hold("lo", wished));
    }  // destroyed without release(), as by kill -9
    ASSERT_TRUE(holds(*socket, "lo", v4));

    Presence next{*socket, state_file};
    EXPECT_EQ(next.own().size(), 2U);
    const IpAddress wished[] = {v4};
    EXPECT_EQ(next.hold("lo", wished).value(),
              std::vector<std::string>{"service IP 192.0.2.54/32 removed from lo"});
    ASSERT_TRUE(next.release());
    EXPECT_FALSE(holds(*socket, "lo", v4));
}

TEST_F(PresenceTest, moves_to_another_interface) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link set lo up");
    ip("link add eth0 type veth peer name peer0");
    const auto socket = open();
    Presence presence{*socket, state_file};
    const IpAddress wished[] = {v4, v6};
    ASSERT_TRUE(presence.hold("lo", wished));
    const auto moved = presence.hold("eth0", wished);
    ASSERT_TRUE(moved.has_value()) << moved.error().message;
    EXPECT_NE(std::find(moved->begin(), moved->end(),
                        "interface eth0 is down: its service IPs are not answered for; ip link set "
                        "eth0 up"),
              moved->end());
    for (const IpAddress& address : wished) {
        EXPECT_TRUE(holds(*socket, "eth0", address));
        EXPECT_FALSE(holds(*socket, "lo", address));
    }
    ip("link del eth0");
    EXPECT_TRUE(presence.release().has_value()) << "the addresses went with the interface";
    EXPECT_TRUE(presence.own().empty());
}

TEST_F(PresenceTest, names_an_interface_that_is_missing) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    const auto socket = open();
    Presence presence{*socket, state_file};
    const IpAddress wished[] = {v4};
    const auto held = presence.hold("svc0", wished);
    ASSERT_FALSE(held.has_value());
    EXPECT_NE(held.error().message.find("no interface svc0"), std::string::npos)
        << held.error().message;
    EXPECT_TRUE(presence.own().empty());
}

TEST_F(PresenceTest, adds_nothing_that_it_could_not_remember) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link set lo up");
    const auto socket = open();
    Presence presence{*socket, (directory / "missing" / "addresses").string()};
    const IpAddress wished[] = {v4};
    const auto held = presence.hold("lo", wished);
    ASSERT_FALSE(held.has_value());
    EXPECT_NE(held.error().message.find("missing/addresses"), std::string::npos);
    EXPECT_FALSE(holds(*socket, "lo", v4));
    EXPECT_TRUE(presence.own().empty());
}

TEST_F(PresenceTest, adds_the_others_when_one_cannot_be_added) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link set lo up");
    support::sysctl("net/ipv6/conf/lo/disable_ipv6", "1");
    const auto socket = open();
    Presence presence{*socket, state_file};
    const IpAddress wished[] = {v6, v4};
    const auto held = presence.hold("lo", wished);
    ASSERT_FALSE(held.has_value());
    EXPECT_NE(held.error().message.find("disable_ipv6"), std::string::npos) << held.error().message;
    EXPECT_TRUE(holds(*socket, "lo", v4));
    EXPECT_EQ(file(), "lo 192.0.2.53\n");
}

/// A kernel in which somebody adds every address a moment before we do.
class CrowdedSocket final : public netlink::Socket {
public:
    template <typename T>
    static Result<T> unused() {
        ADD_FAILURE() << "not needed for this";
        return fail("not needed");
    }
    Result<std::vector<netlink::Link>> links() override {
        return unused<std::vector<netlink::Link>>();
    }
    Result<std::optional<netlink::Link>> link(const std::string& name) override {
        netlink::Link link;
        link.index = 1;
        link.name = name;
        link.up = true;
        return link;
    }
    Result<std::optional<netlink::Link>> link(int) override {
        return unused<std::optional<netlink::Link>>();
    }
    Result<netlink::Route> route_to(const IpAddress&) override { return unused<netlink::Route>(); }
    Result<std::vector<netlink::Neighbour>> neighbours() override {
        return unused<std::vector<netlink::Neighbour>>();
    }
    Result<void> resolve(int, const IpAddress&) override { return unused<void>(); }
    Result<void> release(int, const IpAddress&) override { return unused<void>(); }
    Result<std::vector<netlink::InterfaceAddress>> addresses() override {
        return std::vector<netlink::InterfaceAddress>{};
    }
    Result<bool> add_address(int, const IpAddress&) override { return false; }
    Result<bool> remove_address(int, const IpAddress&) override { return unused<bool>(); }
};

TEST_F(PresenceTest, does_not_claim_what_somebody_added_in_between) {
    CrowdedSocket socket;
    Presence presence{socket, state_file};
    const IpAddress wished[] = {v4};
    const auto held = presence.hold("lo", wished);
    ASSERT_TRUE(held.has_value());
    EXPECT_TRUE(held->empty());
    EXPECT_TRUE(presence.own().empty());
    EXPECT_EQ(file(), "");
    EXPECT_TRUE(presence.release().has_value());
}

TEST_F(PresenceTest, goes_on_with_a_damaged_file_and_says_so) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link set lo up");
    ip("addr add 192.0.2.53/32 dev lo");
    std::ofstream{state_file} << "lo 192.0.2.53\nnonsense\nlo not-an-address\n";
    const auto socket = open();
    Presence presence{*socket, state_file};
    const auto held = presence.hold("lo", {});
    ASSERT_TRUE(held.has_value());
    EXPECT_EQ(*held,
              (std::vector<std::string>{state_file + ":2: ignored; a line is \"INTERFACE ADDRESS\"",
                                        state_file + ":3: ignored; a line is \"INTERFACE ADDRESS\"",
                                        "service IP 192.0.2.53/32 removed from lo"}));
}

}  // namespace
}  // namespace dnsdirector::announce
