// SPDX-License-Identifier: Apache-2.0
//
// What the XDP plane does when others touch its pins and interfaces.
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iterator>

#include "dataplane/xdp/fd.h"
#include "dataplane/xdp/maps.h"
#include "dataplane/xdp/pin_dir.h"
#include "dataplane/xdp/program.h"
#include "dataplane/xdp/xdp.h"
#include "unit/dataplane/xdp_lab.h"
#include "unit/support/wait.h"

namespace dnsdirector::dataplane {
namespace {

using support::drive;
using test::PinDir;
using xdp::Fd;
using xdp::is_there;

const core::ServiceKey service{*IpAddress::parse("192.0.2.53"), 53, Protocol::udp};
const core::Destination destination{*Endpoint::parse("203.0.113.11:53"), 1};

/// A director's plane on a veth that leads nowhere.
class Rig {
public:
    explicit Rig(const PinDir& pins) : pins_(pins) {
        settings.interfaces = {"near"};
        settings.xdp_mode = core::XdpMode::generic;
        settings.limits = {.services = 64, .real_servers = 256, .slots = 65536};
        support::ip("link add near type veth peer name far");
        start();
    }
    void start() {
        auto made = make_xdp(settings, pins_.path());
        ASSERT_TRUE(made.has_value()) << made.error().message;
        plane = std::move(*made);
    }
    void serve() const {
        const std::vector<core::Change> changes{
            core::AddService{service, core::Scheduler::wrr, core::ForwardingMethod::dr},
            core::AddDestination{service, destination}};
        const auto applied = plane->apply(changes);
        ASSERT_TRUE(applied.has_value()) << applied.error().message;
    }
    [[nodiscard]] std::string tables() const {
        return pins_.path() + "/v" + std::to_string(xdp::abi::ABI_VERSION);
    }
    [[nodiscard]] std::string link_pin() const {
        return tables() + "/link_" + std::to_string(if_nametoindex("near"));
    }
    [[nodiscard]] Fd open_link() const { return Fd{bpf_obj_get(link_pin().c_str())}; }
    [[nodiscard]] AttachedInterface interface() const { return plane->interfaces().at(0); }
    void remove_pins() const { std::filesystem::remove_all(pins_.path()); }

    core::DirectorSettings settings;
    std::unique_ptr<DataPlane> plane;

private:
    const PinDir& pins_;
};

/// A program of somebody else on the interface, until the result ends.
Fd attach_foreign() {
    bpf_insn pass[2] = {};  // r0 = XDP_PASS; exit
    pass[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
    pass[0].imm = XDP_PASS;
    pass[1].code = BPF_JMP | BPF_EXIT;
    const Fd program{
        bpf_prog_load(BPF_PROG_TYPE_XDP, "foreign", "GPL", pass, std::size(pass), nullptr)};
    LIBBPF_OPTS(bpf_link_create_opts, options, .flags = XDP_FLAGS_SKB_MODE);
    return Fd{bpf_link_create(program.get(), static_cast<int>(if_nametoindex("near")), BPF_XDP,
                              &options)};
}

void expect_words(const std::string& text, const char* words) {
    EXPECT_NE(text.find(words), std::string::npos) << words << " is not in: " << text;
}

TEST(XdpPins, a_second_director_is_refused_and_changes_nothing) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(own_namespace);
    Rig rig{pins};
    rig.serve();
    const auto second = make_xdp(rig.settings, pins.path());
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().message, "another director uses the pin directory " + pins.path() +
                                          "; give this one its own --pin-dir, or stop that one");
    EXPECT_TRUE(is_there(rig.link_pin()));
    EXPECT_EQ(rig.interface().mode, "generic");
    const auto found = rig.plane->read();
    ASSERT_TRUE(found.has_value()) << found.error().message;
    EXPECT_TRUE(found->contains(service));
    rig.plane.reset();  // killed
    rig.start();
    EXPECT_TRUE(rig.plane->detach().has_value());
    EXPECT_FALSE(pins.exists());
}

TEST(XdpPins, the_lock_ends_with_an_exec) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    const auto lock = xdp::PinLock::take(pins.path());
    ASSERT_TRUE(lock.has_value()) << lock.error().message;
    EXPECT_TRUE(lock->holds(pins.path()));
    // A program that was executed has no descriptor of the directory.
    const std::string command = "! ls -l /proc/self/fd | grep -q '" + pins.path() + "'";
    EXPECT_EQ(std::system(command.c_str()), 0);
    // Removed and made again, it is another directory.
    ASSERT_EQ(rmdir(pins.path().c_str()), 0);
    EXPECT_FALSE(lock->holds(pins.path()));
    const auto other = xdp::PinLock::take(pins.path());
    ASSERT_TRUE(other.has_value()) << other.error().message;
    EXPECT_FALSE(lock->holds(pins.path()));
    EXPECT_FALSE(xdp::PinLock::take(pins.path()).has_value());
}

