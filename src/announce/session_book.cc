// SPDX-License-Identifier: Apache-2.0
#include "announce/session_book.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "announce/bgp_groups.h"
#include "announce/control_protocol.h"

namespace dnsdirector::announce {
namespace {

/// "192.0.2.53 and 3 more"
std::string listed(const std::vector<std::string>& names) {
    return names.size() == 1 ? names.front()
                             : fmt::format("{} and {} more", names.front(), names.size() - 1);
}

WallTime before(WallTime now, Nanoseconds age) {
    return now - std::chrono::duration_cast<Microseconds>(age);
}

std::string seconds_text(Microseconds time) {
    return fmt::format("{:.1f} s", std::chrono::duration<double>(time).count());
}

std::string with_reason(const std::string& text, const std::string& reason) {
    return reason.empty() ? text : text + ": " + reason;
}

/// FRR counts in whole seconds.
constexpr Nanoseconds inexact = Seconds{2};

}  // namespace

std::string NeighborSession::name() const {
    return description.empty() ? address.to_string()
                               : fmt::format("{} ({})", address.to_string(), description);
}

const ToldPrefix* NeighborSession::told_of(const IpAddress& prefix) const {
    const auto found = std::find_if(told.begin(), told.end(),
                                    [&](const auto& each) { return each.prefix == prefix; });
    return found == told.end() ? nullptr : &*found;
}

void SessionBook::configure(const core::Bgp& bgp, std::string daemon, std::string socket,
                            Moment now) {
    const DaemonState old = std::exchange(state_, {});
    const std::vector<Entry> old_entries = std::exchange(entries_, {});
    bgp_ = bgp;
    const bool same = old.daemon == daemon && old.socket == socket;
    state_.daemon = std::move(daemon);
    state_.socket = std::move(socket);
    state_.problem = "not asked yet";
    state_.since = now.wall;
    if (same) {
        state_.answering = old.answering;
        state_.problem = old.problem;
        state_.since = old.since;
    } else {
        asked_ = false;
        silence_.clear();
    }
    ailments_.clear();  // a part may not be asked any more: bfdd, without BFD
    for (const core::BgpNeighbor& each : bgp.neighbors) {
        const auto found =
            std::find_if(old.neighbors.begin(), old.neighbors.end(),
                         [&](const auto& known) { return known.address == each.address; });
        const bool stays = same && found != old.neighbors.end();
        state_.neighbors.push_back(stays ? *found : NeighborSession{});
        state_.neighbors.back().address = each.address;
        state_.neighbors.back().description = each.description;
        for (const Family family : families)
            state_.neighbors.back().carries[static_cast<std::size_t>(family)] =
                each.carries(family);
        entries_.push_back(
            stays ? old_entries[static_cast<std::size_t>(found - old.neighbors.begin())] : Entry{});
        entries_.back().look_again = true;
    }
    // The MED that is expected may be another one, and the daemon is to be told of it first.
    if (expected_)
        for (auto& [prefix, expected] : *expected_)
            expected.changed = now.time;
}

void SessionBook::expect(const std::map<IpAddress, core::RouteState>& routes, TimePoint now) {
    bool changed = !expected_;
    if (!expected_) expected_.emplace();
    for (const core::BgpAnnouncement& each : bgp_.announcements) {
        const auto route = routes.find(each.service_ip);
        const auto state = route == routes.end() ? std::nullopt : std::optional(route->second);
        const auto [at, fresh] = expected_->emplace(each.service_ip, Expected{state, now});
        if (fresh || at->second.state == state) continue;
        at->second = {state, now};
        changed = true;
    }
    if (changed)
        for (Entry& each : entries_)
            each.look_again = true;
}

// ---- the daemon ------------------------------------------------------------------------

void SessionBook::settle(Moment now) {
    const bool answering = silence_.empty();
    std::vector<std::string> problems;
    for (const auto& [part, problem] : ailments_)
        if (!problem.empty()) problems.push_back(problem);
    const std::string problem = answering ? fmt::format("{}", fmt::join(problems, "; ")) : silence_;
    const bool first = !std::exchange(asked_, true);
    const bool turned = first || answering != state_.answering;
    const bool another = problem != state_.problem;
    const WallTime since = std::exchange(state_.since, now.wall);
    // That it is silent is said once; why may change while it is (it hangs, and then is ended).
    if (!turned && (!another || !answering)) state_.since = since;
    if (turned ? !problem.empty() : another && answering && !problem.empty()) say(true, problem);
    if (turned && answering && first)
        say(false, fmt::format("{} answers at {}", state_.daemon, state_.socket));
    else if (turned && answering)
        say(false, fmt::format("{} answers again, after {}", state_.daemon,
                               seconds_text(now.wall - since)));
    else if (another && answering && problem.empty())
        say(false, fmt::format("{} is well again", state_.daemon));
    state_.answering = answering;
    state_.problem = problem;
}

void SessionBook::answers(Moment now) {
    silence_.clear();
    settle(now);
}

void SessionBook::silent(const std::string& problem, Moment now) {
    silence_ = problem;
    settle(now);
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        NeighborSession& session = state_.neighbors[i];
        if (session.session == "unknown") continue;
        session.session = "unknown";
        session.since = now.wall;
        session.bfd.clear();
        session.accepted = 0;
        session.told.clear();
        session.problems.clear();
        entries_[i].problems.clear();
        entries_[i].told_problems.clear();
        entries_[i].told_looked = false;
    }
}

