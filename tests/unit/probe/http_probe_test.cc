// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mutex>
#include <stdexcept>
#include <thread>

#include "probe/http_probe.h"
#include "unit/probe/checks.h"
#include "unit/probe/drive.h"

namespace dnsdirector::probe {
namespace {

using core::Failure;
using test::check_of;
using test::Recorder;

/// What a server over TCP says to a query in DNS's framing does not fit HTTP:
/// a small one that sends these bytes to each connection, in order.
class Web {
public:
    explicit Web(std::vector<std::string> replies, bool close_after = true)
        : replies_(std::move(replies)), close_after_(close_after) {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in where{};
        where.sin_family = AF_INET;
        where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof where;
        auto* address = reinterpret_cast<sockaddr*>(&where);
        if (::bind(listener_, address, size) != 0 || ::listen(listener_, 16) != 0 ||
            ::getsockname(listener_, address, &size) != 0)
            throw std::runtime_error("no port for a test server");
        endpoint_ = {*IpAddress::parse("127.0.0.1"), ntohs(where.sin_port)};
        thread_ = std::thread([this] { serve(); });
    }
    ~Web() {
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        for (const int connection : open_)
            ::close(connection);
        ::close(listener_);
    }
    Web(const Web&) = delete;
    Web& operator=(const Web&) = delete;

    [[nodiscard]] Endpoint endpoint() const { return endpoint_; }
    /// Of a finished exchange.
    [[nodiscard]] std::string request(std::size_t index) {
        const std::lock_guard lock(mutex_);
        return index < requests_.size() ? requests_[index] : "";
    }

private:
    void serve() {
        for (const std::string& reply : replies_) {
            const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (connection < 0) return;
            std::string request(4096, '\0');
            const ssize_t got = ::recv(connection, request.data(), request.size(), 0);
            request.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
            {
                const std::lock_guard lock(mutex_);
                requests_.push_back(request);
            }
            ::send(connection, reply.data(), reply.size(), MSG_NOSIGNAL);
            if (close_after_)
                ::close(connection);
            else
                open_.push_back(connection);
        }
    }

