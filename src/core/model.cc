// SPDX-License-Identifier: Apache-2.0
#include "core/model.h"

namespace dnsdirector::core {

std::string_view to_string(Scheduler scheduler) {
    switch (scheduler) {
        case Scheduler::wrr: return "wrr";
        case Scheduler::rr: return "rr";
        case Scheduler::mh: return "mh";
        case Scheduler::sh: return "sh";
        case Scheduler::wlc: return "wlc";
        case Scheduler::lc: return "lc";
        case Scheduler::sed: return "sed";
        case Scheduler::nq: return "nq";
        case Scheduler::least: return "least";
        case Scheduler::latency: return "latency";
        case Scheduler::qname: return "qname";
    }
    return "";
}

std::string_view to_string(ForwardingMethod method) {
    switch (method) {
        case ForwardingMethod::dr: return "dr";
        case ForwardingMethod::tun: return "tun";
        case ForwardingMethod::nat: return "nat";
    }
    return "";
}

std::string_view to_string(DataPlaneKind kind) {
    switch (kind) {
        case DataPlaneKind::xdp: return "xdp";
        case DataPlaneKind::ipvs: return "ipvs";
        case DataPlaneKind::proxy: return "proxy";
        case DataPlaneKind::none: return "none";
    }
    return "";
}

std::string_view to_string(PresenceMode mode) {
    return mode == PresenceMode::always ? "always" : "when_active";
}

std::string_view to_string(XdpMode mode) {
    switch (mode) {
        case XdpMode::automatic: return "auto";
        case XdpMode::native: return "native";
        case XdpMode::generic: return "generic";
    }
    return "";
}

std::string_view to_string(OnAllDown policy) {
    switch (policy) {
        case OnAllDown::hold: return "hold";
        case OnAllDown::empty: return "empty";
    }
    return "";
}

std::string ServiceKey::to_string() const {
    if (fwmark != 0) return "fwmark " + std::to_string(fwmark) + (address.is_v6() ? " IPv6" : "");
    std::string text = endpoint().to_string();
    text += '/';
    text += dnsdirector::to_string(protocol);
    return text;
}

}  // namespace dnsdirector::core
