// SPDX-License-Identifier: Apache-2.0
#include <linux/capability.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/client.h"
#include "cli/message_text.h"
#include "cli/realserver.h"
#include "config/config.h"
#include "realserver/up.h"

namespace dnsdirector::cli {
namespace {

struct RealServerOptions {
    std::string path = default_config;
    std::string config_id;
    std::string run_dir = default_run_dir;
    bool dry_run = false;
};

int refuse(const std::string& why) {
    fmt::print(stderr, "dnsdirector: {}\n", why);
    return failed;
}

/// It would undo at its next look what is done here.
bool agent_runs(const RealServerOptions& options) {
    const ApiAnswer answer = call_api(options.run_dir, "GET", "/v1/status");
    return answer.reached && answer.body.is_object() && answer.body.contains("realserver");
}

int refuse_beside_agent(const char* command, const char* instead) {
    return refuse(
        fmt::format("`realserver run` keeps this machine, and would undo what realserver "
                    "{} does; {}",
                    command, instead));
}

int refuse_without_root(const char* command) {
    return refuse(fmt::format("realserver {} takes root (CAP_NET_ADMIN); run it by sudo", command));
}

realserver::Report report_to_terminal() {
    return {[](const std::string& line) {
                fmt::print("{}\n", line);
                std::fflush(stdout);
            },
            [](const std::string& line) { fmt::print(stderr, "dnsdirector: note: {}\n", line); },
            [](const std::string& line) { fmt::print(stderr, "dnsdirector: {}\n", line); }};
}

void print_plan(const std::vector<realserver::Change>& changes) {
    for (const realserver::Change& change : changes)
        if (const std::string line = to_string(change, realserver::Tense::to_do); !line.empty())
            fmt::print("{}\n", line);
}

int up(const RealServerOptions& options) {
    if (!may_administer()) return refuse_without_root("up");
    const auto file = read_machine_file(options.path, options.config_id);
    if (!file) return failed;
    const realserver::Order* order = &file->order;
    const auto machine = realserver::open_machine();
    if (!machine) return refuse(machine.error().message);
    const realserver::Report report = report_to_terminal();
    if (!options.dry_run) {
        if (agent_runs(options))
            return refuse_beside_agent("up", "edit its file, then `dnsdirector reload`");
        const auto store = realserver::open_journal(options.run_dir);
        if (!store) return refuse(store.error().message);
        return realserver::bring_up(*order, **store, **machine, report) ? ok : failed;
    }
    const auto journal = realserver::peek_journal(options.run_dir);
    if (!journal) return refuse(journal.error().message);
    const auto plan = realserver::plan_up(*order, *journal, **machine);
    if (!plan) return refuse(plan.error().message);
    for (const std::string& refusal : plan->wishes.refusals)
        report.failure(refusal);
    for (const std::string& note : plan->wishes.notes)
        report.note(note);
    print_plan(plan->changes);
    return plan->wishes.refusals.empty() ? ok : failed;
}

int down(const RealServerOptions& options) {
    if (!may_administer()) return refuse_without_root("down");
    const auto machine = realserver::open_machine();
    if (!machine) return refuse(machine.error().message);
    if (!options.dry_run) {
        if (agent_runs(options))
            return refuse_beside_agent("down", "stop it, which takes it all back");
        const auto store = realserver::open_journal(options.run_dir);
        if (!store) return refuse(store.error().message);
        return realserver::take_down(**store, **machine, report_to_terminal()) ? ok : failed;
    }
    const auto journal = realserver::peek_journal(options.run_dir);
    if (!journal) return refuse(journal.error().message);
    const auto changes = realserver::plan_down(*journal, **machine);
    if (!changes) return refuse(changes.error().message);
    print_plan(*changes);
    return ok;
}

struct RealServerCommand {
    const char* name;
    const char* help;
    bool reads_file;
    int (*run)(const RealServerOptions&);
    const char* footer;
};

constexpr RealServerCommand commands[] = {
    {"up", "Make this machine the real server that the file says", true, up,
     "Service IPs on lo, ARP and reverse-path settings, tunnel devices, and the translation to\n"
     "several DNS processes (the nftables table dnsdirector_realserver), as far as they are not\n"
     "as they should be already. What was there before stands in RUN_DIR/realserver.json before\n"
     "each change. After an edit of the file, `up` changes what differs.\n"
     "Exit status: 0 it is as it should be, 1 not; half-way `up` or `down` can be run again.\n"
     "\n"
     "  sudo dnsdirector realserver up -f realserver.conf --dry-run\n"
     "  sudo dnsdirector realserver up -f realserver.conf"},
    {"down", "Take it all back", false, down,
     "What was there before `up` is there again; what others have changed meanwhile stays, and is\n"
     "named. The file is not read.\n"
     "Exit status: 0 nothing of ours is left, 1 something could not be taken back."},
};

void add_command(CLI::App& realserver, const Program& program, const RealServerCommand& spec,
                 const std::shared_ptr<RealServerOptions>& options) {
    auto* command = realserver.add_subcommand(spec.name, spec.help);
    if (spec.reads_file) {
        command->add_option("-f,--file", options->path, "Configuration")->capture_default_str();
        add_config_id(*command, options->config_id);
    }
    command->add_flag("--dry-run", options->dry_run, "Print the changes, one a line; make none");
    command
        ->add_option("--run-dir", options->run_dir, "Holds realserver.json: what was there before")
        ->capture_default_str();
    command->footer(spec.footer);
    command->callback([program, options, run = spec.run] {
        program.action = [options, run] { return run(*options); };
    });
}

}  // namespace

std::optional<MachineFile> read_machine_file(const std::string& path,
                                             const std::string& config_id) {
    config::Loaded loaded = config::load(path, config_id);
    for (const config::Message& message : loaded.messages)
        if (message.severity == config::Severity::error)
            fmt::print(stderr, "{}", text_with_caret(message));
    if (!loaded.ok()) return std::nullopt;
    if (!loaded.configuration->real_server_machine) {
        refuse(path +
               " has no realserver block, which says what this machine should be; write "
               "`realserver { service_ip ADDRESS… }` into it");
        return std::nullopt;
    }
    MachineFile file{std::move(*loaded.configuration), {}};
    file.order = realserver::order_of(file.configuration);
    return file;
}

bool may_administer() {
    std::ifstream file{"/proc/self/status"};
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("CapEff:"))
            return ((std::stoull(line.substr(7), nullptr, 16) >> CAP_NET_ADMIN) & 1) != 0;
    return true;  // the kernel will say
}

void add_realserver(Program program) {
    auto* realserver = program.app.add_subcommand(
        "realserver", "The other side: make this machine a real server, and take it back");
    realserver->require_subcommand(1);
    auto options = std::make_shared<RealServerOptions>();
    for (const RealServerCommand& spec : commands)
        add_command(*realserver, program, spec, options);
    add_realserver_check(program, *realserver);
    add_realserver_run(program, *realserver);
    add_realserver_rules(program, *realserver);
}

}  // namespace dnsdirector::cli
