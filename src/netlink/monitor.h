// SPDX-License-Identifier: Apache-2.0
//
// The monitor behind Monitor::open(), with a say on its buffer for tests.
#pragma once

#include "netlink/netlink.h"
#include "netlink/transport.h"

namespace dnsdirector::netlink {

class KernelMonitor final : public Monitor {
public:
    /// Bytes of messages that may wait. A neighbour's takes about 1 KiB of
    /// kernel memory: this holds a change of all of 10,000 neighbours at once.
    static constexpr int default_buffer = 16 << 20;

    static Result<std::unique_ptr<KernelMonitor>> open(int receive_buffer = default_buffer);

    [[nodiscard]] int descriptor() const override { return transport_.descriptor(); }
    void on_readable() override;
    [[nodiscard]] std::optional<TimePoint> deadline() const override { return std::nullopt; }
    void on_deadline(TimePoint) override {}

private:
    explicit KernelMonitor(Transport transport) : transport_(std::move(transport)) {}
    void take(const nlmsghdr& header, bool& route_changed) const;

    Transport transport_;
};

}  // namespace dnsdirector::netlink
