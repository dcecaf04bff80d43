// SPDX-License-Identifier: Apache-2.0
#include "announce/bird_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>

#include "announce/bgp_groups.h"

namespace dnsdirector::announce {
namespace {

constexpr std::string_view head_of_own =
    R"(# BIRD 2, as `dnsdirector bgp config` makes it from the bgp block. What is changed here is lost:
# change the block, and print this anew.

log stderr all;
# Exact times, so that "since" in the director's status is.
timeformat base iso long us;
timeformat log iso long us;
timeformat protocol iso long us;
timeformat route iso long us;

)";

constexpr std::string_view head_of_part =
    R"(# The part of bird.conf that announces dnsdirector's service IPs, as `dnsdirector bgp config`
# makes it from the bgp block. What is changed here is lost. Keep it in a file of its own, which a
# line of bird.conf includes: `include "/etc/bird/dnsdirector.conf";`. `dnsdirector bgp check` says
# whether that BIRD runs it.
)";

constexpr std::string_view only_one_kernel_protocol =
    R"(#
# BIRD takes one kernel protocol for a table, and bird.conf has one of its own (a second one is
# accepted, and never starts). Give that one `learn` and an import filter; where it has a filter
# already, let that accept what ours does:
#
)";

constexpr std::string_view only_one_bfd_protocol =
    R"(#
# It needs a BFD protocol as well, `protocol bfd { }`, and just one: with two, replies end in the
# wrong one, and no session comes up.
)";

constexpr std::string_view about_learning =
    R"(
# Of the kernel's routes only those that the director made (protocol number 153) for one of these
# service IPs. Their metric is the state: 1 announced, 2 degraded, 100 draining.
)";

constexpr std::string_view about_telling =
    R"(
# What neighbours are told: the director's routes, and never one that came from elsewhere. The
# origin is compared before the MED, so that it must be the same at every site.
)";

class Writer {
public:
    explicit Writer(const core::Bgp& bgp)
        : bgp_(bgp), own_(bgp.daemon == core::RoutingDaemon::bird) {}

    std::string write();

private:
    template <typename... Args>
    void line(std::size_t depth, fmt::format_string<Args...> format, Args&&... args) {
        out_.append(depth * 4, ' ');
        fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
        out_ += '\n';
    }
    [[nodiscard]] bool uses(Family family) const {
        return announces(bgp_, family) || accepts_default(bgp_, family);
    }
    void head();
    void protocols_of_system();
    void kernel_protocol(Family family);
    void learn(Family family);
    void tell(Family family);
    void group(const BgpGroup& group);
    void take_default(Family family);
    void neighbor(const core::BgpNeighbor& neighbor);
    void session(const core::BgpNeighbor& neighbor);
    void channel(const core::BgpNeighbor& neighbor, Family family);

    const core::Bgp& bgp_;
    const bool own_;
    std::string out_;
};

/// "192.0.2.53/32, 192.0.2.54/32", a line for every few.
std::string prefixes(const std::vector<IpAddress>& addresses, std::string_view margin) {
    constexpr std::size_t in_a_line = 4;
    std::string text;
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        if (i > 0) text += i % in_a_line == 0 ? fmt::format(",\n{}", margin) : ", ";
        text += fmt::format("{}/{}", addresses[i].to_string(), addresses[i].host_prefix_length());
    }
    return text;
}

std::int64_t seconds(Nanoseconds time) {
    return std::chrono::duration_cast<Seconds>(time).count();
}

void Writer::head() {
    if (own_) {
        out_ += head_of_own;
        line(0, "router id {};", bgp_.router_id.to_string());
        return;
    }
    out_ += head_of_part;
    out_ += only_one_kernel_protocol;
    for (const Family family : families)
        if (uses(family))
            line(0, "#     protocol kernel {{ learn; {} {{ import filter {}; … }}; … }}",
                 word_of(family), bird_filter("learn", family));
    for (const Family family : families)
        if (accepts_default(bgp_, family))
            line(0, "#\n# and export {} to the kernel, which a neighbour is asked for.",
                 default_route(family));
    if (uses_bfd(bgp_)) out_ += only_one_bfd_protocol;
}

void Writer::protocols_of_system() {
    line(0, "\nprotocol device {{\n}}");
    if (uses_bfd(bgp_)) line(0, "\nprotocol bfd {{\n}}");
}

void Writer::learn(Family family) {
    std::vector<IpAddress> service_ips;
    for (const core::BgpAnnouncement& each : bgp_.announcements)
        if (each.service_ip.family() == family) service_ips.push_back(each.service_ip);
    line(0, "filter {} {{", bird_filter("learn", family));
    line(1, "if ! defined(krt_source) || ! defined(krt_metric) then reject;");
    line(1, "if krt_source != {} then reject;", core::route_protocol);
    if (!service_ips.empty())
        line(1, "if net ~ [ {} ] then accept;", prefixes(service_ips, "               "));
    line(1, "reject;");
    line(0, "}}");
}

void Writer::kernel_protocol(Family family) {
    line(0, "\nprotocol kernel dnsdirector_kernel_{} {{", word_of(family));
    line(1, "learn;");
    line(1, "scan time 10;   # routes that were missed, should that happen");
    line(1, "{} {{", word_of(family));
    line(2, "import filter {};", bird_filter("learn", family));
    if (accepts_default(bgp_, family))
        line(2, "export where source = RTS_BGP && net = {};", default_route(family));
    else
        line(2, "export none;");
    line(1, "}};");
    line(0, "}}");
}

