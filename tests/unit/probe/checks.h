// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "core/model.h"

namespace dnsdirector::probe::test {

/// A check whose second round comes after any test's end.
inline core::Check check_of(const Endpoint& target, core::Check::What what,
                            Milliseconds timeout = Milliseconds{2000}, std::uint32_t tries = 1) {
    core::Check check;
    check.target = target;
    check.what = std::move(what);
    check.timing.every = Seconds{60};
    check.timing.timeout = timeout;
    check.timing.tries = tries;
    return check;
}

}  // namespace dnsdirector::probe::test
