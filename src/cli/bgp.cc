// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>

#include "announce/bgp_check.h"
#include "announce/bird_config.h"
#include "announce/control_socket.h"
#include "announce/daemon_reader.h"
#include "announce/frr_config.h"
#include "cli/cli.h"
#include "cli/message_text.h"
#include "config/config.h"

namespace dnsdirector::cli {
namespace {

struct BgpOptions {
    std::string path = default_config;
    std::string config_id;
    std::string daemon;  ///< instead of the block's
    std::string run_dir = default_run_dir;
    std::string file;  ///< "": the daemon's usual
    std::string socket;
    std::string output;  ///< "": standard output
};

/// The bgp block; absent when there is none to go by, which has been said.
std::optional<core::Bgp> bgp_of(const BgpOptions& options) {
    const config::Loaded loaded = config::load(options.path, options.config_id);
    for (const config::Message& message : loaded.messages)
        if (message.severity == config::Severity::error)
            fmt::print(stderr, "{}", text_with_caret(message));
    if (!loaded.ok()) return std::nullopt;
    if (!loaded.configuration->bgp) {
        fmt::print(stderr, "dnsdirector: {} has no bgp block; nothing is announced\n",
                   options.path);
        return std::nullopt;
    }
    core::Bgp bgp = *loaded.configuration->bgp;
    for (const auto daemon : {core::RoutingDaemon::bird, core::RoutingDaemon::existing_bird,
                              core::RoutingDaemon::existing_frr})
        if (options.daemon == to_string(daemon)) bgp.daemon = daemon;
    return bgp;
}

bool is_frr(const core::Bgp& bgp) {
    return bgp.daemon == core::RoutingDaemon::existing_frr;
}

int cannot(const std::string& why) {
    fmt::print(stderr, "dnsdirector: {}\n", why);
    return failed;
}

/// Whole or not at all. It may hold passwords: owner, group and mode are those of the file that it
/// replaces, else it belongs to whom its folder does, and others may not read it.
Result<void> write_file(const std::string& path, const std::string& text) {
    const std::string temporary = path + ".new";
    const auto failed_to = [&](const char* what) {
        const int error = errno;
        ::unlink(temporary.c_str());
        return fail_errno(fmt::format("cannot {} {}", what, temporary), error);
    };
    struct stat like{};
    const auto slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    if (::stat(path.c_str(), &like) == 0)
        like.st_mode &= 0777;
    else if (::stat(folder.c_str(), &like) == 0)
        like.st_mode = 0640;
    else
        return fail_errno("cannot look at the folder " + folder, errno);
    ::unlink(temporary.c_str());
    const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) return failed_to("create");
    const bool whole = ::write(file, text.data(), text.size()) == std::ssize(text) &&
                       ::fchown(file, like.st_uid, like.st_gid) == 0 &&
                       ::fchmod(file, like.st_mode) == 0;
    const bool closed = ::close(file) == 0;
    if (!whole || !closed) return failed_to("write");
    if (::rename(temporary.c_str(), path.c_str()) != 0) return failed_to("rename into place");
    return {};
}

int print_config(const BgpOptions& options) {
    const auto bgp = bgp_of(options);
    if (!bgp) return failed;
    const std::string text =
        is_frr(*bgp) ? announce::frr_config(*bgp) : announce::bird_config(*bgp);
    if (options.output.empty()) {
        fmt::print("{}", text);
        return ok;
    }
    const auto written = write_file(options.output, text);
    return written ? ok : cannot(written.error().message);
}

/// As BIRD writes times, in this machine's zone.
std::string time_text(std::time_t time) {
    std::tm parts{};
    ::localtime_r(&time, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts)};
}

std::string socket_of(const core::Bgp& bgp, const BgpOptions& options) {
    return options.socket.empty() ? announce::usual_socket(bgp.daemon, options.run_dir)
                                  : options.socket;
}

