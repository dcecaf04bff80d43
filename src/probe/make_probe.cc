// SPDX-License-Identifier: Apache-2.0
#include "probe/make_probe.h"

#include "base/result.h"
#include "probe/dig_probe.h"
#include "probe/dns_probe.h"
#include "probe/file_probe.h"
#include "probe/http_probe.h"
#include "probe/ping_probe.h"
#include "probe/script_probe.h"
#include "probe/tcp_probe.h"
#include "probe/through_probe.h"
#include "probe/udp_probe.h"

namespace dnsdirector::probe {
namespace {

using Made = Result<std::unique_ptr<Probe>>;

/// Which class asks which kind of check.
template <typename What>
struct ProbeOf;
template <>
struct ProbeOf<core::DigCheck> {
    using Type = DigProbe;
};
template <>
struct ProbeOf<core::TcpCheck> {
    using Type = TcpProbe;
};
template <>
struct ProbeOf<core::UdpCheck> {
    using Type = UdpProbe;
};
template <>
struct ProbeOf<core::PingCheck> {
    using Type = PingProbe;
};
template <>
struct ProbeOf<core::HttpCheck> {
    using Type = HttpProbe;
};

struct Visitor {
    const ProbeMaker& maker;
    const core::Check& check;

    template <typename What>
    Made operator()(const What& what) const {
        return ProbeOf<What>::Type::make(maker.environment, maker.token, check.target, what,
                                         check.timing);
    }
    Made operator()(const core::DnsCheck& what) const {
        const auto make = what.via.service_ip ? ThroughProbe::make : DnsProbe::make;
        return make(maker.environment, maker.token, check.target, what, check.timing);
    }
    Made operator()(const core::FileCheck& what) const {
        return std::make_unique<FileProbe>(maker.files(), maker.token, what, check.timing.timeout);
    }
    Made operator()(const core::ScriptCheck& what) const {
        return std::make_unique<ScriptProbe>(maker.environment, maker.scripts(), maker.token, what,
                                             check.timing.timeout);
    }
};

}  // namespace

std::unique_ptr<Probe> make_probe(const ProbeMaker& maker, const core::Check& check) {
    Made made = std::visit(Visitor{maker, check}, check.what);
    if (!made) return std::make_unique<ImpossibleProbe>(made.error().message);
    return std::move(*made);
}

}  // namespace dnsdirector::probe
