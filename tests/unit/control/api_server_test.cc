// SPDX-License-Identifier: Apache-2.0
#include "control/api_server.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <vector>

namespace dnsdirector::control {
namespace {

class ApiServerTest : public testing::Test {
protected:
    void SetUp() override {
        const auto answer = [](const ApiRequest&, const std::function<void(ApiReply)>& reply) {
            reply({200, "fine"});
        };
        const auto listening = server_.listen_unix(path_, answer);
        ASSERT_TRUE(listening) << listening.error().message;
        server_.start();
    }
    void TearDown() override {
        server_.stop();
        for (const int socket : sockets_)
            close(socket);
    }

    int connect_to_it() {
        const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockets_.push_back(socket);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
        EXPECT_EQ(connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        const timeval patience{5, 0};
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        return socket;
    }

    /// The first bytes of the answer; what cannot be sent any more does not matter.
    static std::string ask(int socket, const std::string& request) {
        for (std::size_t sent = 0; sent < request.size();) {
            const auto part =
                send(socket, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
            if (part <= 0) break;
            sent += static_cast<std::size_t>(part);
        }
        std::string reply(4096, '\0');
        const auto size = recv(socket, reply.data(), reply.size(), 0);
        reply.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
        return reply;
    }

    // Tests of one suite run side by side, each in a process of its own.
    const std::string path_ = testing::TempDir() + fmt::format("api_server_test.{}.sock", getpid());
    std::vector<int> sockets_;
    ApiServer server_;
};

const std::string request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

TEST_F(ApiServerTest, IdleConnectionsKeepNobodyOut) {
    const int first = connect_to_it();
    for (int i = 0; i < 400; ++i)
        connect_to_it();
    EXPECT_TRUE(ask(connect_to_it(), request).starts_with("HTTP/1.1 200"));
    EXPECT_EQ(ask(first, request), "") << "the idlest was closed";
}

TEST_F(ApiServerTest, NoCallIsTakenWhileItStandsStill) {
    const int caller = connect_to_it();
    const timeval moment{0, 300'000};
    server_.while_still([&] {
        setsockopt(caller, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment);
        EXPECT_EQ(ask(caller, request), "");
    });
    const timeval patience{5, 0};
    setsockopt(caller, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_TRUE(ask(caller, "").starts_with("HTTP/1.1 200"));
}

TEST_F(ApiServerTest, ARequestThatIsTooLongIsToldSo) {
    const std::string body(1'000'000, 'x');
    const std::string reply =
        ask(connect_to_it(), "POST /v1/why HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                                 std::to_string(body.size()) + "\r\n\r\n" + body);
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 413")) << reply;
    EXPECT_NE(reply.find("at most 65536 bytes"), std::string::npos) << reply;
    EXPECT_TRUE(ask(connect_to_it(), request).starts_with("HTTP/1.1 200"));
}

TEST_F(ApiServerTest, TheSocketIsForItsOwnerAndGroup) {
    struct stat found{};
    ASSERT_EQ(stat(path_.c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 07777U, 0660U);
}

}  // namespace
}  // namespace dnsdirector::control
