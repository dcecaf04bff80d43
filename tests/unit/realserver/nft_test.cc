// SPDX-License-Identifier: Apache-2.0
//
// In a namespace of the test's own, through the real nft.
#include "realserver/nft.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "realserver/program.h"
#include "unit/config/support.h"
#include "unit/support/network_namespace.h"

namespace dnsdirector::realserver {
namespace {

/// Runs nft by hand, as an operator would.
std::string by_hand(const std::vector<std::string>& words, const std::string& input = "") {
    std::vector<std::string> arguments = {"nft"};
    arguments.insert(arguments.end(), words.begin(), words.end());
    const auto output = run_program(arguments, input, Seconds{10});
    if (!output) {
        ADD_FAILURE() << output.error().message;
        return "";
    }
    EXPECT_EQ(output->status, 0) << output->err;
    return output->out;
}

std::string table_now() {
    const auto table = read_table();
    if (!table) {
        ADD_FAILURE() << table.error().message;
        return "";
    }
    return table->value_or("none");
}

const std::string own_table(table_name);

core::RealServerMachine machine_on_lo() {
    return *config::configuration_of(R"(realserver {
        service_ip 192.0.2.53 192.0.2.54 2001:db8::53
        process bind1 { input lo; listen 203.0.113.11:5301 [2001:db8:1::11]:5301 }
        process bind2 { input eth9; listen 203.0.113.12 }
        tunnel 203.0.113.11
        tunnel_from 198.51.100.0/24
    })")
                .real_server_machine;
}

TEST(RealServerNft, InstallsEachRulesetOfTheCorpusAndReadsItBack) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    namespace fs = std::filesystem;
    std::size_t files = 0;
    for (const auto& entry :
         fs::directory_iterator(fs::path(DNSDIRECTOR_SOURCE_DIR) / "tests" / "realserver")) {
        if (entry.path().extension() != ".nft") continue;
        ++files;
        std::ostringstream text;
        text << std::ifstream(entry.path()).rdbuf();
        const auto replaced = replace_table(text.str());
        ASSERT_TRUE(replaced) << entry.path() << ": " << replaced.error().message;
        if (text.str().empty()) {
            EXPECT_EQ(table_now(), "none");
            continue;
        }
        const std::string before = table_now();
        EXPECT_NE(before, "none");
        // Operators save what nft lists and load it at the next boot, with all their tables.
        const std::string saved = by_hand({"list", "ruleset"});
        by_hand({"flush", "ruleset"});
        by_hand({"-f", "-"}, saved);
        EXPECT_EQ(table_now(), before) << entry.path();
        ASSERT_TRUE(replace_table(text.str()));
        EXPECT_EQ(table_now(), before) << entry.path();
    }
    EXPECT_GE(files, 5U);
}

TEST(RealServerNft, ReadsTheSameWhateverPacketsLeaveBehind) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ASSERT_TRUE(replace_table(ruleset_of(machine_on_lo())));
    const std::string before = table_now();
    by_hand({"add", "element", "inet", own_table, "direct_tcp4",
             "{ 198.51.100.1 . 4711 . 203.0.113.11 . 5301 }"});
    by_hand({"add", "element", "inet", own_table, "asked_udp4_2", "{ 198.51.100.1 . 4711 . 99 }"});
    EXPECT_EQ(table_now(), before);
    EXPECT_NE(by_hand({"list", "table", "inet", own_table}).find("4711"), std::string::npos);
}

TEST(RealServerNft, SeesWhateverElseWasChanged) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    const std::string ruleset = ruleset_of(machine_on_lo());
    ASSERT_TRUE(replace_table(ruleset));
    const std::string before = table_now();
    const std::vector<std::vector<std::string>> faults = {
        {"flush", "chain", "inet", own_table, "prerouting"},
        {"add", "rule", "inet", own_table, "process.bind1", "drop"},
        {"insert", "rule", "inet", own_table, "output", "counter"},
        {"delete", "chain", "inet", own_table, "output"},
        {"add", "chain", "inet", own_table, "another"},
        {"flush", "table", "inet", own_table},
        {"chain", "inet", own_table, "output", "{ policy drop ; }"},
    };
    for (const auto& fault : faults) {
        by_hand(fault);
        EXPECT_NE(table_now(), before) << fault.back();
        ASSERT_TRUE(replace_table(ruleset));
        EXPECT_EQ(table_now(), before) << fault.back();
    }
}

TEST(RealServerNft, LeavesOtherTablesAlone) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    by_hand({"-f", "-"},
            "table inet filter {\n"
            "chain input {\n"
            "type filter hook input priority 0\n"
            "ct state invalid drop\n"
            "}\n}\n"
            "table ip " +
                own_table + " {\nchain c {\n}\n}\n");
    const std::string others = by_hand({"list", "ruleset"});
    EXPECT_EQ(table_now(), "none");
    ASSERT_TRUE(replace_table(ruleset_of(machine_on_lo())));
    ASSERT_TRUE(replace_table(ruleset_of(machine_on_lo())));
    EXPECT_NE(table_now(), "none");
    ASSERT_TRUE(remove_table());
    EXPECT_EQ(table_now(), "none");
    EXPECT_TRUE(remove_table());
    EXPECT_EQ(by_hand({"list", "ruleset"}), others);
}

