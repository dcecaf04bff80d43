// SPDX-License-Identifier: Apache-2.0
#include "dns/message.h"

#include <algorithm>

namespace dnsdirector::dns {
namespace {

constexpr std::size_t max_name = 255;
/// A name has at most 127 labels; more pointers than that only waste time.
constexpr int max_pointers = 127;
constexpr std::size_t record_fixed = 10;  // type, class, TTL, rdlength

/// Record data of types that hold names which may be compressed or whose letter
/// case means nothing: so many bytes, so many names, so many bytes behind.
/// RFC 1035, 3.3; RFC 3597, 4; RFC 4034, 6.2.
struct Layout {
    std::uint16_t type;
    std::uint8_t before;
    std::uint8_t names;
    std::uint8_t behind;
};
constexpr Layout layouts[] = {
    {2, 0, 1, 0},   // NS
    {3, 0, 1, 0},   // MD
    {4, 0, 1, 0},   // MF
    {5, 0, 1, 0},   // CNAME
    {6, 0, 2, 20},  // SOA
    {7, 0, 1, 0},   // MB
    {8, 0, 1, 0},   // MG
    {9, 0, 1, 0},   // MR
    {12, 0, 1, 0},  // PTR
    {14, 0, 2, 0},  // MINFO
    {15, 2, 1, 0},  // MX
    {17, 0, 2, 0},  // RP
    {18, 2, 1, 0},  // AFSDB
    {21, 2, 1, 0},  // RT
    {26, 2, 2, 0},  // PX
    {33, 6, 1, 0},  // SRV
    {36, 2, 1, 0},  // KX
    {39, 0, 1, 0},  // DNAME
};

const Layout* layout_of(std::uint16_t type) {
    for (const Layout& layout : layouts)
        if (layout.type == type) return &layout;
    return nullptr;
}

constexpr std::uint8_t lower(std::uint8_t byte) {
    return byte >= 'A' && byte <= 'Z' ? static_cast<std::uint8_t>(byte + 32) : byte;
}

/// Walks a name and hands each label (with its length byte) to `take`.
template <typename Take>
std::optional<std::size_t> walk_name(Bytes message, std::size_t at, Take take) {
    std::optional<std::size_t> end;  // behind the first pointer, once there was one
    std::size_t floor = at;          // pointers must lead to before here
    std::size_t length = 0;
    int pointers = 0;
    while (at < message.size()) {
        const std::uint8_t size = message[at];
        if (size == 0) {
            take(message.subspan(at, 1));
            return end ? end : at + 1;
        }
        if (size < 64) {
            length += size + 1U;
            if (length + 1 > max_name || at + 1 + size > message.size()) return std::nullopt;
            take(message.subspan(at, size + 1U));
            at += size + 1U;
            continue;
        }
        if (size < 0xC0 || at + 2 > message.size()) return std::nullopt;
        const std::size_t target = read16(message, at) & 0x3FFFU;
        if (target >= floor || ++pointers > max_pointers) return std::nullopt;
        if (!end) end = at + 2;
        floor = at = target;
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::size_t> skip_name(Bytes message, std::size_t at) {
    return walk_name(message, at, [](Bytes) {});
}

std::size_t expand_name(Bytes message, std::size_t at, std::array<std::uint8_t, 255>& out) {
    std::size_t used = 0;
    const bool sound = walk_name(message, at, [&](Bytes label) {
                           for (const std::uint8_t byte : label)
                               out[used++] = lower(byte);
                       }).has_value();
    return sound ? used : 0;
}

bool begins_with_question(Bytes message, Bytes question) {
    constexpr std::size_t type_and_class = 4;
    if (message.size() < header_size + question.size()) return false;
    const Bytes theirs = message.subspan(header_size, question.size());
    // Length bytes are below 64 and so never letters.
    const std::size_t name = question.size() - type_and_class;
    return std::ranges::equal(theirs.first(name), question.first(name), {}, lower, lower) &&
           std::ranges::equal(theirs.subspan(name), question.subspan(name));
}

std::optional<Record> read_record(Bytes message, std::size_t& at) {
    const std::optional<std::size_t> name_end = skip_name(message, at);
    if (!name_end || *name_end + record_fixed > message.size()) return std::nullopt;
    const std::size_t fixed = *name_end;
    const Record record{
        .owner = at,
        .type = read16(message, fixed),
        .klass = read16(message, fixed + 2),
        .ttl = static_cast<std::uint32_t>(read16(message, fixed + 4)) << 16 |
               read16(message, fixed + 6),
        .rdata = fixed + record_fixed,
        .rdlength = read16(message, fixed + 8),
    };
    if (record.rdata + record.rdlength > message.size()) return std::nullopt;
    at = record.rdata + record.rdlength;
    return record;
}

bool rdata_is_sound(Bytes message, const Record& record) {
    constexpr std::uint16_t a = 1, aaaa = 28, internet = 1;
    if (record.type == a && record.klass == internet) return record.rdlength == 4;
    if (record.type == aaaa) return record.rdlength == 16;
    const Layout* layout = layout_of(record.type);
    if (layout == nullptr) return true;
    const std::size_t end = record.rdata + record.rdlength;
    // What follows the data must not complete a name in it.
    const Bytes until_end = message.first(end);
    std::size_t at = record.rdata + layout->before;
    for (int name = 0; name < layout->names; ++name) {
        const std::optional<std::size_t> next = skip_name(until_end, at);
        if (!next) return false;
        at = *next;
    }
    return at + layout->behind == end;
}

bool rdata_equals(Bytes message, const Record& record, Bytes canonical) {
    const Bytes data = message.subspan(record.rdata, record.rdlength);
    const Layout* layout = layout_of(record.type);
    if (layout == nullptr) return std::ranges::equal(data, canonical);

    std::size_t at = record.rdata;
    std::size_t compared = 0;
    const auto same = [&](Bytes piece) {
        const bool fits = compared + piece.size() <= canonical.size() &&
                          std::ranges::equal(piece, canonical.subspan(compared, piece.size()));
        compared += piece.size();
        return fits;
    };
    const auto same_fixed = [&](std::size_t size) {
        if (at + size > record.rdata + record.rdlength) return false;
        at += size;
        return same(message.subspan(at - size, size));
    };
    if (!same_fixed(layout->before)) return false;
    for (int name = 0; name < layout->names; ++name) {
        std::array<std::uint8_t, max_name> expanded;
        const std::size_t size = expand_name(message, at, expanded);
        if (size == 0 || !same(Bytes(expanded).first(size))) return false;
        at = *skip_name(message, at);
    }
    return same_fixed(layout->behind) && compared == canonical.size();
}

void make_canonical(std::uint16_t type, std::span<std::uint8_t> rdata) {
    const Layout* layout = layout_of(type);
    if (layout == nullptr) return;
    std::size_t at = layout->before;
    for (int name = 0; name < layout->names && at < rdata.size(); ++name) {
        const std::optional<std::size_t> end = skip_name(rdata, at);
        if (!end) return;
        // Length bytes are below 64 and so never letters.
        std::ranges::transform(rdata.subspan(at, *end - at), rdata.begin() + at, lower);
        at = *end;
    }
}

}  // namespace dnsdirector::dns
