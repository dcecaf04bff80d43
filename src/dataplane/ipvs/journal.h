// SPDX-License-Identifier: Apache-2.0
//
// What must outlive a crash and does not stand in the kernel's table: which of
// its services are ours, and what counters that are gone had counted. A text
// file of the run directory to which lines are added, so that a change costs the
// same whatever the table's size; it is written anew when most of it is past.
//
//     dnsdirector ipvs 1 BOOT-ID
//     own PROTOCOL ADDRESS PORT FWMARK
//     gone PROTOCOL ADDRESS PORT FWMARK
//     count PROTOCOL ADDRESS PORT FWMARK SERVER PORT  PACKETS BYTES  PACKETS BYTES
//
// A count's first two numbers are of counters that are gone, the others what the
// kernel said last. SERVER is `-` for the service itself.
#pragma once

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/result.h"
#include "core/model.h"
#include "dataplane/ipvs/tallies.h"

namespace dnsdirector::dataplane::ipvs {

class Journal {
public:
    /// Of one service, and of the servers that it has or had.
    struct Tallies {
        Tally service;
        std::unordered_map<Endpoint, Tally> servers;
    };

    /// A file of another boot, or one that is damaged, is void: the kernel's
    /// table did not outlive the boot either. `boot` is any text without blanks.
    static Result<Journal> open(std::string path, std::string boot);
    Journal(Journal&& other) noexcept;
    Journal& operator=(Journal&&) = delete;
    ~Journal();

    [[nodiscard]] bool owns(const core::ServiceKey& key) const { return own_.contains(key); }
    [[nodiscard]] const std::set<core::ServiceKey>& own() const { return own_; }
    /// Before the kernel is asked to make it.
    Result<void> claim(const core::ServiceKey& key);
    /// When the kernel has removed it.
    Result<void> release(const core::ServiceKey& key);

    [[nodiscard]] std::map<core::ServiceKey, Tallies>& tallies() { return tallies_; }
    /// Writes down where a tally stands, with the next flush(), claim() or release().
    void note(const core::ServiceKey& key, const Tally& tally) { note(key, nullptr, tally); }
    void note(const core::ServiceKey& key, const Endpoint& server, const Tally& tally) {
        note(key, &server, tally);
    }
    Result<void> flush();

    /// Makes the file again where somebody removed it.
    Result<void> restore();
    /// A clean stop: nothing is ours any more.
    void remove();

private:
    Journal(std::string path, std::string boot) : path_(std::move(path)), boot_(std::move(boot)) {}

    void load();
    bool read_line(const std::string& line);
    Result<void> rewrite();
    void add(const std::string& line);
    void note(const core::ServiceKey& key, const Endpoint* server, const Tally& tally);
    [[nodiscard]] std::size_t needed_lines() const;

    std::string path_;
    std::string boot_;
    int file_ = -1;
    std::size_t lines_ = 0;
    std::string waiting_;  ///< lines to be written
    bool torn_ = false;    ///< the last ones could not be
    std::set<core::ServiceKey> own_;
    std::map<core::ServiceKey, Tallies> tallies_;
};

}  // namespace dnsdirector::dataplane::ipvs
