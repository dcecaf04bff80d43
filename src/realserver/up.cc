// SPDX-License-Identifier: Apache-2.0
#include "realserver/up.h"

#include <utility>

#include "base/overloaded.h"
#include "realserver/withheld.h"

namespace dnsdirector::realserver {
namespace {

Look look_of(const Journal& journal) {
    Look look;
    for (const ChangedSetting& each : journal.settings)
        look.settings.insert(each.path);
    look.table = journal.table.has_value();
    return look;
}

/// Makes it, and has the journal say what only the outcome tells.
Result<void> make(const Change& change, Journal& journal, Machine& machine) {
    return std::visit(
        Overloaded{
            [&](const AddAddress& each) -> Result<void> {
                const auto added = machine.add_address(each.held);
                if (!added) return tl::unexpected(added.error());
                // Somebody else was faster, whose it is then.
                if (!*added) std::erase(journal.addresses, each.held);
                return {};
            },
            [&](const RemoveAddress& each) { return machine.remove_address(each.held); },
            [&](const SetSetting& each) { return machine.set(each.path, each.to); },
            [&](const RestoreSetting& each) { return machine.set(each.path, each.to); },
            [&](const AddTunnel& each) { return machine.add_tunnel(each.device); },
            [&](const MendTunnel& each) { return machine.mend_tunnel(each.device); },
            [&](const RemoveTunnel& each) { return machine.remove_tunnel(each.name); },
            [&](const ReplaceTable& each) -> Result<void> {
                auto listed = machine.replace_table(each.ruleset);
                if (!listed) return tl::unexpected(listed.error());
                journal.table = OwnTable{each.ruleset, std::move(*listed)};
                return {};
            },
            [&](const RemoveTable&) { return machine.remove_table(); },
            [](const Forget&) { return Result<void>{}; },
        },
        change);
}

/// Written down, made, written down.
Result<void> carry_out(const Change& change, JournalStore& store, Journal& journal,
                       Machine& machine) {
    const auto save_what_is_new = [&](const Journal& before) -> Result<void> {
        if (before == journal) return {};
        return store.save(journal);
    };
    Journal before = journal;
    write_before(change, journal);
    if (auto saved = save_what_is_new(before); !saved) {
        journal = std::move(before);
        return saved;
    }
    before = journal;
    if (auto made = make(change, journal, machine); !made) return made;
    write_after(change, journal);
    return save_what_is_new(before);
}

void say(const Change& change, const Report& report) {
    const std::string line = to_string(change, Tense::done);
    if (line.empty()) return;
    (std::holds_alternative<Forget>(change) ? report.note : report.change)(line);
}

}  // namespace

Result<Plan> plan_up(const Order& order, const Journal& journal, Machine& machine) {
    Look look = look_of(journal);
    look.clients = clients_of(order.machine);
    look.table = look.table || !ruleset_of(order.machine, order.withheld).empty();
    const auto actual = machine.read(look);
    if (!actual) return tl::unexpected(actual.error());
    Plan result;
    result.wishes = wishes_of(order, without_us(*actual, journal));
    if (result.wishes.refusals.empty()) result.changes = plan(result.wishes, *actual, journal);
    return result;
}

Result<std::vector<Change>> plan_down(const Journal& journal, Machine& machine) {
    const auto actual = machine.read(look_of(journal));
    if (!actual) return tl::unexpected(actual.error());
    return plan({}, *actual, journal);
}

bool apply(const std::vector<Change>& changes, JournalStore& store, Journal& journal,
           Machine& machine, OnFailure on_failure, const Report& report) {
    bool all = true;
    for (const Change& change : changes) {
        if (const auto done = carry_out(change, store, journal, machine); done) {
            say(change, report);
            continue;
        } else {
            report.failure(done.error().message);
        }
        all = false;
        if (on_failure == OnFailure::stop) break;
    }
    return all;
}

bool bring_up(const Order& order, JournalStore& store, Machine& machine, const Report& report) {
    auto journal = store.load();
    if (!journal) {
        report.failure(journal.error().message);
        return false;
    }
    const auto planned = plan_up(order, *journal, machine);
    if (!planned) {
        report.failure(planned.error().message);
        return false;
    }
    for (const std::string& refusal : planned->wishes.refusals)
        report.failure(refusal);
    for (const std::string& note : planned->wishes.notes)
        report.note(note);
    if (!planned->wishes.refusals.empty()) return false;
    return apply(planned->changes, store, *journal, machine, OnFailure::stop, report);
}

bool take_down(JournalStore& store, Machine& machine, const Report& report) {
    auto journal = store.load();
    if (!journal) {
        report.failure(journal.error().message);
        return false;
    }
    const auto changes = plan_down(*journal, machine);
    if (!changes) {
        report.failure(changes.error().message);
        return false;
    }
    return apply(*changes, store, *journal, machine, OnFailure::go_on, report);
}

}  // namespace dnsdirector::realserver
