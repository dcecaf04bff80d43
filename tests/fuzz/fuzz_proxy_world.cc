// SPDX-License-Identifier: Apache-2.0
//
// Clients and servers as a hostile network may have them, at both sides of a worker of the
// proxy plane: its parts as they are, on sockets in memory (fake_network.h). Held: whatever
// reaches a client answers what this client has asked, with its ID and question, over what it
// came by, and once; a server gets what a client asked, byte by byte, and only what may be
// asked twice goes twice (of what goes to every server, an UPDATE goes to each once); and when
// time has passed nothing waits, nothing is counted as on its way, and no connection is open.
//
// Input: three bytes of settings, then steps (World::step): a byte that says what
// happens, and what it takes.
#include <cstdlib>

#include "fuzz/proxy_world.h"

namespace {

using dnsdirector::fuzz::Input;
using dnsdirector::fuzz::World;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t longest = 1 << 13;
    if (size < 3 || size > longest) return 0;
    Input input{data, size};
    World world(input);
    while (!input.empty())
        world.step(input);
    world.end();
    return 0;
}
