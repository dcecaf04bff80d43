// SPDX-License-Identifier: Apache-2.0
#include "dns/dig_message.h"

#include <algorithm>
#include <optional>

#include "dns/query.h"

namespace dnsdirector::dns {
namespace {

constexpr std::uint16_t type_a = 1, type_aaaa = 28, type_opt = 41;
constexpr std::uint16_t option_cookie = 10;
constexpr std::uint16_t rcode_bad_cookie = 23;
constexpr std::uint8_t flag_truncated = 0x02, mask_opcode = 0x78, flag_ad = 0x20;
constexpr std::size_t longest_cookie = 40;

void put16(std::vector<std::uint8_t>& bytes, std::size_t value) {
    bytes.push_back(static_cast<std::uint8_t>(value >> 8U));
    bytes.push_back(static_cast<std::uint8_t>(value));
}

void write16(std::vector<std::uint8_t>& bytes, std::size_t at, std::size_t value) {
    bytes[at] = static_cast<std::uint8_t>(value >> 8U);
    bytes[at + 1] = static_cast<std::uint8_t>(value);
}

/// How reading a part of a message ended.
enum class Part : std::uint8_t {
    whole,
    cut,     ///< by the end of the message: what was read counts
    broken,  ///< it cannot be read
};

/// Moves `at` behind a name (dns_name_fromwire). Where it is cut, labels run past
/// the end; else it is broken (RFC 1035, 4.1.4): a pointer not backwards, a label
/// type that there is not, over 255 bytes.
Part pass_name(Bytes message, std::size_t& at) {
    if (const std::optional<std::size_t> end = skip_name(message, at)) {
        at = *end;
        return Part::whole;
    }
    constexpr std::size_t longest_name = 255;
    std::size_t length = 1;
    std::size_t before = at;  // pointers must lead to before here
    for (std::size_t here = at; here < message.size();) {
        const std::uint8_t octet = message[here];
        if (octet < 64) {
            length += 1U + octet;
            if (length > longest_name) return Part::broken;
            here += 1U + octet;
            continue;
        }
        if (octet < 192) return Part::broken;
        if (here + 1 >= message.size()) return Part::cut;
        const std::size_t to = read16(message, here) & 0x3fffU;
        if (to >= before) return Part::broken;
        before = here = to;
    }
    return Part::cut;
}

/// All that dig takes from a message besides its header.
struct Contents {
    bool ours = true;  ///< no question in it is another than ours
    std::uint16_t rcode = 0;
    Bytes options;  ///< of the OPT record
};

bool same_question(Bytes reply, std::size_t name, Bytes type_and_class, Bytes question) {
    std::array<std::uint8_t, 255> theirs{};
    std::array<std::uint8_t, 255> mine{};
    const std::size_t size = expand_name(reply, name, theirs);
    const std::size_t my_size = expand_name(question, 0, mine);
    return size == my_size && std::equal(theirs.begin(), theirs.begin() + size, mine.begin()) &&
           std::ranges::equal(type_and_class, question.last(4));
}

Part read_questions(Bytes reply, std::size_t& at, Bytes question, Contents& contents) {
    for (unsigned left = read16(reply, 4); left > 0; --left) {
        const std::size_t name = at;
        if (const Part part = pass_name(reply, at); part != Part::whole) return part;
        if (at + 4 > reply.size()) return Part::cut;
        contents.ours = contents.ours && same_question(reply, name, reply.subspan(at, 4), question);
        at += 4;
    }
    return Part::whole;
}

Part read_data(Bytes reply, const Record& record) {
    // What is too short counts as cut off.
    const std::size_t wanted = record.type == type_a ? 4 : record.type == type_aaaa ? 16 : 0;
    if (record.rdlength < wanted) return Part::cut;
    return rdata_is_sound(reply, record) ? Part::whole : Part::broken;
}

/// Data of an OPT record: options that fill it; a cookie has 8, or 16 to 40 bytes
/// (RFC 7873, 4).
Part read_options(Bytes data) {
    while (!data.empty()) {
        if (data.size() < 4) return Part::cut;
        const std::size_t length = read16(data, 2);
        if (data.size() - 4 < length) return Part::cut;
        const bool cookie_length = length == 8 || (length >= 16 && length <= longest_cookie);
        if (read16(data, 0) == option_cookie && !cookie_length) return Part::broken;
        data = data.subspan(4 + length);
    }
    return Part::whole;
}

Part read_sections(Bytes reply, std::size_t at, Contents& contents) {
    constexpr std::size_t fixed = 10;  // type, class, TTL, length
    bool opt_seen = false;
    for (std::size_t section = 0; section < 3; ++section) {
        for (unsigned left = read16(reply, 6 + 2 * section); left > 0; --left) {
            std::size_t end = at;
            if (const Part part = pass_name(reply, end); part != Part::whole) return part;
            if (end + fixed > reply.size() || end + fixed + read16(reply, end + 8) > reply.size())
                return Part::cut;
            const bool root = reply[at] == 0;
            const std::optional<Record> record = read_record(reply, at);
            if (!record) return Part::broken;
            const Bytes data = reply.subspan(record->rdata, record->rdlength);
            const bool opt = record->type == type_opt;
            const Part part = opt ? read_options(data) : read_data(reply, *record);
            if (part != Part::whole) return part;
            if (!opt || opt_seen || !root || section != 2) continue;
            opt_seen = true;
            contents.options = data;
            contents.rcode = static_cast<std::uint16_t>(contents.rcode | record->ttl >> 24U << 4U);
        }
    }
    return Part::whole;
}

/// The first COOKIE option, where it is an answer to our cookie.
Bytes cookie_for_us(Bytes options, Bytes client) {
    while (options.size() >= 4) {
        const std::size_t length = read16(options, 2);
        const Bytes value = options.subspan(4, length);
        if (read16(options, 0) == option_cookie)
            return std::ranges::equal(value.first(client.size()), client) ? value : Bytes{};
        options = options.subspan(4 + length);
    }
    return {};
}

}  // namespace

Result<DigQuery> DigQuery::make(const core::DigCheck& check) {
    core::DnsCheck plain;
    plain.name = check.name;
    plain.type = check.type;
    plain.klass = check.klass;
    plain.recursion_desired = check.recursion_desired;
    const Result<Query> query = Query::make(plain);
    if (!query) return tl::unexpected(query.error());
    const Bytes framed = query->framed();
    DigQuery made({framed.begin(), framed.end()});
    std::vector<std::uint8_t>& bytes = made.bytes_;
    bytes.reserve(bytes.size() + 15 + longest_cookie);
    made.question_ = bytes.size() - question_at;
    bytes[length_size + 3] |= flag_ad;
    write16(bytes, length_size + 10, 1);  // one record in the additional section
    const core::Edns edns = check.edns.value_or(core::Edns{});
    bytes.push_back(0);  // RFC 6891, 6.1.2: the root, then
    put16(bytes, type_opt);
    put16(bytes, edns.buffer_size);
    put16(bytes, 0);
    put16(bytes, edns.dnssec_ok ? 0x8000U : 0U);
    put16(bytes, 0);  // length, below
    put16(bytes, option_cookie);
    put16(bytes, 0);
    made.cookie_at_ = bytes.size();
    made.set_client_cookie({});
    return made;
}

void DigQuery::set_id(std::uint16_t id) {
    write16(bytes_, length_size, id);
}

void DigQuery::set_client_cookie(const ClientCookie& cookie) {
    set_whole_cookie(cookie);
}

void DigQuery::set_whole_cookie(Bytes cookie) {
    bytes_.resize(cookie_at_);
    bytes_.insert(bytes_.end(), cookie.begin(), cookie.end());
    write16(bytes_, cookie_at_ - 2, cookie.size());
    write16(bytes_, cookie_at_ - 6, cookie.size() + 4);
    write16(bytes_, 0, bytes_.size() - length_size);
}

DigRead read_as_dig(Bytes reply, const DigQuery& query, bool heed_truncation,
                    bool heed_bad_cookie) {
    if (reply.size() < header_size || read16(reply, 0) != query.id())
        return {DigReading::not_it, 0};
    const bool truncated = heed_truncation && (reply[2] & flag_truncated) != 0;
    const bool other_opcode = (reply[2] & mask_opcode) != 0;
    Contents contents{.rcode = static_cast<std::uint16_t>(reply[3] & 0x0fU)};
    const bool cookie_may_be_bad = heed_bad_cookie && contents.rcode == (rcode_bad_cookie & 0x0fU);
    // The common reply, one question, ours: printed whatever the rest of the message is.
    if (!truncated && !other_opcode && !cookie_may_be_bad && read16(reply, 4) == 1 &&
        begins_with_question(reply, query.question()))
        return {DigReading::done, contents.rcode};

    std::size_t at = header_size;
    Part part = read_questions(reply, at, query.question(), contents);
    if (part == Part::whole) part = read_sections(reply, at, contents);
    if (part == Part::broken) return {DigReading::unreadable, contents.rcode};
    if (other_opcode) return {DigReading::other_opcode, contents.rcode};
    if (!contents.ours) return {DigReading::other_question, contents.rcode};
    const Bytes cookie = cookie_for_us(contents.options, query.client_cookie());
    if (truncated) return {DigReading::truncated, contents.rcode, cookie};
    if (heed_bad_cookie && contents.rcode == rcode_bad_cookie && !cookie.empty())
        return {DigReading::bad_cookie, contents.rcode, cookie};
    return {DigReading::done, contents.rcode};
}

}  // namespace dnsdirector::dns
