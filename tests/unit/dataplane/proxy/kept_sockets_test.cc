// SPDX-License-Identifier: Apache-2.0
//
// Which listening sockets systemd is given to keep.
#include "dataplane/proxy/kept_sockets.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dnsdirector::dataplane::proxy {
namespace {

using Names = std::map<std::string, std::size_t>;
using Lines = std::vector<std::string>;

core::ServiceKey service(const std::string& address, Protocol protocol = Protocol::udp) {
    return {*IpAddress::parse(address), 53, protocol};
}

TEST(KeptSockets, ANameHasNoColon) {
    EXPECT_EQ(store_name(service("192.0.2.53")), "proxy-udp-192.0.2.53-53");
    EXPECT_EQ(store_name(service("2001:db8::53", Protocol::tcp)), "proxy-tcp-2001_db8__53-53");
}

TEST(KeptSockets, WithoutRoomForAllEachServiceHasItsFirst) {
    EXPECT_EQ(share_room({{"a", 2}, {"b", 1}, {"c", 3}}, 6), (Names{{"a", 2}, {"b", 1}, {"c", 3}}));
    EXPECT_EQ(share_room({{"a", 2}, {"b", 1}, {"c", 3}}, 9), (Names{{"a", 2}, {"b", 1}, {"c", 3}}));
    EXPECT_EQ(share_room({{"a", 8}, {"b", 1}, {"c", 8}}, 4), (Names{{"a", 2}, {"b", 1}, {"c", 1}}));
    EXPECT_EQ(share_room({{"a", 8}, {"b", 1}, {"c", 8}}, 2), (Names{{"a", 1}, {"b", 1}}));
    EXPECT_EQ(share_room({{"a", 8}}, 0), Names{});
    EXPECT_EQ(share_room({}, 5), Names{});
}

/// A store that writes down what it is told.
class Told {
public:
    explicit Told(std::size_t room) : room_(room) {
        for (int& each : sockets)
            each = ::socket(AF_INET, SOCK_DGRAM, 0);
    }
    ~Told() {
        for (const int each : sockets)
            ::close(each);
    }
    Told(const Told&) = delete;
    Told& operator=(const Told&) = delete;

    DescriptorStore store() {
        return {.room = [this] { return room_; },
                .keep =
                    [this](const std::string& name, std::span<const int> some) {
                        lines.push_back("keep " + name + " " + std::to_string(some.size()));
                    },
                .forget = [this](const std::string& name) { lines.push_back("forget " + name); }};
    }
    std::span<const int> some(std::size_t first, std::size_t count) {
        return std::span<const int>(sockets).subspan(first, count);
    }
    Lines take() { return std::exchange(lines, {}); }

    std::array<int, 6> sockets{};
    Lines lines;

private:
    std::size_t room_;
};

TEST(KeptSockets, WhatIsNewIsKeptAndWhatWentIsForgottenFirst) {
    Told told(10);
    KeptSockets kept(told.store());
    const auto a = service("192.0.2.1");
    const auto b = service("192.0.2.2");
    kept.hold({{a, told.some(0, 2)}});
    EXPECT_EQ(told.take(), Lines{"keep proxy-udp-192.0.2.1-53 2"});
    kept.hold({{a, told.some(0, 2)}});
    EXPECT_EQ(told.take(), Lines{});
    kept.hold({{a, told.some(0, 3)}});
    EXPECT_EQ(told.take(), Lines{"keep proxy-udp-192.0.2.1-53 1"});
    kept.hold({{b, told.some(3, 2)}});
    EXPECT_EQ(told.take(),
              (Lines{"forget proxy-udp-192.0.2.1-53", "keep proxy-udp-192.0.2.2-53 2"}));
    kept.forget_all();
    EXPECT_EQ(told.take(), Lines{"forget proxy-udp-192.0.2.2-53"});
}

TEST(KeptSockets, WhatThePredecessorStoredIsNotStoredAgain) {
    Told told(10);
    KeptSockets kept(told.store());
    const auto a = service("192.0.2.1");
    kept.found(store_name(a), told.sockets[0]);
    kept.found(store_name(a), told.sockets[1]);
    kept.found("proxy-udp-192.0.2.9-53", told.sockets[5]);
    kept.hold({{a, told.some(0, 3)}});
    EXPECT_EQ(told.take(),
              (Lines{"forget proxy-udp-192.0.2.9-53", "keep proxy-udp-192.0.2.1-53 1"}));
}

TEST(KeptSockets, TooLittleRoomIsSaid) {
    Told told(3);
    KeptSockets kept(told.store());
    kept.hold({{service("192.0.2.1"), told.some(0, 3)}, {service("192.0.2.2"), told.some(3, 2)}});
    EXPECT_EQ(told.take(),
              (Lines{"keep proxy-udp-192.0.2.1-53 2", "keep proxy-udp-192.0.2.2-53 1"}));
    EXPECT_NE(kept.complaint().find("keeps 3 of 5 "), std::string::npos) << kept.complaint();
    EXPECT_NE(kept.complaint().find("FileDescriptorStoreMax=6"), std::string::npos);
    kept.hold({{service("192.0.2.1"), told.some(0, 3)}});
    EXPECT_EQ(told.take(),
              (Lines{"forget proxy-udp-192.0.2.2-53", "keep proxy-udp-192.0.2.1-53 1"}));
    EXPECT_EQ(kept.complaint(), "");
}

TEST(KeptSockets, WithoutAStoreNothingIsSaidToIt) {
    Told told(0);
    KeptSockets kept(told.store());
    kept.hold({{service("192.0.2.1"), told.some(0, 3)}});
    EXPECT_FALSE(kept.usable());
    EXPECT_EQ(told.take(), Lines{});
    EXPECT_EQ(kept.complaint(), "");
}

}  // namespace
}  // namespace dnsdirector::dataplane::proxy
