// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/wire.h"

#include <algorithm>
#include <cstring>

namespace dnsdirector::dataplane::proxy {
namespace {

constexpr std::size_t type_and_class = 4;
constexpr std::size_t largest_name = 255;

}  // namespace

std::size_t question_size(Bytes message) {
    std::size_t at = header_size;
    while (at < message.size()) {
        const std::uint8_t label = message[at];
        ++at;
        if (label > largest_label || at - header_size > largest_name) return 0;
        if (label == 0) {
            const std::size_t size = at - header_size + type_and_class;
            return header_size + size <= message.size() ? size : 0;
        }
        at += label;
    }
    return 0;
}

Query read_query(Bytes message) {
    Query query;
    if (message.size() < header_size || is_response(message.data())) return query;
    query.opcode = opcode_of(message.data());
    const std::uint16_t questions = load16(&message[4]);
    query.kind = Query::Kind::malformed;
    if (questions > 1) return query;
    if (questions == 1) {
        query.question_size = static_cast<std::uint16_t>(question_size(message));
        if (query.question_size == 0) return query;
        query.type = load16(&message[header_size + query.question_size - type_and_class]);
    }
    query.kind = Query::Kind::fine;
    return query;
}

bool answers(Bytes reply, Bytes question, std::uint8_t opcode) {
    if (reply.size() < header_size || !is_response(reply.data())) return false;
    if (opcode_of(reply.data()) != opcode) return false;
    const std::uint16_t questions = load16(&reply[4]);
    if (questions == 0) {
        const std::uint8_t rcode = rcode_of(reply.data());
        return question.empty() || opcode == static_cast<std::uint8_t>(Opcode::update) ||
               (rcode != static_cast<std::uint8_t>(Rcode::noerror) &&
                rcode != static_cast<std::uint8_t>(Rcode::nxdomain));
    }
    if (questions != 1 || question.empty()) return false;
    return reply.size() >= header_size + question.size() &&
           std::memcmp(&reply[header_size], question.data(), question.size()) == 0;
}

std::size_t make_answer(Bytes query, std::size_t question_size, Rcode rcode, std::uint8_t* out) {
    constexpr std::uint8_t response = 0x80;
    constexpr std::uint8_t kept_of_2 = 0x79;  // opcode, RD
    constexpr std::uint8_t kept_of_3 = 0x10;  // CD
    std::memcpy(out, query.data(), header_size + question_size);
    out[2] = static_cast<std::uint8_t>((out[2] & kept_of_2) | response);
    out[3] = static_cast<std::uint8_t>((out[3] & kept_of_3) | static_cast<std::uint8_t>(rcode));
    std::memset(out + 4, 0, header_size - 4);
    if (question_size != 0) out[5] = 1;
    return header_size + question_size;
}

std::uint64_t hash_of_name(Bytes question) {
    // FNV-1a, then the finaliser of MurmurHash3, since tables look at its low bits.
    std::uint64_t hash = 0xcbf29ce484222325U;
    const std::size_t name =
        question.size() < type_and_class ? 0 : question.size() - type_and_class;
    for (std::size_t i = 0; i < name; ++i) {
        std::uint8_t byte = question[i];
        if (byte >= 'A' && byte <= 'Z') byte |= 0x20;
        hash = (hash ^ byte) * 0x100000001b3U;
    }
    hash ^= hash >> 33;
    hash *= 0xff51afd7ed558ccdU;
    hash ^= hash >> 33;
    return hash;
}

}  // namespace dnsdirector::dataplane::proxy
