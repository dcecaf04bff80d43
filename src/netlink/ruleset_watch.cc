// SPDX-License-Identifier: Apache-2.0
#include "netlink/ruleset_watch.h"

#include <linux/netfilter/nfnetlink.h>

#include <utility>

#include "netlink/transport.h"

namespace dnsdirector::netlink {
namespace {

class KernelRulesetWatch final : public RulesetWatch {
public:
    explicit KernelRulesetWatch(Transport transport) : transport_(std::move(transport)) {}

    [[nodiscard]] int descriptor() const override { return transport_.descriptor(); }
    bool changed() override {
        bool any = false;
        const bool complete = transport_.drain([&](const nlmsghdr&) { any = true; });
        return any || !complete;
    }

private:
    Transport transport_;
};

}  // namespace

Result<std::unique_ptr<RulesetWatch>> RulesetWatch::open() {
    auto transport = Transport::open({.groups = {NFNLGRP_NFTABLES}, .protocol = NETLINK_NETFILTER});
    if (!transport) return tl::unexpected{transport.error()};
    return std::make_unique<KernelRulesetWatch>(std::move(*transport));
}

}  // namespace dnsdirector::netlink
