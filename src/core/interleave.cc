// SPDX-License-Identifier: Apache-2.0
//
// Interleaved weighted round robin as a schedule with deadlines. The j-th turn
// (from 0) of a server with w of S slots belongs into the slots from
// floor(j*S/w) to ceil((j+1)*S/w)-1. A schedule that keeps all these windows is
// never a whole turn away from anybody's share (Tijdeman 1980), and serving the
// earliest deadline first finds one, since spreading every turn over its window
// is a schedule too, of fractions (Baruah et al., "Proportionate progress", 1996).
// Deadlines are slot numbers, so the queue is an array of lists under a bitmap
// and a table costs a constant time per slot.
#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <numeric>

#include "core/table.h"
#include "core/table_weights.h"

namespace dnsdirector::core {
namespace {

constexpr std::uint32_t nobody = std::numeric_limits<std::uint32_t>::max();

/// A set of numbers below `size` whose least is found in a few steps: each bit
/// of a level says whether the word below it has any bit set.
class LeastSet {
public:
    explicit LeastSet(std::size_t size) {
        do {
            size = (size + 63) / 64;
            levels_[depth_++].assign(size, 0);
        } while (size > 1);
    }
    void insert(std::size_t number) {
        for (std::size_t level = 0; level < depth_; ++level, number /= 64)
            levels_[level][number / 64] |= std::uint64_t{1} << (number % 64);
    }
    void erase(std::size_t number) {
        for (std::size_t level = 0; level < depth_; ++level, number /= 64) {
            std::uint64_t& word = levels_[level][number / 64];
            word &= ~(std::uint64_t{1} << (number % 64));
            if (word != 0) return;
        }
    }
    /// Of a set that is not empty.
    [[nodiscard]] std::size_t least() const {
        std::size_t number = 0;
        for (std::size_t level = depth_; level-- > 0;)
            number =
                number * 64 + static_cast<std::size_t>(std::countr_zero(levels_[level][number]));
        return number;
    }

private:
    std::array<std::vector<std::uint64_t>, 6> levels_;  ///< 64^6 exceeds 2^32
    std::size_t depth_ = 0;
};

/// One server's next turn: its window, kept without divisions.
struct Turn {
    std::uint32_t next = nobody;  ///< in the list it stands in
    std::uint32_t left = 0;       ///< turns not served yet, this one included
    std::uint32_t weight = 0;
    std::uint32_t release = 0;   ///< floor(j*S/w)
    std::uint32_t fraction = 0;  ///< j*S mod w
    std::uint32_t stride = 0;    ///< floor(S/w)
    std::uint32_t stride_fraction = 0;

    void advance() {
        release += stride;
        fraction += stride_fraction;
        if (fraction >= weight) {
            fraction -= weight;
            ++release;
        }
    }
    [[nodiscard]] std::uint32_t deadline() const {  ///< the last slot of the window
        Turn following = *this;
        following.advance();
        return following.release - (following.fraction == 0 ? 1 : 0);
    }
};

class Schedule {
public:
    Schedule(std::span<const std::uint32_t> counts, std::uint32_t total)
        : turns_(counts.size()), waiting_(total, nobody), ready_(total, nobody), deadlines_(total) {
        // Backwards, since lists grow at their heads: ties go by position.
        for (std::size_t i = counts.size(); i-- > 0;) {
            if (counts[i] == 0) continue;
            turns_[i] = {.left = counts[i],
                         .weight = counts[i],
                         .stride = total / counts[i],
                         .stride_fraction = total % counts[i]};
            make_ready(static_cast<std::uint32_t>(i));
        }
    }

    std::vector<std::uint32_t> run() {
        std::vector<std::uint32_t> slots(waiting_.size());
        for (std::uint32_t slot = 0; slot < slots.size(); ++slot) {
            release(slot);
            slots[slot] = serve(slot);
        }
        return slots;
    }

private:
    void make_ready(std::uint32_t server) {
        const std::uint32_t deadline = turns_[server].deadline();
        turns_[server].next = ready_[deadline];
        if (ready_[deadline] == nobody) deadlines_.insert(deadline);
        ready_[deadline] = server;
    }

    void release(std::uint32_t slot) {
        for (std::uint32_t server = waiting_[slot]; server != nobody;) {
            const std::uint32_t next = turns_[server].next;
            make_ready(server);
            server = next;
        }
    }

    std::uint32_t serve(std::uint32_t slot) {
        const std::size_t deadline = deadlines_.least();
        const std::uint32_t server = ready_[deadline];
        Turn& turn = turns_[server];
        ready_[deadline] = turn.next;
        if (turn.next == nobody) deadlines_.erase(deadline);
        if (--turn.left != 0) {
            turn.advance();
            const std::uint32_t from = std::max(turn.release, slot + 1);
            turn.next = waiting_[from];
            waiting_[from] = server;
        }
        return server;
    }

    std::vector<Turn> turns_;
    std::vector<std::uint32_t> waiting_;  ///< by slot: servers whose window opens there
    std::vector<std::uint32_t> ready_;    ///< by deadline: servers whose window is open
    LeastSet deadlines_;
};

}  // namespace

Table interleaved_table(std::span<const std::uint32_t> weights) {
    const TurnCounts counts = turn_counts(weights, max_slots_per_table);
    if (counts.total == 0) return {};
    if (counts.total == weights.size() &&
        std::find(counts.turns.begin(), counts.turns.end(), 0U) == counts.turns.end()) {
        Table table{std::vector<std::uint32_t>(weights.size()), counts.exact};
        std::iota(table.slots.begin(), table.slots.end(), 0U);  // all equal, nothing to arrange
        return table;
    }
    return {Schedule(counts.turns, counts.total).run(), counts.exact};
}

}  // namespace dnsdirector::core
