// SPDX-License-Identifier: Apache-2.0
//
// Text that stands for other text: definitions, conditional lines, sequences and
// lists. Several texts are those of keepalived.conf(5).
#include <fmt/ranges.h>

#include <algorithm>

#include "config/definitions.h"
#include "config/dns_values.h"
#include "config/lines.h"
#include "support.h"

namespace dnsdirector::config {
namespace {

/// A text's lines as they are read, with its messages behind them.
std::string lines_of(std::string_view text, const std::string& id = "main") {
    Diagnostics diagnostics;
    const std::uint32_t file = diagnostics.add_file("t.conf");
    Files files = files_of({});
    files.config_id = id;
    files.environment = [](const std::string& name) {
        return name == "SITE" ? std::optional<std::string>("west") : std::nullopt;
    };
    TextState state(files, diagnostics);
    Lines lines(text, file, "dir/t.conf", state);
    std::string out;
    for (Line line; lines.next(line);)
        if (const auto words = split_words(line.text); !words.empty())
            out += fmt::format("{}\n", fmt::join(words, " "));
    for (const Message& message : diagnostics.take())
        out += message.to_string() + '\n';
    return out;
}

TEST(Definitions, AreReplacedWhenUsedNotWhenDefined) {
    EXPECT_EQ(lines_of("$ADDRESS_BASE=10.2.${ADDRESS_BASE_SUB}\n"
                       "$ADDRESS_BASE_SUB=0\n"
                       "${ADDRESS_BASE}.100/32\n"
                       "$ADDRESS_BASE_SUB=10\n"
                       "${ADDRESS_BASE}.100/32\n"),
              "10.2.0.100/32\n10.2.10.100/32\n");
}

TEST(Definitions, WithoutBracesABlankEndsTheName) {
    EXPECT_EQ(lines_of("$A=1\na $A b\na $A\na $A.5 $AB \"$A\" ${A}.5 ${A}B \"${A}\"\nf($A, $A)\n"),
              "a 1 b\na 1\na $A.5 $AB \"$A\" 1.5 1B \"1\"\nf(1, 1)\n");
}

TEST(Definitions, WhatIsNotDefinedStays) {
    EXPECT_EQ(lines_of("$A=1\nx $B ${B} $ ${ ${A $1 ${1} ${A b}\n"),
              "x $B ${B} $ ${ ${A $1 ${1} ${A b}\n");
    EXPECT_EQ(lines_of("x $A\n$A=1\n"), "x $A\n");
}

TEST(Definitions, MayBeEmptyAndChanged) {
    EXPECT_EQ(lines_of("$A=\nx ${A}y\n$A= spaced out  # comment\nx $A\n"), "x y\nx spaced out\n");
}

TEST(Definitions, OfSeveralLinesMayUseOthers) {
    EXPECT_EQ(lines_of("$INSTANCE= \\\n"
                       "vrrp_instance VI_${NUM} { \\\n"
                       "    interface eth0.${NUM} \\\n"
                       "    @main priority 130 \\\n"
                       "    @low priority 120 \\\n"
                       "} \n"
                       "$NUM=0\n"
                       "$INSTANCE\n"
                       "$NUM=1\n"
                       "  $INSTANCE\n"),
              "vrrp_instance VI_0 {\ninterface eth0.0\npriority 130\n}\n"
              "vrrp_instance VI_1 {\ninterface eth0.1\npriority 130\n}\n");
}

TEST(Definitions, OfSeveralLinesMayBeNestedAndDefineThemselves) {
    EXPECT_EQ(lines_of("$RS= \\\n"
                       "real_server 203.0.113.${N} 53 { \\\n"
                       "    weight ${W} \\\n"
                       "}\n"
                       "$VS= \\\n"
                       "virtual_server 192.0.2.${V} 53 { \\\n"
                       "    $N=1 \\\n"
                       "    $RS \\\n"
                       "    $N=2 \\\n"
                       "    $RS \\\n"
                       "}\n"
                       "$W=1\n"
                       "$V=7\n"
                       "$VS\n"),
              "virtual_server 192.0.2.7 53 {\nreal_server 203.0.113.1 53 {\nweight 1\n}\n"
              "real_server 203.0.113.2 53 {\nweight 1\n}\n}\n");
}

TEST(Definitions, CommentsAndBlanksWithinAreLeftOutAnEmptyLineEndsThem) {
    EXPECT_EQ(lines_of("$A= one \\\n  # not here \\\n \n two ! nor here\n three\nx $A\n"),
              "three\nx one\ntwo\n");
    EXPECT_EQ(lines_of("$A= one \\\n two \\\n\n three\nx $A\n"), "three\nx one\ntwo\n");
    EXPECT_EQ(lines_of("$A= \\\n"), "");
    EXPECT_EQ(lines_of("$A= \\\n\n[$A ]\n"), "[ ]\n");
}

TEST(Definitions, PredefinedOnes) {
    EXPECT_EQ(lines_of("${_PWD}/x ${_INSTANCE} ${_HASH}1 ${_BANG}2 ${_ENV SITE}\n"),
              "dir/x main #1 !2 west\n");
    EXPECT_EQ(lines_of("$_PWD=/etc\n${_PWD}/x\n"), "/etc/x\n");
    EXPECT_EQ(lines_of("a ${_ENV NONE}\nb ${_RANDOM 1 5}\nc ${_ENV}\n"),
              "t.conf:1:3: error: there is no environment variable NONE\n"
              "t.conf:2:3: error: ${_RANDOM} is not supported: a file means the same each time it "
              "is read\n"
              "t.conf:3:3: error: ${_ENV NAME} takes the name of one environment variable\n");
}

TEST(Definitions, ThatContainThemselvesAreErrors) {
    EXPECT_EQ(lines_of("$A=x $A\n$A\n"), "t.conf:2:1: error: the definition $A contains itself\n");
    EXPECT_EQ(lines_of("$A=${B}\n$B=${C}\n$C=${A}\ny ${A}\n"),
              "t.conf:4:3: error: the definition $A contains itself\n");
    EXPECT_EQ(lines_of("$A= \\\nx \\\n$A\n$A\n"),
              "x\nt.conf:3:1: error: the definition $A contains itself\n");
    EXPECT_EQ(lines_of("$A= \\\nx\n$A $A\n"),
              "t.conf:3:1: error: $A has several lines; nothing may stand behind it on its line\n");
    // Twice in a row is no circle.
    EXPECT_EQ(lines_of("$A=1\n$B=${A}${A}\n${B}${A}${B}\n"), "11111\n");
}

TEST(Definitions, OfSeveralLinesMayStandBehindOtherText) {
    EXPECT_EQ(lines_of("$A= one \\\ntwo\nzero $A\n"), "zero one\ntwo\n");
}

TEST(ConditionalLines, CountWhereTheNameIs) {
    const std::string_view text =
        "@main a\n@backup b\n@^main c\n@^backup d\n@main $P=240\n@backup $P=200\np $P\n";
    EXPECT_EQ(lines_of(text, "main"), "a\nd\np 240\n");
    EXPECT_EQ(lines_of(text, "backup"), "b\nc\np 200\n");
    EXPECT_EQ(lines_of(text, "other"), "c\nd\np $P\n");
}

TEST(ConditionalLines, MayComeOfADefinitionAndChooseWholeDefinitions) {
    EXPECT_EQ(lines_of("$IF=@main\n$IF priority 1\n$IF=@low\n$IF priority 2\n"), "priority 1\n");
    EXPECT_EQ(lines_of("@low $A= \\\n one \\\n two\nx\n@main $A= \\\n three \\\n four\n$A\n"),
              "x\nthree\nfour\n");
    EXPECT_EQ(lines_of("@main @^low a\n@main @low b\n"), "a\n");
    EXPECT_EQ(lines_of("@main\n@ x\n"),
              "t.conf:1:1: error: a conditional line is @NAME or @^NAME, a blank, and what counts "
              "on that machine, as in `@main weight 2`\n"
              "t.conf:2:1: error: a conditional line is @NAME or @^NAME, a blank, and what counts "
              "on that machine, as in `@main weight 2`\n");
}

TEST(Sequences, RepeatTheRestOfTheLine) {
    EXPECT_EQ(lines_of("~SEQ(SUBNET, 0, 3) 10.0.${SUBNET}.1\n"),
              "10.0.0.1\n10.0.1.1\n10.0.2.1\n10.0.3.1\n");
    EXPECT_EQ(lines_of("~SEQx(N, 0x90, 0x10, 0xc0) fe80::20:${N}:1\n"),
              "fe80::20:90:1\nfe80::20:a0:1\nfe80::20:b0:1\nfe80::20:c0:1\n");
    EXPECT_EQ(lines_of("~SEQ (N , 3) $N a\n~SEQ(M,-2) $M\n~SEQ(L,3,1) $L\n"),
              "1 a\n2 a\n3 a\n-1\n-2\n3\n2\n1\n");
    EXPECT_EQ(lines_of("~SEQ(N, 1, 4, 8) $N\n~SEQ(N, 8, -4, 1) $N\n"), "1\n5\n8\n4\n");
}

TEST(Sequences, MayBeNestedUseDefinitionsAndComeOfThem) {
    EXPECT_EQ(lines_of("~SEQ(A,1,2) ~SEQ(B,1,2) $A.$B ${A}.${B}\n"),
              "$A.1 1.1\n$A.2 1.2\n$A.1 2.1\n$A.2 2.2\n");
    EXPECT_EQ(lines_of("$LAST=3\n~SEQ(A, 2, ${LAST}) x $A\n"), "x 2\nx 3\n");
    EXPECT_EQ(lines_of("$S=~SEQ(A,1,2) x $A\n$S\n"), "x 1\nx 2\n");
    EXPECT_EQ(lines_of("$B= \\\nserver ${N} { \\\nweight 1 \\\n}\n~SEQ(N,1,2) $B\n"),
              "server 1 {\nweight 1\n}\nserver 2 {\nweight 1\n}\n");
    EXPECT_EQ(lines_of("$IN= \\\n~SEQ(M,1,2) inner ${N}.${M} \\\nend\n~SEQ(N,1,2) $IN\n"),
              "inner 1.1\ninner 1.2\nend\ninner 2.1\ninner 2.2\nend\n");
}

TEST(Sequences, OfListsTakeSeveralVariables) {
    EXPECT_EQ(lines_of("~LST(IP, 10, 20) 192.168.${IP}.1\n"), "192.168.10.1\n192.168.20.1\n");
    EXPECT_EQ(lines_of("~LST({IP, IP1}, {10,1},{20,4}, {5}) 192.168.${IP}.${IP1}\n"),
              "192.168.10.1\n192.168.20.4\n192.168.5.\n");
}

TEST(Sequences, MayStandBehindABrace) {
    EXPECT_EQ(lines_of("vs { ~SEQ(N,1,2) rs $N { weight $N }\n}\n"),
              "vs {\nrs 1 { weight 1 }\nrs 2 { weight 2 }\n}\n");
    EXPECT_EQ(lines_of("a { @main b\n@low c\n} @main d\n"), "a {\nb\n}\nd\n");
    EXPECT_EQ(lines_of("a \"{ @main b\"\n"), "a \"{ @main b\"\n");
}

TEST(Sequences, WrongOnesAreErrors) {
    EXPECT_EQ(lines_of("~SEQ(N, 1, 0, 3) x\n~SEQ(N, 1, -1, 3) x\n~SEQ(N, one) x\n~SEQ(N, 1, 2\n"
                       "~SEQ N x\n~SEQ(1, 2) x\n~SEQ(N, 2)\n~SEQx(N, -2) x\n~LST(N) x\n"
                       "~LST(N, {1,2}) x\n~SEQ(N, 99999999999999999999) x\n~SEQ(N,1,2,3,4) x\n"),
              "t.conf:1:1: error: ~SEQ: steps of 0 do not lead from 1 to 3\n"
              "t.conf:2:1: error: ~SEQ: steps of -1 do not lead from 1 to 3\n"
              "t.conf:3:1: error: ~SEQ: `one` is not a number\n"
              "t.conf:4:1: error: ~SEQ: its closing ) is missing\n"
              "t.conf:5:1: error: ~SEQ: a ( is missing behind ~SEQ\n"
              "t.conf:6:1: error: ~SEQ: `1` is not a variable's name\n"
              "t.conf:7:1: error: ~SEQ: nothing stands behind it to be repeated\n"
              "t.conf:8:1: error: ~SEQ: ~SEQx takes no negative numbers\n"
              "t.conf:9:1: error: ~LST: write ~LST(VARIABLE, VALUE, VALUE…)\n"
              "t.conf:10:1: error: ~LST: `{1,2}` has 2 values for 1 variables\n"
              "t.conf:11:1: error: ~SEQ: `99999999999999999999` is not a number\n"
              "t.conf:12:1: error: ~SEQ: write ~SEQ(VARIABLE, START, STEP, END), START and STEP if "
              "need be\n");
}

TEST(Expansion, CommentsAreTakenOutBefore) {
    EXPECT_EQ(lines_of("$A=1 # 2\nx $A # $A\nx \"# $A ${A}\" ! y\n\\#$A=1\nx \\# $A\n"),
              "x 1\nx \"# 1 1\"\n#$A=1\nx # 1\n");
}

TEST(Expansion, MessagesPointAtTheFilesLineAndShowWhatItReads) {
    EXPECT_EQ(
        messages_of("$N=3x\n" + cluster("quorum ${N}")),
        "t.conf:8:8: error: quorum: `3x` is not a number; it must be 1 to 4294967295 [the line "
        "reads: quorum 3x]\n");
    const std::string text =
        "$RS= \\\n"
        "real_server 203.0.113.${N} 53 { \\\n"
        "    wieght 1 \\\n"
        "}\n" +
        virtual_server("~SEQ(N,1,1) $RS", "");
    EXPECT_EQ(messages_of(text).substr(0, 113),
              "t.conf:3:5: error: unknown keyword `wieght`; did you mean `weight`? [used at "
              "t.conf:9, the line reads: wieght 1]\n");
}

TEST(Expansion, WhatIsNotDefinedIsAnErrorWhereItWouldCount) {
    EXPECT_EQ(messages_of("$QUORUM=1\n" + cluster("quorum ${QUROUM}")),
              "t.conf:8:8: error: ${QUROUM} is not defined; did you mean ${QUORUM}?\n");
    EXPECT_EQ(messages_of("$QUORUM=1\n" + cluster("quorum $QUORUM;")), "");
    EXPECT_EQ(messages_of("$SERVERS=1\n$SERVER\n" + cluster("")),
              "t.conf:2:1: error: $SERVER is not defined; did you mean ${SERVERS}?\n");
    EXPECT_EQ(messages_of("$PORT=53\n" + cluster("port $PORT.")),
              "t.conf:8:6: error: write ${PORT} where more text follows than a blank\n");
    EXPECT_NE(messages_of(virtual_server("", "MISC_CHECK {\nmisc_path \"/bin/x $HOME\"\n}"))
                  .find("t.conf:8:11: warning: $HOME is handed on as it is: it is not defined, and "
                        "no shell is there to expand it\n"),
              std::string::npos);
}

TEST(Expansion, OutOfPlaceIsSaid) {
    EXPECT_EQ(messages_of("director { interface eth0 }\nhttp { listen 127.0.0.1:1 }\ndns_cluster c "
                          "{ check { query \". SOA\" } service_ip 192.0.2.1; @main port 53\n"
                          "service_ip ~SEQ(N,1,2) 192.0.2.$N\n"
                          "real_server a { address 203.0.113.1; $X=1\n} }\n"),
              "t.conf:3:63: error: `@main` has its meaning at the start of a line only\n"
              "t.conf:4:12: error: ~SEQ stands at the start of the line that it repeats\n"
              "t.conf:5:38: error: `$X=1` has its meaning at the start of a line only\n");
}

/// What grows without end has one: the last message says so, nothing is read behind it.
void ends(const std::string& text) {
    const std::string messages = messages_of(text);
    EXPECT_NE(messages.find("error: definitions and sequences grow to more than is read"),
              std::string::npos)
        << text << "\n"
        << messages;
    EXPECT_EQ(std::count(messages.begin(), messages.end(), '\n'), 1) << messages;
}

std::string repeated(std::string_view text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i)
        out += text;
    return out;
}

TEST(Expansion, BombsEnd) {
    ends("~SEQ(A,1,1000000000000) x\n");
    ends("~SEQ(A,1,1000000000000) $B=1\n");
    ends("~SEQ(A,1,9999) ~SEQ(B,1,9999) ~SEQ(C,1,9999) x${A}${B}${C}\n");
    std::string doubling;
    std::string empties;
    std::string lines;
    for (char c = 'A'; c < 'Z'; ++c) {
        const auto next = static_cast<char>(c + 1);
        doubling += fmt::format("${}=${{{}}}${{{}}}\n", c, next, next);
        lines += fmt::format("${}= \\\n${} \\\n${}\n", c, next, next);
    }
    empties = doubling + "$Z=\nx ${A}\n";
    ends(empties);
    ends(lines + "$Z=x\n$A\n");
    EXPECT_NE(messages_of("$A=${B}\n$B=" + repeated("0123456789", 20) + "\nx " +
                          repeated("${A}", 100) + "\n")
                  .find("with its definitions put in the line is longer than 16384 bytes"),
              std::string::npos);
    std::string deep;
    for (int i = 0; i < 100; ++i)
        deep += fmt::format("$A{}= \\\n$A{} \\\nx\n", i, i + 1);
    EXPECT_NE(messages_of(deep + "$A100=y\n$A0\n").find("are nested deeper than 32"),
              std::string::npos);
}

TEST(Expansion, DefinitionsGoOnOverIncludedFiles) {
    const Files files = files_of({
        {"main.conf", "include defs.conf\nquorum $Q\ninclude ${DIR}/*.conf\nend $Q\n"},
        {"defs.conf", "$Q=2\n$DIR=parts\n"},
        {"parts/a.conf", "a $Q ${_PWD}\n$Q=3\n"},
    });
    std::string text;
    for (const Message& message : load("main.conf", files).messages)
        text += message.to_string() + '\n';
    EXPECT_EQ(text,
              "main.conf:2:1: error: quorum does not belong in the top level, but in `dns_cluster` "
              "[the line reads: quorum 2]\n"
              "parts/a.conf:1:1: error: unknown keyword `a` in the top level [the line reads: a 2 "
              "parts]\n"
              "main.conf:4:1: error: unknown keyword `end` in the top level [the line reads: end "
              "3]\n");
}

}  // namespace
}  // namespace dnsdirector::config
