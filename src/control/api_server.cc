// SPDX-License-Identifier: Apache-2.0
#include "control/api_server.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <future>
#include <optional>
#include <set>
#include <thread>

namespace dnsdirector::control {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::size_t max_body = std::size_t{64} * 1024;
constexpr std::size_t max_sessions = 128;
constexpr std::chrono::seconds stop_limit{2};
constexpr std::chrono::seconds still_limit{1};
constexpr std::chrono::milliseconds accept_pause{100};
constexpr std::chrono::seconds request_limit{10};  // to read one request, or to wait for its reply

/// One connection, any number of requests; closed, it lives until its last call returned.
template <typename Socket>
class Session : public std::enable_shared_from_this<Session<Socket>> {
public:
    using Open = std::set<Session*>;

    Session(Socket socket, ApiHandler handler, std::shared_ptr<Open> open)
        : socket_(std::move(socket)),
          timer_(socket_.get_executor()),
          handler_(std::move(handler)),
          open_(std::move(open)) {
        open_->insert(this);
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() { open_->erase(this); }

    void read() {
        reading_since_ = std::chrono::steady_clock::now();
        parser_.emplace();
        parser_->body_limit(max_body);
        limit();
        http::async_read(socket_, buffer_, *parser_,
                         [self = this->shared_from_this()](error_code error, std::size_t) {
                             self->reading_since_.reset();
                             if (!error)
                                 self->handle();
                             else if (error == http::error::body_limit)
                                 self->refuse();
                             else
                                 self->close();
                         });
    }

    /// Since when it waits for its peer's request; nothing while it works for it.
    [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> reading_since() const {
        return reading_since_;
    }

    void close() {
        timer_.cancel();
        reading_since_.reset();
        error_code ignored;
        socket_.close(ignored);
    }

private:
    /// A peer that dawdles is cut off.
    void limit() {
        timer_.expires_after(request_limit);
        timer_.async_wait([self = this->shared_from_this()](error_code error) {
            if (!error) self->close();
        });
    }

    void refuse() {
        too_long_ = true;
        write({413, fmt::format(R"({{"errors": ["a request has at most {} bytes"]}})", max_body)});
    }

    void handle() {
        const auto& request = parser_->get();
        ApiRequest call{std::string(request.method_string()), std::string(request.target()),
                        request.body()};
        limit();
        auto self = this->shared_from_this();
        handler_(std::move(call), [self](ApiReply reply) {
            asio::post(self->socket_.get_executor(), [self, reply = std::move(reply)]() mutable {
                self->write(std::move(reply));
            });
        });
    }

    void write(ApiReply reply) {
        if (!socket_.is_open()) return;
        response_ = {};
        response_.result(static_cast<unsigned>(reply.status));
        response_.version(parser_->get().version());
        response_.keep_alive(!too_long_ && parser_->get().keep_alive());
        response_.set(http::field::content_type, reply.content_type);
        response_.body() = reply.render ? reply.render() : std::move(reply.body);
        response_.prepare_payload();
        limit();
        http::async_write(socket_, response_,
                          [self = this->shared_from_this()](error_code error, std::size_t) {
                              if (!error && self->response_.keep_alive())
                                  self->read();
                              else
                                  self->close();
                          });
    }

    Socket socket_;
    asio::steady_timer timer_;
    ApiHandler handler_;
    std::shared_ptr<Open> open_;  ///< all of its listener; only the API's thread uses it
    std::optional<std::chrono::steady_clock::time_point> reading_since_;
    bool too_long_ = false;
    boost::beast::flat_buffer buffer_;
    std::optional<http::request_parser<http::string_body>> parser_;
    http::response<http::string_body> response_;
};

/// SO_PEERCRED: root, or whoever runs the director.
bool permitted(int descriptor) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
    return peer.uid == 0 || peer.uid == geteuid() || peer.gid == getegid();
}

template <typename Protocol>
class Listener : public std::enable_shared_from_this<Listener<Protocol>> {
public:
    Listener(asio::io_context& io, ApiHandler handler)
        : acceptor(io), pause_(io), handler_(std::move(handler)) {}

    void accept() {
        acceptor.async_accept([self = this->shared_from_this()](error_code error, auto socket) {
            if (error == asio::error::operation_aborted) return;
            if (!error) {
                self->serve(std::move(socket));
                return self->accept();
            }
            // No descriptors left, say: not again at once.
            self->pause_.expires_after(accept_pause);
            self->pause_.async_wait([self](error_code) { self->accept(); });
        });
    }

    typename Protocol::acceptor acceptor;

private:
    using OneSession = Session<typename Protocol::socket>;

    void serve(typename Protocol::socket socket) {
        if constexpr (std::is_same_v<Protocol, asio::local::stream_protocol>)
            if (!permitted(socket.native_handle())) return;
        if (open_->size() >= max_sessions) close_the_idlest();
        if (open_->size() >= 2 * max_sessions) return;
        std::make_shared<OneSession>(std::move(socket), handler_, open_)->read();
    }

