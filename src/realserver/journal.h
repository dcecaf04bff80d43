// SPDX-License-Identifier: Apache-2.0
//
// What was there before us: written before each change, so that `down` finds the way back after
// a kill -9 at any moment. A change that was written down and not made is none: what is there
// then is what was there before.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "realserver/actual.h"

namespace dnsdirector::realserver {

struct ChangedSetting {
    std::string path;
    std::string before;
    /// What we set it to, the last one last. With another value it is somebody else's.
    std::vector<std::string> ours;

    [[nodiscard]] bool is_ours(const std::string& value) const;
    friend bool operator==(const ChangedSetting&, const ChangedSetting&) = default;
};

struct OwnTable {
    std::string ruleset;  ///< what nft was given; "": not known to be in force
    std::string listed;   ///< how it gave it back

    friend bool operator==(const OwnTable&, const OwnTable&) = default;
};

struct Journal {
    std::vector<ChangedSetting> settings;  ///< in the order of setting
    std::vector<HeldAddress> addresses;
    std::vector<netlink::TunnelDevice> tunnels;
    std::optional<OwnTable> table;

    [[nodiscard]] bool empty() const;
    [[nodiscard]] const ChangedSetting* setting(const std::string& path) const;
    [[nodiscard]] bool has(const HeldAddress& address) const;
    [[nodiscard]] const netlink::TunnelDevice* tunnel(const std::string& name) const;
    friend bool operator==(const Journal&, const Journal&) = default;
};

/// The machine as it would be without us.
[[nodiscard]] Actual without_us(Actual actual, const Journal& journal);

/// Where the kernel's state that a journal speaks of lives and ends.
struct Place {
    std::string boot;  ///< /proc/sys/kernel/random/boot_id
    std::uint64_t network_namespace = 0;

    friend bool operator==(const Place&, const Place&) = default;
};
[[nodiscard]] Result<Place> this_place();

[[nodiscard]] std::string to_json(const Journal& journal, const Place& place);
/// An empty one where it was written before the machine was last started: what it speaks of went
/// with that. Errors: another network namespace's; no journal.
[[nodiscard]] Result<Journal> from_json(const std::string& text, const Place& place);

class JournalStore {
public:
    virtual ~JournalStore() = default;
    virtual Result<Journal> load() = 0;
    /// Whole or not at all, and there when this returns. An empty journal leaves no file.
    virtual Result<void> save(const Journal& journal) = 0;
};

/// RUN_DIR/realserver.json. The directory is made, and locked against others for as long as the
/// store lives.
[[nodiscard]] Result<std::unique_ptr<JournalStore>> open_journal(const std::string& run_dir);
/// As it is at this moment, without a lock; nothing is made.
[[nodiscard]] Result<Journal> peek_journal(const std::string& run_dir);

}  // namespace dnsdirector::realserver
