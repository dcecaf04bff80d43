// SPDX-License-Identifier: Apache-2.0
#include "netlink/ipvs.h"

#include <linux/ip_vs.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "netlink/ipvs_messages.h"

namespace dnsdirector::netlink {
namespace {

constexpr const char* no_ipvs =
    "this kernel has no IPVS: the module ip_vs is not loaded; run `modprobe ip_vs`, and write "
    "ip_vs into /etc/modules-load.d/ipvs.conf to have it after every boot";

// A firewall mark that nobody uses, for a service that is never made.
constexpr std::uint32_t spare_mark = 0xfffffffe;

/// The number of the family; the kernel loads the module where it can (its alias
/// net-pf-16-proto-16-family-IPVS). Nothing where there is none.
tl::expected<std::optional<int>, Refusal> ask_family(Transport& transport) {
    std::optional<int> family;
    const Message question = family_request(IPVS_GENL_NAME);
    const auto asked = transport.request(
        question.get(), [&](const nlmsghdr& header) { family = parse_family(header); });
    if (!asked && asked.error().error != ENOENT) return tl::unexpected{asked.error()};
    return family;
}

IpvsRefusal refused(const Refusal& refusal) {
    return {refusal.error, refusal.as_error("IPVS").message};
}

class KernelTable final : public IpvsTable {
public:
    KernelTable(Transport transport, int family)
        : transport_(std::move(transport)), family_(family) {}

    IpvsResult<std::vector<IpvsService>> services() override {
        return dump<IpvsService>(services_request(family_),
                                 [](const nlmsghdr& header) { return parse_service(header); });
    }
    IpvsResult<std::vector<IpvsDestination>> destinations(const IpvsServiceId& service) override {
        return dump<IpvsDestination>(
            destinations_request(family_, service),
            [&](const nlmsghdr& header) { return parse_destination(header, service.family); });
    }

    /// IPv6 wants a prefix of at least 1, which the kernel looks at after it has found the
    /// scheduler (ip_vs_add_service()): EINVAL says that it has.
    IpvsResult<void> find_scheduler(const std::string& name) override {
        IpvsService never;
        never.id = {Family::ipv6, spare_mark, 0, IpAddress::from_v6({}), 0};
        never.scheduler = name;
        never.prefix_length = 0;
        auto made = add(never);
        if (made) return remove(never.id);  // a kernel that takes it all the same
        if (made.error().error == ENOENT || made.error().error == EPERM) return made;
        return {};
    }

    IpvsResult<void> add(const IpvsService& service) override {
        return request(service_message(family_, IPVS_CMD_NEW_SERVICE, service));
    }
    IpvsResult<void> edit(const IpvsService& service) override {
        return request(service_message(family_, IPVS_CMD_SET_SERVICE, service));
    }
    IpvsResult<void> remove(const IpvsServiceId& service) override {
        return request(service_message(family_, IPVS_CMD_DEL_SERVICE, service));
    }
    IpvsResult<void> add(const IpvsServiceId& service, const IpvsDestination& one) override {
        return request(destination_message(family_, IPVS_CMD_NEW_DEST, service, one));
    }
    IpvsResult<void> edit(const IpvsServiceId& service, const IpvsDestination& one) override {
        return request(destination_message(family_, IPVS_CMD_SET_DEST, service, one));
    }
    IpvsResult<void> remove(const IpvsServiceId& service, const IpvsDestination& one) override {
        return request(destination_message(family_, IPVS_CMD_DEL_DEST, service, one));
    }

private:
    IpvsResult<void> request(Message message) {
        auto done = transport_.request(message.get());
        if (!done && family_may_be_another(done.error())) {
            if (auto found = find_family(message.get()); !found)
                return tl::unexpected{found.error()};
            else if (*found)
                done = transport_.request(message.get());
        }
        if (!done) return tl::unexpected{refused(done.error())};
        return {};
    }

    template <typename One, typename Parse>
    IpvsResult<std::vector<One>> dump(Message message, Parse parse) {
        std::vector<One> all;
        const auto ask = [&] {
            return transport_.dump(
                message.get(), [&] { all.clear(); },
                [&](const nlmsghdr& header) {
                    if (header.nlmsg_type != family_) return;
                    if (auto one = parse(header)) all.push_back(std::move(*one));
                });
        };
        auto done = ask();
        if (!done && family_may_be_another(done.error())) {
            if (auto found = find_family(message.get()); !found)
                return tl::unexpected{found.error()};
            else if (*found)
                done = ask();
        }
        if (!done) return tl::unexpected{refused(done.error())};
        return all;
    }

    /// Generic netlink has the same answer for a family that is gone as IPVS has for
    /// a scheduler or a destination.
    static bool family_may_be_another(const Refusal& refusal) { return refusal.error == ENOENT; }

    /// The module was unloaded meanwhile, and perhaps loaded again: then the family has
    /// another number, which the message gets. False where it has the same.
    IpvsResult<bool> find_family(nl_msg* message) {
        const auto family = ask_family(transport_);
        if (!family) return tl::unexpected{refused(family.error())};
        if (!*family) return tl::unexpected{IpvsRefusal{ENOSYS, no_ipvs}};
        if (**family == family_) return false;
        family_ = **family;
        nlmsg_hdr(message)->nlmsg_type = static_cast<std::uint16_t>(family_);
        nlmsg_hdr(message)->nlmsg_seq = 0;  // libnl then gives it the next number
        return true;
    }

    Transport transport_;
    int family_;
};

}  // namespace

Result<std::unique_ptr<IpvsTable>> IpvsTable::open() {
    auto transport = Transport::open({.groups = {}, .protocol = NETLINK_GENERIC});
    if (!transport) return tl::unexpected(transport.error());
    const auto family = ask_family(*transport);
    if (!family) return tl::unexpected(family.error().as_error("cannot ask the kernel for IPVS"));
    if (!*family) return fail("{}", no_ipvs);
    return std::make_unique<KernelTable>(std::move(*transport), **family);
}

}  // namespace dnsdirector::netlink
