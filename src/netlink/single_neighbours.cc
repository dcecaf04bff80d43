// SPDX-License-Identifier: Apache-2.0
#include "netlink/single_neighbours.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <cerrno>
#include <new>
#include <utility>

#include "netlink/messages.h"
#include "netlink/refusals.h"
#include "netlink/transport.h"

namespace dnsdirector::netlink {
namespace {

class KernelSingleNeighbours final : public SingleNeighbours {
public:
    explicit KernelSingleNeighbours(Transport transport) : transport_(std::move(transport)) {}

    Result<std::optional<Neighbour>> find(int interface, const IpAddress& address) override;
    Result<void> use(int interface, const IpAddress& address) override;

private:
    static Message message_for(int type, int flags, ndmsg fixed, int interface,
                               const IpAddress& address) {
        fixed.ndm_family = family_of(address);
        fixed.ndm_ifindex = interface;
        Message message = new_message(type, flags, fixed);
        if (nla_put(message.get(), NDA_DST, static_cast<int>(address.size()),
                    address.bytes().data()) < 0)
            throw std::bad_alloc{};
        return message;
    }

    /// Nothing is visited where there is no entry.
    tl::expected<void, Refusal> get(int interface, const IpAddress& address, const Visitor& visit);

    Transport transport_;
};

tl::expected<void, Refusal> KernelSingleNeighbours::get(int interface, const IpAddress& address,
                                                        const Visitor& visit) {
    const Message message = message_for(RTM_GETNEIGH, 0, {}, interface, address);
    auto done = transport_.request(message.get(), visit);
    if (!done && done.error().error == ENOENT) return {};
    return done;
}

Result<std::optional<Neighbour>> KernelSingleNeighbours::find(int interface,
                                                              const IpAddress& address) {
    std::optional<Neighbour> found;
    const auto done =
        get(interface, address, [&](const nlmsghdr& header) { found = parse_neighbour(header); });
    if (!done) return tl::unexpected{cannot_resolve(interface, address, done.error())};
    return found;
}

Result<void> KernelSingleNeighbours::use(int interface, const IpAddress& address) {
    // What a request does not say of an entry's care is taken from it (neigh_update_flags() of
    // net/core/neighbour.c), and a permanent one would be so no more.
    NeighbourCare care;
    auto done = get(interface, address,
                    [&](const nlmsghdr& header) { care = parse_neighbour_care(header); });
    if (done && care.of_others) return {};
    if (done) {
        ndmsg fixed{};
        fixed.ndm_flags = NTF_USE;
        const Message message =
            message_for(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, fixed, interface, address);
        const std::uint32_t managed = NTF_EXT_MANAGED;
        if (care.managed && nla_put(message.get(), NDA_FLAGS_EXT, sizeof managed, &managed) < 0)
            throw std::bad_alloc{};
        done = transport_.request(message.get());
    }
    if (!done) return tl::unexpected{cannot_resolve(interface, address, done.error())};
    return {};
}

}  // namespace

Result<std::unique_ptr<SingleNeighbours>> SingleNeighbours::open() {
    auto transport = Transport::open({});
    if (!transport) return tl::unexpected{transport.error()};
    return std::make_unique<KernelSingleNeighbours>(std::move(*transport));
}

}  // namespace dnsdirector::netlink
