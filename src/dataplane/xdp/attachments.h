// SPDX-License-Identifier: Apache-2.0
//
// The program on the interfaces: an instance for each, held by a pinned link,
// which outlives the daemon and is given a new program in place.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/model.h"
#include "dataplane/dataplane.h"
#include "dataplane/xdp/fd.h"
#include "dataplane/xdp/maps.h"
#include "netlink/netlink.h"

namespace dnsdirector::dataplane::xdp {

class Attachments {
public:
    Attachments(Maps& maps, core::XdpMode mode) : maps_(&maps), mode_(mode) {}

    /// Opens the links that a predecessor pinned, of whatever layout, whose
    /// interfaces are `links`; dead ones are removed. The programs on them are not
    /// touched yet.
    void adopt(const std::vector<netlink::Link>& links);
    /// Loads the program that attach() will put on an adopted link: whatever the
    /// kernel may refuse comes before the first link is changed.
    Result<void> prepare(const netlink::Link& link);
    [[nodiscard]] std::vector<int> indices() const;

    /// Attaches this version's program, or puts it in the place of the one that
    /// is attached by us. Errors: another program is there; the driver can't.
    /// list() shows them, too. A link that can't be pinned is only warned of.
    Result<void> attach(const netlink::Link& link);
    /// It can't be attached there, for this reason; list() shows it.
    Result<void> refuse(const netlink::Link& link, const std::string& why);
    /// Pins links again whose pins somebody removed, and says which.
    std::vector<std::string> restore_pins();
    /// Takes it off and puts back what was changed on the interface.
    Result<void> detach(int ifindex);
    /// The interface is gone: forgets it, and remembers its name as down.
    void lost(int ifindex);

    [[nodiscard]] bool has(int ifindex) const { return attached_.contains(ifindex); }
    /// False when the program is no longer on it (somebody detached the link, or
    /// its MAC is another than the program was made for).
    [[nodiscard]] bool intact(const netlink::Link& link) const;

    [[nodiscard]] std::vector<AttachedInterface> list() const;

private:
    struct Attached {
        std::string name;
        netlink::Mac mac{};
        bool generic = false;
        std::string warning;
        std::string offloads;     ///< what hides packets from the program; "": nothing
        std::string unpinned;     ///< why the link is not pinned; "": it is
        std::string not_current;  ///< why the program could not be replaced
        std::string pin;          ///< where the link is pinned; "": nowhere
        Fd link;
        Fd prepared;           ///< the program that is to replace what is there
        bool current = false;  ///< runs this version's program
    };

    [[nodiscard]] std::string pin_of(int ifindex) const;
    void adopt(const std::string& directory, const std::vector<netlink::Link>& links);
    [[nodiscard]] bool changes_mode(const Attached& attached) const;
    [[nodiscard]] Result<Fd> load(const netlink::Link& link, bool generic) const;
    Result<void> attach_or_replace(const netlink::Link& link);
    Result<void> attach_new(const netlink::Link& link);
    Result<void> pin(int ifindex, Attached& attached) const;
    Result<void> move_pin(int ifindex, Attached& attached) const;
    void forget(int ifindex);
    Result<void> try_mode(const netlink::Link& link, bool generic, Attached& attached);
    Result<void> replace(const netlink::Link& link, Attached& attached);
    void explain_generic(const netlink::Link& link, Attached& attached) const;
    void turn_off_offloads(const netlink::Link& link, Attached& attached) const;
    void remember(int ifindex, const abi::attachment& what) const;
    [[nodiscard]] abi::attachment remembered(int ifindex) const;

    Maps* maps_;
    core::XdpMode mode_;
    std::map<int, Attached> attached_;
    std::map<std::string, std::string> down_;
};

}  // namespace dnsdirector::dataplane::xdp