TEST(XdpPins, removed_pins_are_made_again_and_the_next_start_finds_them) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(own_namespace);
    Rig rig{pins};
    rig.serve();
    const std::vector<std::string> names = xdp::names_in(rig.tables());
    ASSERT_EQ(names.size(), xdp::map_count + 1);  // and a link
    for (const std::string& name : names) {
        ASSERT_EQ(unlink((rig.tables() + "/" + name).c_str()), 0);
        ASSERT_TRUE(rig.plane->read().has_value());
        EXPECT_TRUE(is_there(rig.tables() + "/" + name)) << name;
    }
    rig.remove_pins();
    ASSERT_TRUE(rig.plane->read().has_value());
    EXPECT_EQ(xdp::names_in(rig.tables()).size(), names.size());
    EXPECT_FALSE(make_xdp(rig.settings, pins.path()).has_value()) << "not locked again";

    rig.plane.reset();  // killed
    rig.start();
    const auto found = rig.plane->read();
    ASSERT_TRUE(found.has_value()) << found.error().message;
    ASSERT_TRUE(found->contains(service));
    EXPECT_EQ(found->at(service).destinations, std::vector<core::Destination>{destination});
    EXPECT_TRUE(rig.plane->detach().has_value());
    EXPECT_FALSE(pins.exists());
    EXPECT_TRUE(rig.plane->read().has_value());
    EXPECT_FALSE(pins.exists()) << "made again after the end";
}

TEST(XdpPins, attaches_when_the_pin_directory_was_removed) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(own_namespace);
    Rig rig{pins};
    rig.remove_pins();
    std::vector<std::string> disturbances;
    rig.plane->on_disturbed = [&](const std::string& what) { disturbances.push_back(what); };
    support::ip("link delete near");
    EXPECT_TRUE(drive(*rig.plane, [&] { return disturbances.size() == 1; }));
    EXPECT_EQ(rig.interface().mode, "down");
    EXPECT_EQ(rig.interface().warning, "the interface is gone");
    support::ip("link add near type veth peer name far");
    EXPECT_TRUE(drive(*rig.plane, [&] { return disturbances.size() >= 2; }));
    EXPECT_EQ(rig.interface().mode, "generic");
    EXPECT_EQ(rig.interface().warning, "");
    EXPECT_TRUE(is_there(rig.link_pin()));
}

TEST(XdpPins, forwards_and_warns_when_a_link_can_not_be_pinned) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(own_namespace);
    Rig rig{pins};
    const Fd link = rig.open_link();
    ASSERT_EQ(unlink(rig.link_pin().c_str()), 0);
    ASSERT_EQ(mkdir(rig.link_pin().c_str(), 0700), 0);  // in the way
    ASSERT_EQ(bpf_link_detach(link.get()), 0);
    ASSERT_TRUE(rig.plane->read().has_value());
    EXPECT_EQ(rig.interface().mode, "generic");
    expect_words(rig.interface().warning, "cannot pin the program's link at");
    ASSERT_EQ(rmdir(rig.link_pin().c_str()), 0);
    ASSERT_TRUE(rig.plane->read().has_value());
    EXPECT_TRUE(static_cast<bool>(rig.open_link()));
    EXPECT_EQ(rig.interface().warning, "");
}

TEST(XdpPins, leaves_the_pins_of_a_director_that_took_the_removed_directory) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(own_namespace);
    Rig rig{pins};
    rig.remove_pins();
    core::DirectorSettings nowhere = rig.settings;
    nowhere.interfaces.clear();
    const auto other = make_xdp(nowhere, pins.path());
    ASSERT_TRUE(other.has_value()) << other.error().message;
    ASSERT_TRUE(rig.plane->read().has_value());
    expect_words(rig.interface().warning, "another director uses the pin directory");
    EXPECT_EQ(xdp::names_in(rig.tables()).size(), xdp::map_count);  // no link of ours
    EXPECT_TRUE(rig.plane->detach().has_value());
    EXPECT_EQ(xdp::names_in(rig.tables()).size(), xdp::map_count);
    EXPECT_TRUE((*other)->detach().has_value());
    EXPECT_FALSE(pins.exists());
}

TEST(XdpPins, says_why_the_program_is_not_attached_and_attaches_when_it_can) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(own_namespace);
    Rig rig{pins};
    {
        const Fd link = rig.open_link();
        ASSERT_EQ(bpf_link_detach(link.get()), 0);
        const Fd foreign = attach_foreign();
        ASSERT_TRUE(static_cast<bool>(foreign));
        ASSERT_TRUE(rig.plane->read().has_value());
        ASSERT_EQ(rig.plane->interfaces().size(), 1U);
        EXPECT_EQ(rig.interface().mode, "down");
        expect_words(rig.interface().warning,
                     "the program is not attached: another XDP program (id ");
    }
    EXPECT_TRUE(drive(*rig.plane, [&] { return rig.interface().mode == "generic"; }));
    EXPECT_EQ(rig.plane->interfaces().size(), 1U);
}

TEST(XdpPins, says_that_another_dnsdirector_has_the_interface) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    DNSDIRECTOR_NEEDS_NAMESPACE(own_namespace);
    const Rig rig{pins};
    const PinDir others;
    const auto second = make_xdp(rig.settings, others.path());
    ASSERT_FALSE(second.has_value());
    expect_words(
        second.error().message,
        "another dnsdirector forwards on near: stop it, or give this one another interface");
    EXPECT_FALSE(others.exists());
}

}  // namespace
}  // namespace dnsdirector::dataplane
