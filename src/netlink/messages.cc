// SPDX-License-Identifier: Apache-2.0
#include "netlink/messages.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace dnsdirector::netlink {
namespace {

// States in which an entry has a link-layer address that the kernel itself
// would use: NUD_VALID of include/net/neighbour.h. Stale ones are used and
// verified on the way.
constexpr std::uint16_t nud_valid =
    NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY;

/// The attributes of a message after its fixed part `Header`, by type.
template <typename Header, std::size_t Max>
class Attributes {
public:
    explicit Attributes(const nlmsghdr& header) : header_(header) {
        valid_ = header.nlmsg_len >= static_cast<std::uint32_t>(nlmsg_size(sizeof(Header))) &&
                 nlmsg_parse(const_cast<nlmsghdr*>(&header), sizeof(Header), table_.data(), Max,
                             nullptr) == 0;
    }
    explicit operator bool() const { return valid_; }
    const Header& fixed() const { return *static_cast<const Header*>(nlmsg_data(&header_)); }
    const nlattr* operator[](std::size_t type) const { return table_[type]; }

private:
    const nlmsghdr& header_;
    std::array<nlattr*, Max + 1> table_{};
    bool valid_ = false;
};

/// As above for what is nested in one attribute; all absent when that one is.
template <std::size_t Max>
class Nested {
public:
    explicit Nested(const nlattr* parent) {
        if (parent != nullptr)
            nla_parse_nested(table_.data(), Max, const_cast<nlattr*>(parent), nullptr);
    }
    const nlattr* operator[](std::size_t type) const { return table_[type]; }

private:
    std::array<nlattr*, Max + 1> table_{};
};

template <typename Number>
std::optional<Number> number(const nlattr* attribute) {
    if (attribute == nullptr || nla_len(attribute) < static_cast<int>(sizeof(Number)))
        return std::nullopt;
    Number value;
    std::memcpy(&value, nla_data(attribute), sizeof value);
    return value;
}

std::string text(const nlattr* attribute) {
    if (attribute == nullptr) return {};
    const auto* begin = static_cast<const char*>(nla_data(attribute));
    return {begin, strnlen(begin, static_cast<std::size_t>(nla_len(attribute)))};
}

std::optional<Mac> mac_of(const nlattr* attribute) {
    return nla_len(attribute) == sizeof(Mac) ? number<Mac>(attribute) : std::nullopt;
}

std::optional<IpAddress> address_from(unsigned char family, const void* data, int length) {
    if (family == AF_INET && length == 4) {
        std::array<std::uint8_t, 4> bytes;
        std::memcpy(bytes.data(), data, bytes.size());
        return IpAddress::from_v4(bytes);
    }
    if (family == AF_INET6 && length == 16) {
        std::array<std::uint8_t, 16> bytes;
        std::memcpy(bytes.data(), data, bytes.size());
        return IpAddress::from_v6(bytes);
    }
    return std::nullopt;
}

std::optional<IpAddress> address_of(unsigned char family, const nlattr* attribute) {
    if (attribute == nullptr) return std::nullopt;
    return address_from(family, nla_data(attribute), nla_len(attribute));
}

std::uint32_t xdp_program(const nlattr* xdp) {
    const Nested<IFLA_XDP_MAX> attributes{xdp};
    // PROG_ID is absent where several are attached (XDP_ATTACHED_MULTI).
    for (const int type :
         {IFLA_XDP_PROG_ID, IFLA_XDP_DRV_PROG_ID, IFLA_XDP_SKB_PROG_ID, IFLA_XDP_HW_PROG_ID})
        if (const auto id = number<std::uint32_t>(attributes[static_cast<std::size_t>(type)]);
            id.value_or(0) != 0)
            return *id;
    return 0;
}

std::optional<IpAddress> gateway_of(unsigned char family, const nlattr* gateway,
                                    const nlattr* via) {
    if (gateway != nullptr) return address_of(family, gateway);
    // RTA_VIA: a gateway of the other family (RFC 8950), struct rtvia.
    if (via == nullptr || nla_len(via) < static_cast<int>(sizeof(rtvia))) return std::nullopt;
    const auto* hop = static_cast<const rtvia*>(nla_data(via));
    return address_from(static_cast<unsigned char>(hop->rtvia_family), hop->rtvia_addr,
                        nla_len(via) - static_cast<int>(sizeof(rtvia)));
}

}  // namespace