TEST(RealServerNft, RemovesTheTableWhereThereIsNothingToTranslate) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ASSERT_TRUE(replace_table(ruleset_of(machine_on_lo())));
    ASSERT_TRUE(replace_table(""));
    EXPECT_EQ(table_now(), "none");
    const auto counters = read_counters();
    ASSERT_TRUE(counters) << counters.error().message;
    EXPECT_TRUE(counters->processes.empty());
}

TEST(RealServerNft, KeepsTheOldTableWhenTheNewOneIsRefusedAndSaysWhatNftSaid) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ASSERT_TRUE(replace_table(ruleset_of(machine_on_lo())));
    const std::string before = table_now();
    core::RealServerMachine wrong = machine_on_lo();
    wrong.processes[0].input = "no\"name";
    const auto replaced = replace_table(ruleset_of(wrong));
    ASSERT_FALSE(replaced);
    EXPECT_NE(replaced.error().message.find("rror"), std::string::npos) << replaced.error().message;
    EXPECT_EQ(replaced.error().message.find('\n'), std::string::npos);
    EXPECT_EQ(table_now(), before);
}

std::uint64_t packets_of(const std::vector<RuleCounter>& counters, const std::string& process,
                         Protocol protocol, Way way) {
    for (const RuleCounter& each : counters)
        if (each.process == process && each.protocol == protocol && each.way == way)
            return each.packets;
    ADD_FAILURE() << "no counter " << counter_name(process, protocol, way);
    return 0;
}

void send_to(const char* address, std::uint16_t port, const std::string& payload) {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    inet_pton(AF_INET, address, &to.sin_addr);
    EXPECT_EQ(
        sendto(fd, payload.data(), payload.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to),
        static_cast<ssize_t>(payload.size()));
    close(fd);
}

TEST(RealServerNft, CountsByProcessProtocolAndWay) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    support::ip("link set lo up");
    for (const char* address : {"192.0.2.53", "192.0.2.54", "203.0.113.11"})
        support::ip(std::string("address add ") + address + "/32 dev lo");
    ASSERT_TRUE(replace_table(ruleset_of(machine_on_lo())));
    const std::string query(30, '\1');
    for (int i = 0; i < 3; ++i)
        send_to("192.0.2.53", 53, query);
    send_to("192.0.2.54", 53, query);
    send_to("203.0.113.11", 5301, query);
    send_to("192.0.2.53", 54, query);
    const auto counters = read_counters();
    ASSERT_TRUE(counters) << counters.error().message;
    EXPECT_EQ(counters->processes.size(), 16U);
    EXPECT_EQ(packets_of(counters->processes, "bind1", Protocol::udp, Way::queries), 4U);
    EXPECT_EQ(packets_of(counters->processes, "bind1", Protocol::udp, Way::direct), 1U);
    EXPECT_EQ(packets_of(counters->processes, "bind1", Protocol::udp, Way::replies), 0U);
    EXPECT_EQ(packets_of(counters->processes, "bind1", Protocol::tcp, Way::queries), 0U);
    EXPECT_EQ(packets_of(counters->processes, "bind2", Protocol::udp, Way::queries), 0U);
    EXPECT_EQ(counters->refused_tunnels, 0U);
}

// ---- programs ------------------------------------------------------------------

TEST(RealServerProgram, HasItsInputAndGivesItsOutputAndStatus) {
    const std::string much(200'000, 'x');
    const auto output =
        run_program({"sh", "-c", "cat; echo $LC_ALL >&2; exit 3"}, much, Seconds{20});
    ASSERT_TRUE(output) << output.error().message;
    EXPECT_EQ(output->status, 3);
    EXPECT_EQ(output->out, much);
    EXPECT_EQ(output->err, "C\n");
}

TEST(RealServerProgram, IsKilledAfterItsTime) {
    const auto output = run_program({"sh", "-c", "exec sleep 600"}, "", Milliseconds{200});
    ASSERT_FALSE(output);
    EXPECT_NE(output.error().message.find("killed"), std::string::npos) << output.error().message;
}

TEST(RealServerProgram, ThatIsNotThereIsAnErrorWithItsName) {
    const auto output = run_program({"no-such-program"}, "", Seconds{1});
    ASSERT_FALSE(output);
    EXPECT_NE(output.error().message.find("no-such-program"), std::string::npos);
}

TEST(RealServerProgram, ThatASignalEndsHasTheStatusThatShellsGive) {
    const auto output = run_program({"sh", "-c", "kill -TERM $$"}, "", Seconds{10});
    ASSERT_TRUE(output) << output.error().message;
    EXPECT_EQ(output->status, 128 + 15);
}

}  // namespace
}  // namespace dnsdirector::realserver
