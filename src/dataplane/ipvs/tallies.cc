// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ipvs/tallies.h"

namespace dnsdirector::dataplane::ipvs {

bool Tally::observe(const Count& kernel) {
    const bool anew = kernel.packets < last_.packets || kernel.bytes < last_.bytes;
    if (anew) before_ = total();
    last_ = kernel;
    return anew;
}

}  // namespace dnsdirector::dataplane::ipvs
