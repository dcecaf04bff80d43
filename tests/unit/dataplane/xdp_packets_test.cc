// SPDX-License-Identifier: Apache-2.0
//
// The tables of tests/packets by BPF_PROG_TEST_RUN: each packet's verdict, the
// frame that comes out, and the reason that is counted.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include "dataplane/xdp/insiders.h"
#include "packets/notation.h"
#include "unit/dataplane/xdp_bed.h"

namespace dnsdirector::dataplane {
namespace {

using packets::Expected;
using test::Bed;
using test::Outcome;
using Reasons = std::map<std::string, std::uint64_t>;

const char* const reason_names[] = {
#define REASON_NAME(name, verdict, text) #name,
    FOR_EACH_REASON(REASON_NAME)
#undef REASON_NAME
};

const std::map<std::uint32_t, std::string> verdict_names{{XDP_ABORTED, "aborted"},
                                                         {XDP_DROP, "drop"},
                                                         {XDP_PASS, "pass"},
                                                         {XDP_TX, "tx"},
                                                         {XDP_REDIRECT, "redirect"}};

std::string name_of(Expected::Verdict verdict) {
    static const char* const names[] = {"pass", "drop", "tx", "redirect", "not forwarded"};
    return names[static_cast<std::size_t>(verdict)];
}

std::string in_hex(const packets::Frame& frame) {
    std::string text;
    for (std::size_t i = 0; i < frame.size(); ++i)
        text += fmt::format("{:02x}{}", frame[i], i % 16 == 15 ? "\n" : " ");
    return text;
}

class PacketTable : public testing::TestWithParam<std::string> {
protected:
    /// Every reason's count since the last call.
    Reasons counted(Bed& bed) {
        const auto sums =
            xdp::sum_per_cpu(bed.maps->fd(xdp::MapId::reasons), xdp::abi::REASON_COUNT, 1).value();
        Reasons fresh;
        for (std::size_t i = 0; i < xdp::abi::REASON_COUNT; ++i)
            if (sums[i] != before_[i]) fresh[reason_names[i]] = sums[i] - before_[i];
        std::copy(sums.begin(), sums.end(), std::begin(before_));
        return fresh;
    }

    static void check_verdict(const Expected& expected, const std::string& verdict) {
        if (expected.verdict == Expected::Verdict::not_forwarded) {
            EXPECT_TRUE(verdict == "pass" || verdict == "drop") << verdict;
        } else {
            EXPECT_EQ(verdict, name_of(expected.verdict));
        }
    }

    void check_frame(const Expected& expected, const packets::Frame& in,
                     const packets::Frame& out) {
        using What = Expected::Frame;
        packets::Frame wanted = in;
        if (expected.what == What::written) wanted = expected.frame;
        if (expected.what == What::to_server || expected.what == What::to_any_server ||
            expected.what == What::to_same_server) {
            const int number = expected.what == What::to_server        ? expected.server
                               : expected.what == What::to_same_server ? last_server_
                                                                       : out[5];
            wanted = packets::handed_to(number, in);
            last_server_ = out[5];
        }
        if (expected.what == What::any) return;
        EXPECT_EQ(in_hex(out), in_hex(wanted));
    }

    void run(Bed& bed, const packets::Step& step) {
        const Expected& expected = step.expected;
        for (const packets::Frame& frame : step.frames) {
            SCOPED_TRACE(fmt::format("{}: {} ({} bytes)", step.line, step.text, frame.size()));
            const Outcome outcome = bed.run(frame);
            check_verdict(expected, verdict_names.at(outcome.verdict));
            check_frame(expected, frame, outcome.frame);
            const Reasons reasons = counted(bed);
            if (expected.verdict == Expected::Verdict::not_forwarded) {
                EXPECT_LE(reasons.size(), 1U);
                EXPECT_TRUE(outcome.verdict != XDP_DROP || reasons.size() == 1);
            } else {
                Reasons wanted;
                if (!expected.reason.empty()) wanted[expected.reason] = 1;
                EXPECT_EQ(reasons, wanted);
            }
        }
    }

    int last_server_ = 0;

private:
    std::uint64_t before_[xdp::abi::REASON_COUNT] = {};
};

TEST_P(PacketTable, holds) {
    NEEDS_BED(bed);
    const auto table = packets::read_table(GetParam());
    ASSERT_TRUE(table.has_value()) << table.error().message;
    ASSERT_FALSE(table->cases.empty());
    bed.reach_by_numbers(packets::special_servers);
    xdp::InsiderMacs insiders;
    for (const core::ServiceForwarding& service : table->services) {
        bed.serve(service.key, service.destinations, service.scheduler);
        for (const core::Destination& each : service.destinations)
            insiders[test::mac_of(each.server.address)] = xdp::abi::INSIDER_SERVER;
    }
    ASSERT_TRUE(xdp::Insiders{*bed.maps}.set(insiders).has_value());
    for (const packets::Case& each : table->cases) {
        SCOPED_TRACE(fmt::format("{}:{}: {}", table->file, each.line, each.name));
        for (const packets::Step& step : each.steps)
            run(bed, step);
        if (HasFailure()) break;  // what follows may build on it
    }
}

INSTANTIATE_TEST_SUITE_P(
    Xdp, PacketTable,
    testing::ValuesIn(packets::table_files(DNSDIRECTOR_SOURCE_DIR "/tests/packets")),
    [](const auto& file) { return std::filesystem::path{file.param}.stem().string(); });

}  // namespace
}  // namespace dnsdirector::dataplane
