// SPDX-License-Identifier: Apache-2.0
//
// The interface that announcements are tied to. A TUN interface lives as long as a descriptor of
// it is open, here or in systemd's descriptor store, and its routes go with it: the kernel itself
// withdraws what a director that is gone for good had announced (linux/if_tun.h, tun(4)).
#pragma once

#include <string>

#include "base/result.h"

namespace dnsdirector::announce {

class TunDevice {
public:
    /// Creates one, by the first free of the names dnsdirector0, dnsdirector1 …, of the network
    /// namespace. Errors name /dev/net/tun, and what is missing.
    static Result<TunDevice> create();
    /// A descriptor that a predecessor left. Takes it over; an error when it is no TUN interface
    /// of this network namespace any more. It is closed then.
    static Result<TunDevice> adopt(int descriptor);

    TunDevice(TunDevice&& other) noexcept;
    TunDevice& operator=(TunDevice&& other) noexcept;
    ~TunDevice();

    [[nodiscard]] int descriptor() const { return descriptor_; }
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] int index() const { return index_; }

private:
    TunDevice(int descriptor, std::string name, int index)
        : descriptor_(descriptor), name_(std::move(name)), index_(index) {}

    int descriptor_ = -1;
    std::string name_;
    int index_ = 0;
};

}  // namespace dnsdirector::announce
