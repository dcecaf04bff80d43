// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/offloads.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include "dataplane/xdp/fd.h"

namespace dnsdirector::dataplane::xdp {
namespace {

struct Description {
    std::string_view feature;  ///< the kernel's name (net/ethtool/common.c)
    const char* option;        ///< of ethtool -K
    const char* consequence;   ///< while it is on
};

constexpr const char* merged = "merged packets will not be forwarded";
constexpr const char* hidden = "it hides VLAN tags, and tagged packets will be forwarded wrongly";
constexpr Description descriptions[Offload::number] = {
    {"rx-gro", "gro", merged},
    {"rx-lro", "lro", merged},
    {"rx-vlan-hw-parse", "rxvlan", hidden},
    {"rx-vlan-stag-hw-parse", "rx-vlan-stag-hw-parse", hidden},
};

/// Room for a structure that ends in an array of the kernel's choice.
template <typename Head>
class Request {
public:
    Request(std::uint32_t command, std::size_t rest)
        : memory_((sizeof(Head) + rest + sizeof(std::uint64_t) - 1) / sizeof(std::uint64_t)) {
        (*this)->cmd = command;
    }
    Head* operator->() { return reinterpret_cast<Head*>(memory_.data()); }
    /// 0, or an errno.
    int send(const std::string& interface) {
        const Fd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
        if (!socket) return errno;
        ifreq call{};
        std::strncpy(call.ifr_name, interface.c_str(), IFNAMSIZ - 1);
        call.ifr_data = reinterpret_cast<char*>(memory_.data());
        return ioctl(socket.get(), SIOCETHTOOL, &call) == 0 ? 0 : errno;
    }

private:
    std::vector<std::uint64_t> memory_;
};

/// Where a feature stands in the kernel's bit sets; -1: this kernel has none such.
using Positions = std::array<int, Offload::number>;

struct Features {
    Positions positions{};
    std::uint32_t words = 0;
    Offloads active;
    Offloads fixed;
};

Result<std::uint32_t> number_of_features(const std::string& interface) {
    Request<ethtool_sset_info> request{ETHTOOL_GSSET_INFO, sizeof(std::uint32_t)};
    request->sset_mask = 1ULL << ETH_SS_FEATURES;
    if (const int error = request.send(interface); error != 0)
        return fail_errno("cannot read the offloads of " + interface, error);
    return request->data[0];
}

Result<Features> features_of(const std::string& interface) {
    const auto number = number_of_features(interface);
    if (!number) return tl::unexpected(number.error());
    Request<ethtool_gstrings> names{ETHTOOL_GSTRINGS, std::size_t{*number} * ETH_GSTRING_LEN};
    names->string_set = ETH_SS_FEATURES;
    names->len = *number;
    Features features;
    features.words = (*number + 31) / 32;
    Request<ethtool_gfeatures> states{ETHTOOL_GFEATURES,
                                      features.words * sizeof(ethtool_get_features_block)};
    states->size = features.words;
    int error = names.send(interface);
    if (error == 0) error = states.send(interface);
    if (error != 0) return fail_errno("cannot read the offloads of " + interface, error);
    features.positions.fill(-1);
    for (std::uint32_t at = 0; at < *number; ++at) {
        const char* name =
            reinterpret_cast<const char*>(names->data) + std::size_t{at} * ETH_GSTRING_LEN;
        const std::string_view text{name, strnlen(name, ETH_GSTRING_LEN)};
        for (std::size_t i = 0; i < Offload::number; ++i) {
            if (descriptions[i].feature != text) continue;
            const ethtool_get_features_block& block = states->features[at / 32];
            const std::uint32_t bit = 1U << at % 32;
            features.positions[i] = static_cast<int>(at);
            features.active[i] = (block.active & bit) != 0;
            features.fixed[i] = (block.available & bit) == 0 || (block.never_changed & bit) != 0;
        }
    }
    return features;
}

/// 0, or an errno.
int set(const std::string& interface, const Features& features, std::size_t offload, bool on) {
    Request<ethtool_sfeatures> request{ETHTOOL_SFEATURES,
                                       features.words * sizeof(ethtool_set_features_block)};
    request->size = features.words;
    const auto at = static_cast<std::uint32_t>(features.positions[offload]);
    request->features[at / 32].valid = 1U << at % 32;
    request->features[at / 32].requested = on ? 1U << at % 32 : 0;
    return request.send(interface);
}

std::string trouble_with(const std::string& interface, std::size_t offload,
                         const std::string& why) {
    const Description& what = descriptions[offload];
    return fmt::format("{0} of {1} can't be turned off ({2}): {3} (ethtool -K {1} {0} off)",
                       what.option, interface, why, what.consequence);
}

}  // namespace

TurnedOff turn_off(const std::string& interface, Offloads offloads) {
    TurnedOff done;
    const auto features = features_of(interface);
    if (!features) return done;  // no card, no offloads
    for (std::size_t i = 0; i < Offload::number; ++i) {
        if (!offloads[i] || features->positions[i] < 0 || !features->active[i]) continue;
        std::string why;
        if (features->fixed[i])
            why = "the driver has fixed it";
        else if (const int error = set(interface, *features, i, false); error != 0)
            why = std::strerror(error);
        const auto after = features_of(interface);
        if (why.empty() && after && after->active[i]) why = "the driver keeps it on";
        if (why.empty())
            done.were_on[i] = true;
        else
            done.trouble += (done.trouble.empty() ? "" : "; ") + trouble_with(interface, i, why);
    }
    return done;
}

Result<void> turn_on(const std::string& interface, Offloads offloads) {
    if (offloads.none()) return {};
    const auto features = features_of(interface);
    if (!features) return tl::unexpected(features.error());
    for (std::size_t i = 0; i < Offload::number; ++i) {
        if (!offloads[i] || features->positions[i] < 0 || features->active[i]) continue;
        if (const int error = set(interface, *features, i, true); error != 0)
            return fail_errno(fmt::format("cannot turn {0} of {1} on again (ethtool -K {1} {0} on)",
                                          descriptions[i].option, interface),
                              error);
    }
    return {};
}

}  // namespace dnsdirector::dataplane::xdp
