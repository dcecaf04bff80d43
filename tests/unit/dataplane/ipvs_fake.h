// SPDX-License-Identifier: Apache-2.0
//
// The kernel's side of the socket for the plane's own logic: a table in memory
// that answers as IPVS does. What IPVS really does is shown in the virtual
// machine (tests/lab/test_ipvs.py).
#pragma once

#include <algorithm>
#include <cerrno>
#include <map>
#include <string>
#include <vector>

#include "netlink/ipvs.h"

namespace dnsdirector::dataplane {

struct FakeKernel {
    struct Entry {
        netlink::IpvsService service;
        std::vector<netlink::IpvsDestination> destinations;
    };
    std::map<netlink::IpvsServiceId, Entry> table;
    std::vector<std::string> calls;  ///< that change something
    int refuse = 0;                  ///< errno of every change, 0: none
    std::string missing_scheduler;
    bool keeps_trash = false;  ///< a destination that comes back has its old counters
    std::map<IpAddress, netlink::IpvsStats> trash;
    bool unloaded = false;           ///< the module is gone
    int torn_dumps = 0;              ///< so many dumps lack their last server
    int twofold_dumps = 0;           ///< so many hold their last server twice
    std::size_t dumped_servers = 0;  ///< by all dumps until now
};

class FakeTable final : public netlink::IpvsTable {
public:
    explicit FakeTable(FakeKernel& kernel) : kernel_(kernel) {}

    netlink::IpvsResult<std::vector<netlink::IpvsService>> services() override {
        if (kernel_.unloaded) return error(ENOSYS);
        std::vector<netlink::IpvsService> all;
        for (const auto& [id, entry] : kernel_.table)
            all.push_back(entry.service);
        return all;
    }
    netlink::IpvsResult<std::vector<netlink::IpvsDestination>> destinations(
        const netlink::IpvsServiceId& service) override {
        const auto found = kernel_.table.find(service);
        if (found == kernel_.table.end()) return {};
        auto all = found->second.destinations;
        if (!all.empty() && kernel_.torn_dumps > 0 && kernel_.torn_dumps-- > 0) all.pop_back();
        if (!all.empty() && kernel_.twofold_dumps > 0 && kernel_.twofold_dumps-- > 0)
            all.push_back(all.back());
        kernel_.dumped_servers += all.size();
        return all;
    }
    netlink::IpvsResult<void> find_scheduler(const std::string& name) override {
        if (name == kernel_.missing_scheduler) return error(ENOENT);
        return {};
    }
    netlink::IpvsResult<void> add(const netlink::IpvsService& service) override {
        if (auto no = begin("add service", service.id)) return error(*no);
        if (service.scheduler == kernel_.missing_scheduler) return error(ENOENT);
        if (kernel_.table.contains(service.id)) return error(EEXIST);
        kernel_.table[service.id].service = service;
        return {};
    }
    netlink::IpvsResult<void> edit(const netlink::IpvsService& service) override {
        if (auto no = begin("edit service", service.id)) return error(*no);
        if (service.scheduler == kernel_.missing_scheduler) return error(ENOENT);
        const auto found = kernel_.table.find(service.id);
        if (found == kernel_.table.end()) return error(ESRCH);
        const auto stats = found->second.service.stats;
        found->second.service = service;
        found->second.service.stats = stats;
        return {};
    }
    netlink::IpvsResult<void> remove(const netlink::IpvsServiceId& service) override {
        if (auto no = begin("remove service", service)) return error(*no);
        if (kernel_.table.erase(service) == 0) return error(ESRCH);
        return {};
    }
    netlink::IpvsResult<void> add(const netlink::IpvsServiceId& service,
                                  const netlink::IpvsDestination& one) override {
        return change("add", service, one, [&](auto& all, auto at) {
            if (at != all.end()) return EEXIST;
            all.push_back(one);
            if (kernel_.keeps_trash) all.back().stats = kernel_.trash[one.address];
            return 0;
        });
    }
    netlink::IpvsResult<void> edit(const netlink::IpvsServiceId& service,
                                   const netlink::IpvsDestination& one) override {
        return change("edit", service, one, [&](auto& all, auto at) {
            if (at == all.end()) return ENOENT;
            const auto stats = at->stats;
            *at = one;
            at->stats = stats;
            return 0;
        });
    }
    netlink::IpvsResult<void> remove(const netlink::IpvsServiceId& service,
                                     const netlink::IpvsDestination& one) override {
        return change("remove", service, one, [&](auto& all, auto at) {
            if (at == all.end()) return ENOENT;
            kernel_.trash[one.address] = at->stats;
            all.erase(at);
            return 0;
        });
    }

private:
    static tl::unexpected<netlink::IpvsRefusal> error(int number) {
        return tl::unexpected(netlink::IpvsRefusal{number, "IPVS: no"});
    }
    std::optional<int> begin(const std::string& what, const netlink::IpvsServiceId& id) {
        kernel_.calls.push_back(what + " " + id.address.to_string());
        return kernel_.refuse != 0 ? std::optional(kernel_.refuse) : std::nullopt;
    }
    template <typename Do>
    netlink::IpvsResult<void> change(const std::string& what, const netlink::IpvsServiceId& id,
                                     const netlink::IpvsDestination& one, Do act) {
        kernel_.calls.push_back(what + " " + one.address.to_string());
        if (kernel_.refuse != 0) return error(kernel_.refuse);
        const auto found = kernel_.table.find(id);
        if (found == kernel_.table.end()) return error(ESRCH);
        auto& all = found->second.destinations;
        const auto at = std::find_if(all.begin(), all.end(), [&](const auto& each) {
            return each.address == one.address && each.port == one.port;
        });
        if (const int number = act(all, at); number != 0) return error(number);
        return {};
    }

    FakeKernel& kernel_;
};

}  // namespace dnsdirector::dataplane
