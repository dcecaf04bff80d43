// SPDX-License-Identifier: Apache-2.0
//
// `withdraw` and `announce`: the operator's word on a service IP; `announced`: how it stands.
#include "cli/client.h"

namespace dnsdirector::cli {
namespace {

struct WithdrawOptions {
    std::string run_dir;
    std::string service_ip;
};

constexpr const char* help_of_both =
    "SERVICE_IP is an address, IPv6 with or without brackets. A service IP that is withdrawn is\n"
    "forwarded as before, for whoever still sends. Kept over restarts.\n"
    "Exit status: 0 done, 1 no such service IP, 3 no director.\n"
    "\n"
    "  dnsdirector withdraw 192.0.2.53\n"
    "  dnsdirector announce 192.0.2.53           as its servers' health says\n"
    "\n"
    "`dnsdirector drain --all` does it for all, and lets the routers move the traffic first.";

std::string without_brackets(const std::string& address) {
    return address.starts_with('[') && address.ends_with(']')
               ? address.substr(1, address.size() - 2)
               : address;
}

int send_word(const WithdrawOptions& options, const std::string& verb) {
    const ApiAnswer answer = call_api(options.run_dir, "POST", "/v1/" + verb,
                                      {{"service_ip", without_brackets(options.service_ip)}});
    if (const int status = print_errors(answer, options.run_dir); status != ok) return status;
    fmt::print("{}\n", answer.body.value("announcement", std::string()));
    return ok;
}

/// For VRRP's track scripts: 0 where it may have the traffic.
int ask_announced(const WithdrawOptions& options) {
    const ApiAnswer answer = call_api(options.run_dir, "GET", "/v1/announced");
    if (const int status = print_errors(answer, options.run_dir); status != ok) return status;
    const std::string wanted = without_brackets(options.service_ip);
    if (!wanted.empty() && !answer.body.contains(wanted)) {
        fmt::print(stderr, "dnsdirector: {} is no service IP of this director\n", wanted);
        return failed;
    }
    int status = ok;
    for (const auto& [service_ip, value] : answer.body.items()) {
        if (!wanted.empty() && service_ip != wanted) continue;
        const std::string state = value.is_string() ? value.get<std::string>() : "";
        fmt::print("{} {}\n", service_ip, state);
        if (state != "announced" && state != "degraded") status = failed;
    }
    return status;
}

void add_announced(Program program) {
    auto* command = program.app.add_subcommand(
        "announced", "Whether service IPs are announced; for VRRP's track scripts");
    auto options = std::make_shared<WithdrawOptions>();
    add_run_dir(*command, options->run_dir);
    command->add_option("service_ip", options->service_ip, "A service IP; without one, all");
    command->footer(
        "Exit status: 0 announced or degraded, 1 one is draining or withdrawn, 3 no director.\n"
        "\n"
        "  vrrp_script resolvers { script \"/usr/bin/dnsdirector announced 192.0.2.53\" }");
    command->callback(
        [program, options] { program.action = [options] { return ask_announced(*options); }; });
}

void add_word(Program program, const std::string& verb, const std::string& help) {
    auto* command = program.app.add_subcommand(verb, help);
    auto options = std::make_shared<WithdrawOptions>();
    add_run_dir(*command, options->run_dir);
    command->add_option("service_ip", options->service_ip, "A service IP")->required();
    command->footer(help_of_both);
    command->callback([program, options, verb] {
        program.action = [options, verb] { return send_word(*options, verb); };
    });
}

}  // namespace

void add_withdraw(Program program) {
    add_word(program, "withdraw", "A service IP is not announced, whatever its servers' health");
    add_announced(program);
    add_word(program, "announce", "A service IP that was withdrawn is announced again");
}

}  // namespace dnsdirector::cli
