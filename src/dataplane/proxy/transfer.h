// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/proxy/wire.h"

namespace dnsdirector::dataplane::proxy {

/// Finds the last message of a zone transfer, AXFR (RFC 5936) or IXFR (RFC 1995): an error, an
/// answer without records, or the SOA that the first record was, come again as the second, fourth …
/// of all SOAs. (In a difference the new SOA also stands before what is added, as the third.)
/// Where it cannot tell (an IXFR of one SOA, which says that nothing is new; malformed records),
/// it says no.
class TransferEnd {
public:
    [[nodiscard]] bool is_last(Bytes message);

private:
    void take_soa(std::uint32_t serial);

    std::uint64_t soas_ = 0;
    std::uint32_t first_serial_ = 0;
    bool ended_ = false;
};

}  // namespace dnsdirector::dataplane::proxy
