// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/offloads.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "dataplane/xdp/fd.h"

namespace dnsdirector::dataplane::xdp {
namespace {

/// In the network namespace of the calling thread. 0, or an errno.
int ethtool(const std::string& interface, std::uint32_t command, std::uint32_t& value) {
    const Fd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    if (!socket) return errno;
    ethtool_value request{command, value};
    ifreq call{};
    std::strncpy(call.ifr_name, interface.c_str(), IFNAMSIZ - 1);
    call.ifr_data = reinterpret_cast<char*>(&request);
    if (ioctl(socket.get(), SIOCETHTOOL, &call) != 0) return errno;
    value = request.data;
    return 0;
}

Result<void> set(const std::string& interface, const char* offload, std::uint32_t command,
                 std::uint32_t value) {
    const int error = ethtool(interface, command, value);
    if (error == 0) return {};
    return fail_errno(std::string{"cannot switch "} + offload + " of " + interface +
                          " (ethtool -K " + interface + " " + offload + ")",
                      error);
}

}  // namespace

Result<Offloads> turn_off(const std::string& interface) {
    Offloads was;
    std::uint32_t value = 0;
    if (ethtool(interface, ETHTOOL_GGRO, value) == 0) was.gro = value != 0;
    if (was.gro)
        if (auto done = set(interface, "gro", ETHTOOL_SGRO, 0); !done)
            return tl::unexpected(done.error());
    value = 0;
    if (ethtool(interface, ETHTOOL_GFLAGS, value) == 0) was.lro = (value & ETH_FLAG_LRO) != 0;
    if (was.lro)
        if (auto done = set(interface, "lro", ETHTOOL_SFLAGS, value & ~ETH_FLAG_LRO); !done)
            return tl::unexpected(done.error());
    return was;
}

Result<void> turn_on(const std::string& interface, Offloads offloads) {
    if (offloads.gro)
        if (auto done = set(interface, "gro", ETHTOOL_SGRO, 1); !done) return done;
    if (!offloads.lro) return {};
    std::uint32_t value = 0;
    if (ethtool(interface, ETHTOOL_GFLAGS, value) != 0) return {};
    return set(interface, "lro", ETHTOOL_SFLAGS, value | ETH_FLAG_LRO);
}

}  // namespace dnsdirector::dataplane::xdp
