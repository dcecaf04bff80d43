// SPDX-License-Identifier: Apache-2.0
#include "unit/probe/tls_server.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <stdexcept>

#include "probe/socket.h"

namespace dnsdirector::probe::test {
namespace {

/// A key and a certificate that nobody else has signed.
void give_certificate(SSL_CTX* context) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME* name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    const bool made = X509_sign(certificate, key, EVP_sha256()) > 0 &&
                      SSL_CTX_use_certificate(context, certificate) == 1 &&
                      SSL_CTX_use_PrivateKey(context, key) == 1;
    X509_free(certificate);
    EVP_PKEY_free(key);
    if (!made) throw std::runtime_error("no certificate for the test server");
}

}  // namespace

void TlsServer::Free::operator()(SSL_CTX* context) const {
    SSL_CTX_free(context);
}

TlsServer::TlsServer(Answer answer, How how)
    : answer_(std::move(answer)), how_(how), context_(SSL_CTX_new(TLS_server_method())) {
    std::signal(SIGPIPE, SIG_IGN);  // this side lets OpenSSL write to the socket
    give_certificate(context_.get());
    if (how == How::speaks_tls_11) {
        SSL_CTX_set_min_proto_version(context_.get(), TLS1_1_VERSION);
        SSL_CTX_set_max_proto_version(context_.get(), TLS1_1_VERSION);
        SSL_CTX_set_cipher_list(context_.get(), "ALL:@SECLEVEL=0");
    }
    endpoint_ = {*IpAddress::parse("127.0.0.1"), 0};
    const SocketAddress where(endpoint_);
    sockaddr_in own{};
    socklen_t size = sizeof own;
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(listener_, where.get(), where.size()) != 0 || ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&own), &size) != 0)
        throw std::runtime_error("no port for a test server");
    endpoint_.port = ntohs(own.sin_port);
    stop_ = ::eventfd(0, EFD_CLOEXEC);
    thread_ = std::thread([this] { serve(); });
}

TlsServer::~TlsServer() {
    const std::uint64_t one = 1;
    if (::write(stop_, &one, sizeof one) == sizeof one) thread_.join();
    ::close(listener_);
    ::close(stop_);
}

void TlsServer::serve() {
    while (true) {
        std::array<pollfd, 2> wait{{{listener_, POLLIN, 0}, {stop_, POLLIN, 0}}};
        if (::poll(wait.data(), wait.size(), -1) < 0) continue;
        if (wait[1].revents != 0) return;
        const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (connection < 0) continue;
        const timeval limit{5, 0};
        ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        serve_one(connection);
        ::close(connection);
    }
}

void TlsServer::serve_one(int connection) {
    std::array<char, 4096> hello;
    const auto wait = [&] { return ::recv(connection, hello.data(), hello.size(), 0); };
    switch (how_) {
        case How::silent:
            while (wait() > 0) {
            }
            return;
        case How::closes: wait(); return;
        case How::resets: {
            const linger reset{1, 0};
            wait();
            ::setsockopt(connection, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            return;
        }
        case How::speaks_plain:
            wait();
            ::send(connection, "220 hello there\r\n", 17, MSG_NOSIGNAL);
            wait();
            return;
        default: break;
    }
    SSL* session = SSL_new(context_.get());
    SSL_set_fd(session, connection);
    if (SSL_accept(session) == 1) serve_session(session);
    SSL_free(session);
}

void TlsServer::serve_session(SSL* session) {
    Bytes query(4096);
    const int got = SSL_read(session, query.data(), static_cast<int>(query.size()));
    if (got <= 2) return;
    query.resize(static_cast<std::size_t>(got));
    query.erase(query.begin(), query.begin() + 2);
    ++queries_;
    if (how_ == How::hangs_up) {
        SSL_shutdown(session);
        return;
    }
    for (Bytes reply : answer_(query)) {
        reply.insert(reply.begin(), {static_cast<std::uint8_t>(reply.size() >> 8),
                                     static_cast<std::uint8_t>(reply.size())});
        const std::size_t piece = how_ == How::in_pieces ? 1 : reply.size();
        for (std::size_t at = 0; at < reply.size(); at += piece)
            SSL_write(session, reply.data() + at, static_cast<int>(piece));
    }
    // Stay until the other side is done.
    SSL_read(session, query.data(), static_cast<int>(query.size()));
}

}  // namespace dnsdirector::probe::test
