// SPDX-License-Identifier: Apache-2.0
//
// `withdraw` and `announce`: the operator's word on a service IP.
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

int send_word(const WithdrawOptions& options, const std::string& verb) {
    std::string service_ip = options.service_ip;
    if (service_ip.starts_with('[') && service_ip.ends_with(']'))
        service_ip = service_ip.substr(1, service_ip.size() - 2);
    const ApiAnswer answer =
        call_api(options.run_dir, "POST", "/v1/" + verb, {{"service_ip", service_ip}});
    if (const int status = print_errors(answer, options.run_dir); status != ok) return status;
    fmt::print("{}\n", answer.body.value("announcement", std::string()));
    return ok;
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
    add_word(program, "announce", "A service IP that was withdrawn is announced again");
}

}  // namespace dnsdirector::cli
