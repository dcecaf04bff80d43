// SPDX-License-Identifier: Apache-2.0
//
// Messages as dig (BIND 9.18) sends them, and what it makes of replies. The
// rules were read in its dighost.c (setup_lookup, recv_done, process_cookie) and
// message.c (dns_message_parse, best effort), and are held to the program by
// tests/lab/test_dig.py.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "core/model.h"
#include "dns/message.h"

namespace dnsdirector::dns {

using ClientCookie = std::array<std::uint8_t, 8>;

/// dig's question: RD as asked, AD set, an OPT record with a COOKIE (RFC 7873).
class DigQuery {
public:
    /// Errors: a name that is none.
    static Result<DigQuery> make(const core::DigCheck& check);

    void set_id(std::uint16_t id);
    [[nodiscard]] std::uint16_t id() const { return read16(bytes_, length_size); }
    /// A new client cookie; the server's is forgotten.
    void set_client_cookie(const ClientCookie& cookie);
    /// What a server's COOKIE option held, its client part included: 8 to 40 bytes.
    void set_whole_cookie(Bytes cookie);
    [[nodiscard]] Bytes client_cookie() const {
        return Bytes(bytes_).subspan(cookie_at_, ClientCookie{}.size());
    }

    [[nodiscard]] Bytes message() const { return Bytes(bytes_).subspan(length_size); }
    /// With TCP's two bytes of length in front.
    [[nodiscard]] Bytes framed() const { return bytes_; }
    /// Name, type and class.
    [[nodiscard]] Bytes question() const { return Bytes(bytes_).subspan(question_at, question_); }

private:
    static constexpr std::size_t length_size = 2, question_at = 14;
    explicit DigQuery(std::vector<std::uint8_t> bytes) : bytes_(std::move(bytes)) {}

    std::vector<std::uint8_t> bytes_;
    std::size_t question_ = 0;   ///< bytes of it
    std::size_t cookie_at_ = 0;  ///< the COOKIE option's data, at the end
};

/// What dig does next.
enum class DigReading : std::uint8_t {
    done,            ///< prints it and ends with 0, whatever its status
    unreadable,      ///< "Got bad packet": ends with 0, too
    not_it,          ///< over UDP goes on waiting: too short, another ID
    other_opcode,    ///< goes on waiting
    other_question,  ///< over UDP goes on waiting
    truncated,       ///< asks again over TCP
    bad_cookie,      ///< asks again with the server's cookie
};

struct DigRead {
    DigReading reading = DigReading::done;
    std::uint16_t rcode = 0;  ///< with the upper bits of an OPT record, where those were looked at
    /// The COOKIE option of a `truncated` or `bad_cookie` one, where it is to our
    /// cookie: to be sent from now on. Bytes of the reply.
    Bytes cookie = {};
};

/// Reads a reply. TC counts where `heed_truncation` (over UDP, without +ignore),
/// BADCOOKIE (RFC 7873, 8) where `heed_bad_cookie` (over UDP). A message that ends
/// too early anywhere behind its header is read as far as it goes.
[[nodiscard]] DigRead read_as_dig(Bytes reply, const DigQuery& query, bool heed_truncation,
                                  bool heed_bad_cookie);

}  // namespace dnsdirector::dns
