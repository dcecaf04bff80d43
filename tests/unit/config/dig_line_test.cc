// SPDX-License-Identifier: Apache-2.0
#include "config/dig_line.h"

#include <gtest/gtest.h>

#include "config/native_misc.h"
#include "config/script_words.h"
#include "support.h"

namespace dnsdirector::config {
namespace {

using namespace std::chrono_literals;

Result<DigLine> dig(const std::string& words) {
    return parse_dig_line(parse_script("/usr/bin/dig " + words).value().arguments);
}

/// The line of words that are right.
DigLine line(const std::string& words) {
    Result<DigLine> read = dig(words);
    EXPECT_TRUE(read.has_value()) << words << ": " << (read ? "" : read.error().message);
    return read.value_or(DigLine{});
}

/// NAME TYPE CLASS udp|tcp of a line.
std::string question(const std::string& words) {
    const core::DigCheck check = line(words + " @192.0.2.1").check;
    return fmt::format("{} {} {} {}", check.name, check.type, check.klass,
                       check.tcp ? "tcp" : "udp");
}

/// Why a line is run by dig itself.
std::string why(const std::string& words) {
    const Result<DigLine> read = dig(words);
    return read ? "it is not" : read.error().message;
}

TEST(DigLine, TheClassicLineIsUnderstood) {
    const DigLine read =
        line("-b 203.0.113.1 a www.example.com @203.0.113.11 +time=1 +tries=5 +fail > /dev/null");
    EXPECT_EQ(read.server, (Endpoint{IpAddress::parse("203.0.113.11").value(), 53}));
    EXPECT_EQ(read.timeout, Nanoseconds{1s});
    EXPECT_EQ(read.tries, 5U);
    EXPECT_EQ(read.check.name, "www.example.com.");
    EXPECT_EQ(read.check.via.source, IpAddress::parse("203.0.113.1"));
    EXPECT_EQ(read.check.edns, (core::Edns{1232, false}));
    EXPECT_TRUE(read.check.recursion_desired);
    EXPECT_EQ(read.check.command,
              "/usr/bin/dig -b 203.0.113.1 a www.example.com @203.0.113.11 +time=1 +tries=5 +fail");
}

TEST(DigLine, NameTypeAndClassComeInAnyOrder) {
    EXPECT_EQ(question("www.example.com"), "www.example.com. 1 1 udp");
    EXPECT_EQ(question("www.example.com AAAA"), "www.example.com. 28 1 udp");
    EXPECT_EQ(question("soa example.com"), "example.com. 6 1 udp");
    EXPECT_EQ(question("ch txt version.bind"), "version.bind. 16 3 udp");
    EXPECT_EQ(question("version.bind CHAOS TXT"), "version.bind. 16 3 udp");
    EXPECT_EQ(question("-t mx -c in -q example.com"), "example.com. 15 1 udp");
    EXPECT_EQ(question("-tmx -cIN -qexample.com"), "example.com. 15 1 udp");
    EXPECT_EQ(question("TYPE65280 CLASS4 x."), "x. 65280 4 udp");
    EXPECT_EQ(question("type.example"), "type.example. 1 1 udp");
    EXPECT_EQ(question("type1.example"), "type1.example. 1 1 udp");
    // Of two types the last one counts; behind -t a word is a name.
    EXPECT_EQ(question("a mx example.com"), "example.com. 15 1 udp");
    EXPECT_EQ(question("-t a mx"), "mx. 1 1 udp");
    EXPECT_EQ(question("-c in a"), "a. 1 1 udp");
}

TEST(DigLine, WithoutANameItAsksForTheRootsServers) {
    EXPECT_EQ(question(""), ". 2 1 udp");
    EXPECT_EQ(question("-t soa"), ". 2 1 udp");
    EXPECT_EQ(question("ch"), ". 2 3 udp");
}

TEST(DigLine, ReverseNames) {
    EXPECT_EQ(question("-x 192.0.2.7"), "7.2.0.192.in-addr.arpa. 12 1 udp");
    EXPECT_EQ(question("-x 2001:db8::1"),
              "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 12 1 udp");
    EXPECT_EQ(question("-t txt -x 192.0.2.7"), "7.2.0.192.in-addr.arpa. 16 1 udp");
    EXPECT_EQ(question("-x 192.0.2.7 txt"), "7.2.0.192.in-addr.arpa. 16 1 udp");
}

TEST(DigLine, ANYIsAskedOverTcpUnlessToldBefore) {
    EXPECT_EQ(question("any example.com"), "example.com. 255 1 tcp");
    EXPECT_EQ(question("-t any example.com +notcp"), "example.com. 255 1 udp");
    EXPECT_EQ(question("+notcp -t any example.com"), "example.com. 255 1 udp");
    EXPECT_EQ(question("example.com +vc"), "example.com. 1 1 tcp");
    EXPECT_EQ(question("example.com +vc +notcp"), "example.com. 1 1 udp");
}

TEST(DigLine, OptionsMayBeShortenedAsFarAsDigTellsThemApart) {
    const std::string rest = " @192.0.2.1 x.";
    EXPECT_EQ(line("+ti=2" + rest).timeout, Nanoseconds{2s});
    EXPECT_EQ(line("+timeout=0" + rest).timeout, Nanoseconds{1s});
    EXPECT_EQ(line("+tri=4" + rest).tries, 4U);
    EXPECT_EQ(line("+tries=0" + rest).tries, 1U);
    EXPECT_EQ(line("+ret=4" + rest).tries, 5U);
    EXPECT_EQ(line("+retries=0" + rest).tries, 1U);
    EXPECT_FALSE(line("+norec" + rest).check.recursion_desired);
    EXPECT_FALSE(line("+NOrecURSE" + rest).check.recursion_desired);
    EXPECT_TRUE(line("+do" + rest).check.edns->dnssec_ok);
    EXPECT_TRUE(line("+dnss" + rest).check.edns->dnssec_ok);
    EXPECT_TRUE(line("+i" + rest).check.ignore_truncation);
    EXPECT_TRUE(line("+v" + rest).check.tcp);
    EXPECT_EQ(line("+nofa" + rest).check.name, "x.");
    EXPECT_EQ(line("+bu=4096" + rest).check.edns->buffer_size, 4096);
    EXPECT_EQ(line("+bufsize" + rest).check.edns->buffer_size, 1232);
    EXPECT_EQ(line("+shor" + rest).check.name, "x.");
    EXPECT_EQ(why("+t=1" + rest), "+t is not run natively");
    EXPECT_EQ(why("+TIME=1" + rest), "+TIME is not run natively");
    EXPECT_EQ(why("+re" + rest), "+re is not run natively");
    EXPECT_EQ(why("+timeouts=1" + rest), "+timeouts is not run natively");
}

TEST(DigLine, DefaultsAreDigs) {
    const DigLine read = line("@192.0.2.1 x.");
    EXPECT_EQ(read.timeout, Nanoseconds{5s});
    EXPECT_EQ(read.check.tcp_timeout, Nanoseconds{10s});
    EXPECT_EQ(read.tries, 3U);
    EXPECT_EQ(line("@192.0.2.1 x. +time=5").check.tcp_timeout, Nanoseconds{5s});
}

TEST(DigLine, AddressesAndPorts) {
    const auto v6 = line("-6 @2001:db8::1 -p5353 -b 2001:db8::2#4000 x.");
    EXPECT_EQ(v6.server.to_string(), "[2001:db8::1]:5353");
    EXPECT_EQ(v6.check.via.source, IpAddress::parse("2001:db8::2"));
    EXPECT_EQ(v6.check.via.source_port, 4000);
    EXPECT_EQ(line("-4p 5353 @192.0.2.1").server.port, 5353);
    EXPECT_EQ(line("-b 0.0.0.0#4000 @192.0.2.1").check.via.source, std::nullopt);
    EXPECT_EQ(why("-b 2001:db8::2 @192.0.2.1"),
              "-b 2001:db8::2 and @192.0.2.1 are not of one address family");
    EXPECT_EQ(why("-6 @192.0.2.1"), "@192.0.2.1 is no IPv6 address");
    EXPECT_EQ(why("-4 -6 @192.0.2.1"), "dig refuses -4 and -6 together");
    EXPECT_EQ(why("-b 192.0.2.2#53 @192.0.2.1"),
              "-b 192.0.2.2#53: a port below 1024 is for root only");
    EXPECT_EQ(why("-b eth0 @192.0.2.1"), "-b eth0 is no address");
    EXPECT_EQ(why("-p 0 @192.0.2.1"), "-p 0 is no port");
    EXPECT_EQ(why("-p 65536 @192.0.2.1"), "-p 65536 is no port");
    EXPECT_EQ(why("@192.0.2.1 -p"), "-p lacks its word");
}

TEST(DigLine, WhatDependsOnTheMachineIsLeftToDig) {
    EXPECT_EQ(why("www.example.com"), "without @server it depends on this machine's resolv.conf");
    EXPECT_EQ(why("@ns1.example.com x."),
              "@ns1.example.com is no address, and names are not looked up");
    EXPECT_EQ(why("@192.0.2.1 @192.0.2.2 x."), "@192.0.2.2 is a second server");
    EXPECT_EQ(why("@::ffff:192.0.2.1 x."), "@::ffff:192.0.2.1 is not the address of one server");
    EXPECT_EQ(why("@0.0.0.0 x."), "@0.0.0.0 is not the address of one server");
    EXPECT_EQ(why("@fe80::1%eth0 x."), "@fe80::1%eth0 is no address, and names are not looked up");
}

TEST(DigLine, WhatIsNotOnTheListIsLeftToDig) {
    for (const char* option :
         {"+trace", "+nssearch", "+noedns", "+nocookie", "+cdflag", "+https", "+tls", "+keepopen",
          "+search", "+subnet=192.0.2.0/24", "+noall", "+besteffort", "+qid=1", "+tcflag"}) {
        const std::string whole = option;
        EXPECT_EQ(why("@192.0.2.1 x. " + whole),
                  whole.substr(0, whole.find('=')) + " is not run natively");
    }
    for (const char* option : {"-f", "-k", "-y", "-v", "-h", "-r", "-m", "-u", "-i", "-z"})
        EXPECT_EQ(why(std::string("@192.0.2.1 x. ") + option),
                  std::string(option) + " is not run natively");
}

TEST(DigLine, WhatDigWouldRefuseIsLeftToDig) {
    const std::string rest = "@192.0.2.1 x. ";
    EXPECT_EQ(why(rest + "+time"), "dig refuses +time without a number");
    EXPECT_EQ(why(rest + "+time="), "dig refuses +time= without a number");
    EXPECT_EQ(why(rest + "+time=1s"), "dig refuses +time=1s");
    EXPECT_EQ(why(rest + "+time=-1"), "dig refuses +time=-1");
    EXPECT_EQ(why(rest + "+notime=1"), "dig refuses +notime=1");
    EXPECT_EQ(why(rest + "+nobufsize"), "dig refuses +nobufsize");
    EXPECT_EQ(why(rest + "+bufsize=70000"), "dig refuses +bufsize=70000");
    EXPECT_EQ(why(rest + "+tries=1000"), "+tries=1000 is no number from 0 to 100");
    EXPECT_EQ(why(rest + "+retry=100"), "+retry=100 is no number from 0 to 99");
    EXPECT_EQ(why(rest + "y."), "it asks a second question, y.");
    EXPECT_EQ(why(rest + "-x 192.0.2.7"), "it asks a second question, 7.2.0.192.in-addr.arpa.");
    EXPECT_EQ(why("@192.0.2.1 -x 192.0.2"), "-x 192.0.2 is no whole address");
    EXPECT_EQ(why("@192.0.2.1 a..b").substr(0, 6), "`a..b`");
    EXPECT_EQ(why("@192.0.2.1 'a b'"), "the name a b has more than letters, digits and - _ * /");
    EXPECT_EQ(why("@192.0.2.1 axfr example.com"),
              "axfr is a transfer, or nothing that is asked for");
    EXPECT_EQ(why("@192.0.2.1 -t IXFR=1 x."), "the type IXFR=1 is not known here");
    EXPECT_EQ(why("@192.0.2.1 wks x."), "the type wks is not known here");
    EXPECT_EQ(why("@192.0.2.1 TYPE065280 x.").substr(0, 13), "dig does not ");
    EXPECT_EQ(why("@192.0.2.1 ''"), "an empty word");
    EXPECT_EQ(why("@192.0.2.1 -"), "`-` is no option of dig");
}

// ---- in a file ------------------------------------------------------------------

std::string why_not(const std::string& command) {
    const auto native = native_misc(parse_script(command).value());
    return native ? "native" : native.error().message;
}

TEST(NativeMisc, AnyDigIsDig) {
    EXPECT_EQ(why_not("/opt/bind/bin/dig @192.0.2.1 x. > /dev/null 2>&1"), "native");
    EXPECT_EQ(why_not("/usr/bin/kdig @192.0.2.1 x."), "kdig is neither dig nor our probe");
    EXPECT_EQ(why_not("/bin/sh -c 'dig @192.0.2.1 x.'"), "sh is neither dig nor our probe");
    EXPECT_EQ(why_not("/usr/bin/dig @192.0.2.1 x. > /run/answer"),
              "what it prints goes to /run/answer");
    core::ScriptCheck dynamic = parse_script("/usr/bin/dig @192.0.2.1 x.").value();
    dynamic.dynamic = true;
    EXPECT_FALSE(native_misc(dynamic).has_value());
}

TEST(NativeMisc, TheNineWordsOfTheClassicWrapperBecomeADnsCheck) {
    const auto native = native_misc(
        parse_script("/usr/bin/dnsdirector probe 203.0.113.1 IN A www.example.com 203.0.113.11 0.5 "
                     "5 'SERVFAIL|REFUSED' tcp")
            .value());
    ASSERT_TRUE(native.has_value()) << native.error().message;
    EXPECT_EQ(native->target.to_string(), "203.0.113.11:53");
    EXPECT_EQ(native->timeout, Nanoseconds{500ms});
    EXPECT_EQ(native->tries, 5U);
    core::DnsCheck check;
    check.name = "www.example.com.";
    check.type = 1;
    check.transport = Protocol::tcp;
    check.via.source = IpAddress::parse("203.0.113.1");
    check.fail_on = {2, 5};
    EXPECT_EQ(std::get<core::DnsCheck>(native->what), check);
    EXPECT_EQ(why_not("/usr/bin/dnsdirector probe 0.0.0.0 IN A x. 192.0.2.1 1 1"),
              "7 words instead of 8 or 9: FROM_IP CLASS QTYPE QNAME TO_IP TIME TRIES "
              "ERROR_STATUS_REGEX [udp|tcp]");
    EXPECT_EQ(why_not("/usr/bin/dnsdirector probe --server 192.0.2.1"),
              "dnsdirector is neither dig nor our probe");
    EXPECT_EQ(why_not("/usr/bin/dnsdirector probe :: IN A x. 192.0.2.1 1 1 '(' udp").substr(0, 3),
              "\"(\"");
}

std::string two_services(const std::string& director, const std::string& command) {
    std::string text = "director { dataplane none; " + director + " }\n";
    for (const char* protocol : {"UDP", "TCP"})
        text += std::string("virtual_server 192.0.2.53 53 { protocol ") + protocol +
                "\nreal_server 203.0.113.11 53 { MISC_CHECK { misc_path \"" + command +
                "\"\nmisc_timeout 6 } } }\n";
    return text;
}

TEST(NativeMisc, ServicesWithTheSameLineShareOneCheck) {
    const Loaded loaded =
        parse_text(two_services("", "/usr/bin/dig @203.0.113.11 x. +time=2 +tries=2"));
    ASSERT_TRUE(loaded.ok());
    ASSERT_EQ(loaded.configuration->checks.size(), 1U);
    const core::Check& check = loaded.configuration->checks[0];
    EXPECT_TRUE(std::holds_alternative<core::DigCheck>(check.what));
    EXPECT_EQ(check.timing, (core::CheckTiming{60s, 2s, 2, 1, 1, 60s, 6s}));
    ASSERT_EQ(loaded.misc_checks.size(), 2U);
    EXPECT_EQ(loaded.misc_checks[0].to_string(), "t.conf:3:31: native");
}

TEST(NativeMisc, MiscNativeOffRunsThePrograms) {
    const Loaded loaded = parse_text(two_services("misc_native off", "/usr/bin/dig @203.0.113.11"));
    ASSERT_TRUE(loaded.ok());
    EXPECT_TRUE(std::holds_alternative<core::ScriptCheck>(loaded.configuration->checks[0].what));
    EXPECT_EQ(loaded.misc_checks[0].to_string(),
              "t.conf:3:31: runs the program: misc_native is off");
}

TEST(NativeMisc, ALineThatOnlyDigCanRunSaysWhy) {
    const Loaded loaded = parse_text(two_services("", "/usr/bin/dig @203.0.113.11 +trace"));
    ASSERT_TRUE(loaded.ok());
    EXPECT_TRUE(std::holds_alternative<core::ScriptCheck>(loaded.configuration->checks[0].what));
    EXPECT_EQ(loaded.misc_checks[1].why_not, "+trace is not run natively");
}

}  // namespace
}  // namespace dnsdirector::config
