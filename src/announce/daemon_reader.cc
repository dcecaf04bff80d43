// SPDX-License-Identifier: Apache-2.0
#include "announce/daemon_reader.h"

#include <fmt/format.h>

#include "announce/bgp_groups.h"
#include "announce/bird_config.h"
#include "announce/bird_sessions.h"
#include "announce/control_protocol.h"
#include "announce/frr_sessions.h"

namespace dnsdirector::announce {
namespace {

using About = Question::About;

class BirdReader final : public DaemonReader {
public:
    BirdReader(const core::Bgp& bgp, std::string socket) : bgp_(bgp), socket_(std::move(socket)) {}

    std::vector<Socket> sockets() const override { return {{Language::bird, "BIRD", socket_}}; }

    std::vector<Question> overview(std::size_t) const override {
        std::vector<Question> questions = {
            {About::itself, "show status"},
            {About::neighbor, R"(show protocols all "dnsdirector_*")"}};
        if (uses_bfd(bgp_)) questions.push_back({About::bfd, "show bfd sessions"});
        return questions;
    }

    std::vector<Question> told(std::size_t neighbor) const override {
        const core::BgpNeighbor& whom = bgp_.neighbors[neighbor];
        const std::string name = bird_protocol(whom);
        // Our own BIRD has nothing in its tables but our routes. One that was there already may
        // have a million, all of which it would go through.
        if (bgp_.daemon == core::RoutingDaemon::bird)
            return {{About::told, fmt::format("show route export {} all", name), neighbor}};
        std::vector<Question> questions;
        for (const core::BgpAnnouncement& each : bgp_.announcements)
            if (whom.carries(each.service_ip.family()))
                questions.push_back(
                    {About::told,
                     fmt::format("show route {}/{} export {} all", each.service_ip.to_string(),
                                 each.service_ip.host_prefix_length(), name),
                     neighbor, false});
        if (!questions.empty()) questions.back().is_last = true;
        return questions;
    }

    Result<void> take(std::size_t, const Question& question, const std::string& said) override {
        const auto reply = bird_reply(said);
        if (!reply)
            return fail("what listens at {} is no BIRD, or speaks in riddles: {}", socket_,
                        reply.error().message);
        if (question.about == About::itself) {
            if (!reply->error.empty())
                return fail("BIRD at {} refuses `{}`: {}", socket_, question.command, reply->error);
            status_ = bird_status(reply->text);
        }
        // Of the others a refusal says that there is nothing: no protocol of such a name (8003),
        // no such network (8001), no table of that family (9001), no BFD.
        const std::string& text = reply->error.empty() ? reply->text : "";
        if (question.about == About::neighbor) neighbors_ = bird_neighbors(text, status_.time);
        if (question.about == About::bfd) bfd_ = bird_bfd(text);
        if (question.about == About::told) bird_told(text, status_.time, told_);
        return {};
    }

    void finish(std::size_t, SessionBook& book, Moment now) override {
        book.answers(now);
        book.ails("status", status_.problem, now);
        for (std::size_t i = 0; i < bgp_.neighbors.size(); ++i) {
            const core::BgpNeighbor& neighbor = bgp_.neighbors[i];
            const auto found = neighbors_.find(bird_protocol(neighbor));
            NeighborReport report = found == neighbors_.end() ? NeighborReport{} : found->second;
            if (const auto bfd = bfd_.find(neighbor.address); neighbor.bfd && bfd != bfd_.end())
                report.bfd = bfd->second;
            book.seen(i, report, now);
        }
    }

private:
    core::Bgp bgp_;
    std::string socket_;
    BirdStatus status_;
    std::map<std::string, NeighborReport> neighbors_;
    std::map<IpAddress, std::string> bfd_;
};

class FrrReader final : public DaemonReader {
public:
    FrrReader(const core::Bgp& bgp, const std::string& folder)
        : bgp_(bgp), reports_(bgp.neighbors.size()) {
        for (const char* daemon : {"bgpd", "zebra", "bfdd"})
            if (daemon != std::string_view("bfdd") || uses_bfd(bgp))
                sockets_.push_back({Language::frr, fmt::format("FRR's {}", daemon),
                                    fmt::format("{}/{}.vty", folder, daemon)});
    }

    std::vector<Socket> sockets() const override { return sockets_; }

    std::vector<Question> overview(std::size_t socket) const override {
        if (socket == zebra) return {{About::itself, "show zebra client summary"}};
        if (socket == bfdd) return {{About::itself, "show version"}};
        std::vector<Question> questions;
        questions.reserve(bgp_.neighbors.size());
        // One by one: an FRR that was there already may have hundreds of others.
        for (std::size_t i = 0; i < bgp_.neighbors.size(); ++i)
            questions.push_back(
                {About::neighbor,
                 fmt::format("show bgp neighbors {} json", bgp_.neighbors[i].address.to_string()),
                 i});
        return questions;
    }

    std::vector<Question> told(std::size_t neighbor) const override {
        const core::BgpNeighbor& whom = bgp_.neighbors[neighbor];
        std::vector<Question> questions;
        for (const Family family : families)
            if (whom.carries(family))
                questions.push_back(
                    {About::told,
                     fmt::format("show bgp {} unicast neighbors {} advertised-routes json",
                                 word_of(family), whom.address.to_string()),
                     neighbor, false});
        if (!questions.empty()) questions.back().is_last = true;
        return questions;
    }

    Result<void> take(std::size_t socket, const Question& question,
                      const std::string& said) override {
        const FrrReply reply = frr_reply(said);
        Result<void> taken;
        if (socket == zebra) {
            zebra_ = zebra_problem(reply.text);
        } else if (question.about == About::neighbor) {
            const std::size_t i = question.neighbor;
            auto report = frr_neighbor(reply.text, bgp_.neighbors[i].address);
            if (report)
                reports_[i] = std::move(*report);
            else
                taken = tl::unexpected(report.error());
        } else if (question.about == About::told) {
            taken = frr_told(reply.text, told_);
        }
        if (taken) return taken;
        return fail("{} at {} answers `{}` with what is not understood: {}",
                    sockets_[socket].daemon, sockets_[socket].path, question.command,
                    taken.error().message);
    }

    void finish(std::size_t socket, SessionBook& book, Moment now) override {
        if (socket != bgpd) {
            book.ails(sockets_[socket].daemon, socket == zebra ? zebra_ : "", now);
            return;
        }
        book.answers(now);
        for (std::size_t i = 0; i < reports_.size(); ++i)
            book.seen(i, reports_[i], now);
    }

private:
    static constexpr std::size_t bgpd = 0, zebra = 1, bfdd = 2;

    core::Bgp bgp_;
    std::vector<Socket> sockets_;
    std::vector<NeighborReport> reports_;
    std::string zebra_;
};

}  // namespace

std::unique_ptr<DaemonReader> DaemonReader::create(const core::Bgp& bgp,
                                                   const std::string& socket) {
    if (bgp.daemon == core::RoutingDaemon::existing_frr)
        return std::make_unique<FrrReader>(bgp, socket);
    return std::make_unique<BirdReader>(bgp, socket);
}

std::string usual_socket(core::RoutingDaemon daemon, const std::string& run_dir) {
    switch (daemon) {
        case core::RoutingDaemon::bird: return run_dir + "/bird.ctl";
        case core::RoutingDaemon::existing_bird: return "/run/bird/bird.ctl";
        case core::RoutingDaemon::existing_frr: break;
    }
    return "/run/frr";
}

}  // namespace dnsdirector::announce
