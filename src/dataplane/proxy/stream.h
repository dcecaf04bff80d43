// SPDX-License-Identifier: Apache-2.0
//
// Messages over a TCP connection, each behind its length in two bytes (RFC 1035, section 4.2.2;
// RFC 7766, section 8). What has not come whole, or could not be written yet, is kept; while
// nothing is, a connection keeps no memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/proxy/wire.h"

namespace dnsdirector::dataplane::proxy {

/// Bytes that have come, of which the first may be half a message.
class Inbox {
public:
    /// Takes whole messages out of what is kept and what has come now, one by one, for as long
    /// as `take(message, size)` returns true. What is left is kept.
    template <typename Take>
    void feed(std::span<std::uint8_t> come, const Take& take) {
        if (kept_.empty()) {
            const std::size_t used = take_from(come, take);
            kept_.assign(come.begin() + static_cast<std::ptrdiff_t>(used), come.end());
            return;
        }
        kept_.insert(kept_.end(), come.begin(), come.end());
        const std::size_t used = take_from(kept_, take);
        if (used == kept_.size())
            std::vector<std::uint8_t>().swap(kept_);
        else
            kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(used));
    }
    [[nodiscard]] bool empty() const { return kept_.empty(); }
    [[nodiscard]] std::size_t size() const { return kept_.size(); }

    // What stands before the first message (a PROXY header) is kept without being taken for one,
    // until it is whole.
    void keep(std::span<const std::uint8_t> come) {
        kept_.insert(kept_.end(), come.begin(), come.end());
    }
    [[nodiscard]] std::span<const std::uint8_t> kept() const { return kept_; }
    void skip(std::size_t size) {
        kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(size));
    }

private:
    template <typename Take>
    static std::size_t take_from(std::span<std::uint8_t> bytes, const Take& take) {
        std::size_t at = 0;
        while (bytes.size() - at >= 2) {
            const std::size_t size = load16(&bytes[at]);
            if (bytes.size() - at - 2 < size) break;
            at += 2 + size;
            if (!take(bytes.data() + at - size, size)) break;
        }
        return at;
    }

    std::vector<std::uint8_t> kept_;
};

/// Bytes that wait to be written.
class Outbox {
public:
    void add(const std::uint8_t* message, std::size_t size) {
        const std::uint8_t length[2] = {static_cast<std::uint8_t>(size >> 8),
                                        static_cast<std::uint8_t>(size & 0xff)};
        bytes_.insert(bytes_.end(), length, length + 2);
        bytes_.insert(bytes_.end(), message, message + size);
    }
    void add_raw(const std::uint8_t* bytes, std::size_t size) {
        bytes_.insert(bytes_.end(), bytes, bytes + size);
    }
    [[nodiscard]] bool empty() const { return written_ == bytes_.size(); }
    [[nodiscard]] std::size_t size() const { return bytes_.size() - written_; }
    /// Writes what the socket takes. False: the connection is broken.
    bool write_to(int socket, bool& progress);

private:
    std::vector<std::uint8_t> bytes_;
    std::size_t written_ = 0;
};

}  // namespace dnsdirector::dataplane::proxy
