// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>
#include <vector>

#include "probe/tcp_exchange.h"

namespace dnsdirector::probe {

/// The same over TLS (RFC 7858), TLS 1.2 or later. The certificate is not
/// judged: what is asked is whether the server answers, and addresses rarely
/// stand in certificates. Each exchange is a whole handshake, no session is
/// resumed, since a client's first query is no different.
class TlsExchange : public TcpExchange {
public:
    TlsExchange(Environment& environment, std::uint64_t token);
    ~TlsExchange() override;

    void end() override;
    [[nodiscard]] bool in_handshake() const override;

protected:
    bool prepare() override;
    ssize_t write(std::span<const std::uint8_t> bytes) override;
    ssize_t read(std::span<std::uint8_t> into) override;
    [[nodiscard]] Outcome outcome_of_error(int error) const override;

private:
    struct Free {
        void operator()(SSL* session) const;
    };
    /// After a call of OpenSSL that did not succeed: moves bytes between it and
    /// the socket. True: call again. False: errno says what send and recv would.
    bool move_on(int result);
    /// Sends what OpenSSL has written; false with errno where that is not possible.
    bool flush();
    bool give_up(std::string reason);

    std::unique_ptr<SSL, Free> session_;
    BIO* arrived_ = nullptr;            ///< ciphertext from the socket; the session owns it
    BIO* leaving_ = nullptr;            ///< ciphertext to the socket; likewise
    std::vector<std::uint8_t> unsent_;  ///< taken from `leaving_` already
    std::string trouble_;               ///< of TLS itself
};

}  // namespace dnsdirector::probe
