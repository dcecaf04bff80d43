// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/queries.h"

#include <algorithm>

#include "dataplane/proxy/fan_out.h"

namespace dnsdirector::dataplane::proxy {
namespace {

// Second tries: what is not spent is saved up to so many, so that a server may go silent at a
// high rate; and so many each second are allowed whatever the rate.
constexpr double most_tokens = 500;
constexpr double tokens_each_second = 10;
// So long the other server is waited for when one has said SERVFAIL: it may be looking for the
// answer (a cold cache), or this machine stands still, and clients have more patience than that.
constexpr Nanoseconds servfail_waits = std::chrono::seconds{1};
// How often the oldest queries are looked at.
constexpr int look_every_ms = 100;
// Of the places: what copies for every server may take. A flood of these leaves room for queries.
constexpr std::uint32_t part_for_copies = 4;

}  // namespace

Queries::Queries(Context& context, std::uint32_t places)
    : context_(context),
      pool_(places),
      fan_outs_(std::make_unique<FanOuts>(context, *this, places / part_for_copies)) {}

Queries::~Queries() = default;

Pending* Queries::begin(const From& from, std::uint8_t* message, std::size_t size,
                        Refusal& refusal) {
    refusal.size = 0;
    refusal.answered = false;
    const Service& service = *from.front.service;
    CountPart& count = service.tally->of(context_.worker);
    count.packets.add(1);
    count.bytes.add(size);
    const Bytes bytes{message, size};
    const Query query = read_query(bytes);
    if (query.kind == Query::Kind::not_a_query) {
        context_.drop(Drop::not_a_query);
        return nullptr;
    }
    if (query.kind == Query::Kind::malformed) {
        context_.drop(Drop::malformed);
        refusal.size = make_answer(bytes, 0, Rcode::formerr, refusal.bytes.data());
        return nullptr;
    }
    if (service.to_all && service.to_all->takes(query.opcode)) {
        fan_outs_->begin(from, query, message, size, refusal);
        return nullptr;
    }
    const Bytes question = bytes.subspan(header_size, query.question_size);
    const Target* target = service.choose(
        {from.client, question, context_.worker, context_.now, context_.random.next32()},
        from.front.cursor);
    if (target == nullptr) {
        context_.drop(Drop::no_server);
        refusal.size =
            make_answer(bytes, query.question_size, Rcode::servfail, refusal.bytes.data());
        return nullptr;
    }
    // Connections take long to fail: who refuses them is left alone, but for some that look.
    constexpr std::uint32_t one_looks_of = 16;
    if (from.tcp && target->upstream->parts[context_.worker].doubtful() &&
        context_.random.next16() % one_looks_of != 0)
        if (const Target* other = service.choose_other(
                *target->upstream,
                {from.client, question, context_.worker, context_.now, context_.random.next32()}))
            target = other;
    Pending& pending = place(from, query, message, size);
    pending.may_try_again = query.may_be_asked_twice() && size <= Pending::kept_bytes;
    // Of the others there is none longer than that but UPDATE, and padded beyond all custom.
    if (service.client_subnet.any() && pending.may_try_again)
        pending.added = add_client_subnet(pending.bytes.data(), pending.size, from.client,
                                          service.client_subnet);
    from.front.tokens =
        std::min(from.front.tokens + context_.settings.retry_percent / 100.0, most_tokens);
    if (!attempt(pending, *target)) {
        // As if it had been refused: there may be a way to another one.
        pending.failure = Charge::refuses;
        if (!try_again(pending, Charge::refuses)) {
            give_servfail(pending);
            refusal.answered = true;
            return nullptr;
        }
    }
    return &pending;
}

void Queries::fill(Pending& pending, const From& from, const Query& query, std::uint8_t* message,
                   std::size_t size) {
    pending.front = &from.front;
    pending.tcp = from.tcp;
    pending.client = from.client;
    pending.brought = from.brought != nullptr;
    if (pending.brought) pending.how = *from.brought;
    pending.client_connection = from.connection;
    pending.client_generation = from.generation;
    pending.client_id = load16(message);
    pending.opcode = query.opcode;
    pending.type = query.type;
    pending.question_size = query.question_size;
    pending.size = static_cast<std::uint32_t>(size);
    std::memcpy(pending.bytes.data(), message, std::min(size, Pending::kept_bytes));
    pending.whole = size <= Pending::kept_bytes ? pending.bytes.data() : message;
}

/// In the pool; the oldest makes room where none is.
Pending& Queries::place(const From& from, const Query& query, std::uint8_t* message,
                        std::size_t size) {
    PendingIndex index = pool_.take(context_.now);
    if (index == no_pending) {
        context_.drop(Drop::overload);
        abandon(pool_.at(pool_.oldest()));
        index = pool_.take(context_.now);
    }
    fill(pool_.at(index), from, query, message, size);
    return pool_.at(index);
}

bool Queries::attempt(Pending& pending, const Target& target) {
    const std::size_t which = pending.tries++;
    Attempt& attempt = pending.attempts[which];
    attempt.upstream = target.upstream.get();
    attempt.tally = target.tally.get();
    if (!send(pending, which)) return false;
    arm(pending, which);
    return true;
}

bool Queries::send(Pending& pending, std::size_t which) {
    Attempt& attempt = pending.attempts[which];
    if (attempt.open) {
        transport(pending).send_again(pending, which);
    } else {
        attempt.sent = context_.now;
        if (!transport(pending).send(pending, which)) {
            context_.drop(Drop::send_failed);
            return false;
        }
        attempt.open = true;
        ++attempt.upstream->parts[context_.worker].outstanding;
    }
    CountPart& count = attempt.tally->of(context_.worker);
    count.packets.add(1);
    count.bytes.add(pending.size);
    return true;
}

/// For the second try, or for the answer when one server has said SERVFAIL.
void Queries::arm(Pending& pending, std::size_t which) {
    Nanoseconds patience = servfail_waits;
    if (!pending.servfail_seen) {
        if (which != 0 || !pending.may_try_again || context_.settings.retry_percent == 0) return;
        const Nanoseconds configured = context_.settings.retry_after;
        patience = configured.count() != 0
                       ? configured
                       : pending.attempts[which].upstream->parts[context_.worker].patience();
    }
    pool_.set_timer(pool_.index_of(pending), context_.now + patience, context_.now);
}

void Queries::close(Pending& pending, std::size_t which) {
    Attempt& attempt = pending.attempts[which];
    if (!attempt.open) return;
    attempt.open = false;
    --attempt.upstream->parts[context_.worker].outstanding;
    transport(pending).forget(pending, which);
}

void Queries::charge(Upstream& upstream, Charge how, bool beaten) {
    const Charge brought = upstream.parts[context_.worker].failed(how, beaten, context_.now);
    if (brought == Charge::none) return;
    upstream.charge.store(brought, std::memory_order_release);
    context_.raise_charge();
}

bool Queries::may_spend(Front& front) {
    if (context_.settings.retry_percent == 0) return false;
    const double seconds = std::chrono::duration<double>(context_.now - front.tokens_at).count();
    front.tokens = std::min(
        front.tokens + std::clamp(seconds, 0.0, most_tokens) * tokens_each_second, most_tokens);
    front.tokens_at = context_.now;
    if (front.tokens < 1) {
        context_.note(Event::budget_spent);
        return false;
    }
    front.tokens -= 1;
    return true;
}

bool Queries::try_again(Pending& pending, Charge how) {
    if (pending.tries != 1 || !pending.may_try_again) return false;
    // By the table as it is now: the first server may be out of it.
    const Target* other = pending.front->service->choose_other(
        *pending.attempts[0].upstream, {pending.client, pending.question(), context_.worker,
                                        context_.now, context_.random.next32()});
    if (other == nullptr || !may_spend(*pending.front)) return false;
    pending.failure = how;
    if (!attempt(pending, *other)) return false;
    context_.note(how == Charge::refuses  ? Event::retry_refused
                  : how == Charge::silent ? Event::retry_silent
                                          : Event::retry_servfail);
    return true;
}

Queries::Answer Queries::on_answer(Pending& pending, std::size_t which, std::uint8_t* message,
                                   std::size_t size) {
    if (!answers({message, size}, pending.question(), pending.opcode)) {
        context_.drop(Drop::wrong_answer);
        return Answer::wrong;
    }
    Attempt& attempt = pending.attempts[which];
    const bool servfail = rcode_of(message) == static_cast<std::uint8_t>(Rcode::servfail);
    close(pending, which);
    if (pending.is_copy()) {
        fan_outs_->on_answer(pending, message, size);
        return Answer::kept;
    }
    attempt.upstream->parts[context_.worker].answered(context_.now - attempt.sent, context_.now,
                                                      !servfail);
    if (pending.answered) {
        context_.drop(Drop::late_answer);
        release(pending);
        return Answer::kept;
    }
    if (servfail) {
        const std::size_t other = 1 - which;
        pending.servfail_seen = true;
        if (pending.attempts[other].open) {
            arm(pending, other);
            return Answer::kept;
        }
        if (try_again(pending, Charge::servfails)) return Answer::kept;
    }
    if (which == 1 && !servfail) {
        context_.note(Event::rescued);
        if (pending.failure != Charge::refuses)
            charge(*pending.attempts[0].upstream, pending.failure, true);
    }
    store16(message, pending.client_id);
    if (pending.added != Added::nothing)
        size = take_out_client_subnet(message, size, pending.added);
    transport(pending).deliver(pending, message, size, true);
    finish(pending);
    return Answer::delivered;
}

void Queries::on_refused(Pending& pending, std::size_t which, bool blames) {
    Attempt& attempt = pending.attempts[which];
    if (!attempt.open) return;
    if (pending.is_copy()) return fan_outs_->on_refused(pending);
    close(pending, which);
    if (blames) charge(*attempt.upstream, Charge::refuses, false);
    if (pending.answered) return release(pending);
    if (try_again(pending, Charge::refuses)) return;
    if (pending.attempts[0].open || pending.attempts[1].open) return;
    give_servfail(pending);
}

void Queries::on_silence(Pending& pending) {
    if (pending.is_copy()) return fan_outs_->on_timer(pending);
    if (pending.tries == 1) {
        (void)try_again(pending, Charge::silent);
        return;
    }
    // One is silent, and the other said SERVFAIL: that is the answer then.
    if (!pending.answered && pending.servfail_seen) give_servfail(pending);
}

void Queries::give_servfail(Pending& pending) {
    std::array<std::uint8_t, header_size + largest_question> answer;
    const std::size_t size =
        make_answer({pending.bytes.data(), header_size + pending.question_size},
                    pending.question_size, Rcode::servfail, answer.data());
    store16(answer.data(), pending.client_id);
    context_.note(Event::servfail_sent);
    transport(pending).deliver(pending, answer.data(), size, false);
    finish(pending);
}

/// The client has its answer. What another server still has to say is only counted.
void Queries::finish(Pending& pending) {
    pending.answered = true;
    ++answered_;
    pool_.stop_timer(pool_.index_of(pending));
    if (!pending.attempts[0].open && !pending.attempts[1].open) release(pending);
}

void Queries::abandon(Pending& pending) {
    if (pending.is_copy()) return fan_outs_->give_up(pending);
    if (!pending.answered) transport(pending).given_up(pending);
    close(pending, 0);
    close(pending, 1);
    release(pending);
}

void Queries::release(Pending& pending) {
    if (pending.answered) --answered_;
    pool_.give_back(pool_.index_of(pending));
}

void Queries::on_time() {
    for (PendingIndex due = pool_.next_due(context_.now); due != no_pending;
         due = pool_.next_due(context_.now))
        on_silence(pool_.at(due));
    while (pool_.oldest() != no_pending) {
        Pending& oldest = pool_.at(pool_.oldest());
        if (context_.now - oldest.started < context_.settings.query_timeout) break;
        // Better the one's SERVFAIL than to wait for the other any longer.
        if (!oldest.answered && oldest.servfail_seen)
            give_servfail(oldest);
        else if (!oldest.answered && !oldest.is_copy())
            context_.drop(Drop::unanswered);
        abandon(oldest);
    }
}

void Queries::on_table() {
    fan_outs_->on_table();
}

bool Queries::any_over_udp() const {
    for (PendingIndex i = pool_.oldest(); i != no_pending; i = pool_.after(i))
        if (!pool_.at(i).tcp && !pool_.at(i).answered) return true;
    return false;
}

void Queries::add_unanswered(std::vector<LeftQuery>& to) {
    for (PendingIndex i = pool_.oldest(); i != no_pending; i = pool_.after(i)) {
        const Pending& pending = pool_.at(i);
        if (pending.tcp || pending.answered || !pending.may_try_again) continue;
        // Whom a balancer brought the text does not say, nor an interface: they ask again.
        if (pending.brought || pending.client.is_link_local()) continue;
        const auto* begin = pending.bytes.data();
        LeftQuery& query = to.emplace_back(
            LeftQuery{pending.front->service->forwarding.key, pending.client.endpoint(),
                      std::vector<std::uint8_t>(begin, begin + pending.size)});
        store16(query.message.data(), pending.client_id);
        query.message.resize(
            take_out_client_subnet(query.message.data(), query.message.size(), pending.added));
    }
}

int Queries::patience() const {
    if (pool_.taken() == 0) return -1;
    const int timer = pool_.until_next(context_.now);
    return timer < 0 ? look_every_ms : std::min(timer, look_every_ms);
}

}  // namespace dnsdirector::dataplane::proxy
