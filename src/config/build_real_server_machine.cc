// SPDX-License-Identifier: Apache-2.0
//
// The realserver block, judged as a whole, and the services that its agent watches over.
#include <algorithm>
#include <map>

#include "config/assembly.h"
#include "config/build_native_check.h"

namespace dnsdirector::config {
namespace {

class MachineBuilder {
public:
    MachineBuilder(const RealServerMachineDraft& draft, Assembly& file)
        : draft_(draft),
          file_(file),
          diagnostics_(file.diagnostics()),
          // On this machine nothing is forwarded.
          own_(file.drafts(), file.files(), file.diagnostics(), core::DataPlaneKind::none),
          machine_(draft.machine) {}

    void build();

private:
    void find_service_ips();
    void judge_tunnels();
    void judge_process(const ProcessDraft& draft);
    void judge_families();
    void add_services();
    core::RealServer real_server_of(const std::string& name, const Endpoint& endpoint,
                                    Protocol protocol);

    const RealServerMachineDraft& draft_;
    Assembly& file_;
    Diagnostics& diagnostics_;
    Assembly own_;
    core::RealServerMachine machine_;
    std::vector<const CheckDraft*> checks_;
    std::map<std::string, Position> inputs_;
    std::map<Endpoint, Position> listen_;
};

void MachineBuilder::find_service_ips() {
    for (const Placed<IpAddress>& each : draft_.service_ips)
        if (own_.usable(each.value, each.position, "service_ip"))
            machine_.service_ips.push_back(each.value);
    if (!draft_.service_ips.empty()) return;
    for (const core::Service& service : file_.services()) {
        auto& all = machine_.service_ips;
        if (service.key.fwmark == 0 &&
            std::find(all.begin(), all.end(), service.key.address) == all.end())
            all.push_back(service.key.address);
    }
    if (machine_.service_ips.empty() && diagnostics_.errors() == 0)
        diagnostics_.error(draft_.position,
                           "realserver has no service_ip, and the file has no service that would "
                           "tell; write `service_ip ADDRESS…` into it");
}

void MachineBuilder::judge_tunnels() {
    for (const Placed<IpAddress>& each : draft_.tunnel_ends) {
        if (!own_.usable(each.value, each.position, "tunnel")) continue;
        if (std::find(machine_.service_ips.begin(), machine_.service_ips.end(), each.value) !=
            machine_.service_ips.end())
            diagnostics_.error(each.position,
                               "tunnel: {} is a service IP; the director sends its tunnels to the "
                               "machine's own address, the `address` of the real_server",
                               each.value.to_string());
        machine_.tunnel_ends.push_back(each.value);
    }
    if (draft_.tunnel_from_at && draft_.tunnel_ends.empty() && !draft_.faulty)
        diagnostics_.error(*draft_.tunnel_from_at,
                           "tunnel_from needs a `tunnel ADDRESS…` that packets come to");
}

void MachineBuilder::judge_process(const ProcessDraft& draft) {
    core::DnsProcess process = draft.process;
    const auto same_name =
        std::find_if(machine_.processes.begin(), machine_.processes.end(),
                     [&](const core::DnsProcess& other) { return other.name == process.name; });
    if (same_name != machine_.processes.end())
        diagnostics_.error(draft.position, "the process `{}` is declared a second time",
                           process.name);
    if (!process.input.empty()) {
        const auto [first, fresh] = inputs_.emplace(process.input, draft.input_at);
        if (!fresh)
            diagnostics_.error(draft.input_at,
                               "input: packets that come in on {} belong to another process "
                               "already, at {}; each has an interface of its own",
                               process.input, diagnostics_.where(first->second));
    }
    for (const Placed<Endpoint>& each : draft.listen) {
        const Endpoint listen{each.value.address,
                              each.value.port != 0 ? each.value.port : machine_.port};
        if (!own_.usable(listen.address, each.position, "listen")) continue;
        if (listen.address.is_loopback())
            diagnostics_.error(each.position,
                               "listen: {} is a loopback address, to which the kernel delivers "
                               "nothing that came in from outside; give the process an address "
                               "of its own on {}",
                               listen.address.to_string(), machine_.interface);
        if (std::find(machine_.service_ips.begin(), machine_.service_ips.end(), listen.address) !=
            machine_.service_ips.end())
            diagnostics_.error(each.position,
                               "listen: {} is a service IP, which all processes have in common; "
                               "write the process's own address",
                               listen.address.to_string());
        const auto [first, fresh] = listen_.emplace(listen, each.position);
        if (!fresh)
            diagnostics_.error(each.position, "listen: {} is taken already, at {}",
                               listen.to_string(), diagnostics_.where(first->second));
        if (std::any_of(process.listen.begin(), process.listen.end(), [&](const Endpoint& other) {
                return other.address.family() == listen.address.family();
            }))
            diagnostics_.error(each.position,
                               "listen: one {} address is enough; a packet can go to one only",
                               to_string(listen.address.family()));
        process.listen.push_back(listen);
    }
    machine_.processes.push_back(std::move(process));
}

/// A service IP whose family no process listens in is held for nothing.
void MachineBuilder::judge_families() {
    if (machine_.processes.empty() || diagnostics_.errors() != 0) return;
    for (const IpAddress& service_ip : machine_.service_ips)
        for (std::size_t at = 0; at < machine_.processes.size(); ++at) {
            const core::DnsProcess& process = machine_.processes[at];
            if (std::any_of(process.listen.begin(), process.listen.end(),
                            [&](const Endpoint& each) {
                                return each.address.family() == service_ip.family();
                            }))
                continue;
            diagnostics_.warning(draft_.processes[at].position,
                                 "process {} listens on no {} address: what comes in on {} for {} "
                                 "finds nobody",
                                 process.name, to_string(service_ip.family()), process.input,
                                 service_ip.to_string());
        }
}

core::RealServer MachineBuilder::real_server_of(const std::string& name, const Endpoint& endpoint,
                                                Protocol protocol) {
    core::RealServer real;
    real.name = name;
    real.endpoint = endpoint;
    ServerChecks checks;
    for (const CheckDraft* check : checks_)
        checks.blocks.push_back(build_native_check(*check, {name, endpoint}, {}, own_));
    checks.add_to(real, protocol, false);
    return real;
}

void MachineBuilder::add_services() {
    for (const IpAddress& service_ip : machine_.service_ips)
        for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
            if (!machine_.protocols[index(protocol)]) continue;
            core::Service service;
            service.key = {service_ip, machine_.port, protocol};
            service.cluster = "realserver";
            ServicePlaces places{draft_.position, draft_.position, {}};
            if (machine_.processes.empty())
                service.real_servers.push_back(
                    real_server_of("local", {service_ip, machine_.port}, protocol));
            for (const core::DnsProcess& process : machine_.processes)
                for (const Endpoint& listen : process.listen)
                    if (listen.address.family() == service_ip.family())
                        service.real_servers.push_back(
                            real_server_of(process.name, listen, protocol));
            places.servers.assign(service.real_servers.size(), draft_.position);
            own_.add_service(std::move(service), std::move(places));
        }
}

void MachineBuilder::build() {
    find_service_ips();
    judge_tunnels();
    for (const ProcessDraft& process : draft_.processes)
        judge_process(process);
    judge_families();
    checks_ = file_.resolve_checks(draft_.checks, "realserver block");
    if (draft_.checks.empty() && machine_.withdraw_on_failure)
        diagnostics_.error(draft_.position,
                           "withdraw_on_failure needs a `check {{ query … }}` beside it, which "
                           "says when a DNS process has failed");
    for (const CheckDraft* check : checks_)
        if (check->via_service_ip_at)
            diagnostics_.error(*check->via_service_ip_at,
                               "via service_ip: the machine's own agent asks where its processes "
                               "listen; write this check into the director's dns_cluster");
    if (diagnostics_.errors() == 0) add_services();
    file_.set_machine(std::move(machine_), own_);
}

}  // namespace

void build_real_server_machine(const RealServerMachineDraft& draft, Assembly& assembly) {
    MachineBuilder(draft, assembly).build();
}

}  // namespace dnsdirector::config
