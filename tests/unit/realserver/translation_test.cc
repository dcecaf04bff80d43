// SPDX-License-Identifier: Apache-2.0
//
// tests/realserver: of each NAME.conf the ruleset is NAME.nft; nft_test.cc loads them into the
// kernel. To write them anew, and then review them:
//
//   UPDATE_EXPECTED=1 build/release/unit_tests --gtest_filter='RealServerRules.*'
#include "realserver/translation.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "realserver/too_big.h"
#include "unit/config/support.h"

namespace dnsdirector::realserver {
namespace {

namespace fs = std::filesystem;

std::string text_in(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

TEST(RealServerRules, EachBlockBecomesTheRulesetThatIsExpected) {
    std::size_t files = 0;
    for (const auto& entry :
         fs::directory_iterator(fs::path(DNSDIRECTOR_SOURCE_DIR) / "tests" / "realserver")) {
        fs::path path = entry.path();
        if (path.extension() != ".conf") continue;
        ++files;
        const auto machine = config::configuration_of(text_in(path)).real_server_machine;
        ASSERT_TRUE(machine) << path;
        const std::string ruleset = ruleset_of(*machine);
        path.replace_extension(".nft");
        if (std::getenv("UPDATE_EXPECTED") != nullptr) std::ofstream(path) << ruleset;
        EXPECT_EQ(ruleset, text_in(path)) << path;
    }
    EXPECT_GE(files, 5U);
}

TEST(RealServerRules, AreNotNeededWithoutProcessesAndLimitedTunnels) {
    core::RealServerMachine machine;
    machine.service_ips = {*IpAddress::parse("192.0.2.53")};
    EXPECT_EQ(ruleset_of(machine), "");
    machine.tunnel_ends = {*IpAddress::parse("203.0.113.11")};
    EXPECT_EQ(ruleset_of(machine), "");
    machine.tunnel_from = {{*IpAddress::parse("198.51.100.0"), 24}};
    EXPECT_NE(ruleset_of(machine), "");
}

// ---- messages that quote a translated packet ----------------------------------

using Bytes = std::vector<std::uint8_t>;

/// RFC 1071, without the complement; 0xffff stands for 0, too.
std::uint32_t folded(const Bytes& bytes) {
    std::uint32_t sum = 0;
    for (std::size_t at = 0; at < bytes.size(); ++at)
        sum += at % 2 == 0 ? bytes[at] * 256U : bytes[at];
    return sum % 0xffff;
}

void put(Bytes& bytes, std::size_t at, const IpAddress& address) {
    std::copy_n(address.bytes().begin(), address.size(), bytes.begin() + static_cast<long>(at));
}
void put(Bytes& bytes, std::size_t at, std::uint16_t number) {
    bytes[at] = static_cast<std::uint8_t>(number >> 8);
    bytes[at + 1] = static_cast<std::uint8_t>(number);
}

struct RawWrite {
    std::size_t at;
    std::size_t length;
    std::uint64_t number;  ///< of those that are no address
    bool address;
};

/// The `@base,offset,length set value` of a rule, in bytes.
std::vector<RawWrite> raw_writes(const std::string& rule, const std::string& base) {
    std::vector<RawWrite> writes;
    const std::regex pattern("@" + base + ",([0-9]+),([0-9]+) set (0x)?([0-9a-f]+)");
    for (std::sregex_iterator each(rule.begin(), rule.end(), pattern), end; each != end; ++each)
        writes.push_back({std::stoul((*each)[1]) / 8, std::stoul((*each)[2]) / 8,
                          (*each)[3].matched ? 0 : std::stoull((*each)[4]), (*each)[3].matched});
    return writes;
}

/// As the kernel does it, without correcting any sum.
void apply(const std::vector<RawWrite>& writes, Bytes& bytes, const IpAddress& address) {
    for (const RawWrite& write : writes) {
        if (write.address)
            put(bytes, write.at, address);
        else if (write.length == 2)
            put(bytes, write.at, static_cast<std::uint16_t>(write.number));
        else
            bytes[write.at] = static_cast<std::uint8_t>(write.number);
    }
}

std::uint16_t some_port() {
    return *rc::gen::oneOf(rc::gen::element<std::uint16_t>(1, 53, 0xffff),
                           rc::gen::inRange<std::uint16_t>(1, 0xffff));
}

RC_GTEST_PROP(RealServerTooBig, TheChecksumStaysRightInIpv4, ()) {
    const auto service_bytes =
        *rc::gen::container<std::array<std::uint8_t, 4>>(rc::gen::arbitrary<std::uint8_t>());
    const auto listen_bytes =
        *rc::gen::container<std::array<std::uint8_t, 4>>(rc::gen::arbitrary<std::uint8_t>());
    const Endpoint service{IpAddress::from_v4(service_bytes), some_port()};
    const Endpoint listen{IpAddress::from_v4(listen_bytes), some_port()};
    Bytes message(36);
    message[8] = 0x45;
    put(message, 20, service.address);
    put(message, 28, service.port);
    const std::uint32_t before = folded(message);
    apply(raw_writes(too_big_rule(service, listen), "th"), message, listen.address);
    RC_ASSERT(folded(message) == before);
    Bytes wanted(36);
    put(wanted, 20, listen.address);
    put(wanted, 28, listen.port);
    RC_ASSERT(std::equal(message.begin() + 9, message.end(), wanted.begin() + 9));
}

RC_GTEST_PROP(RealServerTooBig, TheChecksumStaysRightInIpv6, ()) {
    const auto service_bytes =
        *rc::gen::container<std::array<std::uint8_t, 16>>(rc::gen::arbitrary<std::uint8_t>());
    const auto listen_bytes =
        *rc::gen::container<std::array<std::uint8_t, 16>>(rc::gen::arbitrary<std::uint8_t>());
    const Endpoint service{IpAddress::from_v6(service_bytes), some_port()};
    const Endpoint listen{IpAddress::from_v6(listen_bytes), some_port()};
    const std::string rule = too_big_rule(service, listen);
    Bytes message(56);
    put(message, 16, service.address);
    put(message, 48, service.port);
    const std::uint32_t before = folded(message);
    apply(raw_writes(rule, "th"), message, listen.address);
    // The outer header: what stands there before nft writes the service IP, as it was, and
    // corrects the checksum by the difference.
    Bytes outer(40);
    put(outer, 24, service.address);
    const std::uint32_t right = folded(outer);
    apply(raw_writes(rule, "nh"), outer, listen.address);
    const std::uint32_t corrected = (right + 0xffff - folded(outer)) % 0xffff;
    RC_ASSERT(folded(message) == (before + corrected) % 0xffff);
}

}  // namespace
}  // namespace dnsdirector::realserver