Result<std::vector<std::string>> compare_bird(const core::Bgp& bgp, const BgpOptions& options) {
    const bool own = bgp.daemon == core::RoutingDaemon::bird;
    announce::BirdState state;
    state.file = !options.file.empty() ? options.file
                 : own                 ? options.run_dir + "/bird.conf"
                                       : "/etc/bird/dnsdirector.conf";
    const std::string socket = socket_of(bgp, options);
    struct stat status{};
    if (::stat(state.file.c_str(), &status) != 0)
        return fail(
            "{}, which BIRD should have read, cannot be looked at ({}); write it by "
            "`dnsdirector bgp config`, or name it by --bird-conf",
            state.file, std::strerror(errno));
    state.changed_at = time_text(status.st_mtime);
    std::ostringstream text;
    text << std::ifstream(state.file).rdbuf();
    state.text = text.str();
    for (const auto& [command, into] : {std::pair{"show status", &state.status},
                                        std::pair{"show protocols all", &state.protocols}}) {
        auto reply = announce::ask_bird(socket, command);
        if (!reply) return tl::unexpected(reply.error());
        *into = std::move(*reply);
    }
    return announce::bird_differences(bgp, state);
}

Result<std::vector<std::string>> compare_frr(const core::Bgp& bgp, const BgpOptions& options) {
    const std::string folder = socket_of(bgp, options);
    const bool bfd = std::any_of(bgp.neighbors.begin(), bgp.neighbors.end(),
                                 [](const auto& each) { return each.bfd.has_value(); });
    std::string running;
    for (const char* daemon : {"bgpd", "zebra", "bfdd"}) {
        if (daemon == std::string_view("bfdd") && !bfd) continue;
        auto reply =
            announce::ask_frr(fmt::format("{}/{}.vty", folder, daemon), "show running-config");
        if (!reply) return tl::unexpected(reply.error());
        running += *reply + "\n";
    }
    return announce::frr_differences(bgp, running);
}

int check(const BgpOptions& options) {
    const auto bgp = bgp_of(options);
    if (!bgp) return failed;
    const auto differences =
        is_frr(*bgp) ? compare_frr(*bgp, options) : compare_bird(*bgp, options);
    if (!differences) return cannot(differences.error().message);
    for (const std::string& each : *differences)
        fmt::print("{}\n", each);
    if (differences->empty())
        fmt::print("{} runs what {} says\n", is_frr(*bgp) ? "FRR" : "BIRD", options.path);
    return differences->empty() ? ok : failed;
}

CLI::App* add(CLI::App& bgp, const char* name, const char* help,
              const std::shared_ptr<BgpOptions>& options) {
    auto* command = bgp.add_subcommand(name, help);
    command->add_option("-f,--file", options->path, "Configuration")->capture_default_str();
    add_config_id(*command, options->config_id);
    command->add_option("--daemon", options->daemon, "Instead of the block's `daemon`")
        ->check(CLI::IsMember({"bird", "existing bird", "existing frr"}));
    return command;
}

}  // namespace

void add_bgp(Program program) {
    auto* bgp = program.app.add_subcommand(
        "bgp", "The routing daemon's configuration, from the bgp block: print, compare");
    bgp->require_subcommand(1);
    auto options = std::make_shared<BgpOptions>();

    auto* config = add(*bgp, "config", "Print it", options);
    config->add_option("-o,--output", options->output,
                       "Write this file, whole or not at all, instead of standard output");
    config->footer(
        "With `daemon bird` the whole of bird.conf, else the part for the BIRD or FRR that runs\n"
        "already. Exit status: 0 printed, 1 the configuration is wrong or has no bgp block.\n"
        "\n"
        "  dnsdirector bgp config -f resolvers.conf -o /run/dnsdirector/bird.conf\n"
        "  dnsdirector bgp config -f resolvers.conf --daemon 'existing frr' > part && vtysh -f "
        "part");
    config->callback(
        [program, options] { program.action = [options] { return print_config(*options); }; });

    auto* compare = add(*bgp, "check", "Does the routing daemon run it?", options);
    compare->add_option("--run-dir", options->run_dir, "Of our own BIRD: bird.conf and bird.ctl")
        ->capture_default_str();
    compare->add_option("--bird-conf", options->file,
                        "What BIRD reads: RUN_DIR/bird.conf, /etc/bird/dnsdirector.conf");
    compare->add_option("--socket", options->socket,
                        "BIRD's control socket, or the folder of FRR's (/run/frr)");
    compare->footer(
        "Every difference is a line on standard output. BIRD is asked over its control socket,\n"
        "FRR over those of bgpd, zebra and bfdd; both need root, or the daemon's group.\n"
        "Exit status: 0 it does, 1 differences, or it cannot be asked.");
    compare->callback(
        [program, options] { program.action = [options] { return check(*options); }; });
}

}  // namespace dnsdirector::cli
