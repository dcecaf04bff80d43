// SPDX-License-Identifier: Apache-2.0
//
// Directories on a bpffs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "dataplane/xdp/fd.h"

namespace dnsdirector::dataplane::xdp {

/// Makes the directory and those above it (mode 0700). An error that names the
/// mount command where it does not lie on a bpffs.
Result<void> make_pin_dir(const std::string& path);
/// Removes it if it is empty and no mount point.
void remove_pin_dir(const std::string& path);
/// Whether something of that name is there.
[[nodiscard]] bool is_there(const std::string& path);
/// The names in it.
[[nodiscard]] std::vector<std::string> names_in(const std::string& path);

/// The directories vN below it, each the pins of one layout; sorted.
[[nodiscard]] std::vector<std::string> sets_of_pins(const std::string& pin_dir);
/// Of vN: N. 0 when it has another name.
[[nodiscard]] std::uint32_t layout_of_pins(const std::string& path);
/// Removes the pinned maps, the description (`layout`) first: what an interrupted
/// removal leaves is recognised by its lack. Links stay, and keep the directory.
Result<void> remove_set_of_pins(const std::string& path);

/// How pins of links are called: by interface index, since names may hold dots,
/// which a bpffs refuses.
inline constexpr const char* link_prefix = "link_";
/// Whether a link is among them: a program of this layout forwards.
[[nodiscard]] bool holds_links(const std::string& path);

/// One director for one pin directory: an exclusive flock(2) on the directory
/// itself. It ends with the process, also by a crash or an exec.
class PinLock {
public:
    PinLock() = default;  ///< holds nothing

    /// Makes the directory where it is missing, and locks it. Errors: those of
    /// make_pin_dir(); another director holds it.
    static Result<PinLock> take(const std::string& path);

    /// False also when the directory was removed, or is another one by now.
    [[nodiscard]] bool holds(const std::string& path) const;

private:
    Fd directory_;
};

}  // namespace dnsdirector::dataplane::xdp
