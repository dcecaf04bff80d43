// SPDX-License-Identifier: Apache-2.0
#include "core/mnemonics.h"

#include <algorithm>
#include <charconv>
#include <span>

namespace dnsdirector::core {
namespace {

struct Mnemonic {
    std::uint16_t number;
    std::string_view name;
};

constexpr Mnemonic types[] = {
    {1, "A"},       {2, "NS"},     {5, "CNAME"},       {6, "SOA"},         {12, "PTR"},
    {13, "HINFO"},  {15, "MX"},    {16, "TXT"},        {17, "RP"},         {18, "AFSDB"},
    {24, "SIG"},    {25, "KEY"},   {28, "AAAA"},       {29, "LOC"},        {33, "SRV"},
    {35, "NAPTR"},  {36, "KX"},    {37, "CERT"},       {39, "DNAME"},      {42, "APL"},
    {43, "DS"},     {44, "SSHFP"}, {46, "RRSIG"},      {47, "NSEC"},       {48, "DNSKEY"},
    {49, "DHCID"},  {50, "NSEC3"}, {51, "NSEC3PARAM"}, {52, "TLSA"},       {53, "SMIMEA"},
    {55, "HIP"},    {59, "CDS"},   {60, "CDNSKEY"},    {61, "OPENPGPKEY"}, {62, "CSYNC"},
    {63, "ZONEMD"}, {64, "SVCB"},  {65, "HTTPS"},      {99, "SPF"},        {108, "EUI48"},
    {109, "EUI64"}, {251, "IXFR"}, {252, "AXFR"},      {255, "ANY"},       {256, "URI"},
    {257, "CAA"},
};

constexpr Mnemonic classes[] = {{1, "IN"}, {3, "CH"}, {4, "HS"}, {254, "NONE"}, {255, "ANY"}};

constexpr Mnemonic rcodes[] = {
    {0, "NOERROR"},  {1, "FORMERR"},  {2, "SERVFAIL"},  {3, "NXDOMAIN"},   {4, "NOTIMP"},
    {5, "REFUSED"},  {6, "YXDOMAIN"}, {7, "YXRRSET"},   {8, "NXRRSET"},    {9, "NOTAUTH"},
    {10, "NOTZONE"}, {16, "BADVERS"}, {17, "BADKEY"},   {18, "BADTIME"},   {19, "BADMODE"},
    {20, "BADNAME"}, {21, "BADALG"},  {22, "BADTRUNC"}, {23, "BADCOOKIE"},
};

bool same(std::string_view left, std::string_view upper) {
    return left.size() == upper.size() &&
           std::equal(left.begin(), left.end(), upper.begin(), [](char a, char b) {
               return (a >= 'a' && a <= 'z' ? static_cast<char>(a - 'a' + 'A') : a) == b;
           });
}

std::string name_of(std::span<const Mnemonic> table, std::uint16_t number,
                    std::string_view prefix) {
    for (const Mnemonic& entry : table)
        if (entry.number == number) return std::string(entry.name);
    return std::string(prefix) + std::to_string(number);
}

std::optional<std::uint16_t> number_of(std::span<const Mnemonic> table, std::string_view name,
                                       std::string_view prefix) {
    for (const Mnemonic& entry : table)
        if (same(name, entry.name)) return entry.number;
    if (name.size() <= prefix.size() || !same(name.substr(0, prefix.size()), prefix))
        return std::nullopt;
    const std::string_view digits = name.substr(prefix.size());
    std::uint16_t number = 0;
    const auto [end, status] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (status != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return number;
}

}  // namespace

std::string type_name(std::uint16_t type) {
    return name_of(types, type, "TYPE");
}
std::optional<std::uint16_t> type_number(std::string_view name) {
    return number_of(types, name, "TYPE");
}
std::string class_name(std::uint16_t klass) {
    return name_of(classes, klass, "CLASS");
}
std::optional<std::uint16_t> class_number(std::string_view name) {
    return number_of(classes, name, "CLASS");
}
std::string rcode_name(std::uint16_t rcode) {
    return name_of(rcodes, rcode, "RCODE");
}
std::optional<std::uint16_t> rcode_number(std::string_view name) {
    return number_of(rcodes, name, "RCODE");
}

}  // namespace dnsdirector::core
