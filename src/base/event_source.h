// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "base/time.h"

namespace dnsdirector {

/// Something that waits for a descriptor, a moment, or both. The event loop of
/// control/ drives it; a test drives it with a poll() of its own. It knows no
/// event library, which keeps Asio out of the modules below control/.
class EventSource {
public:
    virtual ~EventSource() = default;

    /// Readable when there is work (an epoll or netlink descriptor); -1 for none.
    /// Stays the same for the object's life.
    [[nodiscard]] virtual int descriptor() const = 0;
    /// The descriptor was readable: take all the work there is, never block.
    virtual void on_readable() = 0;

    /// When on_deadline() wants to be called next; asked again after every call
    /// into the object. Nothing: no wish.
    [[nodiscard]] virtual std::optional<TimePoint> deadline() const = 0;
    virtual void on_deadline(TimePoint now) = 0;
};

}  // namespace dnsdirector
