// SPDX-License-Identifier: Apache-2.0
#include "ecmp_flows.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <random>

#include "core/table.h"
#include "hash.h"

namespace dnsdirector::ecmp {
namespace {

namespace abi = dnsdirector::dataplane::xdp::abi;

constexpr std::uint32_t service_address = 0x350200c0;  // 192.0.2.53, as the program sees it
constexpr std::uint32_t service_port = 53;

std::uint32_t mixed(std::uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return static_cast<std::uint32_t>((value ^ (value >> 31)) >> 32);
}

core::Destination destination(Server server) {
    const std::array<std::uint8_t, 16> address{0x20,
                                               0x01,
                                               0x0d,
                                               0xb8,
                                               0,
                                               0,
                                               0,
                                               0,
                                               0,
                                               0,
                                               0,
                                               0,
                                               0,
                                               0,
                                               static_cast<std::uint8_t>(server >> 8),
                                               static_cast<std::uint8_t>(server)};
    return {{IpAddress::from_v6(address), service_port}, 1};
}

Servers first(std::uint32_t count) {
    Servers servers(count);
    std::iota(servers.begin(), servers.end(), Server{0});
    return servers;
}

Servers without(Servers servers, const Servers& gone) {
    std::erase_if(servers, [&](Server server) {
        return std::find(gone.begin(), gone.end(), server) != gone.end();
    });
    return servers;
}

/// The fewest servers from so many on that fill a table of their size: one more, and the
/// table is another.
std::uint32_t up_to_the_step(std::uint32_t servers) {
    while (core::maglev_size(servers) == core::maglev_size(servers + 1))
        ++servers;
    return servers;
}

}  // namespace

const char* name(Choosing choosing) {
    constexpr const char* names[] = {"maglev", "modulo", "own"};
    return names[static_cast<std::size_t>(choosing)];
}

const char* name(Event event) {
    constexpr const char* names[] = {"leave", "join", "drain", "flap"};
    return names[static_cast<std::size_t>(event)];
}

// ---- tables -----------------------------------------------------------------

Table::Table(Choosing choosing, const Servers& servers) : choosing_(choosing), slots_(servers) {
    if (choosing != Choosing::maglev) return;
    slots_.clear();
    std::vector<core::Destination> destinations;
    for (const Server server : servers)
        destinations.push_back(destination(server));
    for (const std::uint32_t slot : core::maglev_table(destinations).slots)
        slots_.push_back(servers[slot]);
}

Server Table::of(std::uint32_t hash, Member director) const {
    const auto size = static_cast<std::uint32_t>(slots_.size());
    switch (choosing_) {
        case Choosing::maglev: return slots_[abi::slot_of_hash(hash, size)];
        case Choosing::modulo: return slots_[hash % size];
        case Choosing::own: break;
    }
    return slots_[mixed(std::uint64_t{director} << 32 | hash) % size];
}

// ---- flows and what they have been through ------------------------------------

std::vector<Flow> random_flows(std::size_t count, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<Flow> flows(count);
    for (Flow& flow : flows) {
        const std::uint64_t client = random();
        const auto address = static_cast<std::uint32_t>(client);
        const std::uint32_t ports = static_cast<std::uint32_t>(client >> 48) | service_port << 24;
        flow.director_hash = abi::flow_hash4(address, service_address, ports);
        flow.router_hash = mixed(seed + client);
    }
    return flows;
}

std::vector<Past> pasts(std::uint32_t servers) {
    const Servers all = first(servers);
    const auto one = static_cast<Server>(servers / 2);
    const Servers rest = without(all, {one});
    const Servers five{0, 2, 4, 6, 8};
    const std::uint32_t full = up_to_the_step(servers);
    return {
        {"nothing changed", all, all},
        {"1 server died", all, rest, {one}},
        {"5 servers died", all, without(all, five), five},
        {"1 server drained", all, rest},
        {"1 server came back", rest, all},
        {"drained < 60 s ago, flows older", all, rest, {}, true},
        {"drained < 60 s ago, flows since", all, rest, {}, true, true},
        {"table size changed", first(full), first(full + 1)},
        {"1 server unseen by half", all, all, {}, false, false, one},
    };
}

Directors::Directors(Choosing choosing, const Past& past)
    : within_a_minute_(past.within_a_minute), opened_since_(past.opened_since) {
    before_.emplace_back(choosing, past.before);
    now_.emplace_back(choosing, past.now);
    if (past.unseen) {
        before_.emplace_back(choosing, without(past.before, {*past.unseen}));
        now_.emplace_back(choosing, without(past.now, {*past.unseen}));
    }
    for (const Server server : past.dead) {
        if (server >= dead_.size()) dead_.resize(server + 1U);
        dead_[server] = true;
    }
}

const Table& Directors::view(const std::vector<Table>& tables, Member director) const {
    return tables.size() == 1 ? tables[0] : tables[director / 2 % 2];  // most ranks are even
}

Server Directors::home(const Flow& flow, Member director) const {
    return view(opened_since_ ? now_ : before_, director).of(flow.director_hash, director);
}

Server Directors::takes(const Flow& flow, Member director, bool fresh) const {
    const Server now = view(now_, director).of(flow.director_hash, director);
    if (!within_a_minute_ || fresh) return now;
    const Server before = view(before_, director).of(flow.director_hash, director);
    return is_dead(before) ? now : before;
}

// ---- what the routers do ---------------------------------------------------------

namespace {

class Recording {
public:
    Recording(const std::vector<Flow>& flows, Ways& ways) : flows_(flows), ways_(ways) {}

