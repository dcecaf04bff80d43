// SPDX-License-Identifier: Apache-2.0
#include "cli/message_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "unit/config/support.h"

namespace dnsdirector::cli {
namespace {

std::string first_of(const std::string& text) {
    const config::Loaded loaded = config::parse_text(text);
    if (loaded.messages.empty()) return "nothing was said";
    return text_with_caret(loaded.messages.front());
}

TEST(MessageText, ShowsTheLineWithACaretUnderTheWord) {
    EXPECT_EQ(first_of("director {\n    dataplan xdp\n}\n"),
              "t.conf:2:5: error: unknown keyword `dataplan`; did you mean `dataplane`?\n"
              "    2 |     dataplan xdp\n"
              "      |     ^~~~~~~~\n");
}

TEST(MessageText, KeepsTabsSoThatTheCaretStandsRight) {
    EXPECT_EQ(first_of("director {\n\tinterface\teth0\n\txdp_mode\tnatve\n}\r\n"),
              "t.conf:3:11: error: xdp_mode: `natve` is not one of auto, native, generic; did you "
              "mean `native`?\n"
              "    3 | \txdp_mode\tnatve\n"
              "      | \t        \t^~~~~\n");
}

TEST(MessageText, CountsCharactersNotBytesUpToTheCaret) {
    EXPECT_EQ(first_of("director { service_interface \"\xc3\xa4\" dataplan xdp }\r\n"),
              "t.conf:1:35: error: `dataplan` is too much behind service_interface: write "
              "`service_interface INTERFACE`\n"
              "    1 | director { service_interface \"\xc3\xa4\" dataplan xdp }\n"
              "      |                                  ^~~~~~~~\n");
}

TEST(MessageText, ShowsTheNeighbourhoodOfAColumnInALongLine) {
    const std::string text = first_of("director {" + std::string(500, ' ') + "dataplan xdp;" +
                                      std::string(500, ' ') + "}\n");
    EXPECT_NE(text.find("    1 | ..." + std::string(60, ' ') + "dataplan xdp;"), std::string::npos)
        << text;
    EXPECT_NE(text.find("      |    " + std::string(60, ' ') + "^~~~~~~~\n"), std::string::npos)
        << text;
}

TEST(MessageText, HandsNoControlCharacterToTheTerminal) {
    const std::string text = first_of("director \x1b[2J {\n}\n");
    EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
}

TEST(MessageText, HasNoLineForAFileAsAWhole) {
    EXPECT_EQ(
        first_of(""),
        "t.conf: error: there is nothing to balance; write a dns_cluster or a virtual_server\n");
}

TEST(MessageText, PutsTheHintBehindTheCaret) {
    config::Message message{config::Severity::warning, "t.conf", 2, 1, "what"};
    message.code = "some-code";
    message.hint = "one\ntwo";
    message.source = "abc def";
    EXPECT_EQ(text_with_caret(message),
              "t.conf:2:1: warning: what [some-code]\n"
              "    2 | abc def\n"
              "      | ^~~\n"
              "      = one\n"
              "        two\n");
}

TEST(MessageText, GivesTheSameAsJson) {
    config::Message finding{config::Severity::warning, "t.conf", 2, 1, "what"};
    finding.code = "some-code";
    finding.hint = "better";
    config::Message error{config::Severity::error, "b\xff.conf", 0, 0, "unreadable"};
    const auto json = nlohmann::json::parse(messages_json({finding, error}));
    EXPECT_EQ(json, nlohmann::json::parse(R"([
        {"file": "t.conf", "line": 2, "column": 1, "severity": "warning", "code": "some-code",
         "text": "what", "hint": "better"},
        {"file": "b\ufffd.conf", "line": 0, "column": 0, "severity": "error",
         "text": "unreadable"}])"));
    EXPECT_EQ(messages_json({}), "[]\n");
}

}  // namespace
}  // namespace dnsdirector::cli
