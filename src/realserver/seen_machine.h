// SPDX-License-Identifier: Apache-2.0
//
// A machine that is looked at again and again: listing the nftables table takes a process, so it
// is done only when somebody may have changed it. Remembers what was seen last.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "realserver/machine.h"

namespace dnsdirector::realserver {

class SeenMachine final : public Machine {
public:
    explicit SeenMachine(std::unique_ptr<Machine> machine) : machine_(std::move(machine)) {}

    /// At the next look the table is listed again.
    void table_may_differ() { table_known_ = false; }
    /// As it was read last, with the addresses that were changed since.
    [[nodiscard]] const Actual& seen() const { return seen_; }

    Result<Actual> read(const Look& look) override;
    Result<void> set(const std::string& path, const std::string& value) override {
        return machine_->set(path, value);
    }
    Result<bool> add_address(const HeldAddress& address) override;
    Result<void> remove_address(const HeldAddress& address) override;
    Result<void> add_tunnel(const netlink::TunnelDevice& device) override {
        return machine_->add_tunnel(device);
    }
    Result<void> mend_tunnel(const netlink::TunnelDevice& device) override {
        return machine_->mend_tunnel(device);
    }
    Result<void> remove_tunnel(const std::string& name) override {
        return machine_->remove_tunnel(name);
    }
    Result<std::string> replace_table(const std::string& ruleset) override;
    Result<void> remove_table() override;

private:
    std::unique_ptr<Machine> machine_;
    Actual seen_;
    bool table_known_ = false;
};

}  // namespace dnsdirector::realserver
