// SPDX-License-Identifier: Apache-2.0
//
// Every byte of what is sent, and answers as the kernel writes them
// (net/netfilter/ipvs/ip_vs_ctl.c, ip_vs_genl_fill_service and _dest).
#include "netlink/ipvs_messages.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <netinet/in.h>
#include <netlink/attr.h>

namespace dnsdirector::netlink {
namespace {

constexpr int family = 0x1d;

IpAddress address_of(const char* text) {
    return *IpAddress::parse(text);
}

/// Without the netlink header: the generic one and the attributes, as hexadecimal
/// digits in groups of four bytes.
std::string payload(const Message& message) {
    const nlmsghdr* header = nlmsg_hdr(message.get());
    const auto* bytes = static_cast<const unsigned char*>(nlmsg_data(header));
    std::string text;
    for (int i = 0; i < nlmsg_datalen(header); ++i)
        text += fmt::format("{}{:02x}", i > 0 && i % 4 == 0 ? " " : "", bytes[i]);
    return text;
}

IpvsServiceId udp() {
    return {Family::ipv4, 0, IPPROTO_UDP, address_of("192.0.2.53"), 53};
}

TEST(IpvsMessages, a_service_is_spelt_as_the_kernel_reads_it) {
    IpvsService service;
    service.id = udp();
    service.scheduler = "wrr";
    service.flags = IP_VS_SVC_F_ONEPACKET;
    const Message message = service_message(family, IPVS_CMD_NEW_SERVICE, service);
    EXPECT_EQ(nlmsg_hdr(message.get())->nlmsg_type, family);
    EXPECT_EQ(nlmsg_hdr(message.get())->nlmsg_flags, NLM_F_REQUEST);
    EXPECT_EQ(payload(message),
              "01010000"                     // IPVS_CMD_NEW_SERVICE, version 1
              " 48000180"                    // nested IPVS_CMD_ATTR_SERVICE
              " 06000100 02000000"           // AF_INET
              " 06000200 11000000"           // IPPROTO_UDP
              " 08000300 c0000235"           // 192.0.2.53
              " 06000400 00350000"           // port 53, network byte order
              " 08000600 77727200"           // "wrr"
              " 0c000700 04000000 ffffffff"  // flags, mask
              " 08000800 00000000"           // no persistence
              " 08000900 ffffffff");         // its netmask: each address by itself
}

TEST(IpvsMessages, persistence_has_a_mask_for_ipv4_and_a_length_for_ipv6) {
    IpvsService service;
    service.id = {Family::ipv4, 7, 0, {}, 0};
    service.scheduler = "rr";
    service.flags = IP_VS_SVC_F_PERSISTENT;
    service.timeout = 360;
    service.prefix_length = 24;
    EXPECT_EQ(payload(service_message(family, IPVS_CMD_SET_SERVICE, service)),
              "02010000 38000180"
              " 06000100 02000000"
              " 08000500 07000000"  // the mark alone
              " 07000600 72720000"
              " 0c000700 01000000 ffffffff"
              " 08000800 68010000"
              " 08000900 ffffff00");
    service.id.family = Family::ipv6;
    service.prefix_length = 56;
    const std::string text = payload(service_message(family, IPVS_CMD_SET_SERVICE, service));
    EXPECT_TRUE(text.ends_with(" 08000900 38000000")) << text;
}

TEST(IpvsMessages, a_destination_stands_beside_its_service) {
    IpvsDestination one;
    one.address = address_of("203.0.113.11");
    one.port = 53;
    one.method = IP_VS_CONN_F_DROUTE;
    one.weight = 3;
    one.upper_threshold = 100;
    one.lower_threshold = 50;
    const std::string service =
        " 24000180 06000100 02000000 06000200 11000000 08000300 c0000235 06000400 00350000";
    EXPECT_EQ(payload(destination_message(family, IPVS_CMD_NEW_DEST, udp(), one)),
              "05010000" + service +
                  " 3c000280"
                  " 06000b00 02000000"  // AF_INET
                  " 08000100 cb00710b"
                  " 06000200 00350000"
                  " 08000300 03000000"  // IP_VS_CONN_F_DROUTE
                  " 08000400 03000000"
                  " 08000500 64000000"
                  " 08000600 32000000");
    EXPECT_EQ(payload(destination_message(family, IPVS_CMD_DEL_DEST, udp(), one)),
              "07010000" + service +
                  " 1c000280 06000b00 02000000 08000100 cb00710b"
                  " 06000200 00350000");
}

TEST(IpvsMessages, a_tunnel_may_lead_to_the_other_family) {
    IpvsDestination one;
    one.address = address_of("2001:db8::11");
    one.method = IP_VS_CONN_F_TUNNEL;
    const std::string text = payload(destination_message(family, IPVS_CMD_SET_DEST, udp(), one));
    EXPECT_NE(text.find(" 06000b00 0a000000"), std::string::npos) << text;
    EXPECT_NE(text.find(" 14000100 20010db8 00000000 00000000 00000011"), std::string::npos);
    EXPECT_TRUE(text.ends_with(" 05000d00 00000000")) << text;  // IPIP
}

TEST(IpvsMessages, requests_name_what_they_want) {
    EXPECT_EQ(payload(services_request(family)), "04010000");
    EXPECT_EQ(payload(destinations_request(family, udp())),
              "08010000 24000180 06000100 02000000 06000200 11000000 08000300 c0000235 06000400 "
              "00350000");
    EXPECT_EQ(payload(family_request("IPVS")), "03010000 09000200 49505653 00000000");
}

// ---- answers ------------------------------------------------------------------

template <typename Number>
void put(const Message& message, int type, Number value) {
    nla_put(message.get(), type, sizeof value, &value);
}

Message answer(int command) {
    return new_message(family, 0, genlmsghdr{static_cast<std::uint8_t>(command), 1, 0});
}

void put_address(const Message& message, int type, const IpAddress& address) {
    nla_put(message.get(), type, 16, address.bytes().data());
}

void put_stats(const Message& message, int type) {
    nlattr* nest = nla_nest_start(message.get(), type);
    put(message, IPVS_STATS_ATTR_CONNS, std::uint64_t{3});
    put(message, IPVS_STATS_ATTR_INPKTS, std::uint64_t{5'000'000'000});
    put(message, IPVS_STATS_ATTR_OUTPKTS, std::uint64_t{7});
    put(message, IPVS_STATS_ATTR_INBYTES, std::uint64_t{300'000'000'000});
    put(message, IPVS_STATS_ATTR_OUTBYTES, std::uint64_t{9});
    nla_nest_end(message.get(), nest);
}

TEST(IpvsMessages, a_service_is_read_with_its_64_bit_counters) {
    const Message message = answer(IPVS_CMD_NEW_SERVICE);
    nlattr* nest = nla_nest_start(message.get(), IPVS_CMD_ATTR_SERVICE);
    put(message, IPVS_SVC_ATTR_AF, std::uint16_t{AF_INET});
    put(message, IPVS_SVC_ATTR_PROTOCOL, std::uint16_t{IPPROTO_UDP});
    put_address(message, IPVS_SVC_ATTR_ADDR, address_of("192.0.2.53"));
    put(message, IPVS_SVC_ATTR_PORT, htons(53));
    nla_put_string(message.get(), IPVS_SVC_ATTR_SCHED_NAME, "mh");
    nla_put_string(message.get(), IPVS_SVC_ATTR_PE_NAME, "sip");
    put(message, IPVS_SVC_ATTR_FLAGS, ip_vs_flags{0x1b, ~0U});
    put(message, IPVS_SVC_ATTR_TIMEOUT, std::uint32_t{60});
    put(message, IPVS_SVC_ATTR_NETMASK, htonl(0xffffff00));
    put_stats(message, IPVS_SVC_ATTR_STATS64);
    nla_nest_end(message.get(), nest);
    const auto service = parse_service(*nlmsg_hdr(message.get()));
    ASSERT_TRUE(service);
    EXPECT_EQ(service->id, udp());
    EXPECT_EQ(service->scheduler, "mh");
    EXPECT_EQ(service->persistence_engine, "sip");
    EXPECT_EQ(service->flags, 0x1bU);
    EXPECT_EQ(service->timeout, 60U);
    EXPECT_EQ(service->prefix_length, 24);
    EXPECT_EQ(service->stats, (IpvsStats{3, 5'000'000'000, 7, 300'000'000'000, 9}));
}

TEST(IpvsMessages, a_destination_is_read_with_its_connections) {
    for (const bool says_family : {true, false}) {
        const Message message = answer(IPVS_CMD_NEW_DEST);
        nlattr* nest = nla_nest_start(message.get(), IPVS_CMD_ATTR_DEST);
        put_address(message, IPVS_DEST_ATTR_ADDR, address_of("2001:db8::11"));
        put(message, IPVS_DEST_ATTR_PORT, htons(5353));
        put(message, IPVS_DEST_ATTR_FWD_METHOD, std::uint32_t{IP_VS_CONN_F_TUNNEL});
        put(message, IPVS_DEST_ATTR_WEIGHT, std::uint32_t{4});
        put(message, IPVS_DEST_ATTR_U_THRESH, std::uint32_t{9});
        put(message, IPVS_DEST_ATTR_L_THRESH, std::uint32_t{8});
        put(message, IPVS_DEST_ATTR_ACTIVE_CONNS, std::uint32_t{1});
        put(message, IPVS_DEST_ATTR_INACT_CONNS, std::uint32_t{2});
        put(message, IPVS_DEST_ATTR_PERSIST_CONNS, std::uint32_t{3});
        if (says_family) put(message, IPVS_DEST_ATTR_ADDR_FAMILY, std::uint16_t{AF_INET6});
        put_stats(message, IPVS_DEST_ATTR_STATS64);
        nla_nest_end(message.get(), nest);
        const auto one =
            parse_destination(*nlmsg_hdr(message.get()), says_family ? Family::ipv4 : Family::ipv6);
        ASSERT_TRUE(one);
        EXPECT_EQ(*one, (IpvsDestination{address_of("2001:db8::11"),
                                         5353,
                                         IP_VS_CONN_F_TUNNEL,
                                         4,
                                         9,
                                         8,
                                         0,
                                         1,
                                         2,
                                         3,
                                         {3, 5'000'000'000, 7, 300'000'000'000, 9}}));
    }
}

TEST(IpvsMessages, what_is_no_service_or_cut_short_is_none) {
    EXPECT_FALSE(parse_service(*nlmsg_hdr(answer(IPVS_CMD_NEW_SERVICE).get())));
    EXPECT_FALSE(parse_destination(*nlmsg_hdr(answer(IPVS_CMD_NEW_DEST).get()), Family::ipv4));
    const Message message = answer(IPVS_CMD_NEW_SERVICE);
    nlattr* nest = nla_nest_start(message.get(), IPVS_CMD_ATTR_SERVICE);
    put(message, IPVS_SVC_ATTR_AF, std::uint16_t{AF_INET6});
    put(message, IPVS_SVC_ATTR_ADDR, std::uint32_t{0});  // too short for IPv6
    nla_nest_end(message.get(), nest);
    EXPECT_FALSE(parse_service(*nlmsg_hdr(message.get())));
}

}  // namespace
}  // namespace dnsdirector::netlink