std::string to_string(const Mac& mac) {
    return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac[0], mac[1], mac[2], mac[3],
                       mac[4], mac[5]);
}

unsigned char family_of(const IpAddress& address) {
    return address.is_v4() ? AF_INET : AF_INET6;
}

std::optional<Link> parse_link(const nlmsghdr& header) {
    if (header.nlmsg_type != RTM_NEWLINK && header.nlmsg_type != RTM_DELLINK) return std::nullopt;
    const Attributes<ifinfomsg, IFLA_MAX> attributes{header};
    // Bridge ports are told a second time with family AF_BRIDGE; that is not the link.
    if (!attributes || attributes.fixed().ifi_family != AF_UNSPEC) return std::nullopt;
    const ifinfomsg& fixed = attributes.fixed();

    Link link;
    link.index = fixed.ifi_index;
    link.name = text(attributes[IFLA_IFNAME]);
    link.up = (fixed.ifi_flags & IFF_UP) != 0;
    link.running = (fixed.ifi_flags & IFF_RUNNING) != 0;
    link.loopback = (fixed.ifi_flags & IFF_LOOPBACK) != 0;
    link.mtu = number<std::uint32_t>(attributes[IFLA_MTU]).value_or(0);
    link.master = number<int>(attributes[IFLA_MASTER]).value_or(0);
    if (attributes[IFLA_ADDRESS] != nullptr)
        link.mac = mac_of(attributes[IFLA_ADDRESS]).value_or(Mac{});
    const Nested<IFLA_INFO_MAX> info{attributes[IFLA_LINKINFO]};
    link.kind = text(info[IFLA_INFO_KIND]);
    link.port_kind = text(info[IFLA_INFO_SLAVE_KIND]);
    // A veth's IFLA_LINK is its peer, and with a namespace id it is a device of
    // another namespace: neither lies below this one.
    if (link.kind != "veth" && attributes[IFLA_LINK_NETNSID] == nullptr)
        link.lower = number<int>(attributes[IFLA_LINK]).value_or(0);
    if (link.kind == "vlan") {
        const Nested<IFLA_VLAN_MAX> vlan{info[IFLA_INFO_DATA]};
        link.vlan_id = number<std::uint16_t>(vlan[IFLA_VLAN_ID]).value_or(0);
        link.vlan_protocol = ntohs(number<std::uint16_t>(vlan[IFLA_VLAN_PROTOCOL]).value_or(0));
    }
    link.xdp_program_id = xdp_program(attributes[IFLA_XDP]);
    return link;
}

std::optional<Neighbour> parse_neighbour(const nlmsghdr& header) {
    if (header.nlmsg_type != RTM_NEWNEIGH && header.nlmsg_type != RTM_DELNEIGH) return std::nullopt;
    const Attributes<ndmsg, NDA_MAX> attributes{header};
    if (!attributes || (attributes.fixed().ndm_flags & NTF_PROXY) != 0) return std::nullopt;
    const ndmsg& fixed = attributes.fixed();
    const auto address = address_of(fixed.ndm_family, attributes[NDA_DST]);
    if (!address) return std::nullopt;  // a bridge's forwarding entry

    Neighbour neighbour;
    neighbour.interface = fixed.ndm_ifindex;
    neighbour.address = *address;
    neighbour.nud_state = fixed.ndm_state;
    neighbour.failed = (fixed.ndm_state & (NUD_FAILED | NUD_INCOMPLETE)) != 0;
    neighbour.gone = header.nlmsg_type == RTM_DELNEIGH;
    if ((fixed.ndm_state & nud_valid) != 0 && attributes[NDA_LLADDR] != nullptr)
        neighbour.mac = mac_of(attributes[NDA_LLADDR]);
    return neighbour;
}

NeighbourCare parse_neighbour_care(const nlmsghdr& header) {
    const Attributes<ndmsg, NDA_MAX> attributes{header};
    if (!attributes) return {};
    const ndmsg& fixed = attributes.fixed();
    NeighbourCare care;
    care.managed =
        (number<std::uint32_t>(attributes[NDA_FLAGS_EXT]).value_or(0) & NTF_EXT_MANAGED) != 0;
    care.of_others = (fixed.ndm_state & (NUD_PERMANENT | NUD_NOARP)) != 0 ||
                     (fixed.ndm_flags & NTF_EXT_LEARNED) != 0;
    return care;
}

