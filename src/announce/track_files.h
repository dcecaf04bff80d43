// SPDX-License-Identifier: Apache-2.0
//
// What VRRP follows: for each service IP a file that holds a number, as keepalived's track_file
// reads it (keepalived.conf(5), "VRRP track files") and adds it to the priority. One more, `all`,
// holds the lowest of them, for pairs that move all service IPs together.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "core/announcement.h"

namespace dnsdirector::announce {

/// 0 when announced, then -60, -120 and -180: with priorities 200 and 150 the director whose
/// state is better has the service IP, the preferred one where they are equal, and it is never
/// nowhere.
[[nodiscard]] int track_value(core::AnnouncementState state);

class TrackFiles {
public:
    /// Files are named by the service IP, in this directory. It is made with the first of them.
    explicit TrackFiles(std::string directory) : directory_(std::move(directory)) {}

    /// What a predecessor left there; files that say something else are passed over.
    [[nodiscard]] std::map<IpAddress, core::AnnouncementState> read() const;

    /// Makes the files say exactly this. Each is replaced whole; those that say it already are not
    /// touched, those of other service IPs are removed. On an error it has done all that it
    /// could, and the next call tries the rest again.
    Result<void> hold(const std::map<IpAddress, core::AnnouncementState>& states);
    /// Whether somebody removed files; the next hold() writes these again.
    bool lost();
    /// Removes the files and the directory.
    void remove();

private:
    Result<void> write(const std::string& name, int value);
    void remove_others() const;

    std::string directory_;
    std::map<std::string, int> written_;  ///< by file
};

}  // namespace dnsdirector::announce
