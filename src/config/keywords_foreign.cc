// SPDX-License-Identifier: Apache-2.0
//
// What a keepalived.conf holds besides virtual servers, read so that a shared
// file loads.
#include "config/keywords.h"

namespace dnsdirector::config {
namespace {

constexpr Keyword foreign(std::string_view name) {
    return {.in = Block::top,
            .name = name,
            .kind = Kind::anything,
            .help = "Accepted, so that a shared file loads",
            .repeats = true,
            .status = Status::ignored,
            .instead = "it concerns other parts of keepalived"};
}

void open_global_defs(const Call& call) {
    call.current.global_skipped = false;
}

void finish_global_defs(const Call& call, bool) {
    if (call.current.global_skipped)
        call.diagnostics.warning(call.arguments.position,
                                 "of global_defs only script_user has an effect here");
}

void set_script_user(const Call& call) {
    warn_of_group(call);
    DirectorDraft& director = call.current.drafts.director;
    // The director block's own word counts more, wherever it stands.
    if (director.script_user_at) return;
    director.settings.script_user = call.arguments.text;
}

const Keyword keywords[] = {
    {.in = Block::top,
     .name = "global_defs",
     .help = "Of keepalived's global choices only script_user is read, the rest is skipped",
     .repeats = true,
     .opens = Block::global_defs,
     .handle = open_global_defs,
     .finish = finish_global_defs},
    {.in = Block::global_defs,
     .name = "script_user",
     .kind = Kind::user,
     .help = "The user that runs scripts; script_user of a director block counts more",
     .standard = "keepalived_script where there is such a user, else the director's own",
     .handle = set_script_user},
    foreign("vrrp_instance"),
    foreign("vrrp_sync_group"),
    foreign("vrrp_script"),
    foreign("vrrp_track_process"),
    foreign("vrrp_rr_track_file"),
    foreign("static_ipaddress"),
    foreign("static_routes"),
    foreign("static_rules"),
    foreign("static_track_group"),
    foreign("bfd_instance"),
    foreign("garp_group"),
    foreign("interface_up_down_delays"),
    foreign("linkbeat_interfaces"),
    foreign("linkbeat_use_polling"),
    foreign("net_namespace"),
    foreign("net_namespace_ipvs"),
    foreign("namespace_with_ipsets"),
    foreign("instance"),
    foreign("use_pid_dir"),
    foreign("child_wait_time"),
    foreign("SSL"),
};

}  // namespace

std::span<const Keyword> foreign_keywords() {
    return keywords;
}

}  // namespace dnsdirector::config
