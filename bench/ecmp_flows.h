// SPDX-License-Identifier: Apache-2.0
//
// TCP flows behind several directors: which server each director has for a flow,
// and which flows break when the routers (ecmp.h) hand them to another one. By
// the director's own tables (core/table.h) and its own hash (bpf/hash.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ecmp.h"

namespace dnsdirector::ecmp {

/// A server, by its number from 0. Short, so that tables stay in the cache.
using Server = std::uint16_t;
using Servers = std::vector<Server>;

/// How a director chooses the server of a new flow; all but `maglev` are yardsticks.
enum class Choosing : std::uint8_t {
    maglev,  ///< as dnsdirector does
    modulo,  ///< hash modulo the number of servers, on each director alike
    own,     ///< each director by itself, as IPVS by wrr without connection synchronisation
};
[[nodiscard]] const char* name(Choosing choosing);

/// A director's table over the servers that get work.
class Table {
public:
    Table(Choosing choosing, const Servers& servers);
    [[nodiscard]] Server of(std::uint32_t hash, Member director) const;

private:
    Choosing choosing_;
    Servers slots_;
};

struct Flow {
    std::uint32_t router_hash;    ///< what the router goes by
    std::uint32_t director_hash;  ///< flow_hash4() of the same addresses and ports
};
/// Random clients, the same for the same seed.
[[nodiscard]] std::vector<Flow> random_flows(std::size_t count, std::uint64_t seed);

/// What the directors have been through since the flows opened.
struct Past {
    std::string name;
    Servers before;                ///< got work before the last change
    Servers now;                   ///< get work
    Servers dead = {};             ///< their flows are lost with them
    bool within_a_minute = false;  ///< of the change: the table before is still asked
    bool opened_since = false;     ///< the flows are younger than the change, else older
    /// Gets no work from every second director, which cannot reach it.
    std::optional<Server> unseen = {};
};
/// All the pasts that are simulated, for so many servers (10 or more).
[[nodiscard]] std::vector<Past> pasts(std::uint32_t servers);

/// What a director does with a flow's packet (bpf/flow.h).
class Directors {
public:
    Directors(Choosing choosing, const Past& past);

    /// The server of a packet, not a SYN, of a flow that `director` does not remember. `fresh`: it
    /// has just started, and knows no table before.
    [[nodiscard]] Server takes(const Flow& flow, Member director, bool fresh) const;
    /// Where the flow was opened by way of `director`.
    [[nodiscard]] Server home(const Flow& flow, Member director) const;
    [[nodiscard]] bool any_dead() const { return !dead_.empty(); }
    [[nodiscard]] bool is_dead(Server server) const {
        return server < dead_.size() && dead_[server];
    }

private:
    [[nodiscard]] const Table& view(const std::vector<Table>& tables, Member director) const;

    std::vector<Table> before_;  ///< of all; or of those who see all, and of the others
    std::vector<Table> now_;
    std::vector<bool> dead_;
    bool within_a_minute_;
    bool opened_since_;
};

enum class Event : std::uint8_t {
    leave,  ///< a director dies; the routers notice after a while
    join,   ///< one is added, which has just started
    drain,  ///< its MED is raised while it forwards on, then its routes are withdrawn
    flap,   ///< its link or session goes and comes back, it keeps its memory
};
inline constexpr Event events[] = {Event::leave, Event::join, Event::drain, Event::flap};
[[nodiscard]] const char* name(Event event);

/// Which director the router gives each flow to, moment by moment.
struct Ways {
    struct Share {
        double least;  ///< of a member, over an even one
        double most;
    };
    std::vector<std::vector<Member>> moments;  ///< of each flow in the order of the flows
    std::vector<Share> shares;                 ///< of each moment
    std::vector<std::size_t> moved;            ///< flows that are not always at one director
    std::optional<Member> fresh;               ///< who joined
    std::size_t cut_off = 0;  ///< flows that go to a director that is gone, until that is noticed
};
/// `at`: the rank, from 0, of the director that leaves, or before which one joins.
[[nodiscard]] Ways ways(const std::vector<Flow>& flows, Hashing hashing, std::uint32_t directors,
                        Event event, std::uint32_t at);

struct Outcome {
    std::size_t living = 0;  ///< flows whose server lives
    std::size_t broken = 0;  ///< of them: a packet came to another server, which resets it
};
[[nodiscard]] Outcome outcome(const std::vector<Flow>& flows, const Ways& ways,
                              const Directors& directors);

}  // namespace dnsdirector::ecmp
