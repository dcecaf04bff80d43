// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/attachments.h"

#include <linux/if_link.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "dataplane/xdp/offloads.h"
#include "dataplane/xdp/pin_dir.h"

namespace dnsdirector::dataplane::xdp {
namespace {

/// The interface a link is attached to; 0 when that is gone or it was detached.
int interface_of(const Fd& link) {
    bpf_link_info info{};
    std::uint32_t length = sizeof info;
    if (bpf_obj_get_info_by_fd(link.get(), &info, &length) != 0) return 0;
    return info.type == BPF_LINK_TYPE_XDP ? static_cast<int>(info.xdp.ifindex) : 0;
}

bool is_veth(const netlink::Link& link) {
    return link.kind == "veth";
}

/// Native XDP of a veth hands frames to the peer's XDP or GRO, and they vanish
/// without a counter where it has neither (drivers/net/veth.c).
constexpr const char* why_generic_on_veth =
    "native XDP on veth forwards only when the peer end takes part; choose xdp_mode native to "
    "force it";

/// Whether a program of this id is our kernel program, by its name.
bool is_a_director(std::uint32_t program_id) {
    const Fd program{bpf_prog_get_fd_by_id(program_id)};
    const Program ours{abi::director__open()};
    bpf_prog_info info{};
    std::uint32_t length = sizeof info;
    if (!program || !ours || bpf_obj_get_info_by_fd(program.get(), &info, &length) != 0)
        return false;
    return std::string_view{info.name} == bpf_program__name(ours->progs.director);
}

abi::instance instance_for(const netlink::Link& link, bool generic) {
    abi::instance instance{};
    std::memcpy(&instance.mac_first, link.mac.data(), 4);
    std::memcpy(&instance.mac_last, link.mac.data() + 4, 2);
    instance.ifindex = static_cast<std::uint32_t>(link.index);
    // XDP_TX of a veth needs an XDP program on the peer; a redirect needs only GRO.
    if (generic || !is_veth(link)) instance.flags |= abi::INSTANCE_TRANSMIT;
    return instance;
}

}  // namespace

std::string Attachments::pin_of(int ifindex) const {
    return maps_->directory_of_pins() + "/" + link_prefix + std::to_string(ifindex);
}

void Attachments::adopt(const std::vector<netlink::Link>& links) {
    for (const std::string& directory : sets_of_pins(maps_->pin_dir()))
        adopt(directory, links);
}

void Attachments::adopt(const std::string& directory, const std::vector<netlink::Link>& links) {
    const Fd attachments{bpf_obj_get((directory + "/attachments").c_str())};
    for (const std::string& name : names_in(directory)) {
        if (!name.starts_with(link_prefix)) continue;
        const std::string path = fmt::format("{}/{}", directory, name);
        Fd link{bpf_obj_get(path.c_str())};
        const int ifindex = link ? interface_of(link) : 0;
        const auto found = std::find_if(links.begin(), links.end(), [&](const netlink::Link& each) {
            return each.index == ifindex;
        });
        if (ifindex == 0 || found == links.end() || name != link_prefix + std::to_string(ifindex)) {
            unlink(path.c_str());
            continue;
        }
        // The same in every layout; what is there already is copied onto itself.
        const auto index = static_cast<std::uint32_t>(ifindex);
        abi::attachment what{};
        if (attachments && bpf_map_lookup_elem(attachments.get(), &index, &what) == 0)
            remember(ifindex, what);
        Attached& attached = attached_[ifindex];
        attached.name = found->name;
        attached.link = std::move(link);
        attached.pin = path;
        attached.generic = what.generic != 0;
    }
}

std::vector<int> Attachments::indices() const {
    std::vector<int> indices;
    indices.reserve(attached_.size());
    for (const auto& [ifindex, attached] : attached_)
        indices.push_back(ifindex);
    return indices;
}

bool Attachments::intact(const netlink::Link& link) const {
    const auto found = attached_.find(link.index);
    return found != attached_.end() && found->second.mac == link.mac &&
           interface_of(found->second.link) == link.index;
}

Result<Fd> Attachments::load(const netlink::Link& link, bool generic) const {
    keep_libbpf_log();
    const Program program{abi::director__open()};
    if (!program) return fail_errno("cannot open the embedded BPF object", errno);
    if (auto lent = maps_->lend_to(*program); !lent) return tl::unexpected(lent.error());
    const abi::instance instance = instance_for(link, generic);
    std::memcpy(&program->rodata->instance, &instance, sizeof instance);
    if (const int error = abi::director__load(program.get()); error != 0)
        return fail("the kernel refused the forwarding program: {}: {}", std::strerror(-error),
                    take_libbpf_log());
    return Fd{dup(bpf_program__fd(program->progs.director))};
}

Result<void> Attachments::prepare(const netlink::Link& link) {
    const auto found = attached_.find(link.index);
    if (found == attached_.end() || changes_mode(found->second)) return {};
    auto program = load(link, found->second.generic);
    if (!program) return tl::unexpected(program.error());
    found->second.prepared = std::move(*program);
    return {};
}

bool Attachments::changes_mode(const Attached& attached) const {
    return (mode_ == core::XdpMode::native && attached.generic) ||
           (mode_ == core::XdpMode::generic && !attached.generic);
}

Result<void> Attachments::attach(const netlink::Link& link) {
    auto done = attach_or_replace(link);
    const auto found = attached_.find(link.index);
    if (found != attached_.end()) found->second.not_current = done ? "" : done.error().message;
    if (done || found != attached_.end())
        down_.erase(link.name);
    else
        down_[link.name] = "the program is not attached: " + done.error().message;
    return done;
}

Result<void> Attachments::refuse(const netlink::Link& link, const std::string& why) {
    down_[link.name] = "the program is not attached: " + why;
    return tl::unexpected(Error{why});
}

Result<void> Attachments::attach_or_replace(const netlink::Link& link) {
    const auto found = attached_.find(link.index);
    if (found == attached_.end() || interface_of(found->second.link) != link.index)
        return attach_new(link);
    Attached& attached = found->second;
    if (changes_mode(attached)) {
        // The kernel takes one mode at a time: for an instant packets pass to the
        // local stack.
        if (auto done = detach(link.index); !done) return done;
        return attach_new(link);
    }
    return replace(link, attached);
}

Result<void> Attachments::replace(const netlink::Link& link, Attached& attached) {
    if (attached.current && attached.mac == link.mac && attached.name == link.name) return {};
    Fd program = std::move(attached.prepared);
    if (!program) {
        auto loaded = load(link, attached.generic);
        if (!loaded) return tl::unexpected(loaded.error());
        program = std::move(*loaded);
    }
    // Every packet meets the old program or the new one. That nobody else has
    // changed it meanwhile is what the lock on the pin directory is for.
    if (bpf_link_update(attached.link.get(), program.get(), nullptr) != 0)
        return fail_errno("cannot replace the forwarding program on " + link.name, errno);
    if (auto moved = move_pin(link.index, attached); !moved) return moved;
    attached.name = link.name;
    attached.mac = link.mac;
    attached.current = true;
    explain_generic(link, attached);
    turn_off_offloads(link, attached);
    return {};
}

Result<void> Attachments::attach_new(const netlink::Link& link) {
    forget(link.index);
    Attached attached;
    attached.name = link.name;
    attached.mac = link.mac;
    const bool generic_first =
        mode_ == core::XdpMode::generic || (mode_ == core::XdpMode::automatic && is_veth(link));
    auto done = try_mode(link, generic_first, attached);
    if (!done && mode_ == core::XdpMode::automatic && !generic_first) {
        const std::string native = done.error().message;
        done = try_mode(link, true, attached);
        if (done) {
            attached.warning = "generic mode, which is slower: " + native;
            spdlog::warn("{}: {}", link.name, attached.warning);
        }
    }
    if (!done) return done;
    if (auto pinned = pin(link.index, attached); !pinned) {
        attached.unpinned = pinned.error().message;
        spdlog::warn("{}: {}", link.name, attached.unpinned);
    }
    remember(link.index, {attached.generic ? 1U : 0U, 0, 0, 0});
    explain_generic(link, attached);
    turn_off_offloads(link, attached);
    attached.current = true;
    spdlog::info("forwarding on {} ({} XDP)", link.name, attached.generic ? "generic" : "native");
    attached_[link.index] = std::move(attached);
    return {};
}

/// A link's pin lies among the tables that its program uses: until it does, a
/// start takes the tables for right that it came from, which are as good.
Result<void> Attachments::move_pin(int ifindex, Attached& attached) const {
    const std::string path = pin_of(ifindex);
    if (attached.pin.empty() || attached.pin == path) return {};
    if (std::rename(attached.pin.c_str(), path.c_str()) != 0)
        return fail_errno("cannot move the pin " + attached.pin + " to " + path, errno);
    attached.pin = path;
    return {};
}

Result<void> Attachments::pin(int ifindex, Attached& attached) const {
    constexpr const char* consequence =
        "forwarding would stop for a moment when the director is started again: ";
    if (auto made = maps_->make_place_for_pins(); !made)
        return fail("{}{}", consequence, made.error().message);
    const std::string path = pin_of(ifindex);
    unlink(path.c_str());
    if (bpf_obj_pin(attached.link.get(), path.c_str()) != 0)
        return fail("{}cannot pin the program's link at {}: {}", consequence, path,
                    std::strerror(errno));
    attached.pin = path;
    return {};
}

std::vector<std::string> Attachments::restore_pins() {
    std::vector<std::string> restored;
    for (auto& [ifindex, attached] : attached_) {
        if (attached.unpinned.empty() && maps_->owns_pins() && is_there(pin_of(ifindex))) continue;
        const std::string before = attached.unpinned;
        const auto pinned = pin(ifindex, attached);
        attached.unpinned = pinned ? "" : pinned.error().message;
        if (pinned)
            restored.push_back(pin_of(ifindex));
        else if (attached.unpinned != before)
            spdlog::warn("{}: {}", attached.name, attached.unpinned);
    }
    return restored;
}

Result<void> Attachments::try_mode(const netlink::Link& link, bool generic, Attached& attached) {
    auto program = load(link, generic);
    if (!program) return tl::unexpected(program.error());
    LIBBPF_OPTS(bpf_link_create_opts, options,
                .flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
    attached.link = Fd{bpf_link_create(program->get(), link.index, BPF_XDP, &options)};
    attached.generic = generic;
    if (attached.link) return {};
    const int error = errno;
    if (error == EBUSY || error == EEXIST) {
        if (is_a_director(link.xdp_program_id))
            return fail(
                "another dnsdirector forwards on {}: stop it, or give this one another interface "
                "(its XDP program has the id {})",
                link.name, link.xdp_program_id);
        return fail(
            "another XDP program (id {}) is attached to {}: detach it (ip link set dev {} xdp off, "
            "or end the program that holds it), or name another interface",
            link.xdp_program_id, link.name, link.name);
    }
    if (!generic && (error == EOPNOTSUPP || error == EINVAL || error == ERANGE || error == ENOMEM))
        return fail(
            "the driver of {} refuses native XDP ({}): it has none, or needs other settings "
            "(receive offloads off, enough queues, an MTU of at most about 3,500)",
            link.name, std::strerror(error));
    return fail_errno("cannot attach the forwarding program to " + link.name, error);
}

void Attachments::explain_generic(const netlink::Link& link, Attached& attached) const {
    if (!attached.generic || !attached.warning.empty() || mode_ != core::XdpMode::automatic ||
        !is_veth(link))
        return;
    attached.warning = why_generic_on_veth;
    spdlog::warn("{}: generic mode: {}", link.name, attached.warning);
}

/// What hides packets, or parts of them, from the program.
void Attachments::turn_off_offloads(const netlink::Link& link, Attached& attached) const {
    Offloads unwanted = vlan_offloads;
    if (attached.generic) unwanted |= merging_offloads;
    const TurnedOff done = turn_off(link.name, unwanted);
    attached.offloads = done.trouble;
    if (!done.trouble.empty()) spdlog::warn("{}: {}", link.name, done.trouble);
    abi::attachment what = remembered(link.index);
    what.gro_was_on |= done.were_on[Offload::gro] ? 1U : 0U;
    what.lro_was_on |= done.were_on[Offload::lro] ? 1U : 0U;
    if (done.were_on[Offload::vlan]) what.vlan_was_on |= abi::VLAN_WAS_ON_CTAG;
    if (done.were_on[Offload::service_vlan]) what.vlan_was_on |= abi::VLAN_WAS_ON_STAG;
    remember(link.index, what);
}

Result<void> Attachments::detach(int ifindex) {
    const auto found = attached_.find(ifindex);
    if (found == attached_.end()) return {};
    const std::string name = found->second.name;
    const abi::attachment what = remembered(ifindex);
    if (bpf_link_detach(found->second.link.get()) != 0 && errno != ENOLINK)
        spdlog::warn("cannot detach the program from {}: {}", name, std::strerror(errno));
    forget(ifindex);
    down_.erase(name);
    Offloads were_on;
    were_on[Offload::gro] = what.gro_was_on != 0;
    were_on[Offload::lro] = what.lro_was_on != 0;
    were_on[Offload::vlan] = (what.vlan_was_on & abi::VLAN_WAS_ON_CTAG) != 0;
    were_on[Offload::service_vlan] = (what.vlan_was_on & abi::VLAN_WAS_ON_STAG) != 0;
    return turn_on(name, were_on);
}

void Attachments::lost(int ifindex) {
    const auto found = attached_.find(ifindex);
    if (found != attached_.end()) down_[found->second.name] = "the interface is gone";
    forget(ifindex);
}

void Attachments::forget(int ifindex) {
    const auto found = attached_.find(ifindex);
    if (maps_->owns_pins() && found != attached_.end() && !found->second.pin.empty())
        unlink(found->second.pin.c_str());
    const auto index = static_cast<std::uint32_t>(ifindex);
    (void)bpf_map_delete_elem(maps_->fd(MapId::attachments), &index);
    if (found != attached_.end()) attached_.erase(found);
}

void Attachments::remember(int ifindex, const abi::attachment& what) const {
    const auto index = static_cast<std::uint32_t>(ifindex);
    (void)bpf_map_update_elem(maps_->fd(MapId::attachments), &index, &what, BPF_ANY);
}

abi::attachment Attachments::remembered(int ifindex) const {
    const auto index = static_cast<std::uint32_t>(ifindex);
    abi::attachment what{};
    (void)bpf_map_lookup_elem(maps_->fd(MapId::attachments), &index, &what);
    return what;
}

std::vector<AttachedInterface> Attachments::list() const {
    std::vector<AttachedInterface> interfaces;
    interfaces.reserve(attached_.size() + down_.size());
    for (const auto& [ifindex, attached] : attached_) {
        std::string warning;
        for (const std::string& each :
             {attached.not_current, attached.unpinned, attached.warning, attached.offloads})
            if (!each.empty()) warning += (warning.empty() ? "" : "; ") + each;
        interfaces.push_back({attached.name, attached.generic ? "generic" : "native", warning});
    }
    for (const auto& [name, why] : down_)
        interfaces.push_back({name, "down", why});
    return interfaces;
}

}  // namespace dnsdirector::dataplane::xdp