    /// Connections that ask nothing must not keep others out.
    void close_the_idlest() {
        OneSession* idlest = nullptr;
        for (OneSession* session : *open_)
            if (session->reading_since() &&
                (idlest == nullptr || *session->reading_since() < *idlest->reading_since()))
                idlest = session;
        if (idlest != nullptr) idlest->close();
    }

    asio::steady_timer pause_;
    ApiHandler handler_;
    std::shared_ptr<typename OneSession::Open> open_ =
        std::make_shared<typename OneSession::Open>();
};

template <typename Protocol>
Result<std::shared_ptr<Listener<Protocol>>> open_listener(asio::io_context& io,
                                                          const typename Protocol::endpoint& where,
                                                          const std::string& name,
                                                          ApiHandler handler) {
    auto listener = std::make_shared<Listener<Protocol>>(io, std::move(handler));
    error_code error;
    listener->acceptor.open(where.protocol(), error);
    if (!error) listener->acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) listener->acceptor.bind(where, error);
    if (!error) listener->acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return fail("cannot listen on {}: {}", name, error.message());
    return listener;
}

}  // namespace

struct ApiServer::Impl {
    asio::io_context io{1};
    asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(io);
    std::shared_ptr<Listener<asio::local::stream_protocol>> unix_listener;
    std::shared_ptr<Listener<asio::ip::tcp>> tcp_listener;
    std::string socket_path;
    ApiHandler socket_handler;
    std::promise<void> ended;
    std::thread thread;

    void run() {
        for (;;)
            try {
                io.run();
                break;
            } catch (const std::exception& error) {
                spdlog::error("the API dropped a request: {}", error.what());
            }
        ended.set_value();
    }
};

ApiServer::ApiServer() : impl_(std::make_unique<Impl>()) {}
ApiServer::~ApiServer() {
    stop();
}

Result<void> ApiServer::listen_unix(const std::string& path, ApiHandler handler) {
    if (path.size() >= sizeof(sockaddr_un::sun_path))
        return fail("{}: too long for a Unix socket (at most {} bytes); choose a shorter --run-dir",
                    path, sizeof(sockaddr_un::sun_path) - 1);
    unlink(path.c_str());
    const mode_t before = umask(0117);
    auto listener = open_listener<asio::local::stream_protocol>(
        impl_->io, asio::local::stream_protocol::endpoint(path), path, handler);
    umask(before);
    if (!listener) return tl::unexpected(listener.error());
    impl_->unix_listener = std::move(*listener);
    impl_->socket_path = path;
    impl_->socket_handler = std::move(handler);
    return {};
}

Result<void> ApiServer::listen_tcp(const Endpoint& endpoint, ApiHandler handler) {
    const auto address = asio::ip::make_address(endpoint.address.to_string());
    auto listener =
        open_listener<asio::ip::tcp>(impl_->io, asio::ip::tcp::endpoint(address, endpoint.port),
                                     "http " + endpoint.to_string(), std::move(handler));
    if (!listener) return tl::unexpected(listener.error());
    impl_->tcp_listener = std::move(*listener);
    return {};
}

void ApiServer::start() {
    if (impl_->unix_listener) impl_->unix_listener->accept();
    if (impl_->tcp_listener) impl_->tcp_listener->accept();
    impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

void ApiServer::post(std::function<void()> work) {
    asio::post(impl_->io, std::move(work));
}

void ApiServer::while_still(const std::function<void()>& work) {
    if (!impl_->thread.joinable()) return work();
    struct Pause {
        std::promise<void> begun, over;
    };
    const auto pause = std::make_shared<Pause>();
    asio::post(impl_->io, [pause] {
        pause->begun.set_value();
        pause->over.get_future().wait();
    });
    (void)pause->begun.get_future().wait_for(still_limit);  // else it parses a large file
    work();
    pause->over.set_value();
}

void ApiServer::restore_unix() {
    if (impl_->socket_path.empty() || access(impl_->socket_path.c_str(), F_OK) == 0) return;
    asio::post(impl_->io, [this] {
        const auto old = impl_->unix_listener;
        if (auto listening = listen_unix(impl_->socket_path, impl_->socket_handler); !listening) {
            spdlog::error("{}", listening.error().message);
            return;
        }
        error_code ignored;
        ignored = old->acceptor.close(ignored);
        impl_->unix_listener->accept();
        spdlog::warn("{} was removed; listening there again", impl_->socket_path);
    });
}

void ApiServer::stop() {
    if (!impl_) return;
    if (!impl_->socket_path.empty()) unlink(impl_->socket_path.c_str());
    impl_->socket_path.clear();
    if (!impl_->thread.joinable()) return;
    impl_->io.stop();
    if (impl_->ended.get_future().wait_for(stop_limit) == std::future_status::ready) {
        impl_->thread.join();
        return;
    }
    // It hangs in a file system, reading a configuration: not a reason to keep
    // forwarding. The thread goes with the process, and needs its data until then.
    impl_->thread.detach();
    [[maybe_unused]] const Impl* kept = impl_.release();
}

}  // namespace dnsdirector::control
