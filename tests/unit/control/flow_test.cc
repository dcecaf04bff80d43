// SPDX-License-Identifier: Apache-2.0
#include "control/flow.h"

#include <gtest/gtest.h>

#include "dataplane/none/none.h"

namespace dnsdirector::control {
namespace {

using By = dataplane::Choice::By;

TEST(ParseFlow, takes_both_families_with_and_without_port_and_protocol) {
    const auto full = parse_flow("198.51.100.10:4242", "192.0.2.53:5353/tcp");
    ASSERT_TRUE(full.has_value());
    EXPECT_EQ(full->client, *Endpoint::parse("198.51.100.10:4242"));
    EXPECT_EQ(full->port, 5353);
    EXPECT_EQ(full->protocol, Protocol::tcp);
    const auto bare = parse_flow("[2001:db8::7]:9", "2001:db8::53/udp");
    ASSERT_TRUE(bare.has_value());
    EXPECT_EQ(bare->service, *IpAddress::parse("2001:db8::53"));
    EXPECT_FALSE(bare->port.has_value());
    EXPECT_EQ(bare->protocol, Protocol::udp);
    EXPECT_FALSE(parse_flow("198.51.100.10:1", "192.0.2.53")->protocol.has_value());
}

TEST(ParseFlow, says_what_would_be_right) {
    for (const auto& [client, service] : {std::pair{"198.51.100.10", "192.0.2.53"},
                                          {"ns1", "192.0.2.53"},
                                          {"198.51.100.10:4242", "resolvers"},
                                          {"198.51.100.10:4242", "192.0.2.53:53/sctp"},
                                          {"198.51.100.10:4242", "2001:db8::53"}}) {
        const auto flow = parse_flow(client, service);
        ASSERT_FALSE(flow.has_value()) << client << " " << service;
        EXPECT_FALSE(flow.error().message.empty());
    }
}

FlowAnswer answer(By by) {
    dataplane::Choice choice;
    choice.by = by;
    choice.slots = 3;
    choice.shares = {{*Endpoint::parse("203.0.113.11:53"), 2},
                     {*Endpoint::parse("203.0.113.12:53"), 1}};
    if (by == By::flow_hash || by == By::source_hash) choice.server = choice.shares[1].server;
    return {{*Endpoint::parse("198.51.100.10:4242"),
             {*IpAddress::parse("192.0.2.53"), 53, Protocol::udp}},
            "resolvers",
            core::Scheduler::wrr,
            choice,
            {"ns1", "ns2"},
            {}};
}

TEST(FollowFlow, says_whose_turn_it_is_or_where_the_hash_leads) {
    EXPECT_EQ(sentence_of(answer(By::rotation)),
              "198.51.100.10:4242 to 192.0.2.53:53/udp: every packet anew, by turns (wrr): ns1 "
              "203.0.113.11:53 66.7%, ns2 203.0.113.12:53 33.3%");
    EXPECT_NE(sentence_of(answer(By::flow_hash))
                  .find("goes to ns2 203.0.113.12:53: the hash of "
                        "addresses and ports is slot 0 of 3"),
              std::string::npos);
    EXPECT_NE(sentence_of(answer(By::source_hash)).find("the client's address"), std::string::npos);
    EXPECT_NE(sentence_of(answer(By::nobody)).find("no_server"), std::string::npos);
    FlowAnswer kept = answer(By::remembered);
    kept.choice->server = kept.choice->shares[0].server;
    EXPECT_EQ(sentence_of(kept),
              "198.51.100.10:4242 to 192.0.2.53:53/udp goes to ns1 203.0.113.11:53: this flow is "
              "remembered with it; a new one would find no server");
    kept.choice->by_table = kept.choice->shares[1].server;
    EXPECT_NE(sentence_of(kept).find("a new one would go to ns2 203.0.113.12:53"),
              std::string::npos);
    kept.choice->by = By::previous;
    EXPECT_NE(sentence_of(kept).find("goes to ns1 203.0.113.11:53: the table changed"),
              std::string::npos);
}

TEST(FollowFlow, an_address_that_is_no_service_and_a_plane_that_forwards_nothing_are_told) {
    core::Configuration configuration;
    core::Service service;
    service.key = {*IpAddress::parse("192.0.2.53"), 53, Protocol::udp};
    configuration.services.push_back(service);
    const auto plane = dataplane::make_none();
    const auto answers =
        follow_flow(configuration, *plane, *parse_flow("198.51.100.10:1", "192.0.2.53:54"));
    ASSERT_EQ(answers.size(), 1U);
    EXPECT_EQ(answers[0].elsewhere, std::vector<std::string>{"192.0.2.53:53/udp"});
    EXPECT_EQ(answers[0].choice->by, By::not_a_service);
    ASSERT_TRUE(plane->apply(std::vector<core::Change>{core::AddService{service.key, {}, {}}}));
    const auto forwarded =
        follow_flow(configuration, *plane, *parse_flow("198.51.100.10:1", "192.0.2.53:53/udp"));
    ASSERT_EQ(forwarded.size(), 1U);
    EXPECT_NE(sentence_of(forwarded[0]).find("forwards nothing"), std::string::npos);
    FlowAnswer unknown = answer(By::not_a_service);
    unknown.elsewhere = answers[0].elsewhere;
    EXPECT_NE(sentence_of(unknown).find("not a service here, so it passes to the local stack; "
                                        "services on this address: 192.0.2.53:53/udp"),
              std::string::npos);
}

}  // namespace
}  // namespace dnsdirector::control
