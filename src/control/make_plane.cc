// SPDX-License-Identifier: Apache-2.0
#include "control/make_plane.h"

#include <unistd.h>

#include <utility>

#include "dataplane/ipvs/ipvs.h"
#include "dataplane/none/none.h"
#include "dataplane/proxy/proxy.h"
#include "dataplane/xdp/xdp.h"

namespace dnsdirector::control {
namespace {

/// Sockets of a proxy, before the configuration chose another plane.
void give_back(const dataplane::Inheritance& inheritance) {
    for (const dataplane::NamedDescriptor& each : inheritance.descriptors) {
        inheritance.store.forget(each.name);
        ::close(each.descriptor);
    }
}

}  // namespace

Result<std::unique_ptr<dataplane::DataPlane>> make_plane(const core::DirectorSettings& settings,
                                                         const std::string& pin_dir,
                                                         const std::string& ipvs_journal,
                                                         dataplane::Inheritance inheritance) {
    if (settings.dataplane != core::DataPlaneKind::proxy) give_back(inheritance);
    switch (settings.dataplane) {
        case core::DataPlaneKind::xdp: return dataplane::make_xdp(settings, pin_dir);
        case core::DataPlaneKind::ipvs: return dataplane::make_ipvs(ipvs_journal);
        case core::DataPlaneKind::proxy:
            return dataplane::make_proxy(settings, std::move(inheritance));
        case core::DataPlaneKind::none: break;
    }
    return dataplane::make_none();
}

}  // namespace dnsdirector::control
