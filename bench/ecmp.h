// SPDX-License-Identifier: Apache-2.0
//
// How a router spreads flows over equal routes to several directors, and what
// moves when one joins or leaves. Pure; ecmp_simulation.cc runs it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace dnsdirector::ecmp {

/// A director, by the rank of its address: routers keep next hops sorted.
using Member = std::uint32_t;

struct Hashing {
    enum class Kind : std::uint8_t {
        modulo,     ///< hash modulo the number of members
        threshold,  ///< each member has a region of the hash space (RFC 2992): Linux' default
        resilient,  ///< a fixed table of buckets: Linux' `type resilient`, many switches
    };
    Kind kind = Kind::threshold;
    std::uint32_t buckets = 0;  ///< of the resilient table, at least as many as members

    /// "modulo", "threshold", "resilient-128".
    [[nodiscard]] std::string name() const;
};

/// One ECMP group of equal weights. As the routers know it: who was drained (its
/// MED raised) has left it, since routes of unequal MED are not equal.
class Group {
public:
    /// `members` sorted, each once, at least one.
    Group(Hashing hashing, std::span<const Member> members);

    /// Who gets a flow, by the router's hash of its addresses and ports.
    [[nodiscard]] Member choose(std::uint32_t hash) const;
    [[nodiscard]] const std::vector<Member>& members() const { return members_; }

    void add(Member member);
    void remove(Member member);  ///< not the last one

private:
    void rebalance();
    [[nodiscard]] std::vector<std::int64_t> missing() const;
    std::uint32_t rank_of(Member member) const;

    Hashing hashing_;
    std::vector<Member> members_;
    std::vector<Member> buckets_;  ///< of resilient; who has each
};

}  // namespace dnsdirector::ecmp
