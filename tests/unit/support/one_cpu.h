// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sched.h>

namespace dnsdirector::support {

/// Holds the calling thread on one of the processors that it may use, until the end of its scope.
class OneCpu {
public:
    OneCpu() {
        CPU_ZERO(&before_);
        sched_getaffinity(0, sizeof before_, &before_);
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(sched_getcpu(), &one);
        sched_setaffinity(0, sizeof one, &one);
    }
    ~OneCpu() { sched_setaffinity(0, sizeof before_, &before_); }
    OneCpu(const OneCpu&) = delete;
    OneCpu& operator=(const OneCpu&) = delete;

private:
    cpu_set_t before_;
};

}  // namespace dnsdirector::support
