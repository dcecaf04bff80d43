// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "unit/config/support.h"

namespace dnsdirector::config {
namespace {

const char* const plain =
    "director {\n    interface eth0\n}\n"
    "virtual_server 192.0.2.53 53 {\n"
    "    lb_algo wrr\n"
    "    lb_kind DR\n"
    "    real_server 203.0.113.11 53 {\n"
    "        weight 2\n"
    "        MISC_CHECK {\n"
    "            misc_path \"/bin/check a\"\n"
    "        }\n"
    "    }\n"
    "}\n";

void means_the_same(const std::string& text) {
    EXPECT_EQ(configuration_of(text), configuration_of(plain)) << text;
}

TEST(LexicalRules, CommentsStartAnywhereAlsoWithinAWord) {
    means_the_same(
        "# one\n! two\ndirector {!three\n    interface eth0#four { }\n}\n"
        "virtual_server 192.0.2.53 53 { # {\n"
        "    lb_algo wrr!comment\n"
        "    lb_kind DR #\n"
        "    real_server 203.0.113.11 53 {\n"
        "        weight 2!!! } } }\n"
        "        MISC_CHECK {\n            misc_path \"/bin/check a\"#x\n        }\n    }\n}\n");
}

TEST(LexicalRules, QuotesProtectCommentsAndBraces) {
    const auto c =
        configuration_of(virtual_server("", "MISC_CHECK {\nmisc_path \"/bin/check #1 !2 { }\"\n}"));
    EXPECT_EQ(std::get<core::ScriptCheck>(c.checks[0].what).arguments,
              (std::vector<std::string>{"/bin/check", "#1", "!2", "{", "}"}));
}

TEST(LexicalRules, BlocksMayStandOnOneLineOrOpenOnALaterOne) {
    means_the_same(
        "director{interface eth0}virtual_server 192.0.2.53 53{lb_algo wrr\nlb_kind DR\n"
        "real_server 203.0.113.11 53{weight 2\nMISC_CHECK{misc_path \"/bin/check a\"}}}");
    means_the_same(
        "director\n\n# now\n{\ninterface eth0\n}\nvirtual_server 192.0.2.53 53\n{\nlb_algo wrr\n"
        "lb_kind DR\nreal_server 203.0.113.11 53\n\n{\nweight 2\nMISC_CHECK\n{\n"
        "misc_path \"/bin/check a\"\n}\n}\n}\n");
}

TEST(LexicalRules, LineEndsOfOtherSystemsTabsAndNoLastLineEnd) {
    std::string text = plain;
    std::string crlf;
    for (const char c : text)
        crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
    means_the_same(crlf);
    std::string tabs;
    for (const char c : text)
        tabs += c == ' ' ? '\t' : c;
    // The blank within quotes is the script's own and may be a tab as well.
    means_the_same(tabs);
    text.pop_back();
    means_the_same(text);
    means_the_same("\xef\xbb\xbf" + text);
}

TEST(LexicalRules, ASemicolonEndsAStatementInNativeBlocksOnly) {
    EXPECT_TRUE(
        parse_text("director{;interface eth0;;};\n"
                   "dns_cluster c{service_ip 192.0.2.53;real_server a{address 203.0.113.11;};};")
            .ok());
    EXPECT_NE(messages_of("virtual_server 192.0.2.53 53 {\n  delay_loop 6;\n}")
                  .find("t.conf:2:14: error: delay_loop: `6;` ends in an unknown unit `;`"),
              std::string::npos);
}

TEST(LexicalRules, PositionsCountBytesFromOne) {
    EXPECT_EQ(messages_of("\t foo\n\"bar\" baz\n"),
              "t.conf:1:3: error: unknown keyword `foo` in the top level\n"
              "t.conf:2:1: error: unknown keyword `bar` in the top level\n");
}

TEST(LexicalRules, BrokenTextIsSaidWhereItBreaks) {
    EXPECT_EQ(messages_of("director {\n  interface \"eth0\n}\n" + cluster("").substr(27)),
              "t.conf:2:13: error: the closing \" is missing on this line\n");
    EXPECT_EQ(messages_of("}\n" + cluster("")),
              "t.conf:1:1: error: this `}` closes nothing; remove it\n");
    EXPECT_EQ(messages_of(cluster("") + "{ }\n"),
              "t.conf:9:1: error: a block starts without a keyword before its `{`\n");
    EXPECT_EQ(
        messages_of(cluster("") + "http {\n  listen 127.0.0.1:80\n"),
        "t.conf:11:1: error: the file ends within the block of `http` opened at t.conf:9:6; a "
        "`}` is missing\n");
    EXPECT_EQ(messages_of(cluster("") + "\x01\x02\n"),
              "t.conf:9:1: error: a control character (byte 0x01): is this a text file?\n");
    EXPECT_NE(messages_of(virtual_server("", "MISC_CHECK {\nmisc_path \"/bin/x\n}"))
                  .find("t.conf:8:11: error: the closing \" is missing on this line"),
              std::string::npos);
}

TEST(LexicalRules, DeepNestingIsRefusedNotFollowed) {
    std::string text;
    for (int i = 0; i < 100000; ++i)
        text += "a {";
    const Loaded loaded = parse_text(text);
    EXPECT_FALSE(loaded.ok());
    EXPECT_LE(loaded.messages.size(), 3U);
}

// ---- include ------------------------------------------------------------------

TEST(Include, PutsFilesInTheirPlaceRelativeToTheIncludingOne) {
    const Files files = files_of({
        {"conf/main.conf", "director { interface eth0 }\ninclude parts/cluster.conf\n"},
        {"conf/parts/cluster.conf",
         "dns_cluster c {\nservice_ip 192.0.2.53\ninclude servers/*.conf;\n}"},
        {"conf/parts/servers/a.conf", "real_server a { address 203.0.113.11; weight 5 }"},
        {"conf/parts/servers/b.conf", "real_server b { address 203.0.113.12 };"},
    });
    const Loaded loaded = load("conf/main.conf", files);
    ASSERT_TRUE(loaded.ok());
    ASSERT_EQ(loaded.configuration->services.size(), 2U);
    EXPECT_EQ(loaded.configuration->services[0].real_servers.size(), 2U);
    EXPECT_EQ(loaded.configuration->services[0].real_servers[1].name, "b");
}

TEST(Include, MessagesNameTheFileAndKeepTheOrderOfReading) {
    const Files files = files_of({
        {"main.conf", "foo\ninclude a.conf\ninclude missing.conf\nbar\ninclude none*.conf\n"},
        {"a.conf", "baz {\n"},
    });
    std::string text;
    for (const Message& message : load("main.conf", files).messages)
        text += message.to_string() + '\n';
    EXPECT_EQ(text,
              "main.conf:1:1: error: unknown keyword `foo` in the top level\n"
              "a.conf:1:1: error: unknown keyword `baz` in the top level\n"
              "a.conf:2:1: error: the file ends within the block of `baz` opened at a.conf:1:5; a "
              "`}` is missing\n"
              "main.conf:3:9: error: cannot open missing.conf: No such file or directory\n"
              "main.conf:4:1: error: unknown keyword `bar` in the top level\n"
              "main.conf:5:9: warning: no file matches none*.conf\n");
}

TEST(Include, LoopsAndFloodsEnd) {
    const Files files = files_of({
        {"main.conf", "include a.conf\n"},
        {"a.conf", "include b.conf\n"},
        {"b.conf", "director { include a.conf }\n"},
    });
    const Loaded loop = load("main.conf", files);
    ASSERT_EQ(loop.messages.size(), 1U);
    EXPECT_EQ(loop.messages[0].to_string(),
              "b.conf:1:20: error: a.conf includes itself (a loop of includes); remove one");

    std::map<std::string, std::string> doubling;
    for (char c = 'a'; c < 'z'; ++c) {
        const std::string next = std::string("include ") + static_cast<char>(c + 1) + "\n";
        doubling[std::string(1, c)] = next + next;
    }
    doubling["z"] = "";
    const Loaded flood = load("a", files_of(doubling));
    EXPECT_FALSE(flood.ok());
}

TEST(Include, AFileThatCannotBeReadIsAMessageWithoutAPosition) {
    const Loaded loaded = load("gone.conf", files_of({}));
    EXPECT_FALSE(loaded.ok());
    ASSERT_EQ(loaded.messages.size(), 1U);
    EXPECT_EQ(loaded.messages[0].to_string(),
              "gone.conf: error: cannot open gone.conf: No such file or directory");
    EXPECT_FALSE(load("/").ok());
}

/// A FIFO without a writer, which an open would wait for.
class IncludedFifo : public ::testing::Test {
protected:
    void SetUp() override {
        char name[] = "/tmp/dnsdirector-config-XXXXXX";
        ASSERT_NE(::mkdtemp(name), nullptr);
        directory = name;
        ASSERT_EQ(::mkfifo((directory + "/a.fifo").c_str(), 0600), 0);
        // Were the open to wait, this ends the test and names it.
        ::alarm(30);
    }
    void TearDown() override {
        ::alarm(0);
        std::filesystem::remove_all(directory);
    }
    static std::string first_of(const std::string& path) {
        const Loaded loaded = load(path);
        return loaded.messages.empty() ? "" : loaded.messages[0].to_string();
    }
    std::string directory;
};

TEST_F(IncludedFifo, IsRefusedWithoutWaitingForAWriter) {
    const std::string main = directory + "/main.conf";
    std::ofstream(main) << "director { interface eth0 }\ninclude *.fifo\n";
    EXPECT_EQ(first_of(main), main + ":2:9: error: " + directory +
                                  "/a.fifo is not a regular file; name a configuration file");
    std::ofstream(main) << "include /dev/null\n";
    EXPECT_EQ(first_of(main), main +
                                  ":1:9: error: /dev/null is not a regular file; name a "
                                  "configuration file");
}

TEST_F(IncludedFifo, IsRefusedAsTheMainFileToo) {
    const std::string fifo = directory + "/a.fifo";
    EXPECT_EQ(first_of(fifo),
              fifo + ": error: " + fifo + " is not a regular file; name a configuration file");
    EXPECT_EQ(first_of("/dev/zero"),
              "/dev/zero: error: /dev/zero is not a regular file; name a configuration file");
}

}  // namespace
}  // namespace dnsdirector::config