    void take(const Group& group) {
        std::vector<std::size_t> counts(2 * group.members().size() + 3);
        std::vector<Member>& moment = ways_.moments.emplace_back();
        moment.reserve(flows_.size());
        for (const Flow& flow : flows_) {
            moment.push_back(group.choose(flow.router_hash));
            ++counts[moment.back()];
        }
        const double even =
            static_cast<double>(flows_.size()) / static_cast<double>(group.members().size());
        Ways::Share share{1e9, 0};
        for (const Member member : group.members()) {
            const double over_even = static_cast<double>(counts[member]) / even;
            share = {std::min(share.least, over_even), std::max(share.most, over_even)};
        }
        ways_.shares.push_back(share);
    }

    void find_moved() {
        for (std::size_t i = 0; i < flows_.size(); ++i)
            if (std::any_of(ways_.moments.begin(), ways_.moments.end(),
                            [&](const auto& moment) { return moment[i] != ways_.moments[0][i]; }))
                ways_.moved.push_back(i);
    }

private:
    const std::vector<Flow>& flows_;
    Ways& ways_;
};

}  // namespace

Ways ways(const std::vector<Flow>& flows, Hashing hashing, std::uint32_t directors, Event event,
          std::uint32_t at) {
    std::vector<Member> members(directors);
    for (std::uint32_t i = 0; i < directors; ++i)
        members[i] = 2 * i + 2;  // room before each
    const Member who = event == Event::join ? members[at] - 1 : members[at];
    Group group(hashing, members);
    Ways found;
    Recording recording(flows, found);
    recording.take(group);
    if (event == Event::join) {
        found.fresh = who;
        group.add(who);
    } else {
        group.remove(who);
    }
    recording.take(group);
    if (event == Event::drain) recording.take(group);  // withdrawn: it was out already
    if (event == Event::flap) {
        group.add(who);
        recording.take(group);
    }
    if (event == Event::leave || event == Event::flap)
        found.cut_off = static_cast<std::size_t>(
            std::count(found.moments[0].begin(), found.moments[0].end(), who));
    recording.find_moved();
    return found;
}

// ---- what becomes of a flow ----------------------------------------------------

namespace {

/// Its first director has had all its packets, and knows it by memory or by table. What
/// another one may learn of it is no more than it does with it anyway.
bool is_broken(const Flow& flow, std::size_t index, const Ways& ways, const Directors& directors,
               Server home) {
    const Member first = ways.moments[0][index];
    return std::any_of(ways.moments.begin(), ways.moments.end(), [&](const auto& moment) {
        const Member director = moment[index];
        return director != first && directors.takes(flow, director, director == ways.fresh) != home;
    });
}

}  // namespace

Outcome outcome(const std::vector<Flow>& flows, const Ways& ways, const Directors& directors) {
    const std::vector<Member>& first = ways.moments.front();
    Outcome outcome{flows.size(), 0};
    if (directors.any_dead())
        for (std::size_t i = 0; i < flows.size(); ++i)
            outcome.living -= directors.is_dead(directors.home(flows[i], first[i])) ? 1 : 0;
    for (const std::size_t i : ways.moved) {
        const Server home = directors.home(flows[i], first[i]);
        if (!directors.is_dead(home) && is_broken(flows[i], i, ways, directors, home))
            ++outcome.broken;
    }
    return outcome;
}

}  // namespace dnsdirector::ecmp