void SessionBook::ails(const std::string& part, const std::string& problem, Moment now) {
    ailments_[part] = problem;
    if (asked_) settle(now);
}

// ---- sessions --------------------------------------------------------------------------

void SessionBook::note_session(Entry& entry, NeighborSession& session, const NeighborReport& report,
                               Moment now) {
    const bool is = report.known && report.session == "established";
    const Nanoseconds age = is ? report.age.value_or(Nanoseconds{0}) : Nanoseconds{0};
    const TimePoint began = now.time - age;
    const bool another = entry.established && is &&
                         ((report.lost && entry.lost && report.lost != entry.lost) ||
                          (report.age && began > entry.began + inexact));
    const std::string why = printable(report.last_error);
    const bool was = entry.established;
    if (was && (another || !is)) ++session.flaps;
    if (!is || another) {
        if (!why.empty()) session.last_error = why;
    } else if (session.flaps == 0) {
        session.last_error.clear();
    }
    const std::string name = session.name();
    if (!entry.looked && is)
        say(false, fmt::format("neighbor {}: session is established since {}", name,
                               to_rfc3339(before(now.wall, age))));
    else if (another)
        say(true, with_reason(fmt::format("neighbor {}: session was lost, and is established "
                                          "again",
                                          name),
                              session.last_error));
    else if (is && !was)
        say(false, fmt::format("neighbor {}: session established", name));
    else if (!is && (was || !entry.looked))
        say(true, with_reason(fmt::format("neighbor {}: session {}", name,
                                          was ? "lost" : "is not established"),
                              session.last_error));
    if (!entry.looked || another || is != was) {
        entry.since = before(now.wall, age);
        entry.began = began;
        entry.told_looked = false;
        entry.told.clear();
        session.told.clear();
    }
    entry.looked = true;
    entry.established = is;
    entry.lost = report.lost;
}

void SessionBook::seen(std::size_t neighbor, const NeighborReport& report, Moment now) {
    if (neighbor >= entries_.size()) return;
    Entry& entry = entries_[neighbor];
    NeighborSession& session = state_.neighbors[neighbor];
    note_session(entry, session, report, now);
    session.session = report.known ? printable(report.session) : "missing";
    session.since = entry.since;
    session.accepted = report.accepted;
    session.bfd = printable(report.bfd);
    entry.mark = report.mark;
    entry.count = report.told;
    if (!session.established()) {
        session.told.clear();
        entry.told_problems.clear();
    }
    entry.problems = judge_session(neighbor, report, now.time);
    put_problems(neighbor);
}

std::vector<std::string> SessionBook::judge_session(std::size_t neighbor,
                                                    const NeighborReport& report,
                                                    TimePoint now) const {
    const core::BgpNeighbor& wanted = bgp_.neighbors[neighbor];
    const Entry& entry = entries_[neighbor];
    std::vector<std::string> problems;
    if (!report.known)
        problems.push_back(fmt::format(
            "{} has no such neighbor; `dnsdirector bgp check` says what it should be told",
            state_.daemon));
    const auto default_routes = static_cast<std::uint64_t>(std::count_if(
        families.begin(), families.end(), [&](Family family) { return wanted.carries(family); }));
    if (wanted.accept_default && report.accepted > default_routes)
        problems.emplace_back("more is accepted from it than a default route");
    if (!wanted.accept_default && report.accepted > 0)
        problems.emplace_back("prefixes are accepted from it, and none should be");
    if (wanted.bfd && entry.established && report.bfd != "up" &&
        now >= entry.began + patience_with_bfd)
        problems.push_back(
            fmt::format("BFD is {} while the session is established; is it configured at the "
                        "neighbor?",
                        report.bfd.empty() ? "absent" : printable(report.bfd)));
    return problems;
}

void SessionBook::put_problems(std::size_t neighbor) {
    NeighborSession& session = state_.neighbors[neighbor];
    std::vector<std::string> problems = entries_[neighbor].problems;
    const auto& more = entries_[neighbor].told_problems;
    problems.insert(problems.end(), more.begin(), more.end());
    for (const std::string& each : problems)
        if (std::find(session.problems.begin(), session.problems.end(), each) ==
            session.problems.end())
            say(true, fmt::format("neighbor {}: {}", session.name(), each));
    if (problems.empty() && !session.problems.empty() && session.established())
        say(false, fmt::format("neighbor {}: all is as it should be again", session.name()));
    session.problems = std::move(problems);
}

// ---- what they were told ---------------------------------------------------------------

bool SessionBook::is_due(std::size_t neighbor, TimePoint now) const {
    const Entry& entry = entries_[neighbor];
    if (!state_.answering || !state_.neighbors[neighbor].established()) return false;
    if (!entry.told_looked) return true;
    const bool reason = entry.look_again || entry.mark != entry.told_mark;
    const Nanoseconds cost = entry.told_cost * static_cast<Nanoseconds::rep>(entries_.size());
    return now >= entry.told_at +
                      (reason ? look_often * cost : std::max(look_interval, look_rarely * cost));
}

