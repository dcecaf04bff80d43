// SPDX-License-Identifier: Apache-2.0
#include "ecmp.h"

#include <algorithm>
#include <limits>

namespace dnsdirector::ecmp {
namespace {

constexpr Member nobody = std::numeric_limits<Member>::max();

}  // namespace

std::string Hashing::name() const {
    if (kind == Kind::modulo) return "modulo";
    if (kind == Kind::threshold) return "threshold";
    return "resilient-" + std::to_string(buckets);
}

Group::Group(Hashing hashing, std::span<const Member> members)
    : hashing_(hashing),
      members_(members.begin(), members.end()),
      buckets_(hashing.kind == Hashing::Kind::resilient ? hashing.buckets : 0, nobody) {
    rebalance();
}

Member Group::choose(std::uint32_t hash) const {
    const auto count = static_cast<std::uint32_t>(members_.size());
    switch (hashing_.kind) {
        case Hashing::Kind::modulo: return members_[hash % count];
        case Hashing::Kind::threshold: return members_[std::uint64_t{hash} * count >> 32];
        case Hashing::Kind::resilient: break;
    }
    return buckets_[hash % static_cast<std::uint32_t>(buckets_.size())];
}

void Group::add(Member member) {
    members_.insert(std::lower_bound(members_.begin(), members_.end(), member), member);
    rebalance();
}

void Group::remove(Member member) {
    std::erase(members_, member);
    std::replace(buckets_.begin(), buckets_.end(), member, nobody);
    rebalance();
}

std::uint32_t Group::rank_of(Member member) const {
    return static_cast<std::uint32_t>(std::lower_bound(members_.begin(), members_.end(), member) -
                                      members_.begin());
}

/// Buckets that each member wants and has not got; below 0 where it has too many.
/// Wants are rounded as by nh_res_group_rebalance() in Linux' net/ipv4/nexthop.c.
std::vector<std::int64_t> Group::missing() const {
    const std::size_t count = members_.size();
    std::vector<std::int64_t> missing(count);
    std::size_t before = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t bound = (2 * buckets_.size() * (i + 1) + count) / (2 * count);
        missing[i] = static_cast<std::int64_t>(bound - before);
        before = bound;
    }
    for (const Member owner : buckets_)
        if (owner != nobody) --missing[rank_of(owner)];
    return missing;
}

/// As nh_res_table_upkeep() there, once the unbalanced timer has run out, so that busy
/// buckets move, too: one after the other, those of nobody and of who has too many,
/// to who has too few, the last of these first.
void Group::rebalance() {
    if (buckets_.empty()) return;
    std::vector<std::int64_t> lacks = missing();
    std::size_t next = members_.size();
    for (Member& owner : buckets_) {
        if (owner != nobody && lacks[rank_of(owner)] >= 0) continue;
        while (next > 0 && lacks[next - 1] <= 0)
            --next;
        if (next == 0) return;
        if (owner != nobody) ++lacks[rank_of(owner)];
        owner = members_[next - 1];
        --lacks[next - 1];
    }
}

}  // namespace dnsdirector::ecmp
