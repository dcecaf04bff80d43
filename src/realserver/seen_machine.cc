// SPDX-License-Identifier: Apache-2.0
#include "realserver/seen_machine.h"

namespace dnsdirector::realserver {

Result<Actual> SeenMachine::read(const Look& look) {
    Look less = look;
    less.table_is_known = table_known_;
    auto actual = machine_->read(less);
    if (!actual) return actual;
    if (table_known_) actual->table = std::move(seen_.table);
    table_known_ = true;
    seen_ = *actual;
    return actual;
}

Result<bool> SeenMachine::add_address(const HeldAddress& address) {
    auto added = machine_->add_address(address);
    if (added && !seen_.holds(address)) seen_.addresses.push_back(address);
    return added;
}

Result<void> SeenMachine::remove_address(const HeldAddress& address) {
    auto removed = machine_->remove_address(address);
    if (removed) std::erase(seen_.addresses, address);
    return removed;
}

Result<std::string> SeenMachine::replace_table(const std::string& ruleset) {
    table_known_ = false;
    auto listed = machine_->replace_table(ruleset);
    if (listed) {
        seen_.table = *listed;
        table_known_ = true;
    }
    return listed;
}

Result<void> SeenMachine::remove_table() {
    table_known_ = false;
    auto removed = machine_->remove_table();
    if (removed) {
        seen_.table.reset();
        table_known_ = true;
    }
    return removed;
}

}  // namespace dnsdirector::realserver