void SessionBook::told(std::size_t neighbor, const ToldReport& report, TimePoint asked,
                       Moment now) {
    if (neighbor >= entries_.size() || !state_.neighbors[neighbor].established()) return;
    Entry& entry = entries_[neighbor];
    NeighborSession& session = state_.neighbors[neighbor];
    std::vector<ToldPrefix> told;
    for (const ToldReport::Route& each : report.routes) {
        ToldPrefix prefix{each.prefix, each.med, each.communities, now.wall};
        const auto known = std::find_if(entry.told.begin(), entry.told.end(),
                                        [&](const auto& one) { return one.prefix == each.prefix; });
        if (each.age)  // of a route that is older than the session it was told with the session
            prefix.since = std::max(before(now.wall, *each.age), session.since.value_or(now.wall));
        // By the daemon's clock it is never twice the same to the microsecond.
        if (known != entry.told.end() && known->med == each.med &&
            (!each.age || prefix.since < known->since + Seconds{1}))
            prefix.since = known->since;
        told.push_back(std::move(prefix));
    }
    std::sort(told.begin(), told.end(),
              [](const auto& a, const auto& b) { return a.prefix < b.prefix; });
    entry.told = std::move(told);
    session.told = entry.told;
    entry.told_looked = true;
    entry.told_mark = entry.mark;
    entry.told_at = now.time;
    entry.told_cost = now.time - asked;
    entry.look_again = false;
    entry.told_problems = judge_told(neighbor, report, asked);
    put_problems(neighbor);
}

/// Sets look_again where it is too early to judge, or something is wrong.
std::vector<std::string> SessionBook::judge_told(std::size_t neighbor, const ToldReport& report,
                                                 TimePoint asked) {
    Entry& entry = entries_[neighbor];
    const NeighborSession& session = state_.neighbors[neighbor];
    std::vector<std::string> missing, left, other_med, strangers;
    for (const std::string& each : report.strangers)
        strangers.push_back(printable(each));
    std::size_t ours = 0;
    for (const core::BgpAnnouncement& each : bgp_.announcements) {
        const ToldPrefix* told = session.told_of(each.service_ip);
        if (told != nullptr) ++ours;
        if (!expected_ || !bgp_.neighbors[neighbor].carries(each.service_ip.family())) continue;
        const auto found = expected_->find(each.service_ip);
        if (found == expected_->end()) continue;
        const auto& [state, changed] = found->second;
        const std::string prefix = each.service_ip.to_string();
        const auto right =
            state ? std::optional(each.states[static_cast<std::size_t>(*state)].med) : std::nullopt;
        std::vector<std::string>* wrong = nullptr;
        std::string what = prefix;
        if (state && told == nullptr) {
            wrong = &missing;
        } else if (!state && told != nullptr) {
            wrong = &left;
        } else if (state && told->med != right) {
            wrong = &other_med;
            what = fmt::format("{} with MED {} instead of {}", prefix,
                               told->med ? std::to_string(*told->med) : "none", *right);
        }
        if (wrong == nullptr) continue;
        entry.look_again = true;
        if (asked >=
            std::max(changed + patience_after_change, entry.began + patience_after_start)) {
            wrong->push_back(what);
            if (wrong == &left) lost_withdrawals_.insert(each.service_ip);
        }
    }
    if (ours < session.told.size())
        for (const ToldPrefix& each : session.told)
            if (std::none_of(bgp_.announcements.begin(), bgp_.announcements.end(),
                             [&](const auto& a) { return a.service_ip == each.prefix; }))
                strangers.push_back(each.prefix.to_string());
    std::vector<std::string> problems;
    if (!missing.empty())
        problems.push_back("it is not told of " + listed(missing) + ", though announced");
    if (!left.empty()) problems.push_back("it is told of " + listed(left) + ", though withdrawn");
    if (!other_med.empty()) problems.push_back("it is told of " + listed(other_med));
    if (!strangers.empty())
        problems.push_back("it is told of " + listed(strangers) + ", no service IP of ours");
    // The list is what the filters would let pass now; the count is of what went out.
    const std::size_t length = report.routes.size() + report.strangers.size();
    const bool differ = entry.count && *entry.count != length;
    if (differ && std::exchange(entry.counts_differed, differ) &&
        asked >= entry.began + patience_after_start)
        problems.push_back(
            fmt::format("{} counts {} prefixes that it was told, and its filters let "
                        "{} pass",
                        state_.daemon, *entry.count, length));
    entry.counts_differed = differ;
    entry.look_again = entry.look_again || differ || !problems.empty();
    return problems;
}

std::set<IpAddress> SessionBook::take_lost_withdrawals() {
    return std::exchange(lost_withdrawals_, {});
}

std::vector<SessionEvent> SessionBook::take_events() {
    return std::exchange(events_, {});
}

}  // namespace dnsdirector::announce
