// SPDX-License-Identifier: Apache-2.0
//
// `realserver check`: whether a machine is the real server that the file says, piece by piece.
// What is there is read and asked first (examine()), then judged as a value (judge()).
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/finding.h"
#include "core/model.h"
#include "realserver/ask.h"
#include "realserver/journal.h"
#include "realserver/listeners.h"
#include "realserver/listing.h"
#include "realserver/machine.h"
#include "realserver/wishes.h"

namespace dnsdirector::realserver {

/// Where a DNS process has to listen.
struct Post {
    std::string process;  ///< "": the machine has no process blocks
    Endpoint at;
    Protocol protocol = Protocol::udp;

    [[nodiscard]] std::string to_string() const;  ///< "bind1, 203.0.113.11:53/udp"
    friend bool operator==(const Post&, const Post&) = default;
};
[[nodiscard]] std::vector<Post> posts_of(const core::RealServerMachine& machine);

/// How replies leave to clients that are in no nearer network.
struct Egress {
    netlink::Route route;
    std::string interface;
};

struct Examination {
    Order order;
    std::string up;  ///< the command that makes the machine what the file says
    bool privileged = true;

    Actual actual;
    Journal journal;
    std::string journal_problem;  ///< why it could not be read; "" when it could
    std::string table_problem;
    std::optional<std::vector<RuleCounter>> counters;  ///< absent: not to be read
    /// Flows to the service IPs in the machine's connection tracking; absent: not to be seen.
    std::optional<std::size_t> tracked;
    std::map<Family, Egress> egress;
    std::vector<Listener> listeners;
    std::vector<Asked> asked;

    // What follows from these, by conclude().
    Wishes wishes;   ///< for the machine as it would be without us
    Wishes lacking;  ///< for the machine as it is: settings that still do not do
};

void conclude(Examination& examination);

/// What to ask the DNS processes: the DNS questions of the block's checks, else one of ours;
/// and large_query.
[[nodiscard]] std::vector<Question> questions_of(const core::Configuration& configuration);

/// An address of this machine that a client could have: none of the service IPs, nor `target`.
[[nodiscard]] std::optional<IpAddress> client_address(const Examination& examination,
                                                      const IpAddress& target);

/// Reads and asks. Changes nothing. Blocks while a DNS process does not answer.
Result<void> examine(Examination& examination, const std::vector<Question>& questions,
                     const std::string& run_dir, Machine& machine);

/// Of one piece.
class Opinion {
public:
    Opinion(std::string_view check, core::Findings& findings)
        : check_(check), findings_(findings) {}

    void ok(std::string about, std::string text) { say(core::Level::ok, about, text, ""); }
    void unknown(std::string about, std::string text, std::string mend) {
        say(core::Level::unknown, about, text, std::move(mend));
    }
    void warn(std::string about, std::string text, std::string mend) {
        say(core::Level::warn, about, text, std::move(mend));
    }
    void fail(std::string about, std::string text, std::string mend) {
        say(core::Level::fail, about, text, std::move(mend));
    }

private:
    void say(core::Level level, std::string& about, std::string& text, std::string mend) {
        findings_.push_back(
            {level, std::string{check_}, std::move(about), std::move(text), std::move(mend)});
    }
    std::string_view check_;
    core::Findings& findings_;
};

/// One row for each piece; docs/realserver.md lists them.
struct Judge {
    std::string_view check;  ///< of its findings
    std::string_view about;
    void (*look)(const Examination& examination, Opinion& opinion);
};
[[nodiscard]] std::span<const Judge> machine_judges();      ///< judge_machine.cc
[[nodiscard]] std::span<const Judge> table_judges();        ///< judge_table.cc
[[nodiscard]] std::span<const Judge> dns_process_judges();  ///< judge_dns_processes.cc

/// All findings, in the order of the judges.
[[nodiscard]] core::Findings judge(const Examination& examination);

}  // namespace dnsdirector::realserver
