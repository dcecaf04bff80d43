// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ipvs/refusals.h"

#include <cerrno>

namespace dnsdirector::dataplane::ipvs {

using netlink::IpvsRefusal;

tl::unexpected<Error> cannot_read(const IpvsRefusal& refusal) {
    if (refusal.error == EPERM)
        return fail("no permission to read the IPVS table; run as root or with CAP_NET_ADMIN");
    return fail("cannot read the IPVS table: {}", refusal.message);
}

tl::unexpected<Error> refused(const core::ServiceKey& key, const std::string& what,
                              const IpvsRefusal& refusal) {
    if (refusal.error == EPERM)
        return fail(
            "{}: {}: no permission to change the IPVS table; run as root or with "
            "CAP_NET_ADMIN",
            key.to_string(), what);
    return fail("{}: {}: the kernel refuses it: {}", key.to_string(), what, refusal.message);
}

tl::unexpected<Error> refused_scheduler(const core::ServiceKey& key, const std::string& name,
                                        const IpvsRefusal& refusal) {
    if (refusal.error == ENOENT)
        return fail("{}: this kernel has no scheduler {}; run `modprobe ip_vs_{}`", key.to_string(),
                    name, name);
    return refused(key, "scheduler " + name, refusal);
}

}  // namespace dnsdirector::dataplane::ipvs
