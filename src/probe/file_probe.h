// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "core/model.h"
#include "probe/probe.h"

namespace dnsdirector::probe {

/// FILE_CHECK: reads the number at the beginning of a file; core::FileCheck says
/// what it means. As in keepalived a file that is missing or has no number at
/// its beginning counts as 0, and one that does not fit into 32 bits as the
/// number before it. What is no regular file or cannot be read is a failure to
/// look (Failure::local).
///
/// Reads at most 127 bytes, on the loop: not for a file on a network file system.
class FileProbe : public Probe {
public:
    explicit FileProbe(const core::FileCheck& check) : check_(check) {}

    Progress start(TimePoint now) override;
    Progress on_event(TimePoint /*now*/) override { return std::nullopt; }
    Progress on_timeout(TimePoint /*now*/) override { return std::nullopt; }

private:
    core::FileCheck check_;
    std::int64_t last_ = 0;
};

/// What a number means for a check; `found` is how the reason calls it:
/// "5 in /run/drain".
[[nodiscard]] Outcome judge_number(const core::FileCheck& check, std::int64_t number,
                                   const std::string& found);

}  // namespace dnsdirector::probe
