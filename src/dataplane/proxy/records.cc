// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/records.h"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace dnsdirector::dataplane::proxy {
namespace {

constexpr std::size_t record_head = 10;  // type, class, TTL, length of the data
constexpr std::size_t pointer_bits = 0xc000;
constexpr std::size_t farthest_pointer = 0x3fff;

/// The types whose data holds names that may be compressed (RFC 3597, section 4). Where their
/// names begin, and how many there are.
struct NamesWithin {
    std::uint16_t type;
    std::uint8_t before;
    std::uint8_t count;
};
constexpr NamesWithin names_within[] = {
    {2, 0, 1},  {3, 0, 1},  {4, 0, 1},  {5, 0, 1},  {6, 0, 2},    // NS MD MF CNAME SOA
    {7, 0, 1},  {8, 0, 1},  {9, 0, 1},  {12, 0, 1}, {14, 0, 2},   // MB MG MR PTR MINFO
    {15, 2, 1}, {17, 0, 2}, {18, 2, 1}, {21, 2, 1}, {24, 18, 1},  // MX RP AFSDB RT SIG
    {26, 2, 2}, {30, 0, 1}, {33, 6, 1},                           // PX NXT SRV
};

// Its name may be compressed too, behind three strings: messages with it stay as they are.
constexpr std::uint16_t type_naptr = 35;

/// What becomes of places in a message: those from `from` on move, and what is between `gone`
/// and `from` is no more.
struct Move {
    std::uint8_t* message;
    std::size_t size;
    std::size_t gone;
    std::size_t from;
    std::size_t first_record;  ///< of those that move
    std::ptrdiff_t by;
    bool does = false;  ///< false: it is only asked whether it can be done

    /// Returns where the name ends; 0 where it cannot be done.
    [[nodiscard]] std::size_t name(std::size_t at) const {
        const auto end = behind_name({message, size}, at);
        if (!end || *end > size) return 0;
        while (message[at] != 0 && message[at] <= largest_label)
            at += 1U + message[at];
        if (message[at] == 0) return *end;
        const std::size_t target = load16(message + at) & farthest_pointer;
        if (target < gone) return *end;
        const auto moved = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(target) + by);
        if (target < from || moved > farthest_pointer) return 0;
        if (does) store16(message + at, static_cast<std::uint16_t>(pointer_bits | moved));
        return *end;
    }

    [[nodiscard]] bool data(const Record& record) const {
        if (record.type == type_naptr) return false;
        const auto* within =
            std::find_if(std::begin(names_within), std::end(names_within),
                         [&](const NamesWithin& each) { return each.type == record.type; });
        if (within == std::end(names_within)) return true;
        std::size_t at = record.data + within->before;
        for (int i = 0; i < within->count; ++i) {
            at = at < record.end ? name(at) : 0;
            if (at == 0 || at > record.end) return false;
        }
        return true;
    }

    [[nodiscard]] bool records() const {
        for (std::size_t at = first_record; at < size;) {
            const auto record = read_record({message, size}, at);
            if (!record || name(at) == 0 || !data(*record)) return false;
            at = record->end;
        }
        return true;
    }
};

bool carry_out(Move move, std::size_t& size) {
    if (!move.records()) return false;
    move.does = true;
    (void)move.records();
    std::memmove(move.message + move.from + move.by, move.message + move.from,
                 move.size - move.from);
    size = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(move.size) + move.by);
    return true;
}

}  // namespace

std::optional<std::size_t> behind_name(Bytes message, std::size_t at) {
    while (at < message.size()) {
        const std::uint8_t label = message[at];
        if (label == 0) return at + 1;
        if ((label & 0xc0) == 0xc0) return at + 2;
        if ((label & 0xc0) != 0) return std::nullopt;
        at += 1U + label;
    }
    return std::nullopt;
}

std::optional<Record> read_record(Bytes message, std::size_t at) {
    const auto behind = behind_name(message, at);
    if (!behind || *behind + record_head > message.size()) return std::nullopt;
    Record record{at, *behind, *behind + record_head, 0, load16(&message[*behind])};
    record.end = record.data + load16(&message[*behind + 8]);
    if (record.end > message.size()) return std::nullopt;
    return record;
}

bool put_in(std::uint8_t* message, std::size_t& size, std::size_t at, std::size_t added) {
    if (!carry_out({message, size, at, at, at, static_cast<std::ptrdiff_t>(added)}, size))
        return false;
    std::memset(message + at, 0, added);
    return true;
}

bool take_out(std::uint8_t* message, std::size_t& size, std::size_t at, std::size_t removed,
              std::size_t first_record) {
    return carry_out(
        {message, size, at, at + removed, first_record, -static_cast<std::ptrdiff_t>(removed)},
        size);
}

}  // namespace dnsdirector::dataplane::proxy
