// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/types.h>

#include <atomic>
#include <memory>
#include <thread>

#include "unit/probe/responder.h"

namespace dnsdirector::probe::test {

/// A DNS server over TLS on 127.0.0.1 with a certificate of its own making, one
/// connection after another in a thread of its own.
class TlsServer {
public:
    enum class How {
        answers,
        in_pieces,      ///< each byte in a record of its own
        silent,         ///< takes the connection and says nothing
        closes,         ///< ends the connection in the handshake
        resets,         ///< likewise, rudely
        hangs_up,       ///< ends the session after the query
        speaks_plain,   ///< answers the handshake with plain text
        speaks_tls_11,  ///< nothing newer than what nobody takes any more
    };

    explicit TlsServer(Answer answer, How how = How::answers);
    ~TlsServer();
    TlsServer(const TlsServer&) = delete;
    TlsServer& operator=(const TlsServer&) = delete;

    [[nodiscard]] Endpoint endpoint() const { return endpoint_; }
    [[nodiscard]] int queries() const { return queries_; }

private:
    struct Free {
        void operator()(SSL_CTX* context) const;
    };
    void serve();
    void serve_one(int connection);
    void serve_session(SSL* session);

    Answer answer_;
    How how_;
    std::unique_ptr<SSL_CTX, Free> context_;
    Endpoint endpoint_;
    int listener_ = -1, stop_ = -1;
    std::atomic<int> queries_{0};
    std::thread thread_;
};

}  // namespace dnsdirector::probe::test
