// SPDX-License-Identifier: Apache-2.0
#include "control/api.h"

#include <gtest/gtest.h>

namespace dnsdirector::control {
namespace {

/// A director with no services, whose commands all fail.
class NoDirector final : public Commands {
public:
    Snapshot snapshot() override { throw std::bad_alloc(); }
    [[nodiscard]] const std::string& config_path() const override { return path_; }
    Result<std::vector<std::string>> reload(config::Loaded) override { return refused(); }
    Result<std::vector<std::string>> plan(const config::Loaded&) override { return refused(); }
    Result<Drained> drain(const Target& target, bool) override {
        return tl::unexpected(Error{unknown_target(target)});
    }
    Result<Drained> drain_all(bool) override { return Drained{}; }
    std::map<IpAddress, core::AnnouncementState> announced() override {
        return {{*IpAddress::parse("192.0.2.53"), core::AnnouncementState::degraded}};
    }
    Result<std::string> withdraw(const IpAddress&, bool) override {
        return tl::unexpected(Error{"refused"});
    }
    Result<Standings> why(const Target& target) override {
        return tl::unexpected(Error{unknown_target(target)});
    }
    std::vector<FlowAnswer> follow(const FlowQuestion&) override { throw std::bad_alloc(); }

private:
    static tl::unexpected<Error> refused() { return tl::unexpected(Error{"refused"}); }
    std::string path_ = "/nonexistent/dnsdirector.conf";
};

ApiReply ask(const std::string& method, const std::string& path, const std::string& body = "") {
    NoDirector director;
    ApiReply answer;
    command_handler(director, [](const std::function<void()>& work) { work(); })(
        {method, path, body}, [&answer](ApiReply reply) { answer = std::move(reply); });
    return answer;
}

TEST(Api, SaysHowEachServiceIpIsAnnounced) {
    EXPECT_EQ(ask("GET", "/v1/announced").body, "{\"192.0.2.53\":\"degraded\"}");
}

TEST(Api, WantsAServiceIpThatIsAnAddress) {
    for (const char* body :
         {"", "{}", "{\"service_ip\": 7}", "{\"service_ip\": \"192.0.2.53:53\"}"})
        for (const char* path : {"/v1/withdraw", "/v1/announce"})
            EXPECT_EQ(ask("POST", path, body).status, 400) << body;
    EXPECT_EQ(ask("POST", "/v1/withdraw", "{\"service_ip\": \"192.0.2.53\"}").status, 404);
}

TEST(Api, AnswersBytesThatAreNoTextWithAnError) {
    EXPECT_EQ(ask("GET", "/\xff").status, 404);
    EXPECT_EQ(ask("POST", "/v1/drain", "{\"target\": \"\xff\"}").status, 400);
    EXPECT_EQ(ask("POST", "/v1/plan", "{\"path\": \"/no/such\\u0000\\ud800\"}").status, 400);
    EXPECT_EQ(ask("POST", "/v1/drain", "").status, 400);
    EXPECT_EQ(ask("POST", "/v1/drain", "[{}]").status, 400);
}

TEST(Api, AnUnknownTargetIsNotFound) {
    const ApiReply reply = ask("POST", "/v1/drain", R"({"target": "ns1"})");
    EXPECT_EQ(reply.status, 404);
    EXPECT_NE(reply.body.find("ns1"), std::string::npos);
    EXPECT_EQ(ask("POST", "/v1/why", R"({"target": "ns1"})").status, 404);
}

TEST(Api, ABrokenFileIsRefusedWithItsMessages) {
    const ApiReply reply = ask("POST", "/v1/reload");
    EXPECT_EQ(reply.status, 409);
    EXPECT_NE(reply.body.find("/nonexistent/dnsdirector.conf"), std::string::npos);
}

TEST(Api, AnExceptionIsAReplyNotTheEnd) {
    EXPECT_EQ(ask("GET", "/v1/status").status, 500);
}

}  // namespace
}  // namespace dnsdirector::control
