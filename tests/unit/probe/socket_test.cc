// SPDX-License-Identifier: Apache-2.0
#include "probe/socket.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace dnsdirector::probe {
namespace {

using core::Failure;

TEST(OutcomeOfErrors, RefusalsAreAnswersAtEveryStage) {
    for (const Stage stage : {Stage::own, Stage::udp, Stage::tcp})
        for (const int error : {ECONNREFUSED, ECONNRESET, EPIPE, ENOPROTOOPT})
            EXPECT_EQ(outcome_of(error, stage).failure, Failure::refused) << error;
}

TEST(OutcomeOfErrors, UnreachableMeansWhatTheStageSays) {
    for (const int error : {EHOSTUNREACH, ENETUNREACH}) {
        EXPECT_EQ(outcome_of(error, Stage::own).failure, Failure::local);
        EXPECT_EQ(outcome_of(error, Stage::udp).failure, Failure::refused);
        EXPECT_EQ(outcome_of(error, Stage::tcp).failure, Failure::silence);
    }
}

TEST(OutcomeOfErrors, WhatOurMachineObjectsToIsLocal) {
    for (const int error : {EPERM, EACCES, ENOBUFS, EINVAL}) {
        const Outcome outcome = outcome_of(error, Stage::own);
        EXPECT_EQ(outcome.failure, Failure::local);
        EXPECT_TRUE(outcome.reason.starts_with("cannot send: ")) << outcome.reason;
    }
}

TEST(Socket, CountsInTheBudgetWhileOpen) {
    SocketBudget budget{.limit = 100, .open = 0};
    {
        Socket socket(budget);
        const Path path = make_path(*Endpoint::parse("127.0.0.1:53"), std::nullopt);
        EXPECT_FALSE(socket.open(Protocol::udp, path).has_value());
        EXPECT_EQ(budget.open, 1);
        EXPECT_FALSE(socket.open(Protocol::udp, path).has_value());
        EXPECT_EQ(budget.open, 1);
    }
    EXPECT_EQ(budget.open, 0);
}

}  // namespace
}  // namespace dnsdirector::probe
