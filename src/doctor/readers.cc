// SPDX-License-Identifier: Apache-2.0
#include "doctor/readers.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include "base/socket_table.h"

namespace dnsdirector::doctor {
namespace {

namespace fs = std::filesystem;

std::string text_of(const std::string& path) {
    std::ifstream file{path};
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::string first_word(const std::string& path) {
    std::ifstream file{path};
    std::string word;
    file >> word;
    return word;
}

template <typename Number>
std::optional<Number> number(std::string_view text, int base = 10) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

template <typename Take>
void for_lines(std::string_view text, const Take& take) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        take(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

/// The folders that may hold the numbers of a device's interrupts: of the device itself, or (of
/// a virtio card) of the bus device that carries it.
std::vector<unsigned> interrupts_of(const std::string& device) {
    std::vector<unsigned> numbers;
    for (const char* place : {"/msi_irqs", "/../msi_irqs"}) {
        std::error_code error;
        for (const auto& entry : fs::directory_iterator(device + place, error))
            if (const auto each = number<unsigned>(entry.path().filename().string()))
                numbers.push_back(*each);
        if (!numbers.empty()) break;
    }
    std::ranges::sort(numbers);
    return numbers;
}

/// Interrupts of a device that carry no packets.
bool is_of_a_queue(const std::string& name) {
    return std::ranges::none_of(
        std::initializer_list<std::string_view>{"config", "async", "mgmt", "misc", "fdir", "ctrl"},
        [&](std::string_view other) { return name.find(other) != std::string::npos; });
}

}  // namespace

std::vector<Endpoint> parse_listening(std::string_view text) {
    std::vector<Endpoint> sockets;
    for (const SocketEntry& entry : parse_socket_table(text))
        if (entry.is_open(Protocol::tcp)) sockets.push_back(entry.local);
    return sockets;
}

std::vector<unsigned> parse_cpus(std::string_view text) {
    std::vector<unsigned> cpus;
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0)
        text.remove_suffix(1);
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(','), text.size());
        const std::string_view range = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::size_t dash = std::min(range.find('-'), range.size());
        const auto first = number<unsigned>(range.substr(0, dash));
        const auto last = dash == range.size() ? first : number<unsigned>(range.substr(dash + 1));
        if (!first || !last || *last > 65535) return {};
        for (unsigned cpu = *first; cpu <= *last; ++cpu)
            cpus.push_back(cpu);
    }
    return cpus;
}

std::map<unsigned, std::string> parse_interrupts(std::string_view text) {
    std::map<unsigned, std::string> names;
    for_lines(text, [&](std::string_view line) {
        const std::size_t begin = line.find_first_not_of(' ');
        const std::size_t colon = line.find(':');
        if (begin == std::string_view::npos || colon == std::string_view::npos) return;
        const auto irq = number<unsigned>(line.substr(begin, colon - begin));
        if (!irq) return;
        const std::size_t end = line.find_last_not_of(" \t");
        const std::size_t last = line.find_last_of(" \t", end);
        if (last != std::string_view::npos) names[*irq] = line.substr(last + 1, end - last);
    });
    return names;
}

std::vector<Interrupt> read_interrupts(const netlink::Link& link) {
    const std::string folder = "/sys/class/net/" + link.name;
    // An interface of the same name in the network namespace that /sys was mounted in is
    // another one.
    if (first_word(folder + "/ifindex") != std::to_string(link.index) ||
        first_word(folder + "/address") != netlink::to_string(link.mac))
        return {};
    const auto names = parse_interrupts(text_of("/proc/interrupts"));
    std::vector<Interrupt> interrupts;
    for (const unsigned irq : interrupts_of(folder + "/device")) {
        const auto name = names.find(irq);
        if (name == names.end() || !is_of_a_queue(name->second)) continue;
        const std::string place = "/proc/irq/" + std::to_string(irq);
        std::string cpus = text_of(place + "/effective_affinity_list");
        if (parse_cpus(cpus).empty()) cpus = text_of(place + "/smp_affinity_list");
        interrupts.push_back({irq, name->second, parse_cpus(cpus)});
    }
    return interrupts;
}

RunPlace read_run_place(const std::string& run_dir) {
    RunPlace place;
    place.path = run_dir;
    struct stat found{};
    place.exists = stat(run_dir.c_str(), &found) == 0;
    place.world_writable =
        place.exists && (found.st_mode & S_IWOTH) != 0 && (found.st_mode & S_ISVTX) == 0;
    std::error_code error;
    fs::path there = fs::absolute(run_dir, error);
    while (!fs::exists(there, error) && there.has_relative_path())
        there = there.parent_path();
    place.writable = access(there.c_str(), W_OK | X_OK) == 0;
    return place;
}

std::vector<Endpoint> read_listening() {
    std::vector<Endpoint> sockets = parse_listening(text_of("/proc/self/net/tcp"));
    for (const Endpoint& socket : parse_listening(text_of("/proc/self/net/tcp6")))
        sockets.push_back(socket);
    return sockets;
}

IpvsModules read_ipvs_modules(const std::string& kernel_release) {
    IpvsModules modules;
    modules.loaded = access("/proc/self/net/ip_vs", F_OK) == 0;
    auto known = std::make_shared<std::set<std::string>>();
    for_lines(text_of("/proc/modules"),
              [&](std::string_view line) { known->emplace(line.substr(0, line.find(' '))); });
    // "kernel/net/netfilter/ipvs/ip_vs_wrr.ko.xz: kernel/net/…", and without what follows.
    const std::string folder = "/lib/modules/" + kernel_release;
    const std::string listed =
        text_of(folder + "/modules.dep") + text_of(folder + "/modules.builtin");
    for_lines(listed, [&](std::string_view line) {
        line = line.substr(0, line.find(':'));
        line = line.substr(line.rfind('/') + 1);
        known->emplace(line.substr(0, line.find('.')));
    });
    const bool told = !listed.empty();
    modules.available = [known, told](const std::string& module) -> std::optional<bool> {
        if (known->contains(module)) return true;
        if (told) return false;
        return std::nullopt;
    };
    return modules;
}

}  // namespace dnsdirector::doctor