std::optional<InterfaceAddress> parse_address(const nlmsghdr& header) {
    if (header.nlmsg_type != RTM_NEWADDR && header.nlmsg_type != RTM_DELADDR) return std::nullopt;
    const Attributes<ifaddrmsg, IFA_MAX> attributes{header};
    if (!attributes) return std::nullopt;
    const ifaddrmsg& fixed = attributes.fixed();
    // With a point-to-point peer IFA_ADDRESS is the peer and IFA_LOCAL is ours.
    const nlattr* own =
        attributes[IFA_LOCAL] != nullptr ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
    const auto address = address_of(fixed.ifa_family, own);
    if (!address) return std::nullopt;
    return InterfaceAddress{static_cast<int>(fixed.ifa_index), *address, fixed.ifa_prefixlen};
}

std::optional<Route> parse_route(const nlmsghdr& header) {
    if (header.nlmsg_type != RTM_NEWROUTE && header.nlmsg_type != RTM_DELROUTE) return std::nullopt;
    const Attributes<rtmsg, RTA_MAX> attributes{header};
    if (!attributes) return std::nullopt;
    const rtmsg& fixed = attributes.fixed();
    Route route;
    route.type = fixed.rtm_type == RTN_UNICAST ? Route::Type::unicast
                 : fixed.rtm_type == RTN_LOCAL ? Route::Type::local
                                               : Route::Type::other;
    route.out_interface = number<int>(attributes[RTA_OIF]).value_or(0);
    route.gateway = gateway_of(fixed.rtm_family, attributes[RTA_GATEWAY], attributes[RTA_VIA]);
    route.preferred_source = address_of(fixed.rtm_family, attributes[RTA_PREFSRC]);
    const Nested<RTAX_MAX> metrics{attributes[RTA_METRICS]};
    route.mtu = number<std::uint32_t>(metrics[RTAX_MTU]).value_or(0);
    return route;
}

std::optional<ParsedHostRoute> parse_host_route(const nlmsghdr& header) {
    if (header.nlmsg_type != RTM_NEWROUTE && header.nlmsg_type != RTM_DELROUTE) return std::nullopt;
    const Attributes<rtmsg, RTA_MAX> attributes{header};
    if (!attributes) return std::nullopt;
    const rtmsg& fixed = attributes.fixed();
    const auto address = address_of(fixed.rtm_family, attributes[RTA_DST]);
    if (!address || fixed.rtm_dst_len != address->host_prefix_length()) return std::nullopt;
    if (fixed.rtm_type != RTN_UNICAST && fixed.rtm_type != RTN_BLACKHOLE) return std::nullopt;
    ParsedHostRoute parsed;
    // A blackhole of IPv6 has lo for its device.
    parsed.route = {
        *address, fixed.rtm_type == RTN_UNICAST ? number<int>(attributes[RTA_OIF]).value_or(0) : 0,
        number<std::uint32_t>(attributes[RTA_PRIORITY]).value_or(0)};
    parsed.protocol = fixed.rtm_protocol;
    parsed.main_table =
        number<std::uint32_t>(attributes[RTA_TABLE]).value_or(fixed.rtm_table) == RT_TABLE_MAIN;
    return parsed;
}

bool changes_routes(const nlmsghdr& header) {
    switch (header.nlmsg_type) {
        case RTM_NEWNEXTHOP:
        case RTM_DELNEXTHOP:
        case RTM_NEWRULE:
        case RTM_DELRULE: return true;
        case RTM_NEWROUTE:
        case RTM_DELROUTE: break;
        default: return false;
    }
    const Attributes<rtmsg, RTA_MAX> attributes{header};
    if (!attributes) return false;
    const rtmsg& fixed = attributes.fixed();
    const std::uint32_t table =
        number<std::uint32_t>(attributes[RTA_TABLE]).value_or(fixed.rtm_table);
    return fixed.rtm_type == RTN_UNICAST && table == RT_TABLE_MAIN &&
           (fixed.rtm_flags & RTM_F_CLONED) == 0;
}

}  // namespace dnsdirector::netlink
