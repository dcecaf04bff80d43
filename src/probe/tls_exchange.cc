// SPDX-License-Identifier: Apache-2.0
#include "probe/tls_exchange.h"

#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <cerrno>

namespace dnsdirector::probe {
namespace {

/// One for the process, since it is costly and never changes.
SSL_CTX* context() {
    static SSL_CTX* const made = [] {
        SSL_CTX* fresh = SSL_CTX_new(TLS_client_method());
        if (fresh == nullptr) return fresh;
        SSL_CTX_set_min_proto_version(fresh, TLS1_2_VERSION);
        SSL_CTX_set_verify(fresh, SSL_VERIFY_NONE, nullptr);
        SSL_CTX_set_session_cache_mode(fresh, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_mode(fresh, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
        return fresh;
    }();
    return made;
}

/// The oldest error of the thread's queue, which says most; then empties it.
std::string take_error() {
    const unsigned long error = ERR_get_error();
    ERR_clear_error();
    if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER)
        return "the server does not speak TLS";
    const char* reason = ERR_reason_error_string(error);
    return reason != nullptr ? reason : "protocol error";
}

}  // namespace

void TlsExchange::Free::operator()(SSL* session) const {
    SSL_free(session);
}

TlsExchange::TlsExchange(Environment& environment, std::uint64_t token)
    : TcpExchange(environment, token) {}

TlsExchange::~TlsExchange() = default;

bool TlsExchange::in_handshake() const {
    return session_ && SSL_is_init_finished(session_.get()) == 0;
}

bool TlsExchange::prepare() {
    ERR_clear_error();
    trouble_.clear();
    unsent_.clear();
    session_.reset(context() == nullptr ? nullptr : SSL_new(context()));
    if (!session_) return give_up("cannot begin TLS: " + take_error());
    // OpenSSL never sees the socket: its writes would raise SIGPIPE.
    arrived_ = BIO_new(BIO_s_mem());
    leaving_ = BIO_new(BIO_s_mem());
    if (arrived_ == nullptr || leaving_ == nullptr) {
        BIO_free(arrived_);
        BIO_free(leaving_);
        session_.reset();
        return give_up("cannot begin TLS: no memory");
    }
    BIO_set_mem_eof_return(arrived_, -1);  // empty means later, not the end
    SSL_set_bio(session_.get(), arrived_, leaving_);
    SSL_set_connect_state(session_.get());
    return true;
}

bool TlsExchange::give_up(std::string reason) {
    trouble_ = std::move(reason);
    errno = EPROTO;
    return false;
}

bool TlsExchange::flush() {
    while (true) {
        if (unsent_.empty()) {
            unsent_.resize(BIO_ctrl_pending(leaving_));
            if (unsent_.empty()) return true;
            BIO_read(leaving_, unsent_.data(), static_cast<int>(unsent_.size()));
        }
        const ssize_t sent = TcpExchange::write(unsent_);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return false;
        unsent_.erase(unsent_.begin(), unsent_.begin() + sent);
    }
}

bool TlsExchange::move_on(int result) {
    const int error = SSL_get_error(session_.get(), result);
    const bool handshake = in_handshake();
    const bool flushed = flush();  // an alert that OpenSSL answers with, too
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        return give_up(
            fmt::format("{} failed: {}", handshake ? "TLS handshake" : "TLS", take_error()));
    if (!flushed) return false;
    std::array<std::uint8_t, 4096> ciphertext;
    const ssize_t got = TcpExchange::read(ciphertext);
    if (got < 0) return errno == EINTR;
    if (got == 0) {
        if (handshake) return give_up("TLS handshake failed: connection closed");
        errno = 0;
        return false;
    }
    BIO_write(arrived_, ciphertext.data(), static_cast<int>(got));
    return true;
}

ssize_t TlsExchange::write(std::span<const std::uint8_t> bytes) {
    while (true) {
        const int written = SSL_write(session_.get(), bytes.data(), static_cast<int>(bytes.size()));
        if (written > 0) {
            // Should the socket be full, read() sends the rest before it waits.
            if (!flush() && errno != EAGAIN) return -1;
            return written;
        }
        if (!move_on(written)) return -1;
    }
}

ssize_t TlsExchange::read(std::span<std::uint8_t> into) {
    while (true) {
        const int got = SSL_read(session_.get(), into.data(), static_cast<int>(into.size()));
        if (got > 0) return got;
        if (SSL_get_error(session_.get(), got) == SSL_ERROR_ZERO_RETURN) return 0;
        if (!move_on(got)) return errno == 0 ? 0 : -1;
    }
}

Outcome TlsExchange::outcome_of_error(int error) const {
    if (trouble_.empty()) return TcpExchange::outcome_of_error(error);
    return {core::Failure::answer, trouble_, {}};
}

void TlsExchange::end() {
    // A word of parting, if there is room for it; nobody waits for the answer.
    if (active() && session_ && trouble_.empty() && !in_handshake()) {
        SSL_shutdown(session_.get());
        flush();
        ERR_clear_error();
    }
    session_.reset();
    TcpExchange::end();
}

}  // namespace dnsdirector::probe
