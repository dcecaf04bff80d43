// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "base/result.h"

namespace dnsdirector::netlink {

/// Tells that the machine's nftables rules changed (NFNLGRP_NFTABLES of nfnetlink.h), whichever
/// table's: what there is then, nft tells.
class RulesetWatch {
public:
    /// Errors: not allowed (CAP_NET_ADMIN), or a kernel without nfnetlink.
    static Result<std::unique_ptr<RulesetWatch>> open();
    virtual ~RulesetWatch() = default;

    /// Readable when something changed.
    [[nodiscard]] virtual int descriptor() const = 0;
    /// Whether anything has, since the last call.
    virtual bool changed() = 0;
};

}  // namespace dnsdirector::netlink
