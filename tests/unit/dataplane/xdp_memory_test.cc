// SPDX-License-Identifier: Apache-2.0
//
// What is predicted of the maps' memory against what the kernel counts (memlock of fdinfo).
#include "dataplane/xdp/memory.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "dataplane/xdp/maps.h"
#include "unit/dataplane/xdp_lab.h"

namespace dnsdirector::dataplane::xdp {
namespace {

/// Older kernels count less than they take (bpf_map_memory_footprint before 6.4).
bool counts_all() {
    utsname name{};
    unsigned major = 0;
    unsigned minor = 0;
    if (uname(&name) != 0 || std::sscanf(name.release, "%u.%u", &major, &minor) != 2) return false;
    return std::pair{major, minor} >= std::pair{6U, 4U};
}

class XdpMemory : public testing::TestWithParam<core::Limits> {};

TEST_P(XdpMemory, IsPredictedWithinAFewPercentOfWhatTheKernelCounts) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    if (!counts_all()) GTEST_SKIP() << "the kernel counts the memory of maps since 6.4";
    const auto maps = Maps::open(GetParam(), pins.path());
    ASSERT_TRUE(maps) << maps.error().message;
    // As many members as a service of a few hundred servers has, each with a MAC.
    const std::uint32_t servers = std::min(300U, GetParam().real_servers);
    for (std::uint32_t i = 0; i < servers; ++i) {
        abi::member_key key{};
        key.server_address[0] = i;
        const abi::member value{};
        ASSERT_EQ(bpf_map_update_elem((*maps)->fd(MapId::members), &key, &value, BPF_ANY), 0);
        const std::uint64_t mac = i;
        const std::uint32_t whose = abi::INSIDER_SERVER;
        ASSERT_EQ(bpf_map_update_elem((*maps)->fd(MapId::insiders), &mac, &whose, BPF_ANY), 0);
    }
    const auto cpus = possible_cpus();
    ASSERT_TRUE(cpus);
    const auto predicted = xdp_memory(GetParam(), servers, *cpus);
    ASSERT_TRUE(predicted) << predicted.error().message;
    const auto actual = memory_of(**maps);
    ASSERT_EQ(actual.size(), predicted->size());
    for (std::size_t i = 0; i < actual.size(); ++i) {
        EXPECT_EQ(actual[i].name, (*predicted)[i].name);
        const auto was = static_cast<double>(actual[i].bytes);
        EXPECT_NEAR(static_cast<double>((*predicted)[i].bytes), was, 0.03 * was + 4096)
            << actual[i].name;
    }
    const auto was = static_cast<double>(total(actual));
    EXPECT_NEAR(static_cast<double>(total(*predicted)), was, 0.2 * was);
    RecordProperty("predicted", std::to_string(total(*predicted)));
    RecordProperty("actual", std::to_string(total(actual)));
    EXPECT_TRUE((*maps)->unpin());
}

INSTANTIATE_TEST_SUITE_P(Limits, XdpMemory,
                         testing::Values(core::Limits{}, core::Limits{1024, 1024, 4096},
                                         core::Limits{1, 1, 1024},
                                         core::Limits{20000, 100000, 1U << 20}));

}  // namespace
}  // namespace dnsdirector::dataplane::xdp
