// SPDX-License-Identifier: Apache-2.0
#include "announce/sessions.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace dnsdirector::announce {

Result<std::unique_ptr<Sessions>> Sessions::create(std::function<Moment()> clock) {
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) return fail_errno("cannot create an epoll instance", errno);
    return std::unique_ptr<Sessions>(new Sessions(epoll, std::move(clock)));
}

Sessions::~Sessions() {
    lines_.clear();
    ::close(epoll_);
}

void Sessions::configure(const std::optional<core::Bgp>& bgp, const std::string& socket) {
    if (bgp == bgp_ && socket == socket_) return;
    bgp_ = bgp;
    socket_ = socket;
    lines_.clear();
    reader_.reset();
    if (!bgp) {
        book_ = {};
        return;
    }
    const Moment now = clock_();
    reader_ = DaemonReader::create(*bgp, socket);
    const auto sockets = reader_->sockets();
    book_.configure(*bgp, bgp->daemon == core::RoutingDaemon::existing_frr ? "FRR" : "BIRD", socket,
                    now);
    if (expects_) book_.expect(expected_, now.time);
    for (std::size_t i = 0; i < sockets.size(); ++i) {
        Line line;
        line.client = std::make_unique<ControlClient>(epoll_, static_cast<std::uint32_t>(i),
                                                      sockets[i].language, sockets[i].daemon,
                                                      sockets[i].path);
        line.next_round = now.time;
        lines_.push_back(std::move(line));
    }
}

void Sessions::expect(const std::map<IpAddress, core::RouteState>& routes) {
    if (expects_ && routes == expected_) return;
    expects_ = true;
    expected_ = routes;
    if (reader_) book_.expect(expected_, clock_().time);
}

void Sessions::ask_next(Line& line, TimePoint now) {
    line.client->ask(line.questions.front().command, now + patience);
}

void Sessions::begin_round(Line& line, TimePoint now) {
    const auto at = static_cast<std::size_t>(&line - lines_.data());
    const auto questions = reader_->overview(at);
    line.questions.assign(questions.begin(), questions.end());
    line.in_overview = true;
    line.next_round = now + interval;
    if (!line.questions.empty()) ask_next(line, now);
}

/// What neighbours were told, as far as it is time to look.
void Sessions::add_due(Line& line, TimePoint now) {
    const std::size_t count = book_.state().neighbors.size();
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t neighbor = (first_due_ + i) % count;
        if (!book_.is_due(neighbor, now)) continue;
        const auto more = reader_->told(neighbor);
        if (!line.questions.empty() && line.questions.size() + more.size() > most_questions) {
            first_due_ = neighbor;
            return;
        }
        line.questions.insert(line.questions.end(), more.begin(), more.end());
    }
}

void Sessions::take(std::size_t at, const std::string& reply, Moment now) {
    Line& line = lines_[at];
    const Question question = line.questions.front();
    if (auto taken = reader_->take(at, question, reply); !taken) {
        give_up(at, taken.error().message, now);
        return;
    }
    line.questions.pop_front();
    if (question.about == Question::About::told && question.is_last) {
        book_.told(question.neighbor, reader_->take_told(), line.asked, now);
        line.asked = now.time;
    }
    if (line.questions.empty() && line.in_overview) {
        line.in_overview = false;
        reader_->finish(at, book_, now);
        line.asked = now.time;
        if (at == 0) add_due(line, now.time);
    }
    if (!line.questions.empty()) ask_next(line, now.time);
}

void Sessions::give_up(std::size_t at, const std::string& why, Moment now) {
    Line& line = lines_[at];
    line.client->close();
    line.questions.clear();
    line.in_overview = false;
    line.next_round = now.time + interval;
    (void)reader_->take_told();
    if (at == 0)
        book_.silent(why, now);
    else
        book_.ails(line.client->daemon(), why, now);
}

void Sessions::work(std::size_t at) {
    while (true) {
        const Moment now = clock_();
        const auto said = lines_[at].client->work(now.time);
        if (!said) return;
        if (!*said) {
            give_up(at, said->error().message, now);
            return;
        }
        take(at, **said, now);
    }
}

void Sessions::on_readable() {
    std::array<epoll_event, 8> events{};
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < count; ++i)
        if (const auto at = events[static_cast<std::size_t>(i)].data.u32; at < lines_.size())
            work(at);
    tell_events();
}

std::optional<TimePoint> Sessions::deadline() const {
    std::optional<TimePoint> first;
    for (const Line& line : lines_) {
        const TimePoint wanted = line.client->deadline().value_or(line.next_round);
        first = first ? std::min(*first, wanted) : wanted;
    }
    return first;
}

void Sessions::on_deadline(TimePoint) {
    for (std::size_t at = 0; at < lines_.size(); ++at) {
        // What has come is read before the time is looked at: it may be us who were late.
        work(at);
        Line& line = lines_[at];
        const TimePoint now = clock_().time;
        if (line.client->busy() || now < line.next_round) continue;
        begin_round(line, now);
        work(at);
    }
    tell_events();
}

void Sessions::tell_events() {
    for (const SessionEvent& each : book_.take_events())
        if (on_event) on_event(each);
    for (const IpAddress& each : book_.take_lost_withdrawals())
        if (on_lost_withdrawal) on_lost_withdrawal(each);
}

}  // namespace dnsdirector::announce
