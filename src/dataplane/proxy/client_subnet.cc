// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/client_subnet.h"

#include <array>

#include "dataplane/proxy/records.h"

namespace dnsdirector::dataplane::proxy {
namespace {

constexpr std::uint16_t type_sig = 24;
constexpr std::uint16_t type_opt = 41;
constexpr std::uint16_t type_tsig = 250;
constexpr std::uint16_t option_client_subnet = 8;
constexpr std::uint16_t iana_ipv4 = 1;
constexpr std::uint16_t iana_ipv6 = 2;
// What a client without EDNS takes over UDP, and so what the answer may have (RFC 6891, 6.2.5).
constexpr std::uint16_t size_without_edns = 512;
// Of an OPT record, from its type on: payload size, then the TTL's bytes.
constexpr std::size_t opt_payload = 2;
constexpr std::size_t opt_extended_rcode = 4;
constexpr std::size_t opt_version = 5;
constexpr std::size_t opt_length = 8;
constexpr std::size_t opt_head = 11;  ///< with its name, the root

/// What a message's records say.
struct Extras {
    bool readable = false;  ///< to the last byte
    bool has_opt = false;
    bool is_signed = false;
    Record opt;
};

Extras read_extras(Bytes message) {
    Extras extras;
    const std::size_t question = load16(&message[4]) == 0 ? 0 : question_size(message);
    const unsigned before = load16(&message[6]) + load16(&message[8]);
    const unsigned count = before + load16(&message[10]);
    std::size_t at = header_size + question;
    for (unsigned i = 0; i < count; ++i) {
        const auto record = read_record(message, at);
        if (!record) return extras;
        at = record->end;
        if (i < before) continue;
        if (record->type == type_tsig || record->type == type_sig) extras.is_signed = true;
        if (record->type != type_opt) continue;
        if (extras.has_opt || record->head - record->begin != 1) return extras;
        extras.has_opt = true;
        extras.opt = *record;
    }
    extras.readable = at == message.size();
    return extras;
}

/// Options in an OPT record's data (RFC 6891, section 6.1.2).
struct Option {
    bool readable = false;
    std::size_t begin = 0;  ///< 0: it has no such option
    std::size_t end = 0;
};

Option find_option(Bytes message, const Record& opt) {
    constexpr std::size_t option_head = 4;
    Option found;
    std::size_t at = opt.data;
    while (at < opt.end) {
        if (opt.end - at < option_head) return found;
        const std::size_t end = at + option_head + load16(&message[at + 2]);
        if (end > opt.end) return found;
        if (load16(&message[at]) == option_client_subnet && found.begin == 0) {
            found.begin = at;
            found.end = end;
        }
        at = end;
    }
    found.readable = true;
    return found;
}

/// The option as it is sent (RFC 7871, section 6). Returns its size; 0 where clients of that
/// family have none.
std::size_t make_option(std::uint8_t* out, const SocketAddress& client,
                        const core::ClientSubnet& lengths) {
    const std::uint8_t length = client.is_v4() ? lengths.ipv4 : lengths.ipv6;
    if (length == 0) return 0;
    const std::size_t bytes = (length + 7U) / 8;
    store16(out, option_client_subnet);
    store16(out + 2, static_cast<std::uint16_t>(4 + bytes));
    store16(out + 4, client.is_v4() ? iana_ipv4 : iana_ipv6);
    out[6] = length;
    out[7] = 0;  // scope
    std::memcpy(out + 8, client.address_bytes(), bytes);
    if (length % 8 != 0) out[8 + bytes - 1] &= static_cast<std::uint8_t>(0xffU << (8 - length % 8));
    return 8 + bytes;
}

void add_to_count(std::uint8_t* message, int more) {
    store16(message + 10, static_cast<std::uint16_t>(load16(message + 10) + more));
}
void add_to_length(std::uint8_t* opt_head_at, std::ptrdiff_t more) {
    std::uint8_t* length = opt_head_at + opt_length;
    store16(length, static_cast<std::uint16_t>(load16(length) + more));
}

}  // namespace

Added add_client_subnet(std::uint8_t* query, std::uint32_t& size, const SocketAddress& client,
                        const core::ClientSubnet& lengths) {
    std::array<std::uint8_t, most_added - opt_head> option;
    const std::size_t option_size = make_option(option.data(), client, lengths);
    if (option_size == 0 || load16(query + 4) != 1) return Added::nothing;
    const Extras extras = read_extras({query, size});
    if (!extras.readable || extras.is_signed) return Added::nothing;
    if (extras.has_opt) {
        const Option present = find_option({query, size}, extras.opt);
        const bool other_version = query[extras.opt.head + opt_version] != 0;
        if (!present.readable || present.begin != 0 || other_version) return Added::nothing;
        std::size_t grown = size;
        if (!put_in(query, grown, extras.opt.end, option_size)) return Added::nothing;
        size = static_cast<std::uint32_t>(grown);
        std::memcpy(query + extras.opt.end, option.data(), option_size);
        add_to_length(query + extras.opt.head, static_cast<std::ptrdiff_t>(option_size));
        return Added::option;
    }
    if (load16(query + 10) == UINT16_MAX) return Added::nothing;
    std::uint8_t* opt = query + size;
    std::memset(opt, 0, opt_head);
    store16(opt + 1, type_opt);
    store16(opt + 1 + opt_payload, size_without_edns);
    store16(opt + 1 + opt_length, static_cast<std::uint16_t>(option_size));
    std::memcpy(opt + opt_head, option.data(), option_size);
    add_to_count(query, 1);
    size += static_cast<std::uint32_t>(opt_head + option_size);
    return Added::opt;
}

std::size_t take_out_client_subnet(std::uint8_t* answer, std::size_t size, Added added) {
    if (added == Added::nothing) return size;
    const Extras extras = read_extras({answer, size});
    if (!extras.readable || extras.is_signed || !extras.has_opt) return size;
    const Record& opt = extras.opt;
    if (added == Added::opt) {
        // A status of which the header has the lower half only: nobody could read it.
        const bool extended = answer[opt.head + opt_extended_rcode] != 0;
        if (!take_out(answer, size, opt.begin, opt.end - opt.begin, opt.end)) return size;
        add_to_count(answer, -1);
        if (extended)
            answer[3] = static_cast<std::uint8_t>((answer[3] & 0xf0U) |
                                                  static_cast<std::uint8_t>(Rcode::servfail));
        return size;
    }
    const Option option = find_option({answer, size}, opt);
    if (!option.readable || option.begin == 0) return size;
    const std::size_t removed = option.end - option.begin;
    // Behind it stand other options, then records.
    if (!take_out(answer, size, option.begin, removed, opt.end)) return size;
    add_to_length(answer + opt.head, -static_cast<std::ptrdiff_t>(removed));
    return size;
}

}  // namespace dnsdirector::dataplane::proxy
