// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace dnsdirector::cli {

/// `probe`: one question to one server, from the shell. Takes what follows the
/// word `probe`. Returns 0 healthy, 1 unhealthy, 2 usage.
int run_probe(int argc, char** argv);

}  // namespace dnsdirector::cli
