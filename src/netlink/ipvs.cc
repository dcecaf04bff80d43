// SPDX-License-Identifier: Apache-2.0
#include "netlink/ipvs.h"

#include <linux/ip_vs.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "netlink/ipvs_messages.h"

namespace dnsdirector::netlink {
namespace {

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
        if (auto done = transport_.request(message.get()); !done)
            return tl::unexpected{refused(done.error())};
        return {};
    }

    template <typename One, typename Parse>
    IpvsResult<std::vector<One>> dump(Message message, Parse parse) {
        std::vector<One> all;
        auto done = transport_.dump(
            message.get(), [&] { all.clear(); },
            [&](const nlmsghdr& header) {
                if (header.nlmsg_type != family_) return;
                if (auto one = parse(header)) all.push_back(std::move(*one));
            });
        if (!done) return tl::unexpected{refused(done.error())};
        return all;
    }

    Transport transport_;
    int family_;
};

}  // namespace

Result<std::unique_ptr<IpvsTable>> IpvsTable::open() {
    auto transport = Transport::open({.groups = {}, .protocol = NETLINK_GENERIC});
    if (!transport) return tl::unexpected(transport.error());
    std::optional<int> family;
    const Message question = family_request(IPVS_GENL_NAME);
    const auto asked = transport->request(
        question.get(), [&](const nlmsghdr& header) { family = parse_family(header); });
    if (!asked && asked.error().error != ENOENT)
        return tl::unexpected(asked.error().as_error("cannot ask the kernel for IPVS"));
    if (!family)
        return fail(
            "this kernel has no IPVS: the module ip_vs is not loaded; run `modprobe ip_vs`, and "
            "write ip_vs into /etc/modules-load.d/ipvs.conf to have it after every boot");
    return std::make_unique<KernelTable>(std::move(*transport), *family);
}

}  // namespace dnsdirector::netlink
