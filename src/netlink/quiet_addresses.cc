// SPDX-License-Identifier: Apache-2.0
#include "netlink/quiet_addresses.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <cerrno>
#include <utility>

#include "netlink/messages.h"
#include "netlink/refusals.h"
#include "netlink/transport.h"

namespace dnsdirector::netlink {
namespace {

class KernelQuietAddresses final : public QuietAddresses {
public:
    explicit KernelQuietAddresses(Transport transport) : transport_(std::move(transport)) {}

    Result<bool> add(int interface, const IpAddress& address) override;

private:
    Transport transport_;
};

Result<bool> KernelQuietAddresses::add(int interface, const IpAddress& address) {
    ifaddrmsg fixed{};
    fixed.ifa_family = family_of(address);
    fixed.ifa_prefixlen = static_cast<unsigned char>(address.host_prefix_length());
    fixed.ifa_scope = address.is_v4() ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
    fixed.ifa_index = static_cast<unsigned>(interface);
    Message message = new_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, fixed);
    const auto add_attribute = [&](int type, const void* data, std::size_t length) {
        if (nla_put(message.get(), type, static_cast<int>(length), data) < 0)
            throw std::bad_alloc{};
    };
    add_attribute(IFA_LOCAL, address.bytes().data(), address.size());
    add_attribute(IFA_ADDRESS, address.bytes().data(), address.size());
    const std::uint32_t flags = IFA_F_NOPREFIXROUTE | (address.is_v6() ? IFA_F_NODAD : 0);
    add_attribute(IFA_FLAGS, &flags, sizeof flags);
    if (address.is_v6()) {
        ifa_cacheinfo lifetimes{};
        lifetimes.ifa_prefered = 0;
        lifetimes.ifa_valid = UINT32_MAX;
        add_attribute(IFA_CACHEINFO, &lifetimes, sizeof lifetimes);
    }
    const auto done = transport_.request(message.get());
    if (done) return true;
    if (done.error().error == EEXIST) return false;
    return tl::unexpected{cannot_change_address("add", interface, address, done.error())};
}

}  // namespace

Result<std::unique_ptr<QuietAddresses>> QuietAddresses::open() {
    auto transport = Transport::open({});
    if (!transport) return tl::unexpected{transport.error()};
    return std::make_unique<KernelQuietAddresses>(std::move(*transport));
}

}  // namespace dnsdirector::netlink
