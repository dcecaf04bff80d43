// SPDX-License-Identifier: Apache-2.0
#include "netlink/ipvs_messages.h"

#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace dnsdirector::netlink {
namespace {

constexpr std::size_t header_size = GENL_HDRLEN;

Message new_request(int family, int command) {
    const genlmsghdr header{static_cast<std::uint8_t>(command), IPVS_GENL_VERSION, 0};
    return new_message(family, NLM_F_REQUEST, header);
}

// ---- writing ------------------------------------------------------------------

void check(int error) {
    if (error < 0) throw std::bad_alloc{};
}

template <typename Number>
void put(nl_msg* message, int type, Number value) {
    check(nla_put(message, type, sizeof value, &value));
}

void put_address(nl_msg* message, int type, const IpAddress& address) {
    check(nla_put(message, type, static_cast<int>(address.size()), address.bytes().data()));
}

template <typename Write>
void nest(nl_msg* message, int type, Write write) {
    nlattr* start = nla_nest_start(message, type);
    if (start == nullptr) throw std::bad_alloc{};
    write();
    nla_nest_end(message, start);
}

std::uint16_t family_number(Family family) {
    return family == Family::ipv4 ? AF_INET : AF_INET6;
}

void put_id(nl_msg* message, const IpvsServiceId& id) {
    put(message, IPVS_SVC_ATTR_AF, family_number(id.family));
    if (id.fwmark != 0) return put(message, IPVS_SVC_ATTR_FWMARK, id.fwmark);
    put(message, IPVS_SVC_ATTR_PROTOCOL, std::uint16_t{id.protocol});
    put_address(message, IPVS_SVC_ATTR_ADDR, id.address);
    put(message, IPVS_SVC_ATTR_PORT, htons(id.port));
}

/// A mask in network byte order for IPv4, the number itself for IPv6.
std::uint32_t netmask_of(const IpvsService& service) {
    if (service.id.family == Family::ipv6) return service.prefix_length;
    if (service.prefix_length == 0) return 0;
    return htonl(~std::uint32_t{0} << (32U - std::min<unsigned>(service.prefix_length, 32)));
}

// ---- reading ------------------------------------------------------------------

template <std::size_t Max>
using Table = std::array<nlattr*, Max + 1>;

template <std::size_t Max>
bool parse_nested(Table<Max>& table, const nlattr* parent) {
    return parent != nullptr &&
           nla_parse_nested(table.data(), Max, const_cast<nlattr*>(parent), nullptr) == 0;
}

template <typename Number>
Number number(const nlattr* attribute) {
    Number value{};
    if (attribute != nullptr && nla_len(attribute) >= static_cast<int>(sizeof value))
        std::memcpy(&value, nla_data(attribute), sizeof value);
    return value;
}

/// The kernel always sends 16 bytes; an IPv4 address takes the first four.
std::optional<IpAddress> address_of(const nlattr* attribute, Family family) {
    if (attribute == nullptr) return std::nullopt;
    const auto copy = [&](auto bytes) {
        std::memcpy(bytes.data(), nla_data(attribute), bytes.size());
        return bytes;
    };
    const int length = nla_len(attribute);
    if (family == Family::ipv4 && length >= 4)
        return IpAddress::from_v4(copy(std::array<std::uint8_t, 4>{}));
    if (family == Family::ipv6 && length >= 16)
        return IpAddress::from_v6(copy(std::array<std::uint8_t, 16>{}));
    return std::nullopt;
}

std::optional<Family> family_of(const nlattr* attribute) {
    switch (number<std::uint16_t>(attribute)) {
        case AF_INET: return Family::ipv4;
        case AF_INET6: return Family::ipv6;
        default: return std::nullopt;
    }
}

std::string text_of(const nlattr* attribute) {
    if (attribute == nullptr) return {};
    const auto* text = static_cast<const char*>(nla_data(attribute));
    return {text, strnlen(text, static_cast<std::size_t>(nla_len(attribute)))};
}

IpvsStats stats_of(const nlattr* attribute) {
    Table<IPVS_STATS_ATTR_MAX> table{};
    if (!parse_nested<IPVS_STATS_ATTR_MAX>(table, attribute)) return {};
    return {number<std::uint64_t>(table[IPVS_STATS_ATTR_CONNS]),
            number<std::uint64_t>(table[IPVS_STATS_ATTR_INPKTS]),
            number<std::uint64_t>(table[IPVS_STATS_ATTR_OUTPKTS]),
            number<std::uint64_t>(table[IPVS_STATS_ATTR_INBYTES]),
            number<std::uint64_t>(table[IPVS_STATS_ATTR_OUTBYTES])};
}

std::uint8_t prefix_length_of(std::uint32_t netmask, Family family) {
    if (family == Family::ipv6) return static_cast<std::uint8_t>(std::min(netmask, 128U));
    const std::uint32_t mask = ntohl(netmask);
    const int ones = std::countl_one(mask);
    return std::popcount(mask) == ones ? static_cast<std::uint8_t>(ones) : 0;
}

/// The attributes behind the generic header; false where they are none.
template <std::size_t Max>
bool parse_message(const nlmsghdr& header, Table<Max>& table) {
    return header.nlmsg_len >= static_cast<std::uint32_t>(nlmsg_size(header_size)) &&
           nlmsg_parse(const_cast<nlmsghdr*>(&header), header_size, table.data(), Max, nullptr) ==
               0;
}

}  // namespace