    std::vector<std::string> replies_;
    bool close_after_;
    int listener_ = -1;
    Endpoint endpoint_;
    std::mutex mutex_;
    std::vector<std::string> requests_;
    std::vector<int> open_;
    std::thread thread_;
};

core::HttpCheck get(std::vector<core::HttpCheck::Url> urls = {{"/", "", {}}}) {
    return {{}, std::move(urls)};
}

constexpr const char* ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
constexpr const char* unavailable = "HTTP/1.1 503 Service Unavailable\r\n\r\nsorry";

TEST(HttpProbe, PassesByTheStatusAlone) {
    Recorder recorder;
    Web web({ok});
    const core::Verdict verdict = recorder.ask(
        check_of(web.endpoint(), get({{"/health?full=1", "dns.example.com", {{200, 200}}}})));
    EXPECT_EQ(verdict.failure, Failure::none) << verdict.reason;
    EXPECT_GT(verdict.rtt.count(), 0);
    EXPECT_TRUE(
        web.request(0).starts_with("GET /health?full=1 HTTP/1.1\r\nHost: dns.example.com\r\n"))
        << web.request(0);
    EXPECT_NE(web.request(0).find("\r\nConnection: close\r\n"), std::string::npos);
    EXPECT_TRUE(web.request(0).ends_with("\r\n\r\n"));
}

TEST(HttpProbe, NamesTheStatusAndTheOnesExpected) {
    Recorder recorder;
    Web web({unavailable, unavailable, unavailable});
    core::Check check = check_of(web.endpoint(), get({{"/", "", {{200, 200}}}}));
    const core::Verdict verdict = recorder.ask(check);
    EXPECT_EQ(verdict.failure, Failure::answer);
    EXPECT_EQ(verdict.reason, "status 503, expected 200");
    check.what = get();
    EXPECT_EQ(recorder.ask(check).reason, "status 503, expected 200 to 299");
    check.what = get({{"/", "", {{200, 204}, {301, 301}, {500, 599}}}});
    EXPECT_TRUE(recorder.ask(check).passed());
}

TEST(HttpProbe, AsksEveryUrlInItsOrderAndNamesTheOneThatFails) {
    Recorder recorder;
    Web web({ok, ok, unavailable, ok});
    const core::Verdict verdict = recorder.ask(check_of(
        web.endpoint(), get({{"/a", "", {}}, {"/b", "", {}}, {"/c", "", {}}, {"/d", "", {}}})));
    EXPECT_EQ(verdict.reason, "/c: status 503, expected 200 to 299");
    EXPECT_TRUE(web.request(0).starts_with("GET /a "));
    EXPECT_TRUE(web.request(1).starts_with("GET /b "));
    EXPECT_EQ(web.request(3), "");
}

TEST(HttpProbe, ATimeoutIsFollowedByTheNextTry) {
    Recorder recorder;
    Web web({"", ok}, false);
    EXPECT_TRUE(recorder.ask(check_of(web.endpoint(), get(), Milliseconds{1000}, 2)).passed());
    Web silent({"", ""}, false);
    const core::Verdict verdict =
        recorder.ask(check_of(silent.endpoint(), get(), Milliseconds{100}, 2));
    EXPECT_EQ(verdict.failure, Failure::silence);
    EXPECT_EQ(verdict.reason, "timeout");
}

TEST(HttpProbe, WhatIsNotHttpFailsWithoutWaitingForMore) {
    Recorder recorder;
    struct Case {
        std::string reply;
        const char* reason;
    };
    const Case cases[] = {
        {"", "connection closed without an answer"},
        {"HTTP/1.1 20", "connection closed in the middle of the status"},
        {"SSH-2.0-OpenSSH\r\n", "malformed reply: not HTTP"},
        {std::string(100000, 'x'), "malformed reply: not HTTP"},
        {"HTTP/1.1 200OK\r\n\r\n", "malformed reply: not HTTP"},
    };
    for (const Case& one : cases) {
        Web web({one.reply});
        const core::Verdict verdict = recorder.ask(check_of(web.endpoint(), get(), Seconds{3}));
        EXPECT_EQ(verdict.failure, Failure::answer);
        EXPECT_EQ(verdict.reason, one.reason);
    }
}

TEST(HttpStatusLine, IsReadStrictlyAndInterimRepliesAreSkipped) {
    using State = HttpStatus::State;
    const auto state = [](std::string_view text) { return find_http_status(text).state; };
    EXPECT_EQ(find_http_status("HTTP/1.0 404 Not Found\r\n").status, 404U);
    EXPECT_EQ(find_http_status("HTTP/1.1 200\r\n").status, 200U);
    EXPECT_EQ(find_http_status("HTTP/1.1 200 \n").status, 200U);
    EXPECT_EQ(find_http_status("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 503 No\r\n")
                  .status,
              503U);
    for (const char* incomplete : {"", "HT", "HTTP/1.1 200 OK", "HTTP/1.1 100 Continue\r\n"})
        EXPECT_EQ(state(incomplete), State::incomplete) << incomplete;
    for (const char* malformed :
         {"HTTP/2 200 OK\r\n", "http/1.1 200 OK\r\n", "HTTP/1.1  200 OK\r\n", "HTTP/1.1 20 OK\r\n",
          "HTTP/1.1 2000 OK\r\n", "HTTP/1.1 -20 OK\r\n", "HTTP/1.1 099 OK\r\n",
          "HTTP/1.x 200 OK\r\n", "\r\n", "HTTQ"})
        EXPECT_EQ(state(malformed), State::malformed) << malformed;
    EXPECT_EQ(state("HTTP/1.1 200 " + std::string(9000, 'a')), State::malformed);
    EXPECT_EQ(state("HTTP/1.1 100 Continue\r\n" + std::string(9000, 'a')), State::malformed);
    std::string interim;
    while (interim.size() <= 8192)
        interim += "HTTP/1.1 100 Continue\r\n\r\n";
    EXPECT_EQ(state(interim), State::malformed) << "a server that only ever announces";
}

TEST(HttpRequest, NamesTheTargetWhereThereIsNoVirtualHost) {
    const auto host = [](const char* address, std::uint16_t port) {
        const std::string request = http_request({"/", "", {}}, {*IpAddress::parse(address), port});
        const std::size_t at = request.find("Host: ") + 6;
        return request.substr(at, request.find('\r', at) - at);
    };
    EXPECT_EQ(host("203.0.113.11", 80), "203.0.113.11");
    EXPECT_EQ(host("203.0.113.11", 8080), "203.0.113.11:8080");
    EXPECT_EQ(host("2001:db8::11", 80), "[2001:db8::11]");
    EXPECT_EQ(host("2001:db8::11", 8080), "[2001:db8::11]:8080");
}

}  // namespace
}  // namespace dnsdirector::probe
