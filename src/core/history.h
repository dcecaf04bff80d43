// SPDX-License-Identifier: Apache-2.0
//
// What was, for `why`: the last verdicts of a check, and the last decisions
// about a server in a service. Values of bounded size that read no clock: with
// ten thousand checks all of it together stays within a few megabytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "core/desired.h"
#include "core/health.h"

namespace dnsdirector::core {

// ---- verdicts ---------------------------------------------------------------

/// A verdict as far as it is remembered.
struct PastVerdict {
    WallTime at;  ///< to the millisecond
    Failure failure = Failure::none;
    Microseconds rtt{0};  ///< at most 16.7 s; 0 when there was no reply
    /// "" of a pass, and of an old failure whose words gave way to later ones.
    std::string reason;
    std::shared_ptr<const std::vector<std::uint8_t>> reply;  ///< of the last few failures
};

/// The last verdicts of one check: eight bytes each, the words of failures once
/// for all that share them, the replies of the last failures only.
class CheckHistory {
public:
    static constexpr std::size_t max_verdicts = 50;
    static constexpr std::size_t max_reasons = 8;          ///< different ones
    static constexpr std::size_t max_reason_length = 240;  ///< bytes
    static constexpr std::size_t max_replies = 3;
    static constexpr std::size_t max_reply_bytes = 4096;  ///< all replies together

    void add(const Verdict& verdict);

    /// Oldest first.
    [[nodiscard]] std::vector<PastVerdict> list() const;
    [[nodiscard]] std::size_t size() const { return entries_.size(); }
    /// What it takes on the heap, for tests and the benchmark.
    [[nodiscard]] std::size_t bytes() const;

private:
    struct Entry {
        std::int32_t after_ms;  ///< since the verdict before it
        std::uint32_t rtt_us : 24;
        std::uint32_t failure : 3;
        std::uint32_t reason : 5;  ///< position in reasons_, or one of the words below
    };
    static_assert(sizeof(Entry) == 8);
    static constexpr std::uint32_t no_reason = 31;

    struct Reply {
        std::uint64_t number;  ///< of the verdict, counted from the first
        std::shared_ptr<const std::vector<std::uint8_t>> message;
    };

    [[nodiscard]] std::uint32_t slot_of(std::string_view reason);
    void keep_reply(const Verdict& verdict);

    std::vector<Entry> entries_;  ///< a ring once it is full
    std::vector<std::string> reasons_;
    std::vector<Reply> replies_;  ///< oldest first
    std::uint64_t added_ = 0;
    std::int64_t newest_ms_ = 0;  ///< of calendar time
};

// ---- decisions ----------------------------------------------------------------

/// The rule that says where a server stands in a service.
enum class Rule : std::uint8_t {
    no_checks,      ///< nothing is asked of it: always well
    rise,           ///< up after `rise` passes in a row
    adopted,        ///< up without a verdict: the kernel forwarded to it already
    untested_in,    ///< not judged yet, in until a verdict says otherwise
    waiting,        ///< not judged yet, out until `rise` passes
    first_failure,  ///< its first verdict took it down
    fall,           ///< `fall` failures in a row
    refusal,        ///< one refusal
    drain,          ///< the operator's word
    weight_zero,    ///< configured so, or its checks say so
    check_weight,   ///< misc_dynamic or FILE_CHECK make its weight another one
    sorry_server,   ///< the quorum is not met, and the sorry server has all the work
    max_out,        ///< down, and held
    on_all_down,    ///< down, and held since nobody is up
    unreachable,    ///< no way to hand packets to it
    slow_start,     ///< it came back and gets its weight step by step
    repair,         ///< somebody else had changed the kernel
};
/// "rise", "max_out", "slow_start", …: for programs.
[[nodiscard]] std::string_view to_string(Rule rule);

/// The rule behind a decision. `check`: the one that decided, where one did.
struct ActingRule {
    Rule rule = Rule::no_checks;
    std::optional<CheckIndex> check;
};
[[nodiscard]] ActingRule acting_rule(
    const RealServer& server, const ServerDecision& decision,
    const std::function<const CheckState&(CheckIndex)>& check_state);

/// The checks that are not up and keep their server from being up, in its order:
/// not those of a range of which enough others are up (RealServer::some_of).
[[nodiscard]] std::vector<CheckIndex> checks_in_the_way(
    const RealServer& server, const std::function<const CheckState&(CheckIndex)>& check_state);

struct PastDecision {
    WallTime at;
    Rule rule = Rule::no_checks;
    ServerState state = ServerState::unknown;
    Weight effective_weight = 0;
    std::string reason;    ///< as ServerDecision's
    std::string written;   ///< core::describe of what the kernel was told; "" nothing
    bool refused = false;  ///< the data plane did not take it
};

/// The last decisions about one server in one service that changed something.
class ServerHistory {
public:
    static constexpr std::size_t max_decisions = 6;

    /// A step of slow start takes the place of the one before and its time; so
    /// does another try of what was refused. What says nothing new is left out.
    void add(PastDecision decision);
    /// Oldest first.
    [[nodiscard]] const std::vector<PastDecision>& list() const { return decisions_; }

private:
    std::vector<PastDecision> decisions_;
};

/// Whether people would call it another decision.
[[nodiscard]] bool differs(const ServerDecision& before, const ServerDecision& after);

}  // namespace dnsdirector::core
