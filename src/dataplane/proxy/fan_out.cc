// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/fan_out.h"

#include <algorithm>
#include <array>

namespace dnsdirector::dataplane::proxy {
namespace {

constexpr std::uint32_t most_fan_outs = 1024;
// A NOTIFY is sent five times in all, as RFC 1996, section 3.6 proposes; the first time again
// after a 16th of the time that an answer is waited for, then twice as long each time: within
// 10 s at 0.6, 1.9, 4.4 and 9.4.
constexpr std::uint8_t most_sends = 5;
constexpr int first_pause_part = 16;
// Memory that a message or an answer leaves behind.
constexpr std::size_t kept_capacity = 4096;

/// How much an answer tells the sender, by RCODE. What does not go away until somebody mends it
/// (FORMERR, NOTIMP, REFUSED, NOTAUTH, NOTZONE: 3) comes before what this message met (RFC
/// 2136's prerequisites: NXDOMAIN, YXDOMAIN, YXRRSET, NXRRSET: 2), and that before a server's
/// present trouble (SERVFAIL and the rest: 1).
constexpr std::array<std::uint8_t, 16> telling = {0, 3, 1, 2, 3, 3, 2, 2, 2, 3, 3, 1, 1, 1, 1, 1};

}  // namespace

FanOuts::FanOuts(Context& context, Queries& queries, std::uint32_t most_copies)
    : context_(context), queries_(queries), most_copies_(most_copies) {}

// ---- a message comes --------------------------------------------------------------

void FanOuts::begin(const Queries::From& from, const Query& query, std::uint8_t* message,
                    std::size_t size, Queries::Refusal& refusal) {
    const ToAll& to_all = *from.front.service->to_all;
    const auto refuse = [&](Drop reason, Rcode rcode) {
        context_.drop(reason);
        refusal.size =
            make_answer({message, size}, query.question_size, rcode, refusal.bytes.data());
    };
    if (!to_all.allows(from.client.endpoint().address))
        return refuse(Drop::not_allowed, Rcode::refused);
    if (FanOut* before = from.tcp ? nullptr : running(from, message, size)) {
        context_.note(Event::to_all_repeated);
        // A balancer may bring it another way than the first time.
        if (from.brought != nullptr) before->client.how = *from.brought;
        if (before->answered) answer(*before);
        return;
    }
    FanOut* all = take(to_all.members.size());
    if (all == nullptr) {
        // Over UDP its sender asks again.
        if (from.tcp) return refuse(Drop::to_all_limit, Rcode::servfail);
        return context_.drop(Drop::to_all_limit);
    }
    context_.note(Event::to_all);
    refusal.answered = true;
    all->wished = to_all.what.answers;
    all->message.assign(message, message + size);
    queries_.fill(all->client, from, query, all->message.data(), size);
    all->starting = true;
    for (const ToAll::Member& member : to_all.members)
        make_copy(*all, from, query, member);
    all->starting = false;
    settle(*all);
}

/// What was begun for the same message of the same client, whose answer was lost or is not there
/// yet. A message that was signed or made anew is another one.
FanOuts::FanOut* FanOuts::running(const Queries::From& from, const std::uint8_t* message,
                                  std::size_t size) {
    const std::uint16_t id = load16(message);
    for (const auto& each : fan_outs_)
        if (each->used && !each->client.tcp && each->client.client_id == id &&
            each->client.front == &from.front && each->client.client == from.client &&
            each->client.brought == (from.brought != nullptr) && each->message.size() == size &&
            std::equal(message + 2, message + size, each->message.begin() + 2))
            return each.get();
    return nullptr;
}

/// Null where there is no room.
FanOuts::FanOut* FanOuts::take(std::size_t copies) {
    if (copies > most_copies_ - copies_) return nullptr;
    if (free_.empty()) {
        if (fan_outs_.size() >= most_fan_outs) return nullptr;
        free_.push_back(static_cast<std::uint32_t>(fan_outs_.size()));
        fan_outs_.push_back(std::make_unique<FanOut>());
    }
    FanOut& all = *fan_outs_[free_.back()];
    all.index = free_.back();
    all.used = true;
    free_.pop_back();
    return &all;
}

void FanOuts::make_copy(FanOut& all, const Queries::From& from, const Query& query,
                        const ToAll::Member& member) {
    Pending& copy = queries_.place(from, query, all.message.data(), all.message.size());
    copy.fan_out = all.index;
    copy.copy_number = static_cast<std::uint32_t>(all.copies.size());
    copy.counts = member.counts;
    copy.repeats = query.opcode == static_cast<std::uint8_t>(Opcode::notify);
    copy.attempts[0].upstream = member.target.upstream.get();
    copy.attempts[0].tally = member.target.tally.get();
    all.copies.push_back(queries_.pool().index_of(copy));
    ++copies_;
    ++all.open;
    if (copy.counts) {
        ++all.hopeful;
        ++all.counting;
    }
    if (!send(copy) && !copy.repeats) return give_up(copy);
    arm(copy);
}

// ---- sending ----------------------------------------------------------------------

bool FanOuts::send(Pending& copy) {
    ++copy.sends;
    return queries_.send(copy, 0);
}

void FanOuts::arm(Pending& copy) {
    if (!copy.repeats || copy.sends >= most_sends) return;
    const Nanoseconds pause =
        context_.settings.query_timeout / first_pause_part * (1 << (copy.sends - 1));
    queries_.pool().set_timer(queries_.pool().index_of(copy), context_.now + pause, context_.now);
}

void FanOuts::on_timer(Pending& copy) {
    // Over TCP a connection that stands brings what it was given.
    if (!copy.tcp || !copy.attempts[0].open) {
        context_.note(Event::to_all_again);
        (void)send(copy);
    } else {
        ++copy.sends;
    }
    arm(copy);
}

// ---- what became of it --------------------------------------------------------------

void FanOuts::on_answer(Pending& copy, const std::uint8_t* message, std::size_t size) {
    FanOut& all = of(copy);
    const std::uint8_t rcode = rcode_of(message);
    if (all.answered) {
        context_.drop(Drop::late_answer);
    } else if (copy.counts && rcode == static_cast<std::uint8_t>(Rcode::noerror)) {
        if (all.agreed++ == 0) all.yes.assign(message, message + size);
    } else if (copy.counts && telling[rcode] > all.telling) {
        all.telling = telling[rcode];
        all.no.assign(message, message + size);
    }
    end(copy);
}

/// A NOTIFY waits as if nothing had been said: a server that starts anew is there in a moment.
void FanOuts::on_refused(Pending& copy) {
    if (!copy.repeats) return give_up(copy);
    if (copy.tcp) queries_.close(copy, 0);
}

void FanOuts::give_up(Pending& copy) {
    context_.note(Event::to_all_unanswered);
    end(copy);
}

void FanOuts::end(Pending& copy) {
    FanOut& all = of(copy);
    queries_.close(copy, 0);
    all.copies[copy.copy_number] = no_pending;
    if (copy.counts) --all.hopeful;
    --all.open;
    --copies_;
    queries_.release(copy);
    settle(all);
}

void FanOuts::on_table() {
    for (const auto& all : fan_outs_) {
        if (!all->used || all->answered) continue;
        const std::shared_ptr<const ToAll>& now = all->client.front->service->to_all;
        if (!now) continue;
        for (const PendingIndex index : all->copies) {
            if (index == no_pending || all->counting == 1) continue;
            Pending& copy = queries_.pool().at(index);
            // Whether an UPDATE was made by one that is out of service now nobody knows.
            if (!copy.repeats || !copy.counts) continue;
            if (now->counts(copy.attempts[0].upstream->endpoint)) continue;
            copy.counts = false;
            --all->hopeful;
            --all->counting;
        }
        settle(*all);
    }
}

/// Sees whether the client can be told, and whether that was all.
void FanOuts::settle(FanOut& all) {
    if (all.starting) return;
    if (!all.answered) {
        const std::uint32_t needed =
            all.wished == 0 ? all.counting : std::min(all.wished, all.counting);
        all.failed = all.agreed + all.hopeful < needed || all.counting == 0;
        if (all.failed || all.agreed >= needed) answer(all);
    }
    if (all.open == 0) release(all);
}

void FanOuts::answer(FanOut& all) {
    Pending& client = all.client;
    if (!all.answered && all.failed) context_.note(Event::to_all_failed);
    all.answered = true;
    std::vector<std::uint8_t>& with = all.failed ? all.no : all.yes;
    if (with.empty()) {
        with.resize(header_size + client.question_size);
        make_answer({client.bytes.data(), with.size()}, client.question_size, Rcode::servfail,
                    with.data());
    }
    store16(with.data(), client.client_id);
    queries_.transport(client).deliver(client, with.data(), with.size(), false);
}

void FanOuts::release(FanOut& all) {
    for (std::vector<std::uint8_t>* bytes : {&all.message, &all.yes, &all.no}) {
        bytes->clear();
        if (bytes->capacity() > kept_capacity) std::vector<std::uint8_t>().swap(*bytes);
    }
    all.copies.clear();
    all.answered = all.failed = all.used = false;
    all.telling = 0;
    all.open = all.hopeful = all.counting = all.agreed = 0;
    free_.push_back(all.index);
}

}  // namespace dnsdirector::dataplane::proxy
