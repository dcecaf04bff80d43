// SPDX-License-Identifier: Apache-2.0
#include "config/convert.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "config/same_state.h"
#include "unit/config/support.h"

namespace dnsdirector::config {
namespace {

Converted converted(const std::string& text) {
    return convert(text, "t.conf", files_of({}));
}

std::string errors_of(const Loaded& loaded) {
    std::string out;
    for (const Message& message : loaded.messages)
        if (message.severity == Severity::error) out += message.to_string() + '\n';
    return out;
}

/// The native form of a text of which nothing is lost.
std::string native_of(const std::string& text) {
    const Converted result = converted(text);
    EXPECT_TRUE(result.complete) << errors_of(result.loaded) << result.text;
    return result.text;
}

std::size_t lines_in(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

std::string service_block(const std::string& address, const std::string& protocol,
                          const std::string& servers) {
    return "virtual_server " + address +
           " 53 {\n    delay_loop 10\n    lb_algo wrr\n    lb_kind DR\n" + "    protocol " +
           protocol + "\n" + servers + "}\n\n";
}

std::string dig_server(const std::string& address, const std::string& source,
                       const std::string& option = "") {
    return "    real_server " + address +
           " 53 {\n        weight 1\n        MISC_CHECK {\n            misc_path \"/usr/bin/dig "
           "-b " +
           source + " a www.example.com @" + address + " " + option +
           "+time=1 +tries=5 +fail > /dev/null\"\n            misc_timeout 6\n        }\n    }\n";
}

/// The classic file of a DNS cluster: `count` servers, each block written out.
std::string classic(int count, bool tcp) {
    std::string udp_servers;
    std::string tcp_servers;
    for (int i = 0; i < count; ++i) {
        const std::string address = fmt::format("203.0.113.{}", 11 + i);
        udp_servers += dig_server(address, "203.0.113.1");
        tcp_servers += dig_server(address, "203.0.113.1", "+tcp ");
    }
    std::string text =
        "! Balancer-Set for udp/53\n" + service_block("192.0.2.53", "UDP", udp_servers);
    if (tcp)
        text += "! Balancer-Set for tcp/53\n" + service_block("192.0.2.53", "TCP", tcp_servers);
    return text;
}

TEST(Convert, TheClassicExampleTakesASixthOfItsLines) {
    for (const bool tcp : {false, true}) {
        const std::string text = classic(44, tcp);
        const std::string native = native_of(text);
        EXPECT_LE(lines_in(native) * 6, lines_in(text)) << native;
    }
    // As few as 22 servers, 44 blocks.
    const std::string text = classic(22, true);
    EXPECT_LE(lines_in(native_of(text)) * 6, lines_in(text));
}

TEST(Convert, ATextThatIsNativeStaysAsItIs) {
    const std::string text =
        "# ours\n\ndirector {\n    interface eth0\n}\n\n# the resolvers\ndns_cluster c {\n"
        "    service_ip 192.0.2.53   # anycast\n    check { query \". SOA\" }\n"
        "    real_server a { address 203.0.113.11 }\n}\n";
    EXPECT_EQ(native_of(text), text);
}

TEST(Convert, KeepsDefinitionsThatNativeBlocksUse) {
    const std::string native = native_of(
        "$QUESTION=\". SOA\"\n$WEIGHT=3\ndirector { interface eth0 }\ndns_cluster c {\n"
        "    service_ip 192.0.2.53\n    check { query $QUESTION }\n"
        "    real_server a { address 203.0.113.11; weight ${WEIGHT} }\n}\n" +
        service_block("192.0.2.54", "UDP", "real_server 203.0.113.11 53 {\nDNS_CHECK {\n}\n}\n"));
    EXPECT_NE(native.find("$WEIGHT=3\n"), std::string::npos) << native;
}

TEST(Convert, FoldsProtocolsServiceIpsAndFamiliesIntoOneCluster) {
    const auto servers = [](const std::string& prefix) {
        std::string out;
        for (const char* host : {"11", "12"})
            out += "real_server " + prefix + host + " 53 {\nweight 2\nDNS_CHECK {\nname .\n}\n}\n";
        return out;
    };
    std::string text;
    for (const char* address : {"192.0.2.53", "192.0.2.54"})
        for (const char* protocol : {"UDP", "TCP"})
            text += service_block(address, protocol, servers("203.0.113."));
    for (const char* protocol : {"UDP", "TCP"})
        text += service_block("2001:db8::53", protocol, servers("2001:db8:1::"));
    const std::string native = native_of(text);
    EXPECT_NE(native.find("service_ip 192.0.2.53 192.0.2.54 2001:db8::53;"), std::string::npos)
        << native;
    EXPECT_NE(native.find("{ address 203.0.113.11 2001:db8:1::11; weight 2 }"), std::string::npos)
        << native;
    EXPECT_EQ(native.find("dns_cluster"), native.rfind("dns_cluster")) << native;
}

TEST(Convert, FamiliesThatDoNotShowThatTheyBelongTogetherStayApart) {
    const std::string native = native_of(
        service_block("192.0.2.53", "UDP", "real_server 203.0.113.11 53 {\nDNS_CHECK {\n}\n}\n") +
        service_block("2001:db8::53", "UDP",
                      "real_server 2001:db8:1::77 53 {\nDNS_CHECK {\n}\n}\n"));
    EXPECT_NE(native.find("dns_cluster"), native.rfind("dns_cluster")) << native;
    // Their common check is declared once.
    EXPECT_NE(native.find("check check1 {"), std::string::npos) << native;
}

TEST(Convert, ServicesThatDifferStayApart) {
    const std::string native = native_of(
        service_block("192.0.2.53", "UDP",
                      "real_server 203.0.113.11 53 {\nweight 2\nDNS_CHECK {\n}\n}\n") +
        service_block("192.0.2.53", "TCP", "real_server 203.0.113.11 53 {\nDNS_CHECK {\n}\n}\n"));
    EXPECT_NE(native.find("dns_cluster"), native.rfind("dns_cluster")) << native;
}

TEST(Convert, KeepsCommentsAndTakesAWordForAName) {
    const std::string native =
        native_of("! first line\n! second line\n\n! the resolvers\n" +
                  service_block("192.0.2.53", "UDP",
                                "! ns1\nreal_server 203.0.113.11 53 {\nDNS_CHECK {\n}\n}\n"
                                "! rack 4\nreal_server 203.0.113.12 53 {\nDNS_CHECK {\n}\n}\n"));
    EXPECT_EQ(native.find("# first line\n# second line\n\n"), 0U) << native;
    EXPECT_NE(native.find("# the resolvers\ndns_cluster dns {"), std::string::npos) << native;
    EXPECT_NE(native.find("real_server ns1 { address 203.0.113.11 }\n"), std::string::npos)
        << native;
    EXPECT_NE(native.find("{ address 203.0.113.12 }   # rack 4\n"), std::string::npos) << native;
}

TEST(Convert, ChecksOfOneServerStayWithIt) {
    const std::string native = native_of(service_block(
        "192.0.2.53", "UDP",
        "real_server 203.0.113.11 53 {\nDNS_CHECK {\n}\nTCP_CHECK {\nconnect_port 853\n}\n}\n"
        "real_server 203.0.113.12 53 {\nDNS_CHECK {\n}\n}\n"));
    EXPECT_NE(native.find("        check {   # better"), std::string::npos) << native;
}

TEST(Convert, AddressesInCommandsBecomePlaceholders) {
    std::string servers;
    for (const char* address : {"203.0.113.1", "203.0.113.11"})
        servers += std::string("real_server ") + address +
                   " 53 {\nMISC_CHECK {\nmisc_path \"/usr/local/bin/ask " + address +
                   " 'a b' \\\"c\\\\d\\\" 203.0.113.111\"\nmisc_timeout 3\n}\n}\n";
    const std::string native = native_of(service_block("192.0.2.53", "UDP", servers));
    EXPECT_NE(native.find("script \"/usr/local/bin/ask {address} "), std::string::npos) << native;
    EXPECT_NE(native.find(" 203.0.113.111\""), std::string::npos) << native;
}

TEST(Convert, WhatTheNativeFormWouldReadOtherwiseIsProtected) {
    const std::string native = native_of(
        service_block("192.0.2.53", "UDP",
                      "real_server 203.0.113.11 53 {\nnotify_up \"/bin/up {name} {{port}}\"\n"
                      "MISC_CHECK {\nmisc_path \"/bin/x {address} @203.0.113.11 {port}\"\n}\n"
                      "MISC_CHECK {\nmisc_path \"/usr/bin/dig @203.0.113.11 'a\\\\.b.example' "
                      "+tries=2 +nofail\"\n"
                      "misc_timeout 5\n}\n"
                      "HTTP_GET {\nurl {\npath \"/a b;c\"\nvirtualhost \"a b;c\"\n}\n}\n}\n"));
    EXPECT_NE(native.find("\"/bin/x {{address}} @{address} {{port}}\""), std::string::npos)
        << native;
    EXPECT_NE(native.find("notify_up \"/bin/up {{name}} {{{port}}}\""), std::string::npos)
        << native;
    EXPECT_NE(native.find("http \"/a b;c\" { host \"a b;c\" }"), std::string::npos) << native;
    const core::Configuration back = configuration_of(native);
    EXPECT_EQ(back.services.at(0).real_servers.at(0).notify_up->arguments,
              (std::vector<std::string>{"/bin/up", "{name}", "{{port}}"}));
}

TEST(Convert, ACheckThatAsksElsewhereGetsATarget) {
    const std::string native = native_of(
        service_block("192.0.2.53", "UDP",
                      "real_server 203.0.113.11 53 {\nDNS_CHECK {\nconnect_ip 203.0.113.99\n}\n}\n"
                      "real_server 203.0.113.12 53 {\nDNS_CHECK {\n}\n}\n"
                      "real_server 203.0.113.13 53 {\nMISC_CHECK {\nmisc_path \"/usr/bin/dig "
                      "@203.0.113.12 . soa\"\nmisc_timeout 9\n}\n}\n"
                      "real_server 203.0.113.14 53 {\nTCP_CHECK {\nconnect_ip 203.0.113.99\n"
                      "connect_port 80\nconnect_timeout 3\n}\n}\n"));
    EXPECT_NE(native.find("target 203.0.113.99; port 80\n"), std::string::npos) << native;
    EXPECT_NE(native.find("target 203.0.113.12\n"), std::string::npos) << native;
    // All servers ask the same one.
    const std::string common = native_of(service_block(
        "192.0.2.53", "UDP",
        "real_server 203.0.113.11 53 {\nDNS_CHECK {\nconnect_ip 203.0.113.99\n}\n}\n"
        "real_server 203.0.113.12 53 {\nDNS_CHECK {\nconnect_ip 203.0.113.99\n}\n}\n"));
    EXPECT_NE(common.find("target 203.0.113.99"), std::string::npos) << common;
}

TEST(Convert, NamesWordsThatItLeavesOut) {
    const std::string native = native_of(
        "global_defs {\nrouter_id LVS\nscript_user root\n}\n" +
        service_block(
            "192.0.2.53", "UDP",
            "persistence_timeout 360\nreal_server 203.0.113.11 53 {\nDNS_CHECK {\n}\n}\n"));
    EXPECT_NE(native.find("router_id of global_defs (t.conf:2:1)\n"), std::string::npos) << native;
    EXPECT_NE(native.find("persistence_timeout of virtual_server (t.conf:10:1)\n"),
              std::string::npos)
        << native;
    EXPECT_EQ(native.find("script_user of"), std::string::npos) << native;
}

TEST(Convert, WhatHasNoNativeFormIsAnErrorAndItsTextIsRefused) {
    const Converted result = converted(
        service_block("192.0.2.53", "UDP",
                      "real_server 203.0.113.11 53 {\nMISC_CHECK {\nmisc_path \"/usr/bin/dig "
                      "@203.0.113.11 +tries=20 . soa\"\nmisc_timeout 9\n}\n}\n"));
    EXPECT_FALSE(result.complete);
    EXPECT_NE(result.text.find("# no native form: a dig line of 203.0.113.11:53 with more than 10"),
              std::string::npos)
        << result.text;
    EXPECT_NE(errors_of(result.loaded).find("t.conf:7:1: error: no native form"), std::string::npos)
        << errors_of(result.loaded);
    EXPECT_NE(errors_of(parse_text(result.text)).find("incomplete"), std::string::npos)
        << result.text;
}

TEST(Convert, AFileWithErrorsGivesTheirMessagesAndNothingElse) {
    const Converted result = converted("virtual_server 192.0.2.53 53 { delay_lop 3 }\n");
    EXPECT_EQ(result.text, "");
    EXPECT_FALSE(result.complete);
    EXPECT_NE(errors_of(result.loaded).find("delay_lop"), std::string::npos);
}

TEST(SameState, ToldApartByWhatMatters) {
    const core::Configuration base = configuration_of(classic(2, true));
    EXPECT_EQ(differences_of_state(base, base), std::vector<std::string>{});
    core::Configuration names = base;
    for (core::Service& each : names.services) {
        each.cluster = "c";
        for (core::RealServer& server : each.real_servers)
            server.name = "n" + server.name;
    }
    std::reverse(names.services.begin(), names.services.end());
    EXPECT_EQ(differences_of_state(base, names), std::vector<std::string>{});

    const auto differs = [&](auto change) {
        core::Configuration other = base;
        change(other);
        return !differences_of_state(base, other).empty();
    };
    EXPECT_TRUE(differs([](auto& c) { c.services[0].real_servers[1].weight = 7; }));
    EXPECT_TRUE(differs([](auto& c) { c.services[0].real_servers.pop_back(); }));
    EXPECT_TRUE(differs([](auto& c) { c.services[0].quorum.required = 2; }));
    EXPECT_TRUE(differs([](auto& c) { c.services[0].on_all_down = core::OnAllDown::hold; }));
    EXPECT_TRUE(differs([](auto& c) { c.services[0].real_servers[0].checks.clear(); }));
    EXPECT_TRUE(differs([](auto& c) { c.checks[0].timing.fall = 9; }));
    EXPECT_TRUE(differs([](auto& c) { c.services.pop_back(); }));
    EXPECT_TRUE(differs([](auto& c) { c.director.script_user = "nobody"; }));
    // The checks of two servers exchanged.
    EXPECT_TRUE(differs([](auto& c) {
        std::swap(c.services[0].real_servers[0].checks, c.services[0].real_servers[1].checks);
    }));
}

TEST(SameState, ADigLineIsTheQuestionThatItAsks) {
    core::DigCheck dig;
    dig.name = "www.example.com.";
    dig.tcp = true;
    dig.recursion_desired = false;
    dig.ignore_truncation = true;
    dig.via.source = IpAddress::parse("203.0.113.1");
    dig.command = "/usr/bin/dig …";
    core::Check check;
    check.target = *Endpoint::parse("203.0.113.11:53");
    check.what = dig;
    check.timing.tries = 10;
    const core::Check asked = with_question(check);
    const auto& question = std::get<core::DnsCheck>(asked.what);
    EXPECT_EQ(question.name, "www.example.com.");
    EXPECT_EQ(question.type, 1);
    EXPECT_EQ(question.transport, Protocol::tcp);
    EXPECT_FALSE(question.recursion_desired);
    EXPECT_EQ(question.on_truncated, core::OnTruncated::pass);
    EXPECT_EQ(question.via, dig.via);
    // dig is content with every status.
    EXPECT_TRUE(question.fail_on.empty());
    EXPECT_FALSE(question.expect_rcode);
    EXPECT_EQ(asked.timing, check.timing);

    core::Configuration before = configuration_of(classic(1, false));
    before.checks[0] = check;
    core::Configuration after = before;
    after.checks[0] = asked;
    EXPECT_EQ(differences_of_state(before, after), std::vector<std::string>{});
    std::get<core::DnsCheck>(after.checks[0].what).fail_on = {2};
    EXPECT_EQ(differences_of_state(before, after).size(), 2U);

    // More than a question may be asked.
    check.timing.tries = 11;
    EXPECT_EQ(with_question(check), check);
}

/// Every valid file of the corpus, whatever it holds: the native form means the same, or
/// says in words what it lacks.
TEST(Convert, EveryValidFileOfTheCorpusMeansTheSameAfterwards) {
    namespace fs = std::filesystem;
    std::size_t tried = 0;
    for (const char* folder : {"examples", "tests/config", "tests/fuzz/corpus/config"}) {
        const fs::path root = fs::path(DNSDIRECTOR_SOURCE_DIR) / folder;
        if (!fs::exists(root)) continue;
        for (const auto& entry : fs::recursive_directory_iterator(root)) {
            if (!entry.is_regular_file()) continue;
            const std::string path = entry.path().string();
            // Native blocks are kept as they stand; definitions that they use are not carried
            // over, which convert says as an error.
            if (entry.path().filename() == "definitions_in_native_form.conf") continue;
            // What programs a machine has is not the matter here.
            Files files;
            files.read = [](const std::string& name) -> Result<std::string> {
                std::ifstream in(name, std::ios::binary);
                if (!in) return fail("cannot open {}", name);
                std::ostringstream text;
                text << in.rdbuf();
                return text.str();
            };
            files.expand = [](const std::string&) { return std::vector<std::string>(); };
            files.identity = [](const std::string& name) { return name; };
            const auto text = files.read(path);
            ASSERT_TRUE(text) << path;
            if (!parse(*text, path, files).ok()) continue;
            ++tried;
            const Converted result = convert(*text, path, files);
            const bool said = result.text.find("# no native form:") != std::string::npos;
            EXPECT_TRUE(result.complete || said) << path << '\n'
                                                 << errors_of(result.loaded) << result.text;
        }
    }
    EXPECT_GE(tried, 10U);
}

TEST(Convert, KeepsTheBgpBlockAsItStands) {
    const std::string bgp =
        "bgp {\n    local_as 64512; router_id 198.51.100.1   # ours\n"
        "    neighbor 198.51.100.253 { remote_as 64512; password x }\n"
        "    announce 192.0.2.53 { med 1 }\n}\n";
    EXPECT_NE(native_of(classic(2, true) + bgp).find(bgp), std::string::npos);
}

}  // namespace
}  // namespace dnsdirector::config
