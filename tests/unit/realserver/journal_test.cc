// SPDX-License-Identifier: Apache-2.0
#include "realserver/journal.h"

#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "realserver/settings.h"
#include "unit/realserver/fake_machine.h"

namespace dnsdirector::realserver {
namespace {

using fakes::address;

Journal full_journal() {
    Journal journal;
    journal.settings = {{"ipv4/conf/eth1.105/rp_filter", "1", {"2", "0"}}};
    journal.addresses = {{"lo", address("192.0.2.53")}, {"lo", address("2001:db8::53")}};
    journal.tunnels = {{"dnsd6", address("2001:db8:1::11"), 1460, true}};
    journal.table = OwnTable{"table inet x {}", "{\"nftables\": []}"};
    return journal;
}

const Place here = {"1f0c", 4026531840};

TEST(RealServerJournal, comes_back_as_it_was_written) {
    for (const Journal& journal : {full_journal(), Journal{}}) {
        const auto read = from_json(to_json(journal, here), here);
        ASSERT_TRUE(read) << read.error().message;
        EXPECT_EQ(*read, journal);
    }
}

TEST(RealServerJournal, ends_with_the_kernel_that_it_speaks_of) {
    const auto after_reboot = from_json(to_json(full_journal(), here), {"2a2a", 7});
    ASSERT_TRUE(after_reboot);
    EXPECT_TRUE(after_reboot->empty());
}

TEST(RealServerJournal, of_another_network_namespace_is_refused) {
    const auto elsewhere = from_json(to_json(full_journal(), here), {"1f0c", 7});
    ASSERT_FALSE(elsewhere);
    EXPECT_NE(elsewhere.error().message.find("--run-dir"), std::string::npos);
}

TEST(RealServerJournal, that_is_none_is_refused) {
    for (const char* text : {"", "{", "[]", "{\"version\": 1}", "{\"version\": 2}"})
        EXPECT_FALSE(from_json(text, here)) << text;
}

class RealServerFiles : public ::testing::Test {
protected:
    void SetUp() override {
        std::string name = ::testing::TempDir() + "dnsdirector-realserver-XXXXXX";
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        directory = name;
    }
    void TearDown() override { std::filesystem::remove_all(directory); }

    std::string directory;
};

TEST_F(RealServerFiles, journal_lies_in_the_run_directory_while_something_is_ours) {
    const std::string run_dir = directory + "/run/dnsdirector";
    ASSERT_TRUE(peek_journal(run_dir).value().empty());
    EXPECT_FALSE(std::filesystem::exists(run_dir));
    const auto store = open_journal(run_dir).value();
    EXPECT_TRUE(store->load().value().empty());
    ASSERT_TRUE(store->save(full_journal()));
    EXPECT_EQ(store->load().value(), full_journal());
    EXPECT_EQ(peek_journal(run_dir).value(), full_journal());
    ASSERT_TRUE(store->save({}));
    EXPECT_TRUE(std::filesystem::is_empty(run_dir));
    ASSERT_TRUE(store->save({}));
}

TEST_F(RealServerFiles, a_second_one_waits_until_the_first_is_done) {
    auto first = open_journal(directory).value();
    std::unique_ptr<JournalStore> second;
    std::thread other([&] { second = open_journal(directory).value(); });
    ASSERT_TRUE(first->save(full_journal()));
    first.reset();
    other.join();
    EXPECT_EQ(second->load().value(), full_journal());
}

TEST_F(RealServerFiles, a_spoiled_journal_is_named_and_kept) {
    std::ofstream{directory + "/realserver.json"} << "{";
    const auto read = open_journal(directory).value()->load();
    ASSERT_FALSE(read);
    EXPECT_NE(read.error().message.find(directory + "/realserver.json"), std::string::npos);
    EXPECT_TRUE(std::filesystem::exists(directory + "/realserver.json"));
}

TEST_F(RealServerFiles, settings_are_files_of_one_line) {
    std::filesystem::create_directories(directory + "/ipv4/conf/eth1.105");
    std::ofstream{directory + "/ipv4/conf/eth1.105/rp_filter"} << "1\n";
    EXPECT_EQ(read_setting(directory, "ipv4/conf/eth1.105/rp_filter"), "1");
    EXPECT_EQ(read_setting(directory, "ipv4/conf/eth9/rp_filter"), std::nullopt);
    ASSERT_TRUE(write_setting(directory, "ipv4/conf/eth1.105/rp_filter", "2"));
    EXPECT_EQ(read_setting(directory, "ipv4/conf/eth1.105/rp_filter"), "2");
    const auto missing = write_setting(directory, "ipv4/conf/eth9/rp_filter", "2");
    ASSERT_FALSE(missing);
    EXPECT_NE(missing.error().message.find("net.ipv4.conf.eth9.rp_filter"), std::string::npos);
}

}  // namespace
}  // namespace dnsdirector::realserver
