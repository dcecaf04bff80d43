// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/hop.h"

#include <cstring>

namespace dnsdirector::dataplane::xdp {

Hop hop_of(const abi::destination& record) {
    Hop hop;
    hop.ifindex = record.ifindex;
    std::memcpy(hop.server.data(), record.server_mac, sizeof record.server_mac);
    std::memcpy(hop.own.data(), record.own_mac, sizeof record.own_mac);
    return hop;
}

abi::destination record_of(const Hop& hop, std::uint32_t counter) {
    abi::destination record{};
    std::memcpy(record.server_mac, hop.server.data(), sizeof record.server_mac);
    std::memcpy(record.own_mac, hop.own.data(), sizeof record.own_mac);
    record.ifindex = hop.ifindex;
    record.counter = counter;
    return record;
}

}  // namespace dnsdirector::dataplane::xdp
