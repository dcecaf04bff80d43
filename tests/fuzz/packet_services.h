// SPDX-License-Identifier: Apache-2.0
//
// What fuzz_packet.cc forwards for: the services of the tables in tests/packets,
// one for each address, port and protocol, so that every packet of these tables is
// one for a service here as well.
#pragma once

#include <set>
#include <vector>

#include "packets/notation.h"

namespace dnsdirector::fuzz {

inline const std::vector<packets::Table>& tables() {
    static const std::vector<packets::Table> all = [] {
        std::vector<packets::Table> read;
        for (const std::string& file :
             packets::table_files(DNSDIRECTOR_SOURCE_DIR "/tests/packets"))
            read.push_back(packets::read_table(file).value());
        return read;
    }();
    return all;
}

inline const std::vector<core::ServiceForwarding>& services() {
    static const std::vector<core::ServiceForwarding> all = [] {
        std::vector<core::ServiceForwarding> merged;
        std::set<core::ServiceKey> keys;
        for (const packets::Table& table : tables())
            for (const core::ServiceForwarding& service : table.services)
                if (keys.insert(service.key).second) merged.push_back(service);
        return merged;
    }();
    return all;
}

}  // namespace dnsdirector::fuzz
