// SPDX-License-Identifier: Apache-2.0
//
// Messages of few bytes of a fuzzer's input, so that it need not find out how one looks.
#pragma once

#include <algorithm>
#include <array>

#include "dataplane/proxy/wire.h"
#include "fuzz/fuzz_input.h"

namespace dnsdirector::fuzz {

/// A query of few bytes of input: who asks, for what, with which ID and flags, how long.
inline Octets made_query(Input& input) {
    static constexpr std::array<std::uint8_t, 8> types = {1, 28, 251, 252, 6, 16, 2, 255};
    const std::uint8_t what = input.byte(), id = input.byte(), flags = input.byte();
    Octets query = {0, id, static_cast<std::uint8_t>(flags & 0x79), 0, 0, 1, 0, 0, 0, 0, 0, 0};
    if ((flags & 0x80) != 0) query[5] = 0;
    const std::uint8_t letter = static_cast<std::uint8_t>('a' + (what & 3));
    if (query[5] != 0)
        query.insert(query.end(), {1, letter, 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0,
                                   types[(what >> 2) & 7], 0, 1});
    query.insert(query.end(), (what >> 5) * std::size_t{100}, 0x5a);
    return query;
}

/// An answer to what a server was asked, right or not.
inline Octets made_answer(Input& input, Octets answer) {
    const std::uint8_t how = input.byte(), more = input.byte();
    answer[2] |= 0x80;
    answer[3] = how & 0xf;
    switch (how >> 4) {
        case 1: answer.resize(std::min<std::size_t>(answer.size(), more)); break;
        case 2: answer[more % answer.size()] ^= 0x21; break;
        case 3: answer.insert(answer.end(), more * std::size_t{257}, 0xc0); break;
        case 4:  // no question
            answer[4] = answer[5] = 0;
            answer.resize(dataplane::proxy::header_size);
            break;
        case 5:  // a name that points at itself
            answer[7] = 1;
            answer.insert(answer.end(), {0xc0, static_cast<std::uint8_t>(answer.size())});
            break;
        case 6:  // the question is one that points at itself
            answer.resize(dataplane::proxy::header_size);
            answer.insert(answer.end(), {0xc0, dataplane::proxy::header_size, 0, 1, 0, 1});
            break;
        case 7: answer[2] ^= more & 0xf8; break;  // another opcode, or no answer at all
        case 8:                                   // what was asked, with letters of another case
            for (std::size_t i = dataplane::proxy::header_size; i < answer.size(); ++i)
                if (answer[i] >= 'a' && answer[i] <= 'z') answer[i] ^= 0x20;
            break;
        default: break;
    }
    return answer;
}

}  // namespace dnsdirector::fuzz
