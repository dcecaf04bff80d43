// SPDX-License-Identifier: Apache-2.0
#include "dns/query.h"

#include <ldns/ldns.h>

#include <memory>
#include <string>
#include <string_view>

namespace dnsdirector::dns {
namespace {

struct RdfDelete {
    void operator()(ldns_rdf* rdf) const { ldns_rdf_deep_free(rdf); }
};

void put16(std::vector<std::uint8_t>& bytes, std::uint16_t value) {
    bytes.push_back(static_cast<std::uint8_t>(value >> 8));
    bytes.push_back(static_cast<std::uint8_t>(value));
}

/// One label of as many letters as set_label writes.
constexpr std::size_t label_size = 12;
constexpr std::string_view label_place = "xxxxxxxxxxxx.";
static_assert(label_place.size() == label_size + 1);

/// The name to ask for, with room for the random label.
std::string name_to_ask(const core::DnsCheck& check) {
    if (!check.random_label) return check.name;
    return std::string(label_place) + (check.name == "." ? "" : check.name);
}

std::uint16_t header_bits(const core::DnsCheck& check) {
    constexpr std::uint16_t recursion_desired = 0x0100;
    const bool dnssec_ok = check.edns && check.edns->dnssec_ok;
    const bool asks_ad = (check.required_flags & core::header_flag::ad) != 0 && !dnssec_ok;
    return static_cast<std::uint16_t>((check.recursion_desired ? recursion_desired : 0) |
                                      (asks_ad ? core::header_flag::ad : 0));
}

/// RFC 6891, 6.1: the root's name, type OPT, the buffer size as class, the flags
/// as low half of the TTL.
void put_opt(std::vector<std::uint8_t>& bytes, const core::Edns& edns) {
    constexpr std::uint16_t type_opt = 41, dnssec_ok = 0x8000;
    bytes.push_back(0);
    put16(bytes, type_opt);
    put16(bytes, edns.buffer_size);
    put16(bytes, 0);  // extended RCODE, version
    put16(bytes, edns.dnssec_ok ? dnssec_ok : 0);
    put16(bytes, 0);  // no options
}

}  // namespace

Result<Query> Query::make(const core::DnsCheck& check) {
    ldns_rdf* raw = nullptr;
    const ldns_status status = ldns_str2rdf_dname(&raw, name_to_ask(check).c_str());
    const std::unique_ptr<ldns_rdf, RdfDelete> name(raw);
    if (status != LDNS_STATUS_OK || !name)
        return fail("\"{}\" is no DNS name: {}", check.name, ldns_get_errorstr_by_id(status));

    const std::uint8_t* data = ldns_rdf_data(name.get());
    const std::size_t size = ldns_rdf_size(name.get());
    constexpr std::size_t opt_size = 11;
    const std::size_t question = size + 4;
    const std::size_t whole = header_size + question + (check.edns ? opt_size : 0);
    std::vector<std::uint8_t> bytes;
    bytes.reserve(2 + whole);
    put16(bytes, static_cast<std::uint16_t>(whole));
    put16(bytes, 0);  // ID
    put16(bytes, header_bits(check));
    put16(bytes, 1);  // one question
    put16(bytes, 0);
    put16(bytes, 0);
    put16(bytes, check.edns ? 1 : 0);
    bytes.insert(bytes.end(), data, data + size);
    put16(bytes, check.type);
    put16(bytes, check.klass);
    if (check.edns) put_opt(bytes, *check.edns);
    return Query(std::move(bytes), question, check.random_label);
}

void Query::set_label(std::uint64_t random) {
    constexpr std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz234567";  // RFC 4648's base32
    if (!random_label_) return;
    constexpr std::size_t first = 2 + header_size + 1;
    for (std::size_t index = 0; index < label_size; ++index, random >>= 5)
        bytes_[first + index] = static_cast<std::uint8_t>(alphabet[random & 31U]);
}

}  // namespace dnsdirector::dns
