// SPDX-License-Identifier: Apache-2.0
#include "control/systemd.h"

#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-login.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>

#include "control/reexec.h"

namespace dnsdirector::control {
namespace {

constexpr const char* systemd = "org.freedesktop.systemd1";
constexpr std::uint64_t bus_patience_us = 500'000;

struct CloseBus {
    void operator()(sd_bus* bus) const { sd_bus_flush_close_unref(bus); }
};
struct FreeMessage {
    void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
struct FreeText {
    void operator()(char* text) const { std::free(text); }
};
struct FreeNames {
    void operator()(char** names) const { std::free(static_cast<void*>(names)); }
};
using Bus = std::unique_ptr<sd_bus, CloseBus>;
using Message = std::unique_ptr<sd_bus_message, FreeMessage>;
using Text = std::unique_ptr<char, FreeText>;

/// A connection to the manager itself, which is there without a message bus, too: its socket lies
/// beside the one that it is notified by.
Bus open_private_socket() {
    const std::string notify = std::getenv("NOTIFY_SOCKET");
    const auto slash = notify.rfind('/');
    if (slash == std::string::npos) return nullptr;
    const std::string address = "unix:path=" + notify.substr(0, slash) + "/private";
    sd_bus* bus = nullptr;
    if (sd_bus_new(&bus) < 0) return nullptr;
    Bus owned(bus);
    if (sd_bus_set_address(bus, address.c_str()) < 0 || sd_bus_start(bus) < 0) return nullptr;
    return owned;
}

/// The message bus of the systemd that runs us: the system's or a user's.
Bus open_message_bus() {
    char* unit = nullptr;
    const bool of_a_user = sd_pid_get_user_unit(0, &unit) >= 0;
    const Text owned(unit);
    sd_bus* bus = nullptr;
    const int opened = of_a_user ? sd_bus_open_user(&bus) : sd_bus_open_system(&bus);
    return Bus(opened < 0 ? nullptr : bus);
}

std::string own_unit_path(sd_bus* bus) {
    sd_bus_message* reply = nullptr;
    const int called = sd_bus_call_method(bus, systemd, "/org/freedesktop/systemd1",
                                          "org.freedesktop.systemd1.Manager", "GetUnitByPID",
                                          nullptr, &reply, "u", static_cast<unsigned>(getpid()));
    const Message owned(reply);
    const char* path = nullptr;
    if (called < 0 || sd_bus_message_read(reply, "o", &path) < 0) return "";
    return path;
}

/// "/" when the unit has no job.
std::string job_path(sd_bus* bus, const std::string& unit) {
    sd_bus_message* reply = nullptr;
    const int called =
        sd_bus_get_property(bus, systemd, unit.c_str(), "org.freedesktop.systemd1.Unit", "Job",
                            nullptr, &reply, "(uo)");
    const Message owned(reply);
    std::uint32_t id = 0;
    const char* path = nullptr;
    if (called < 0 || sd_bus_message_read(reply, "(uo)", &id, &path) < 0 || id == 0) return "";
    return path;
}

std::string job_type(sd_bus* bus, const std::string& job) {
    char* type = nullptr;
    if (sd_bus_get_property_string(bus, systemd, job.c_str(), "org.freedesktop.systemd1.Job",
                                   "JobType", nullptr, &type) < 0)
        return "";
    const Text owned(type);
    return type;
}

/// Asks by the first way on which systemd knows us; false where there is none.
bool with_own_unit(const std::function<bool(sd_bus*, const std::string& unit)>& ask) {
    for (const auto open : {open_private_socket, open_message_bus}) {
        const Bus bus = open();
        if (!bus) continue;
        sd_bus_set_method_call_timeout(bus.get(), bus_patience_us);
        const std::string unit = own_unit_path(bus.get());
        if (!unit.empty()) return ask(bus.get(), unit);
    }
    return false;
}

}  // namespace

void notify_systemd(const std::string& state) {
    sd_notify(/*unset_environment=*/0, state.c_str());
}

void store_descriptor(const std::string& name, int descriptor) {
    forget_descriptor(name);
    const std::string state = "FDSTORE=1\nFDNAME=" + name;
    sd_pid_notify_with_fds(0, /*unset_environment=*/0, state.c_str(), &descriptor, 1);
}

void forget_descriptor(const std::string& name) {
    notify_systemd("FDSTOREREMOVE=1\nFDNAME=" + name);
}

void store_more(const std::string& name, std::span<const int> descriptors) {
    // The kernel passes at most 253 with one message (SCM_MAX_FD).
    constexpr std::size_t at_once = 250;
    const std::string state = "FDSTORE=1\nFDPOLL=0\nFDNAME=" + name;
    for (std::size_t first = 0; first < descriptors.size(); first += at_once) {
        const auto some = descriptors.subspan(first, std::min(at_once, descriptors.size() - first));
        sd_pid_notify_with_fds(0, /*unset_environment=*/0, state.c_str(), some.data(),
                               static_cast<unsigned>(some.size()));
    }
}

std::size_t store_size() {
    if (std::getenv("NOTIFY_SOCKET") == nullptr) return 0;
    // systemd 254 and later say it by themselves.
    if (const char* said = std::getenv("FDSTORE"); said != nullptr)
        return std::strtoul(said, nullptr, 10);
    std::uint32_t most = 0;
    with_own_unit([&](sd_bus* bus, const std::string& unit) {
        return sd_bus_get_property_trivial(bus, systemd, unit.c_str(),
                                           "org.freedesktop.systemd1.Service",
                                           "FileDescriptorStoreMax", nullptr, 'u', &most) >= 0;
    });
    return most;
}

std::vector<dataplane::NamedDescriptor> take_descriptors() {
    std::vector<dataplane::NamedDescriptor> taken;
    char** names = nullptr;
    const int count = sd_listen_fds_with_names(/*unset_environment=*/1, &names);
    for (int i = 0; i < count; ++i) {
        const Text owned(names[i]);
        taken.push_back({names[i], SD_LISTEN_FDS_START + i});
    }
    const std::unique_ptr<char*, FreeNames> list(names);
    if (const char* kept = std::getenv(kept_descriptor_variable); kept != nullptr) {
        if (const int descriptor = std::atoi(kept); descriptor >= SD_LISTEN_FDS_START)
            taken.push_back({kept_name, descriptor});
        unsetenv(kept_descriptor_variable);
    }
    return taken;
}

std::optional<Nanoseconds> watchdog_interval() {
    std::uint64_t microseconds = 0;
    if (sd_watchdog_enabled(/*unset_environment=*/0, &microseconds) <= 0) return std::nullopt;
    return Microseconds{static_cast<std::int64_t>(microseconds / 2)};
}

bool restart_is_queued() {
    if (std::getenv("NOTIFY_SOCKET") == nullptr) return false;
    return with_own_unit([](sd_bus* bus, const std::string& unit) {
        const std::string job = job_path(bus, unit);
        return !job.empty() && job_type(bus, job) == "restart";
    });
}

}  // namespace dnsdirector::control
