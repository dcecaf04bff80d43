// SPDX-License-Identifier: Apache-2.0
//
// What the manual says of each block.
#include "config/keywords.h"

namespace dnsdirector::config {
namespace {

constexpr std::string_view a_cluster =
    "dns_cluster resolvers { service_ip 192.0.2.53; real_server ns1 { address 203.0.113.11 } }\n";
constexpr std::string_view in_bgp =
    "dns_cluster resolvers { service_ip 192.0.2.53; real_server ns1 { address 203.0.113.11 } }\n"
    "bgp {\n    local_as 64512\n    router_id 198.51.100.1\n";
constexpr std::string_view in_cluster = "dns_cluster resolvers {\n    service_ip 192.0.2.53\n";
constexpr std::string_view a_server = "    real_server ns1 { address 203.0.113.11; weight 1 }\n}\n";
constexpr std::string_view in_real_server =
    "virtual_server 192.0.2.53 53 {\n    lb_algo wrr\n    lb_kind DR\n"
    "    real_server 203.0.113.11 53 {\n";
constexpr std::string_view close_two = "    }\n}\n";
constexpr std::string_view a_virtual_server =
    "virtual_server 192.0.2.53 53 {\n    lb_algo wrr\n    lb_kind DR\n"
    "    real_server 203.0.113.11 53 { weight 1 }\n}\n";

const BlockInfo blocks[] = {
    {Block::top, "top level",
     "The blocks of a file. Their order does not matter, and both forms may stand in one file, "
     "which `include` may spread over several.",
     "director {\n"
     "    interface eth0\n"
     "}\n"
     "dns_cluster resolvers {\n"
     "    service_ip 192.0.2.53 2001:db8::53\n"
     "    check { query \"www.example.com A\" }\n"
     "    real_server ns1 { address 203.0.113.11 2001:db8:1::11 }\n"
     "    real_server ns2 { address 203.0.113.12 2001:db8:1::12 }\n"
     "}\n",
     "", ""},
    {Block::director, "director",
     "Choices of the whole director. It may precede a compatible file that is included.",
     "director {\n"
     "    dataplane xdp\n"
     "    interface eth0 eth1\n"
     "    xdp_mode auto\n"
     "    drain_time 5s\n"
     "}\n",
     "", a_cluster},
    {Block::http, "http", "The HTTP server; its metrics are meant for Prometheus.",
     "http {\n"
     "    listen 127.0.0.1:9153\n"
     "}\n",
     "", a_cluster},
    {Block::proxy, "proxy",
     "Choices of the proxy plane (`dataplane proxy`); on the others the block has no effect.",
     "proxy {\n"
     "    workers 2\n"
     "    retry_after 50ms\n"
     "    tcp_clients 1000\n"
     "}\n",
     "director { dataplane proxy }\n", a_cluster},
    {Block::dns_cluster, "dns_cluster NAME",
     "Servers that answer the same questions. Each service IP makes one service for each "
     "protocol; a service uses its servers' addresses of its own family.",
     "dns_cluster resolvers {\n"
     "    service_ip 192.0.2.53 2001:db8::53\n"
     "    lb_algo wrr\n"
     "    quorum 2\n"
     "    slow_start 60s\n"
     "    max_out 50%\n"
     "    check {\n"
     "        query \"www.example.com A\"\n"
     "    }\n"
     "    real_server ns1 { address 203.0.113.11 2001:db8:1::11; weight 2 }\n"
     "    real_server ns2 { address 203.0.113.12 2001:db8:1::12; weight 1 }\n"
     "}\n",
     "", ""},
    {Block::realserver, "realserver",
     "The other side: what makes this machine a real server, for `dnsdirector realserver up`, "
     "`check`, `down` and `run` ([realserver.md](realserver.md)). It may stand in a file of its "
     "own, or in the director's, whose service IPs it then has. A file of it alone is none for "
     "the director.",
     "realserver {\n"
     "    service_ip 192.0.2.53 2001:db8::53\n"
     "    process bind1 { input eth1.105; listen 203.0.113.11 2001:db8:1::11 }\n"
     "    process bind2 { input eth1.109; listen 203.0.113.75 2001:db8:2::11 }\n"
     "    check { query \"www.example.com A\" }\n"
     "}\n",
     "", ""},
    {Block::process, "process NAME",
     "One of several DNS processes of this machine. What clients ask the service IPs over its "
     "interface is translated to where it listens, and its replies back, packet by packet.",
     "    process bind1 {\n"
     "        input eth1.105\n"
     "        listen 203.0.113.11 2001:db8:1::11\n"
     "        from 198.51.100.0/24 2001:db8:100::/48\n"
     "    }\n",
     "realserver {\n    service_ip 192.0.2.53 2001:db8::53\n", "}\n"},
    {Block::server, "real_server NAME", "A server of a cluster.",
     "    real_server ns1 {\n"
     "        address 203.0.113.11 2001:db8:1::11\n"
     "        weight 2\n"
     "    }\n",
     in_cluster, "}\n"},
    {Block::http_request, "http PATH", "One URL of a check.",
     "        http /health {\n"
     "            status 200-204 301\n"
     "            host ns1.example.com\n"
     "        }\n",
     "dns_cluster resolvers {\n    service_ip 192.0.2.53\n    check {\n",
     "    }\n    real_server ns1 { address 203.0.113.11; weight 1 }\n}\n"},
    {Block::check, "check",
     "What a server must pass, of one kind: `query` (a DNS question), `connect`, `ping`, "
     "`datagram`, `http`, `script` or `file`. Within a cluster or a server it has no name; at top "
     "level it has one, and clusters use it by `check NAME`. It makes one check for each address "
     "of a server, of a question for each transport, too; equal checks run once, however many "
     "services use them. A round whose tries may take longer than `every` is possible, and gives "
     "a warning.",
     "    check {\n"
     "        query \"www.example.com A\"\n"
     "        every 1s\n"
     "        timeout 500ms\n"
     "        tries 2\n"
     "        rise 2\n"
     "        fall 2\n"
     "        fail_on SERVFAIL REFUSED\n"
     "        expect rcode NOERROR\n"
     "        expect answer 198.51.100.80\n"
     "        transport udp tcp\n"
     "        source 203.0.113.1 2001:db8:1::1\n"
     "    }\n",
     in_cluster, a_server},
    {Block::bgp, "bgp",
     "How the service IPs are announced by BGP. A routing daemon speaks it; its configuration is "
     "made from this block by `dnsdirector bgp config`, and compared with what runs by "
     "`dnsdirector "
     "bgp check`. [bgp.md](bgp.md) says what becomes of each line.",
     "bgp {\n"
     "    daemon bird\n"
     "    local_as 64512\n"
     "    router_id 198.51.100.1\n"
     "    neighbor 198.51.100.253 { remote_as 64512; description core1; bfd 100ms 3 }\n"
     "    neighbor 198.51.100.254 { remote_as 64512; description core2; bfd 100ms 3 }\n"
     "    announce 192.0.2.53 { med 0 }\n"
     "}\n",
     "", a_cluster},
    {Block::bgp_neighbor, "neighbor ADDRESS", "A router that is told of the service IPs.",
     "    neighbor 198.51.100.253 {\n"
     "        remote_as 64512\n"
     "        description core1\n"
     "        source 198.51.100.1\n"
     "        hold_time 9s\n"
     "        bfd 100ms 3\n"
     "        ttl_security on\n"
     "    }\n",
     in_bgp, "    announce 192.0.2.53\n}\n"},
    {Block::bgp_announce, "announce ADDRESS…",
     "What neighbours are told of service IPs, in each state of the announcement.",
     "    announce 192.0.2.53 {\n"
     "        med 0\n"
     "        degraded_med 1000\n"
     "        community 64512:53 64512:1:53\n"
     "    }\n",
     in_bgp, "    neighbor 198.51.100.253 { remote_as 64512 }\n}\n"},
    {Block::virtual_server, "virtual_server ADDRESS PORT",
     "The compatible form: one service, as keepalived.conf has it, or with `group NAME` one for "
     "each address of a virtual_server_group. A server inherits keywords from its virtual_server, "
     "a check from its server. Defaults and the rules of start and return are keepalived's; when "
     "all servers are down, none is sent to, or the sorry server.",
     "virtual_server 192.0.2.53 53 {\n"
     "    delay_loop 10\n"
     "    lb_algo wrr\n"
     "    lb_kind DR\n"
     "    protocol UDP\n"
     "    quorum 1\n"
     "    real_server 203.0.113.11 53 {\n"
     "        weight 1\n"
     "        MISC_CHECK {\n"
     "            misc_path \"/usr/bin/dig -b 203.0.113.1 a www.example.com @203.0.113.11 +time=1 "
     "+tries=5 +fail > /dev/null\"\n"
     "            misc_timeout 6\n"
     "        }\n"
     "    }\n"
     "}\n",
     "", ""},
    {Block::virtual_server_group, "virtual_server_group NAME",
     "Addresses and ports, a line each, that share one virtual_server.",
     "virtual_server_group resolvers {\n"
     "    192.0.2.53 53\n"
     "    192.0.2.64-66 53\n"
     "    192.0.2.80/30 53\n"
     "}\n"
     "virtual_server group resolvers {\n"
     "    lb_algo wrr\n"
     "    lb_kind DR\n"
     "    real_server 203.0.113.11 53 { weight 1 }\n"
     "}\n",
     "", ""},
    {Block::real_server, "real_server ADDRESS PORT",
     "A server of a virtual_server. Of several checks all must pass. Without `alpha` a server "
     "serves untested until its first verdict.",
     "    real_server 203.0.113.11 53 {\n"
     "        weight 2\n"
     "        DNS_CHECK {\n"
     "            type A\n"
     "            name www.example.com\n"
     "        }\n"
     "    }\n",
     "virtual_server 192.0.2.53 53 {\n    lb_algo wrr\n    lb_kind DR\n", "}\n"},
    {Block::misc_check, "MISC_CHECK",
     "A check by a program. It is split into words by keepalived's rules (both quotes, escapes, "
     "no shell) and runs in a process group of its own, which is killed when it is late.",
     "        MISC_CHECK {\n"
     "            misc_path \"/usr/local/bin/check_dns 203.0.113.11 'www.example.com'\"\n"
     "            misc_timeout 3\n"
     "        }\n",
     in_real_server, close_two},
    {Block::dns_check, "DNS_CHECK",
     "A check by a question over UDP with recursion desired. A reply with status NOERROR passes.",
     "        DNS_CHECK {\n"
     "            type SOA\n"
     "            name example.com\n"
     "            connect_timeout 2\n"
     "            retry 1\n"
     "        }\n",
     in_real_server, close_two},
    {Block::tcp_check, "TCP_CHECK", "A check by connecting: nothing is sent.",
     "        TCP_CHECK {\n"
     "            connect_timeout 2\n"
     "            retry 2\n"
     "            delay_before_retry 1\n"
     "        }\n",
     in_real_server, close_two},
    {Block::udp_check, "UDP_CHECK",
     "A check by a datagram. An ICMP refusal fails; silence passes unless `require_reply` stands "
     "there, since there is nothing that a server must say.",
     "        UDP_CHECK {\n"
     "            payload 000101000001000000000000 00 0002 0001\n"
     "            require_reply\n"
     "            min_reply_length 12\n"
     "        }\n",
     in_real_server, close_two},
    {Block::ping_check, "PING_CHECK", "A check by ICMP echo, which says little of a DNS server.",
     "        PING_CHECK {\n"
     "            retry 2\n"
     "        }\n",
     in_real_server, close_two},
    {Block::file_check, "FILE_CHECK",
     "A check by the number in a file: whoever writes it drains or removes the server. The file is "
     "looked at every second, and counts as 0 when it is missing.",
     "        FILE_CHECK {\n"
     "            track_file drain_ns1\n"
     "            weight 0\n"
     "        }\n",
     "track_file drain_ns1 { file /run/drain/ns1\n}\n"
     "virtual_server 192.0.2.53 53 {\n    lb_algo wrr\n    lb_kind DR\n"
     "    real_server 203.0.113.11 53 {\n",
     close_two},
    {Block::http_get, "HTTP_GET",
     "A check by the status of one or more URLs, without TLS. What the pages hold is not looked "
     "at.",
     "        HTTP_GET {\n"
     "            connect_port 8080\n"
     "            url {\n"
     "                path /health\n"
     "                status_code 200\n"
     "            }\n"
     "        }\n",
     in_real_server, close_two},
    {Block::url, "url", "One URL of an HTTP_GET.",
     "            url {\n"
     "                path /health\n"
     "                status_code 200-204 301\n"
     "                virtualhost ns1.example.com\n"
     "            }\n",
     "virtual_server 192.0.2.53 53 {\n    lb_algo wrr\n    lb_kind DR\n"
     "    real_server 203.0.113.11 53 {\n        HTTP_GET {\n",
     "        }\n    }\n}\n"},
    {Block::track_file, "track_file NAME", "A file with a number that FILE_CHECKs look at.",
     "track_file drain_ns1 {\n"
     "    file /run/drain/ns1\n"
     "    weight 0\n"
     "}\n",
     "", a_virtual_server},
    {Block::global_defs, "global_defs", "keepalived's global choices, of which one is read.",
     "global_defs {\n"
     "    script_user nobody\n"
     "}\n",
     "", a_virtual_server},
};

}  // namespace

std::span<const BlockInfo> all_blocks() {
    return blocks;
}

}  // namespace dnsdirector::config
