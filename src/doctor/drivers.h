// SPDX-License-Identifier: Apache-2.0
//
// What is known of drivers and virtual devices where the kernel does not tell.
#pragma once

#include <string_view>

namespace dnsdirector::doctor {

struct Driver {
    std::string_view name;            ///< as ethtool -i says it
    bool native = false;              ///< native XDP in every kernel since 5.15
    std::string_view condition = {};  ///< what native mode needs of it; "" nothing special
};
/// nullptr: not in the table.
[[nodiscard]] const Driver* driver(std::string_view name);

/// A kind of virtual device (IFLA_INFO_KIND).
struct DeviceKind {
    std::string_view name;
    std::string_view what;  ///< what that means for XDP; "" nothing
    std::string_view mend;  ///< with {0} for the device's name; "" it can be used
};
[[nodiscard]] const DeviceKind* device_kind(std::string_view name);

}  // namespace dnsdirector::doctor
