// SPDX-License-Identifier: Apache-2.0
//
// The programs that a file names, and the users who shall run them.
#include "config/files.h"
#include "unit/config/support.h"

namespace dnsdirector::config {
namespace {

/// A machine with dig and logger, and with the user nobody.
Files machine() {
    Files files = files_of({});
    files.find_program = [](const std::string& name) {
        return name == "dig" || name == "logger" ? "/usr/bin/" + name : std::string();
    };
    files.judge_program = [](const std::string& path) {
        return path.starts_with("/usr/bin/") ? std::string() : std::string("does not exist");
    };
    files.judge_user = [](const std::string& name) {
        return name == "nobody" ? std::string() : std::string("is no user of this machine");
    };
    return files;
}

std::string said_of(const std::string& text) {
    std::string messages;
    for (const Message& message : parse(text, "t.conf", machine()).messages)
        messages += message.to_string() + '\n';
    return messages;
}

TEST(Programs, AUserThatThereIsNotIsAnErrorWhereverItIsNamed) {
    const auto error = [](const char* place, const char* keyword) {
        return fmt::format(
            "t.conf:{}: error: {}: `gone` is no user of this machine; create it (useradd --system "
            "gone), or name one that is there\n",
            place, keyword);
    };
    EXPECT_EQ(said_of(virtual_server("quorum_up /usr/bin/a gone\nquorum_down /usr/bin/a nobody",
                                     "notify_up \"/usr/bin/a b\" gone\nMISC_CHECK {\n"
                                     "misc_path /usr/bin/a\nuser gone\n}")),
              error("5:22", "quorum_up") + error("8:26", "notify_up") + error("11:6", "user"));
    // Also where no process is made: it would be without misc_native.
    EXPECT_EQ(said_of(virtual_server("",
                                     "MISC_CHECK {\nmisc_path \"/usr/bin/dig @203.0.113.11\"\n"
                                     "user gone\n}")),
              error("9:6", "user"));
    EXPECT_EQ(said_of("global_defs {\nscript_user gone\n}\n" +
                      virtual_server("", "MISC_CHECK {\nmisc_path /usr/bin/a\n}")),
              error("2:13", "script_user"));
    EXPECT_EQ(said_of("director { interface eth0; script_user gone }\n" +
                      cluster("", "script /usr/bin/a; user gone").substr(28)),
              error("1:40", "script_user") + error("6:33", "user"));
}

TEST(Programs, ANameAloneIsFoundInThePath) {
    const auto loaded =
        parse(virtual_server("quorum_up \"logger up\"",
                             "notify_up \"logger x\"\nMISC_CHECK {\nmisc_path \"logger a b\"\n}"),
              "t.conf", machine());
    ASSERT_TRUE(loaded.ok());
    const core::Service& service = loaded.configuration->services.at(0);
    using Words = std::vector<std::string>;
    EXPECT_EQ(service.quorum_up->arguments, (Words{"/usr/bin/logger", "up"}));
    EXPECT_EQ(service.real_servers.at(0).notify_up->arguments, (Words{"/usr/bin/logger", "x"}));
    EXPECT_EQ(std::get<core::ScriptCheck>(loaded.configuration->checks.at(0).what).arguments,
              (Words{"/usr/bin/logger", "a", "b"}));
}

TEST(Programs, ANameThatIsNowhereIsAnError) {
    const auto error = [](const char* place, const char* keyword) {
        return fmt::format(
            "t.conf:{}: error: {}: no program check_dns is in /usr/local/sbin:/usr/local/bin:"
            "/usr/sbin:/usr/bin:/sbin:/bin; write its full path\n",
            place, keyword);
    };
    EXPECT_EQ(said_of(virtual_server(
                  "quorum_up check_dns",
                  "notify_up \"check_dns x\"\nMISC_CHECK {\nmisc_path \"check_dns a\"\n}")),
              error("5:11", "quorum_up") + error("7:11", "notify_up") + error("9:11", "misc_path"));
}

TEST(Programs, ADigLineIsAskedNativelyWithAPathAndWithout) {
    const auto check = [](const std::string& program) {
        const auto loaded =
            parse(virtual_server("", "MISC_CHECK {\nmisc_path \"" + program +
                                         " @203.0.113.11 www.example.com +time=1\"\n}"),
                  "t.conf", machine());
        EXPECT_TRUE(loaded.ok());
        return loaded.configuration->checks.at(0);
    };
    EXPECT_TRUE(std::holds_alternative<core::DigCheck>(check("dig").what));
    EXPECT_EQ(check("dig"), check("/usr/bin/dig"));
}

TEST(Programs, ThisMachineIsLookedAt) {
    const Files files = real_files();
    EXPECT_EQ(files.judge_user("root"), "");
    EXPECT_EQ(files.judge_user("no such user"), "is no user of this machine");
    EXPECT_EQ(files.find_program("no-such-program"), "");
    const std::string shell = files.find_program("sh");
    EXPECT_TRUE(shell.ends_with("bin/sh")) << shell;
    EXPECT_EQ(files.judge_program(shell), "");
}

}  // namespace
}  // namespace dnsdirector::config
