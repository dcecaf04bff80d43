// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/handover.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "dataplane/proxy/socket_address.h"

namespace dnsdirector::dataplane::proxy {
namespace {

constexpr std::string_view head = "proxy-handover 1";
constexpr std::string_view tail = "end";

std::optional<core::Scheduler> scheduler_named(const std::string& name) {
    for (int i = 0; i <= static_cast<int>(core::Scheduler::qname); ++i)
        if (to_string(static_cast<core::Scheduler>(i)) == name)
            return static_cast<core::Scheduler>(i);
    return std::nullopt;
}

std::optional<core::ForwardingMethod> method_named(const std::string& name) {
    using core::ForwardingMethod;
    for (const ForwardingMethod method :
         {ForwardingMethod::dr, ForwardingMethod::tun, ForwardingMethod::nat})
        if (to_string(method) == name) return method;
    return std::nullopt;
}

bool read_service(std::istringstream& words, Handover& handover, core::ServiceForwarding*& last) {
    std::string endpoint;
    std::string protocol;
    std::string scheduler;
    std::string method;
    core::ServiceForwarding service;
    if (!(words >> endpoint >> protocol >> scheduler >> method >> service.other_hash)) return false;
    const auto where = Endpoint::parse(endpoint);
    const auto by = scheduler_named(scheduler);
    const auto how = method_named(method);
    if (!where || !by || !how) return false;
    service.key = {where->address, where->port, protocol == "tcp" ? Protocol::tcp : Protocol::udp};
    service.scheduler = *by;
    service.method = *how;
    const auto [added, is_new] = handover.forwarding.emplace(service.key, service);
    last = &added->second;
    return is_new;
}

bool read_transparent(std::istringstream& words, Handover& handover) {
    std::string endpoint;
    words >> endpoint;
    const auto server = Endpoint::parse(endpoint);
    if (server) handover.wishes.transparent.insert(*server);
    return server.has_value();
}

bool read_client_subnet(std::istringstream& words, Handover& handover,
                        const core::ServiceForwarding* service) {
    unsigned ipv4 = 0;
    unsigned ipv6 = 0;
    if (service == nullptr || !(words >> ipv4 >> ipv6) || ipv4 > 32 || ipv6 > 128) return false;
    handover.wishes.client_subnets[service->key] = {static_cast<std::uint8_t>(ipv4),
                                                    static_cast<std::uint8_t>(ipv6)};
    return true;
}

bool read_server(std::istringstream& words, Handover& handover, core::ServiceForwarding* service) {
    std::string endpoint;
    std::string method;
    core::Destination destination;
    bool header = false;
    if (service == nullptr || !(words >> endpoint >> destination.weight >> method >> header))
        return false;
    const auto where = Endpoint::parse(endpoint);
    const auto how = method_named(method);
    if (!where || !how) return false;
    destination.server = *where;
    destination.method = *how;
    service->destinations.push_back(destination);
    if (header) handover.wishes.proxy_protocol.insert(*where);
    return true;
}

/// Of the service before: what goes to all, …
bool read_to_all(std::istringstream& words, Handover& handover, core::ServiceForwarding* service) {
    if (service == nullptr) return false;
    core::ToAll& what = handover.wishes.to_all[service->key].what;
    return static_cast<bool>(words >> what.notify >> what.update >> what.answers);
}

/// … from whom …
bool read_to_all_from(std::istringstream& words, Handover& handover,
                      core::ServiceForwarding* service) {
    std::string address;
    core::Prefix network;
    if (service == nullptr || !(words >> address >> network.length)) return false;
    const auto parsed = IpAddress::parse(address);
    if (!parsed || network.length > parsed->host_prefix_length()) return false;
    network.address = *parsed;
    handover.wishes.to_all[service->key].what.from.push_back(network);
    return true;
}

/// … and to whom.
bool read_to_all_server(std::istringstream& words, Handover& handover,
                        core::ServiceForwarding* service) {
    std::string endpoint;
    bool header = false;
    if (service == nullptr || !(words >> endpoint >> header)) return false;
    const auto server = Endpoint::parse(endpoint);
    if (!server) return false;
    handover.wishes.to_all[service->key].servers.push_back(*server);
    if (header) handover.wishes.proxy_protocol.insert(*server);
    return true;
}

std::string text_of(const ToAllWish& wish, const std::set<Endpoint>& with_header) {
    std::string text =
        fmt::format("to-all {:d} {:d} {}\n", wish.what.notify, wish.what.update, wish.what.answers);
    for (const core::Prefix& network : wish.what.from)
        text += fmt::format("to-all-from {} {}\n", network.address.to_string(), network.length);
    for (const Endpoint& server : wish.servers)
        text += fmt::format("to-all-server {} {:d}\n", server.to_string(),
                            with_header.contains(server));
    return text;
}

bool read_query(std::istringstream& words, Handover& handover) {
    std::string service;
    std::string client;
    std::string digits;
    if (!(words >> service >> client >> digits) || digits.size() % 2 != 0) return false;
    const auto where = Endpoint::parse(service);
    const auto whose = Endpoint::parse(client);
    if (!where || !whose) return false;
    LeftQuery query{{where->address, where->port, Protocol::udp}, *whose, {}};
    for (std::size_t at = 0; at < digits.size(); at += 2) {
        std::uint8_t byte = 0;
        const char* end = digits.data() + at + 2;
        if (std::from_chars(digits.data() + at, end, byte, 16).ptr != end) return false;
        query.message.push_back(byte);
    }
    handover.queries.push_back(std::move(query));
    return true;
}

}  // namespace

std::string to_text(const Handover& handover) {
    std::string text = fmt::format("{}\n", head);
    for (const int socket : handover.sockets)
        text += fmt::format("socket {}\n", socket);
    for (const int socket : handover.lent)
        text += fmt::format("lent {}\n", socket);
    if (handover.bridge >= 0) text += fmt::format("bridge {}\n", handover.bridge);
    for (const Endpoint& server : handover.wishes.transparent)
        text += fmt::format("transparent {}\n", server.to_string());
    for (const auto& [key, service] : handover.forwarding) {
        text += fmt::format("service {} {} {} {} {:d}\n", key.endpoint().to_string(),
                            to_string(key.protocol), to_string(service.scheduler),
                            to_string(service.method), service.other_hash);
        // Where nothing of it is wished, a program that does not know it reads this as well.
        if (const auto subnet = handover.wishes.client_subnets.find(key);
            subnet != handover.wishes.client_subnets.end())
            text += fmt::format("client_subnet {} {}\n", subnet->second.ipv4, subnet->second.ipv6);
        for (const core::Destination& each : service.destinations)
            text += fmt::format("server {} {} {} {:d}\n", each.server.to_string(), each.weight,
                                to_string(each.method),
                                handover.wishes.proxy_protocol.contains(each.server));
        if (const auto wish = handover.wishes.to_all.find(key);
            wish != handover.wishes.to_all.end())
            text += text_of(wish->second, handover.wishes.proxy_protocol);
    }
    for (const LeftQuery& query : handover.queries)
        text += fmt::format("query {} {} {:02x}\n", query.service.endpoint().to_string(),
                            query.client.to_string(), fmt::join(query.message, ""));
    return text + fmt::format("{}\n", tail);
}

Result<Handover> handover_of(const std::string& text) {
    Handover handover;
    core::ServiceForwarding* service = nullptr;
    std::istringstream lines(text);
    std::string line;
    if (!std::getline(lines, line) || line != head)
        return fail("what the program before left of its proxy is of another version");
    bool whole = false;
    while (!whole && std::getline(lines, line)) {
        std::istringstream words(line);
        std::string what;
        words >> what;
        bool good = true;
        int number = -1;
        if (what == tail)
            whole = true;
        else if (what == "socket" && words >> number && number >= 0)
            handover.sockets.push_back(number);
        else if (what == "lent" && words >> number && number >= 0)
            handover.lent.push_back(number);
        else if (what == "bridge" && words >> number && number >= 0)
            handover.bridge = number;
        else if (what == "service")
            good = read_service(words, handover, service);
        else if (what == "transparent")
            good = read_transparent(words, handover);
        else if (what == "client_subnet")
            good = read_client_subnet(words, handover, service);
        else if (what == "server")
            good = read_server(words, handover, service);
        else if (what == "to-all")
            good = read_to_all(words, handover, service);
        else if (what == "to-all-from")
            good = read_to_all_from(words, handover, service);
        else if (what == "to-all-server")
            good = read_to_all_server(words, handover, service);
        else if (what == "query")
            good = read_query(words, handover);
        else
            good = false;
        if (!good) return fail("what the program before left of its proxy reads `{}`", line);
    }
    if (!whole) return fail("what the program before left of its proxy is not whole");
    for (auto& [key, each] : handover.forwarding)
        std::sort(each.destinations.begin(), each.destinations.end());
    for (auto& [key, wish] : handover.wishes.to_all)
        std::sort(wish.servers.begin(), wish.servers.end());
    return handover;
}

int write_handover(const Handover& handover) {
    const int file = memfd_create("dnsdirector-proxy", 0);
    if (file < 0) return -1;
    const std::string text = to_text(handover);
    std::size_t at = 0;
    while (at < text.size()) {
        const ssize_t written = ::write(file, text.data() + at, text.size() - at);
        if (written <= 0) {
            ::close(file);
            return -1;
        }
        at += static_cast<std::size_t>(written);
    }
    (void)lseek(file, 0, SEEK_SET);
    return file;
}

Result<Handover> take_handover() {
    const char* word = std::getenv(handover_variable);
    if (word == nullptr) return Handover{};
    const int file = std::atoi(word);
    unsetenv(handover_variable);
    std::string text;
    std::array<char, 65536> buffer{};
    for (ssize_t got = 0; (got = ::read(file, buffer.data(), buffer.size())) > 0;)
        text.append(buffer.data(), static_cast<std::size_t>(got));
    ::close(file);
    auto handover = handover_of(text);
    if (!handover) return handover;
    for (const auto* sockets : {&handover->sockets, &handover->lent})
        for (const int socket : *sockets)
            (void)fcntl(socket, F_SETFD, FD_CLOEXEC);
    if (handover->bridge >= 0) (void)fcntl(handover->bridge, F_SETFD, FD_CLOEXEC);
    return handover;
}

Result<void> write_journal(const std::string& path, const Handover& handover) {
    const std::string temporary = path + ".new";
    std::ofstream file(temporary, std::ios::trunc);
    file << to_text(handover);
    file.close();
    if (!file) return fail_errno("cannot write " + temporary, errno);
    std::error_code error;
    std::filesystem::rename(temporary, path, error);
    if (error) return fail_errno("cannot rename " + temporary + " to " + path, error.value());
    return {};
}

Result<Handover> read_journal(const std::string& path) {
    std::ifstream file(path);
    if (!file) return Handover{};
    std::ostringstream text;
    text << file.rdbuf();
    auto handover = handover_of(text.str());
    if (!handover) return fail("{}: {}", path, handover.error().message);
    return handover;
}

core::ServiceKey service_of_socket(int socket) {
    SocketAddress address;
    socklen_t size = sizeof address;
    int type = 0;
    socklen_t type_size = sizeof type;
    int listens = 0;
    socklen_t listens_size = sizeof listens;
    if (getsockname(socket, &address.any, &size) != 0 ||
        (address.any.sa_family != AF_INET && address.any.sa_family != AF_INET6) ||
        getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0 ||
        getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_size) != 0 ||
        (type == SOCK_STREAM ? listens == 0 : type != SOCK_DGRAM))
        return {.address = {}, .port = 0};
    const Endpoint endpoint = address.endpoint();
    return {endpoint.address, endpoint.port, type == SOCK_STREAM ? Protocol::tcp : Protocol::udp};
}

}  // namespace dnsdirector::dataplane::proxy
