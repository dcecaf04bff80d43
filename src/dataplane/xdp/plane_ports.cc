// SPDX-License-Identifier: Apache-2.0
//
// Where the program is attached, and that it and its pins stay there.
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "dataplane/xdp/plane.h"

namespace dnsdirector::dataplane::xdp {
namespace {

/// An interface that can't be attached is tried again.
constexpr Nanoseconds retry_attach = Seconds{2};

}  // namespace

bool Plane::is_wanted(const netlink::Link& link) const {
    return wanted_.empty() ? hops_.ports().contains(link.index) : wanted_.contains(link.name);
}

void Plane::link_changed(const netlink::Link& link, bool gone) {
    hops_.on_link(link, gone, time_now());
    if (gone) {
        services_.forget_egress(static_cast<std::uint32_t>(link.index));
        if (!attachments_.has(link.index)) return;
        attachments_.lost(link.index);
        if (on_disturbed) on_disturbed("interface " + link.name + " is gone");
        return;
    }
    const bool has = attachments_.has(link.index);
    if (has ? attachments_.intact(link) : !wanted_.contains(link.name)) return;
    // An interface that is being removed reports changes first, then its end.
    const auto there = socket_->link(link.index);
    if (!there || !*there) return;
    if (has)
        attach_again(link, "the program on " + link.name + " had to be attached again");
    else
        attach_again(link, "interface " + link.name + " is back");
}

void Plane::attach_again(const netlink::Link& link, const std::string& why) {
    if (attach_or_retry(link) && on_disturbed) on_disturbed(why);
}

Result<void> Plane::attach_or_retry(const netlink::Link& link) {
    const std::string why = unfit(hops_.links(), link);
    auto done = why.empty() ? attachments_.attach(link) : attachments_.refuse(link, why);
    // Answers by ICMP go back the way that the packet came.
    if (done) done = services_.open_egress(static_cast<std::uint32_t>(link.index));
    if (done) return done;
    spdlog::error("{}", done.error().message);
    retry_at_ = time_now() + retry_attach;
    return done;
}

/// Links that somebody detached send no event: found when the tables are read.
void Plane::check_links() {
    const auto links = socket_->links();
    if (!links) return;
    for (const netlink::Link& link : *links)
        if (attachments_.has(link.index) && !attachments_.intact(link)) {
            spdlog::warn("the program on {} was taken off; attaching it again", link.name);
            (void)attach_or_retry(link);
        }
}

/// Without pins the next start would not find what is in force.
void Plane::check_pins() {
    if (detached_) return;
    std::vector<std::string> restored;
    std::string trouble;
    if (auto maps = maps_->restore_pins())
        restored = std::move(*maps);
    else
        trouble = maps.error().message;
    for (std::string& link : attachments_.restore_pins())
        restored.push_back(std::move(link));
    if (!restored.empty())
        spdlog::warn("pins that somebody removed were made again: {}", fmt::join(restored, ", "));
    if (!trouble.empty() && trouble != pin_trouble_)
        spdlog::error("the next start will not find what is in force: {}", trouble);
    pin_trouble_ = trouble;
}

/// Attaches where it is wanted and is not; without named interfaces takes it off
/// where no server is any more.
void Plane::attach_wanted() {
    const auto links = socket_->links();
    if (!links) return;
    seen_ports_ = hops_.ports();
    for (const netlink::Link& link : *links) {
        const bool has = attachments_.has(link.index);
        if (is_wanted(link) && !has) {
            (void)attach_or_retry(link);
        } else if (has && wanted_.empty() && !is_wanted(link) && hops_.settled()) {
            if (auto done = attachments_.detach(link.index); !done)
                spdlog::warn("{}", done.error().message);
        }
    }
}

}  // namespace dnsdirector::dataplane::xdp