// ---- the family -----------------------------------------------------------------

Message family_request(const char* name) {
    const genlmsghdr header{CTRL_CMD_GETFAMILY, 1, 0};
    Message message = new_message(GENL_ID_CTRL, NLM_F_REQUEST, header);
    check(nla_put_string(message.get(), CTRL_ATTR_FAMILY_NAME, name));
    return message;
}

std::optional<int> parse_family(const nlmsghdr& header) {
    Table<CTRL_ATTR_MAX> table{};
    if (header.nlmsg_type != GENL_ID_CTRL || !parse_message<CTRL_ATTR_MAX>(header, table) ||
        table[CTRL_ATTR_FAMILY_ID] == nullptr)
        return std::nullopt;
    return number<std::uint16_t>(table[CTRL_ATTR_FAMILY_ID]);
}

// ---- requests -------------------------------------------------------------------

Message services_request(int family) {
    return new_request(family, IPVS_CMD_GET_SERVICE);
}

Message destinations_request(int family, const IpvsServiceId& service) {
    return service_message(family, IPVS_CMD_GET_DEST, service);
}

Message service_message(int family, int command, const IpvsServiceId& service) {
    Message message = new_request(family, command);
    nest(message.get(), IPVS_CMD_ATTR_SERVICE, [&] { put_id(message.get(), service); });
    return message;
}

Message service_message(int family, int command, const IpvsService& service) {
    Message message = new_request(family, command);
    nest(message.get(), IPVS_CMD_ATTR_SERVICE, [&] {
        nl_msg* to = message.get();
        put_id(to, service.id);
        check(nla_put_string(to, IPVS_SVC_ATTR_SCHED_NAME, service.scheduler.c_str()));
        if (!service.persistence_engine.empty())
            check(nla_put_string(to, IPVS_SVC_ATTR_PE_NAME, service.persistence_engine.c_str()));
        // All of them are set by us. IP_VS_SVC_F_HASHED is the kernel's own.
        put(to, IPVS_SVC_ATTR_FLAGS, ip_vs_flags{service.flags, ~0U});
        put(to, IPVS_SVC_ATTR_TIMEOUT, service.timeout);
        put(to, IPVS_SVC_ATTR_NETMASK, netmask_of(service));
    });
    return message;
}

Message destination_message(int family, int command, const IpvsServiceId& service,
                            const IpvsDestination& destination) {
    Message message = service_message(family, command, service);
    nest(message.get(), IPVS_CMD_ATTR_DEST, [&] {
        nl_msg* to = message.get();
        put(to, IPVS_DEST_ATTR_ADDR_FAMILY, family_number(destination.address.family()));
        put_address(to, IPVS_DEST_ATTR_ADDR, destination.address);
        put(to, IPVS_DEST_ATTR_PORT, htons(destination.port));
        if (command == IPVS_CMD_DEL_DEST) return;
        put(to, IPVS_DEST_ATTR_FWD_METHOD, destination.method & IP_VS_CONN_F_FWD_MASK);
        put(to, IPVS_DEST_ATTR_WEIGHT, destination.weight);
        put(to, IPVS_DEST_ATTR_U_THRESH, destination.upper_threshold);
        put(to, IPVS_DEST_ATTR_L_THRESH, destination.lower_threshold);
        if (destination.method == IP_VS_CONN_F_TUNNEL)
            put(to, IPVS_DEST_ATTR_TUN_TYPE, destination.tunnel_type);
    });
    return message;
}

