// SPDX-License-Identifier: Apache-2.0
#include "announce/track_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

namespace dnsdirector::announce {
namespace {

using core::AnnouncementState;

class TrackFilesTest : public testing::Test {
protected:
    void SetUp() override {
        std::string name = testing::TempDir() + "dnsdirector-track-XXXXXX";
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        parent = name;
        directory = name + "/announce";
    }
    void TearDown() override { std::filesystem::remove_all(parent); }

    [[nodiscard]] std::string text(const std::string& name) const {
        std::ifstream in(directory + "/" + name);
        std::string line;
        std::getline(in, line);
        return line;
    }
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> found;
        for (const auto& entry : std::filesystem::directory_iterator(directory))
            found.push_back(entry.path().filename().string());
        std::sort(found.begin(), found.end());
        return found;
    }

    std::string parent;
    std::string directory;
    const IpAddress one = IpAddress::parse("192.0.2.53").value();
    const IpAddress other = IpAddress::parse("2001:db8::53").value();
};

TEST_F(TrackFilesTest, say_the_state_of_each_and_the_worst_of_all) {
    TrackFiles files(directory);
    ASSERT_TRUE(
        files.hold({{one, AnnouncementState::announced}, {other, AnnouncementState::degraded}}));
    EXPECT_EQ(names(), (std::vector<std::string>{"192.0.2.53", "2001:db8::53", "all"}));
    EXPECT_EQ(text("192.0.2.53"), "0");
    EXPECT_EQ(text("2001:db8::53"), "-60");
    EXPECT_EQ(text("all"), "-60");
    ASSERT_TRUE(files.hold({{one, AnnouncementState::withdrawn}}));
    EXPECT_EQ(names(), (std::vector<std::string>{"192.0.2.53", "all"}));
    EXPECT_EQ(text("all"), "-180");
}

TEST_F(TrackFilesTest, are_not_touched_where_they_say_it_already) {
    TrackFiles files(directory);
    ASSERT_TRUE(files.hold({{one, AnnouncementState::draining}}));
    std::ofstream(directory + "/192.0.2.53") << "somebody's";
    ASSERT_TRUE(files.hold({{one, AnnouncementState::draining}}));
    EXPECT_EQ(text("192.0.2.53"), "somebody's");
    EXPECT_FALSE(files.lost());
    std::filesystem::remove(directory + "/192.0.2.53");
    EXPECT_TRUE(files.lost());
    ASSERT_TRUE(files.hold({{one, AnnouncementState::draining}}));
    EXPECT_EQ(text("192.0.2.53"), "-120");
    EXPECT_FALSE(files.lost());
    std::filesystem::remove_all(directory);
    EXPECT_TRUE(files.lost());
    ASSERT_TRUE(files.hold({{one, AnnouncementState::draining}}));
    EXPECT_EQ(text("192.0.2.53"), "-120");
}

TEST_F(TrackFilesTest, of_a_predecessor_are_replaced) {
    {
        TrackFiles before(directory);
        ASSERT_TRUE(before.hold(
            {{one, AnnouncementState::announced}, {other, AnnouncementState::announced}}));
    }
    std::ofstream(directory + "/192.0.2.54") << "-7";
    TrackFiles files(directory);
    EXPECT_EQ(files.read(),
              (std::map<IpAddress, AnnouncementState>{{one, AnnouncementState::announced},
                                                      {other, AnnouncementState::announced}}));
    ASSERT_TRUE(files.hold({{one, AnnouncementState::withdrawn}}));
    EXPECT_EQ(names(), (std::vector<std::string>{"192.0.2.53", "all"}));
    EXPECT_EQ(text("192.0.2.53"), "-180");
    files.remove();
    EXPECT_FALSE(std::filesystem::exists(directory));
}

TEST_F(TrackFilesTest, that_cannot_be_written_are_an_error_with_their_path_and_tried_again) {
    std::ofstream(directory) << "a file in the directory's place";
    TrackFiles files(directory);
    const auto refused = files.hold({{one, AnnouncementState::announced}});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find(directory), std::string::npos);
    std::filesystem::remove(directory);
    EXPECT_TRUE(files.hold({{one, AnnouncementState::announced}}));
    EXPECT_EQ(text("192.0.2.53"), "0");
}

/// keepalived adds the value to the priority and keeps it within 1 to 254.
TEST(TrackValue, gives_the_service_ip_to_who_is_better_and_else_to_who_is_preferred) {
    constexpr AnnouncementState states[] = {
        AnnouncementState::announced, AnnouncementState::degraded, AnnouncementState::draining,
        AnnouncementState::withdrawn};
    for (const AnnouncementState preferred : states)
        for (const AnnouncementState other : states) {
            const int first = std::clamp(200 + track_value(preferred), 1, 254);
            const int second = std::clamp(150 + track_value(other), 1, 254);
            EXPECT_EQ(first > second, preferred <= other);
            EXPECT_NE(first, second);
        }
}

}  // namespace
}  // namespace dnsdirector::announce
