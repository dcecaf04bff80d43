// SPDX-License-Identifier: Apache-2.0
#include "announce/tun_device.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace dnsdirector::announce {
namespace {

constexpr const char* path = "/dev/net/tun";
constexpr char name_pattern[] = "dnsdirector%d";

std::string mend_of(int error) {
    switch (error) {
        case ENOENT:
        case ENODEV: return "; load the module tun, or let this machine have the device";
        case EPERM:
        case EACCES:
            return "; this takes CAP_NET_ADMIN and access to the device: run the director as root "
                   "or by its systemd unit";
        default: return "";
    }
}

}  // namespace

Result<TunDevice> TunDevice::create() {
    const int descriptor = ::open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0) {
        const int error = errno;
        return fail("announcements need {}: {}{}", path, std::strerror(error), mend_of(error));
    }
    ifreq request{};
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    std::memcpy(request.ifr_name, name_pattern, sizeof name_pattern);
    if (ioctl(descriptor, TUNSETIFF, &request) < 0) {
        const int error = errno;
        ::close(descriptor);
        return fail("cannot create the interface that announcements are tied to: {}{}",
                    std::strerror(error), mend_of(error));
    }
    return adopt(descriptor);
}

Result<TunDevice> TunDevice::adopt(int descriptor) {
    ifreq request{};
    const auto refuse = [&](const char* why) -> Result<TunDevice> {
        ::close(descriptor);
        return fail("the announcements' interface that was kept cannot be used: {}", why);
    };
    if (ioctl(descriptor, TUNGETIFF, &request) < 0) return refuse(std::strerror(errno));
    if ((request.ifr_flags & IFF_TUN) == 0) return refuse("it is no TUN interface");
    const unsigned index = if_nametoindex(request.ifr_name);
    if (index == 0) return refuse("it is not in this network namespace");
    (void)fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    return TunDevice(descriptor, request.ifr_name, static_cast<int>(index));
}

TunDevice::TunDevice(TunDevice&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      name_(std::move(other.name_)),
      index_(other.index_) {}

TunDevice& TunDevice::operator=(TunDevice&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(name_, other.name_);
    std::swap(index_, other.index_);
    return *this;
}

TunDevice::~TunDevice() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace dnsdirector::announce
