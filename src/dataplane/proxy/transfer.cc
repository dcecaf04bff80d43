// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/transfer.h"

#include "dataplane/proxy/records.h"

namespace dnsdirector::dataplane::proxy {
namespace {

constexpr std::uint16_t type_soa = 6;

std::optional<std::uint32_t> serial_of(Bytes message, std::size_t data) {
    const auto mailbox = behind_name(message, data);
    const auto serial = mailbox ? behind_name(message, *mailbox) : std::nullopt;
    if (!serial || *serial + 4 > message.size()) return std::nullopt;
    return static_cast<std::uint32_t>(load16(&message[*serial])) << 16 |
           load16(&message[*serial + 2]);
}

}  // namespace

void TransferEnd::take_soa(std::uint32_t serial) {
    if (soas_ == 0) first_serial_ = serial;
    ++soas_;
    ended_ = ended_ || (soas_ % 2 == 0 && serial == first_serial_);
}

bool TransferEnd::is_last(Bytes message) {
    if (message.size() < header_size) return false;
    const std::uint16_t answers = load16(&message[6]);
    if (rcode_of(message.data()) != static_cast<std::uint8_t>(Rcode::noerror) || answers == 0)
        return true;
    std::optional<std::size_t> at = header_size;
    for (std::uint16_t questions = load16(&message[4]); questions > 0 && at; --questions) {
        at = behind_name(message, *at);
        if (at) *at += 4;
    }
    for (std::uint16_t i = 0; i < answers && at; ++i) {
        const auto record = read_record(message, *at);
        if (!record) break;
        at = record->end;
        if (record->type != type_soa) continue;
        if (const auto serial = serial_of(message, record->data)) take_soa(*serial);
    }
    return ended_;
}

}  // namespace dnsdirector::dataplane::proxy
