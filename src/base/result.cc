// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <system_error>

namespace dnsdirector {

Error system_error(const std::string& what, int errno_value) {
    return Error{what + ": " + std::generic_category().message(errno_value)};
}

}  // namespace dnsdirector