// ---- answers --------------------------------------------------------------------

std::optional<IpvsService> parse_service(const nlmsghdr& header) {
    Table<IPVS_CMD_ATTR_MAX> top{};
    Table<IPVS_SVC_ATTR_MAX> table{};
    if (!parse_message<IPVS_CMD_ATTR_MAX>(header, top) ||
        !parse_nested<IPVS_SVC_ATTR_MAX>(table, top[IPVS_CMD_ATTR_SERVICE]))
        return std::nullopt;
    const auto family = family_of(table[IPVS_SVC_ATTR_AF]);
    if (!family) return std::nullopt;

    IpvsService service;
    service.id.family = *family;
    service.id.fwmark = number<std::uint32_t>(table[IPVS_SVC_ATTR_FWMARK]);
    if (service.id.fwmark == 0) {
        const auto address = address_of(table[IPVS_SVC_ATTR_ADDR], *family);
        if (!address) return std::nullopt;
        service.id.address = *address;
        service.id.protocol =
            static_cast<std::uint8_t>(number<std::uint16_t>(table[IPVS_SVC_ATTR_PROTOCOL]));
        service.id.port = ntohs(number<std::uint16_t>(table[IPVS_SVC_ATTR_PORT]));
    }
    service.scheduler = text_of(table[IPVS_SVC_ATTR_SCHED_NAME]);
    service.flags = number<ip_vs_flags>(table[IPVS_SVC_ATTR_FLAGS]).flags;
    service.timeout = number<std::uint32_t>(table[IPVS_SVC_ATTR_TIMEOUT]);
    service.prefix_length =
        prefix_length_of(number<std::uint32_t>(table[IPVS_SVC_ATTR_NETMASK]), *family);
    service.persistence_engine = text_of(table[IPVS_SVC_ATTR_PE_NAME]);
    service.stats = stats_of(table[IPVS_SVC_ATTR_STATS64]);
    return service;
}

std::optional<IpvsDestination> parse_destination(const nlmsghdr& header, Family of) {
    Table<IPVS_CMD_ATTR_MAX> top{};
    Table<IPVS_DEST_ATTR_MAX> table{};
    if (!parse_message<IPVS_CMD_ATTR_MAX>(header, top) ||
        !parse_nested<IPVS_DEST_ATTR_MAX>(table, top[IPVS_CMD_ATTR_DEST]))
        return std::nullopt;
    const Family family = family_of(table[IPVS_DEST_ATTR_ADDR_FAMILY]).value_or(of);
    const auto address = address_of(table[IPVS_DEST_ATTR_ADDR], family);
    if (!address) return std::nullopt;

    IpvsDestination destination;
    destination.address = *address;
    destination.port = ntohs(number<std::uint16_t>(table[IPVS_DEST_ATTR_PORT]));
    destination.method =
        number<std::uint32_t>(table[IPVS_DEST_ATTR_FWD_METHOD]) & IP_VS_CONN_F_FWD_MASK;
    destination.weight = number<std::int32_t>(table[IPVS_DEST_ATTR_WEIGHT]);
    destination.upper_threshold = number<std::uint32_t>(table[IPVS_DEST_ATTR_U_THRESH]);
    destination.lower_threshold = number<std::uint32_t>(table[IPVS_DEST_ATTR_L_THRESH]);
    destination.tunnel_type = number<std::uint8_t>(table[IPVS_DEST_ATTR_TUN_TYPE]);
    destination.active = number<std::uint32_t>(table[IPVS_DEST_ATTR_ACTIVE_CONNS]);
    destination.inactive = number<std::uint32_t>(table[IPVS_DEST_ATTR_INACT_CONNS]);
    destination.persistent = number<std::uint32_t>(table[IPVS_DEST_ATTR_PERSIST_CONNS]);
    destination.stats = stats_of(table[IPVS_DEST_ATTR_STATS64]);
    return destination;
}

}  // namespace dnsdirector::netlink
