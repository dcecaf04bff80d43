// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace dnsdirector::dataplane::proxy::testing {

using Octets = std::vector<std::uint8_t>;

struct MessageOptions {
    std::uint16_t id = 0x1234;
    std::uint8_t opcode = 0;
    std::string name = "www.example.com";
    std::uint16_t type = 1;
    bool response = false;
    std::uint8_t rcode = 0;
    std::size_t padding = 0;  ///< bytes behind the question, which no reader of ours looks at
};

/// A DNS message with one question.
inline Octets message(const MessageOptions& options) {
    Octets bytes = {
        static_cast<std::uint8_t>(options.id >> 8),
        static_cast<std::uint8_t>(options.id & 0xff),
        static_cast<std::uint8_t>((options.response ? 0x80 : 0) | options.opcode << 3 | 1),
        options.rcode,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        0};
    std::size_t from = 0;
    while (from < options.name.size()) {
        const std::size_t dot = std::min(options.name.find('.', from), options.name.size());
        bytes.push_back(static_cast<std::uint8_t>(dot - from));
        bytes.insert(bytes.end(), options.name.begin() + static_cast<std::ptrdiff_t>(from),
                     options.name.begin() + static_cast<std::ptrdiff_t>(dot));
        from = dot + 1;
    }
    bytes.push_back(0);
    bytes.insert(bytes.end(), {static_cast<std::uint8_t>(options.type >> 8),
                               static_cast<std::uint8_t>(options.type & 0xff), 0, 1});
    bytes.insert(bytes.end(), options.padding, 0x5a);
    return bytes;
}

}  // namespace dnsdirector::dataplane::proxy::testing