void Writer::group(const BgpGroup& group) {
    line(1, "if net ~ [ {} ] then {{", prefixes(group.service_ips, "               "));
    line(2, "bgp_local_pref = {};   # is sent to neighbours in our AS only",
         group.local_preference);
    line(2, "case krt_metric {{");
    for (const core::RouteState state : core::route_states) {
        const core::RouteAttributes& told = group.states[static_cast<std::size_t>(state)];
        line(3, "{}: {{   # {}", core::metric_of(state), to_string(state));
        line(4, "bgp_med = {};", told.med);
        for (const core::Community& each : told.communities.standard)
            line(4, "bgp_community.add(({}, {}));", each.as, each.value);
        for (const core::LargeCommunity& each : told.communities.large)
            line(4, "bgp_large_community.add(({}, {}, {}));", each.global, each.local1,
                 each.local2);
        line(4, "accept;");
        line(3, "}}");
    }
    line(2, "}}");
    line(1, "}}");
}

void Writer::tell(Family family) {
    line(0, "filter {} {{", bird_filter("tell", family));
    line(1, "if source != RTS_INHERIT then reject;   # not from the kernel");
    line(1, "if ! defined(krt_source) || ! defined(krt_metric) then reject;");
    line(1, "if krt_source != {} then reject;", core::route_protocol);
    line(1, "bgp_origin = ORIGIN_IGP;");
    for (const BgpGroup& each : groups_of(bgp_, family))
        group(each);
    line(1, "reject;");
    line(0, "}}");
}

void Writer::take_default(Family family) {
    line(0, "\nfilter {} {{", bird_filter("default", family));
    line(1, "if net = {} then accept;", default_route(family));
    line(1, "reject;");
    line(0, "}}");
}

void Writer::session(const core::BgpNeighbor& neighbor) {
    const std::string source =
        neighbor.source ? fmt::format("{} ", neighbor.source->to_string()) : "";
    line(1, "local {}as {};", source, bgp_.local_as);
    line(1, "neighbor {} as {};", neighbor.address.to_string(), neighbor.remote_as);
    // BIRD takes a neighbour in its own AS to be far away unless told, and BFD needs to know.
    if (neighbor.multihop == 1)
        line(1, "direct;");
    else
        line(1, "multihop {};", neighbor.multihop);
    if (!neighbor.password.empty()) line(1, "password \"{}\";", neighbor.password);
    if (neighbor.ttl_security) line(1, "ttl security on;");
    line(1, "hold time {};", seconds(neighbor.hold_time));
    line(1, "keepalive time {};", seconds(neighbor.keepalive));
    line(1, "connect retry time {};", seconds(neighbor.connect_retry));
    line(1, "connect delay time 1;");
    // The default is a minute and more before the first try after an error, BFD's among them.
    line(1, "error wait time 1, 5;");
    line(1, "graceful restart {};", neighbor.graceful_restart ? "on" : "off");
    line(1, "long lived graceful restart off;");
    if (!neighbor.bfd) return;
    const auto interval = std::chrono::duration_cast<Milliseconds>(neighbor.bfd->interval).count();
    line(1, "bfd {{");
    line(2, "min rx interval {} ms;", interval);
    line(2, "min tx interval {} ms;", interval);
    line(2, "multiplier {};", neighbor.bfd->multiplier);
    line(1, "}};");
}

void Writer::channel(const core::BgpNeighbor& neighbor, Family family) {
    line(1, "{} {{", word_of(family));
    if (neighbor.accept_default)
        line(2, "import filter {};", bird_filter("default", family));
    else
        line(2, "import none;");
    line(2, "import table {};   # what it sends is kept to be looked at",
         neighbor.soft_reconfiguration ? "on" : "off");
    if (announces(bgp_, family))
        line(2, "export filter {};", bird_filter("tell", family));
    else
        line(2, "export none;");
    if (const auto& next_hop = neighbor.next_hop[static_cast<std::size_t>(family)])
        line(2, "next hop address {};", next_hop->to_string());
    else
        line(2, "next hop self;");
    line(1, "}};");
}

void Writer::neighbor(const core::BgpNeighbor& neighbor) {
    line(0, "\nprotocol bgp {} {{", bird_protocol(neighbor));
    if (!neighbor.description.empty()) line(1, "description \"{}\";", neighbor.description);
    session(neighbor);
    for (const Family family : families)
        if (neighbor.carries(family)) channel(neighbor, family);
    line(0, "}}");
}

std::string Writer::write() {
    head();
    if (own_) protocols_of_system();
    out_ += about_learning;
    for (const Family family : families)
        if (uses(family)) learn(family);
    if (own_)
        for (const Family family : families)
            if (uses(family)) kernel_protocol(family);
    out_ += about_telling;
    for (const Family family : families)
        if (announces(bgp_, family)) tell(family);
    for (const Family family : families)
        if (accepts_default(bgp_, family)) take_default(family);
    for (const core::BgpNeighbor& each : bgp_.neighbors)
        neighbor(each);
    return std::move(out_);
}

}  // namespace

std::string bird_filter(std::string_view what, Family family) {
    return fmt::format("dnsdirector_{}_{}", what, word_of(family));
}

std::string bird_protocol(const core::BgpNeighbor& neighbor) {
    std::string name = "dnsdirector_" + neighbor.address.to_string();
    std::replace_if(name.begin(), name.end(), [](char c) { return c == '.' || c == ':'; }, '_');
    return name;
}

std::string bird_config(const core::Bgp& bgp) {
    return Writer(bgp).write();
}

}  // namespace dnsdirector::announce
