// SPDX-License-Identifier: Apache-2.0
#include "dns/query.h"

#include <ldns/ldns.h>

#include <memory>

namespace dnsdirector::dns {
namespace {

struct RdfDelete {
    void operator()(ldns_rdf* rdf) const { ldns_rdf_deep_free(rdf); }
};

void put16(std::vector<std::uint8_t>& bytes, std::uint16_t value) {
    bytes.push_back(static_cast<std::uint8_t>(value >> 8));
    bytes.push_back(static_cast<std::uint8_t>(value));
}

}  // namespace

Result<Query> Query::make(const core::DnsCheck& check) {
    ldns_rdf* raw = nullptr;
    const ldns_status status = ldns_str2rdf_dname(&raw, check.name.c_str());
    const std::unique_ptr<ldns_rdf, RdfDelete> name(raw);
    if (status != LDNS_STATUS_OK || !name)
        return fail("\"{}\" is no DNS name: {}", check.name, ldns_get_errorstr_by_id(status));

    const std::uint8_t* data = ldns_rdf_data(name.get());
    const std::size_t size = ldns_rdf_size(name.get());
    std::vector<std::uint8_t> bytes;
    bytes.reserve(2 + header_size + size + 4);
    put16(bytes, static_cast<std::uint16_t>(header_size + size + 4));
    put16(bytes, 0);                                          // ID
    put16(bytes, check.recursion_desired ? 0x0100 : 0x0000);  // QUERY, RD
    put16(bytes, 1);                                          // one question
    for (int section = 0; section < 3; ++section)
        put16(bytes, 0);
    bytes.insert(bytes.end(), data, data + size);
    put16(bytes, check.type);
    put16(bytes, check.klass);
    return Query(std::move(bytes));
}

}  // namespace dnsdirector::dns
